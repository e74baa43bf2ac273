"""Meters: what a request may cost, surely costs and has cost."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.budgets.meters import AMOUNT_MAX, METERS, Terms, label, show
from gateway.policy import scalars
from gateway.policy.model import Price
from gateway.values import ORDINARY, Extent, Usage
from tests.budgets.make import IN_FLIGHT, MONTH, PRICE, TERMS, budget

EXTENT = Extent(requests=3, counts=4, upload_bytes=5, audio_seconds=6, images=7)
tokens = st.integers(0, 10**9)
prices = st.integers(0, 10**13)
extents = st.builds(Extent, *[st.integers(0, 10**12)] * len(Extent._fields))
nonsense = st.integers(-(10**40), 10**40)
terms = st.builds(Terms, st.none() | st.builds(Price, prices, prices, prices, prices), st.booleans())


@st.composite
def usages(draw: st.DrawFn, input_max: int, output_max: int) -> Usage:
    total = draw(st.integers(0, input_max))
    cached = draw(st.integers(0, total))
    return Usage(total, cached, draw(st.integers(0, total - cached)), draw(st.integers(0, output_max)), is_complete=True)


@pytest.mark.parametrize("meter", METERS.values(), ids=lambda meter: meter.name)
@given(st.data(), tokens, tokens, terms, extents)
def test_actual_is_within_quote(meter, data, input_tokens, output_tokens, terms, extent):
    """Whatever a request within its estimate turns out to be, it was held in full; and certain is part of the quote."""
    quote = meter.quote(input_tokens, output_tokens, terms, extent)
    assert 0 <= meter.certain(input_tokens, output_tokens, terms, extent) <= quote <= AMOUNT_MAX
    part = Extent(*[data.draw(st.integers(0, most)) for most in extent])
    assert 0 <= meter.actual(data.draw(usages(input_tokens, output_tokens)), terms, part) <= quote


@pytest.mark.parametrize("meter", METERS.values(), ids=lambda meter: meter.name)
@given(tokens, tokens, tokens, terms, extents)
def test_amounts_grow_with_the_output(meter, input_tokens, output_tokens, more, terms, extent):
    """A longer answer never takes less, and changes nothing of what is certain: shortening relies on both."""
    asked, longer = (input_tokens, output_tokens, terms, extent), (input_tokens, output_tokens + more, terms, extent)
    assert meter.quote(*asked) <= meter.quote(*longer)
    assert meter.certain(*asked) == meter.certain(*longer)


@pytest.mark.parametrize("meter", METERS.values(), ids=lambda meter: meter.name)
@given(st.tuples(*[nonsense] * 4), st.builds(Extent, *[nonsense] * len(Extent._fields)), terms)
def test_nonsense_is_bounded(meter, numbers, extent, terms):
    """An upstream that reports nonsense, or a caller that asks for 10**40 tokens, makes no amount the store can't add."""
    assert 0 <= meter.actual(Usage(*numbers, is_complete=True), terms, extent) <= AMOUNT_MAX
    quote = meter.quote(abs(numbers[0]), abs(numbers[1]), terms, extent)
    assert 0 <= meter.certain(abs(numbers[0]), abs(numbers[1]), terms, extent) <= quote <= AMOUNT_MAX


def test_bound_is_above_every_limit():
    """A bounded amount still fits in no budget a policy can write."""
    assert AMOUNT_MAX > scalars.LIMIT_MAX


@given(usages(10**6, 10**6), terms.filter(lambda terms: terms.price is not None))
def test_cost_is_the_exact_sum_rounded_up(usage, terms):
    """Cost is the sum of each kind of token at its price, and never a nano-USD less."""
    price = terms.price
    uncached = usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens
    exact = Fraction(
        uncached * price.input
        + usage.cached_input_tokens * price.cached_input
        + usage.cache_write_tokens * price.cache_write
        + usage.output_tokens * price.output,
        1_000_000,
    )
    assert exact <= METERS["cost"].actual(usage, terms, ORDINARY) < exact + 1


def test_amounts_of_one_request():
    """A request of 1,000 tokens, 600 from the cache, and 50 out: on every meter, quoted and actual."""
    usage = Usage(1_000, 600, 100, 50, is_complete=True)
    asked = (1_100, 400, TERMS, EXTENT)
    amounts = {
        name: (meter.quote(*asked), meter.certain(*asked), meter.actual(usage, TERMS, EXTENT)) for name, meter in METERS.items()
    }
    assert amounts == {
        "requests": (3, 3, 3),
        "input_tokens": (1_100, 1_100, 400),
        "output_tokens": (400, 0, 50),
        "total_tokens": (1_500, 1_100, 450),
        "cost": (1_375_000 + 4_000_000, 1_375_000, 300_000 + 60_000 + 125_000 + 500_000),
        "concurrency": (1, 0, 0),
        "counts": (4, 4, 4),
        "upload_bytes": (5, 5, 5),
        "audio_seconds": (6, 0, 6),
        "images": (7, 0, 7),
    }
    counted = Terms(PRICE, counts_cached_input=True)
    assert METERS["input_tokens"].actual(usage, counted, ORDINARY) == 1_000
    assert METERS["total_tokens"].actual(usage, counted, ORDINARY) == 1_050


@given(st.integers(-(10**15), 10**15))
def test_money_is_shown_exactly(nano):
    """What is shown of a cost is exactly it, without trailing zeros."""
    number, unit = show("cost", nano).split(" ")
    assert (Fraction(number) * 1_000_000_000, unit) == (nano, "USD")
    assert "." not in number or number[-1] not in "0."


def test_amounts_read_as_vendors_write_them():
    """Plain integers, and USD with as many digits as it takes."""
    assert [show("total_tokens", 200_000), show("cost", 50_000_000), show("cost", 5 * 10**9)] == ["200000", "0.05 USD", "5 USD"]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (budget(), "requests per min (RPM)"),
        (budget(meter="total_tokens"), "tokens per min (TPM)"),
        (budget(meter="output_tokens"), "output tokens per min"),
        (budget(calendar="day"), "requests per day (RPD)"),
        (budget(meter="input_tokens", period_s=3600), "input tokens per hour"),
        (budget(period_s=10), "requests per 10 s"),
        (budget(period_s=5400), "requests per 90 min"),
        (budget(period_s=7 * 86_400, kind="rolling"), "requests per 7 days"),
        (MONTH, "USD per month"),
        (budget(meter="counts"), "token counts per min"),
        (budget(meter="upload_bytes", calendar="day"), "uploaded bytes per day"),
        (budget(meter="audio_seconds", period_s=3600), "seconds of audio per hour"),
        (budget(meter="images"), "images per min"),
        (IN_FLIGHT, "concurrent requests"),
    ],
)
def test_labels(made, expected):
    """A budget is called what the vendors call it."""
    assert label(made) == expected
