"""What a budget can count: one entry of METERS each, and how amounts read in messages. No windows, no keys.

Rule 1: whatever tokens come in, `0 <= certain <= quote <= AMOUNT_MAX`, and `actual` of what was quoted is at most `quote`.
Rule 2: integers only. Cost is rounded up once, at the end: no sequence of small requests is free.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from gateway.policy.model import Budget, MeterName, Price
from gateway.values import Extent, Usage

AMOUNT_MAX = 2**50
"""Above any limit a policy can write, and below 2**53 for a store that adds in doubles: a caller that asks for
10**30 tokens meets its limit, and not an overflow."""

NANO_USD = 1_000_000_000
_PRICED_TOKENS = 1_000_000
_ROUND_UP = _PRICED_TOKENS - 1


class Terms(NamedTuple):
    """What tokens mean for one caller and model."""

    price: Price | None
    """None: unknown; such a request costs nothing. The policy's loader sees to it that a cost budget has a price."""
    counts_cached_input: bool


class Meter(NamedTuple):
    """One thing a budget can count. `quote` and `certain` take (input_tokens, output_tokens, terms, extent)."""

    name: MeterName
    unit: str
    """Of every amount of it, in machine-readable output."""
    quote: Callable[[int, int, Terms, Extent], int]
    """The worst case: what to hold."""
    certain: Callable[[int, int, Terms, Extent], int]
    """The part that is charged even if the gateway dies in mid-flight."""
    actual: Callable[[Usage, Terms, Extent], int]
    """What it came to. Never below 0, whatever nonsense an upstream reports."""
    label: str
    """Its word in messages."""


def show(meter: MeterName, amount: int) -> str:
    """An amount for a message: `200000`, or `0.05 USD` exactly, without trailing zeros."""
    if meter != "cost":
        return str(amount)
    sign = "-" if amount < 0 else ""
    usd, nano = divmod(abs(amount), NANO_USD)
    fraction = f".{nano:09}".rstrip("0").rstrip(".")
    return f"{sign}{usd}{fraction} USD"


def label(budget: Budget) -> str:
    """What a budget counts, in the vendors' words: "requests per min (RPM)", "USD per month", "concurrent requests"."""
    name = METERS[budget.meter].label
    if budget.kind == "concurrency":
        return name
    window = budget.calendar or _window(budget.period_s)
    abbreviation = _ABBREVIATIONS.get((budget.meter, window), "")
    return f"{name} per {window}{abbreviation}"


_ABBREVIATIONS = {
    ("requests", "min"): " (RPM)",
    ("requests", "day"): " (RPD)",
    ("total_tokens", "min"): " (TPM)",
    ("total_tokens", "day"): " (TPD)",
}
_UNITS = ((86_400, "day", "days"), (3_600, "hour", "hours"), (60, "min", "min"), (1, "s", "s"))


def _window(period_s: int) -> str:
    for unit_s, one, many in _UNITS:
        count, rest = divmod(period_s, unit_s)
        if count and not rest:
            return one if count == 1 else f"{count} {many}"
    return f"{period_s} s"


def _bounded(amount: int) -> int:
    return AMOUNT_MAX if amount > AMOUNT_MAX else amount if amount > 0 else 0


def _one(_input_tokens: int, _output_tokens: int, _terms: Terms, _extent: Extent) -> int:
    return 1


def _part(name: str) -> Callable[[int, int, Terms, Extent], int]:
    """A part of the extent, known before the request is sent."""
    index = Extent._fields.index(name)

    def part(_input_tokens: int, _output_tokens: int, _terms: Terms, extent: Extent) -> int:
        return _bounded(extent[index])

    return part


def _part_actual(name: str) -> Callable[[Usage, Terms, Extent], int]:
    index = Extent._fields.index(name)

    def part(_usage: Usage, _terms: Terms, extent: Extent) -> int:
        return _bounded(extent[index])

    return part


def _zero(_input_tokens: int, _output_tokens: int, _terms: Terms, _extent: Extent) -> int:
    return 0


def _input(input_tokens: int, _output_tokens: int, _terms: Terms, _extent: Extent) -> int:
    return _bounded(input_tokens)


def _output(_input_tokens: int, output_tokens: int, _terms: Terms, _extent: Extent) -> int:
    return _bounded(output_tokens)


def _total(input_tokens: int, output_tokens: int, _terms: Terms, _extent: Extent) -> int:
    return _bounded(input_tokens + output_tokens)


def _worst_input_price(price: Price) -> int:
    # Whether a cache is read or written is the upstream's choice: any of the three may come.
    return max(price.input, price.cached_input, price.cache_write)


def _cost_quote(input_tokens: int, output_tokens: int, terms: Terms, _extent: Extent) -> int:
    price = terms.price
    if price is None:
        return 0
    nano = input_tokens * _worst_input_price(price) + output_tokens * price.output
    return _bounded((nano + _ROUND_UP) // _PRICED_TOKENS)


def _cost_certain(input_tokens: int, _output_tokens: int, terms: Terms, extent: Extent) -> int:
    return _cost_quote(input_tokens, 0, terms, extent)


def _zero_actual(_usage: Usage, _terms: Terms, _extent: Extent) -> int:
    return 0


def _counted_input(usage: Usage, terms: Terms) -> int:
    total = max(usage.input_tokens, 0)
    return total if terms.counts_cached_input else total - min(max(usage.cached_input_tokens, 0), total)


def _input_actual(usage: Usage, terms: Terms, _extent: Extent) -> int:
    return _bounded(_counted_input(usage, terms))


def _output_actual(usage: Usage, _terms: Terms, _extent: Extent) -> int:
    return _bounded(usage.output_tokens)


def _total_actual(usage: Usage, terms: Terms, _extent: Extent) -> int:
    return _bounded(_counted_input(usage, terms) + max(usage.output_tokens, 0))


def _cost_actual(usage: Usage, terms: Terms, _extent: Extent) -> int:
    price = terms.price
    if price is None:
        return 0
    # Parts can't be more than the whole: an upstream that says so is not believed, and nothing turns negative.
    uncached = max(usage.input_tokens, 0)
    cached = min(max(usage.cached_input_tokens, 0), uncached)
    uncached -= cached
    cache_write = min(max(usage.cache_write_tokens, 0), uncached)
    uncached -= cache_write
    nano = (
        uncached * price.input
        + cached * price.cached_input
        + cache_write * price.cache_write
        + max(usage.output_tokens, 0) * price.output
    )
    return _bounded((nano + _ROUND_UP) // _PRICED_TOKENS)


_ALL = (
    Meter("requests", "requests", _part("requests"), _part("requests"), _part_actual("requests"), "requests"),
    Meter("input_tokens", "tokens", _input, _input, _input_actual, "input tokens"),
    Meter("output_tokens", "tokens", _output, _zero, _output_actual, "output tokens"),
    Meter("total_tokens", "tokens", _total, _input, _total_actual, "tokens"),
    Meter("cost", "nano_usd", _cost_quote, _cost_certain, _cost_actual, "USD"),
    # Held while the request runs, and then as if it had never been.
    Meter("concurrency", "concurrent_requests", _one, _zero, _zero_actual, "concurrent requests"),
    Meter("counts", "requests", _part("counts"), _part("counts"), _part_actual("counts"), "token counts"),
    Meter(
        "upload_bytes", "bytes", _part("upload_bytes"), _part("upload_bytes"), _part_actual("upload_bytes"), "uploaded bytes"
    ),
    # How long a recording is, is known when it has been heard: until then it is estimated by its bytes.
    Meter("audio_seconds", "seconds", _part("audio_seconds"), _zero, _part_actual("audio_seconds"), "seconds of audio"),
    Meter("images", "images", _part("images"), _zero, _part_actual("images"), "images"),
)
METERS: Mapping[MeterName, Meter] = {meter.name: meter for meter in _ALL}
