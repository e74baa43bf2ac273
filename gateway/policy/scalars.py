"""The spelling of one value: names, globs, durations, counts, sizes, decimals, money, prices. Text in, integers out; no YAML,
no files.

Rule 1: every reader raises ValueError with a whole sentence: what is wrong, and what may be written.
Rule 2: no floats. `0.1 USD` is 100,000,000 nano-USD exactly, and what is no whole number of the unit is refused.
"""

from __future__ import annotations

import re
from fractions import Fraction

NANO_USD = 1_000_000_000
LIMIT_MAX = 10**15
"""Largest limit, burst or price (a million USD): the store computes in doubles, and needs some bits to spare."""
PERIOD_S_MAX = 366 * 86_400
EVIDENCE_DAYS_MAX = 3_660

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
GLOB = re.compile(r"[A-Za-z0-9._:/@+*?\[\]!-]{1,128}")
DURATION = re.compile(r"(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")
_DECIMAL = r"[0-9]{1,18}(?:\.[0-9]{1,18})?"
COUNT = re.compile(rf"({_DECIMAL})([kM])")
SIZE = re.compile(rf"({_DECIMAL})(k|M|G|T|Ki|Mi|Gi|Ti)B")
_THOUSANDTHS = re.compile(r"-?[0-9]{1,6}(?:\.[0-9]{1,18})?")
PERCENT = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,6})?%")
MONEY = re.compile(rf"({_DECIMAL}) USD")
PRICE = re.compile(rf"({_DECIMAL}) USD ?/ ?([0-9]{{1,9}})?([kM])? tokens")
HASH = re.compile(r"hmac-sha256:[0-9a-f]{64}")
_MULTIPLIER = {"k": 1_000, "M": 1_000_000}
_BYTES = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


NAME_IS = "a name is 1 to 64 letters, digits, `.`, `-` or `_`, and begins with a letter or digit"
GLOB_IS = "a model glob is 1 to 128 letters, digits or `._:/@+-` with the wildcards `*`, `?` and `[...]`"
DURATION_IS = "a duration is written like `90s`, `5m`, `1h30m` or `2d`"
COUNT_IS = "a count is a whole number, in digits or like `500k` or `2M`"
SIZE_IS = "a size is written like `20MB` or `1GiB`, or as a count of bytes"
MONEY_IS = "an amount of money is written like `5 USD` or `0.05 USD`"
PERCENT_IS = "a percentage is written like `70%` or `99.5%`"
PRICE_IS = "a price is written like `0.15 USD / 1M tokens` or `0.002 USD / 1k tokens`"


def name(text: str) -> str:
    """Letters, digits, dot, dash and underscore; begins with a letter or digit; at most 64."""
    if not NAME.fullmatch(text):
        raise ValueError(NAME_IS)
    return text


def glob(text: str) -> str:
    """A pattern of model names: `*` any text, `?` one character, `[abc]` and `[!abc]` one of a set; case counts."""
    if not GLOB.fullmatch(text):
        raise ValueError(GLOB_IS)
    return text


def duration_s(text: str) -> int:
    """`90s`, `5m`, `1h30m`, `2d` in seconds; 1 s to 366 d."""
    found = DURATION.fullmatch(text)
    if not text or not found:
        raise ValueError(DURATION_IS)
    days, hours, minutes, seconds = (int(group or 0) for group in found.groups())
    total_s = days * 86_400 + hours * 3_600 + minutes * 60 + seconds
    if not 1 <= total_s <= PERIOD_S_MAX:
        raise ValueError(f"a duration is 1s to {PERIOD_S_MAX // 86_400}d")
    return total_s


def count(text: str) -> int:
    """`500`, `500k`, `1.5M`: an integer, 1 to LIMIT_MAX."""
    suffixed = COUNT.fullmatch(text)
    if suffixed:
        exact = Fraction(suffixed[1]) * _MULTIPLIER[suffixed[2]]
    elif re.fullmatch(r"-?[0-9]{1,30}", text):
        exact = Fraction(text)
    else:
        raise ValueError(COUNT_IS)
    if exact.denominator != 1:
        raise ValueError(f"{text} is not a whole number")
    return _bounded(int(exact), str)


def size_bytes(text: str) -> int:
    """`20MB`, `1GiB`, or a count of bytes: 1 to LIMIT_MAX."""
    found = SIZE.fullmatch(text)
    if not found:
        if re.fullmatch(r"-?[0-9][0-9.]*[kM]?", text):
            return count(text)
        raise ValueError(SIZE_IS)
    exact = Fraction(found[1]) * _BYTES[found[2]]
    if exact.denominator != 1:
        raise ValueError(f"{text} is not a whole number of bytes")
    return _bounded(int(exact), str)


def thousandths(text: str) -> int:
    """`0.2`, `1`: a decimal number in thousandths, exactly; it may be 0 or negative."""
    if not _THOUSANDTHS.fullmatch(text):
        raise ValueError("a number is written like `2` or `0.25`")
    exact = Fraction(text) * 1_000
    if exact.denominator != 1:
        raise ValueError(f"{text} is too fine: at most 3 decimals")
    return int(exact)


def percent_milli(text: str) -> int:
    """`70%`, `99.5%`: a share in thousandths, exactly; at most one decimal."""
    if not PERCENT.fullmatch(text):
        raise ValueError(PERCENT_IS)
    exact = Fraction(text[:-1]) * 10
    if exact.denominator != 1:
        raise ValueError(f"{text} is too fine: at most 1 decimal")
    return int(exact)


def money_nano_usd(text: str) -> int:
    """`5 USD`, `0.05 USD` in nano-USD, 1 to LIMIT_MAX."""
    found = MONEY.fullmatch(text)
    if not found:
        raise ValueError(MONEY_IS)
    exact = Fraction(found[1]) * NANO_USD
    if exact.denominator != 1:
        raise ValueError(f"{text} is not a whole number of nano-USD: at most 9 decimals")
    return _bounded(int(exact), format_money)


def price_nano_usd_per_1m(text: str) -> int:
    """`0.15 USD / 1M tokens`, `0.3 USD / 1k tokens` in nano-USD for a million tokens; 0 is free."""
    found = PRICE.fullmatch(text)
    if not found:
        raise ValueError(PRICE_IS)
    tokens = int(found[2] or 1) * _MULTIPLIER.get(found[3] or "", 1)
    if (found[2] is None and found[3] is None) or tokens == 0:
        raise ValueError("a price says for how many tokens: `/ 1M tokens` or `/ 1k tokens`")
    exact = Fraction(found[1]) * NANO_USD * 1_000_000 / tokens
    if exact.denominator != 1:
        raise ValueError(f"{text} is not a whole number of nano-USD for a million tokens")
    if exact > LIMIT_MAX:
        raise ValueError(f"a price is at most {format_money(LIMIT_MAX)} for a million tokens")
    return int(exact)


def key_digest(text: str) -> str:
    """The 64 hex digits of `hmac-sha256:...`. The message never repeats the text: it may be a key pasted by mistake."""
    if not HASH.fullmatch(text):
        raise ValueError(
            "a key's hash is `hmac-sha256:` and 64 hex digits in lower case, never the key itself: `gauger keys new` prints it"
        )
    return text.removeprefix("hmac-sha256:")


def key_id(text: str) -> str:
    """A name that is not itself a key: ids are logged and shown."""
    if text.startswith("sk-"):
        raise ValueError("this looks like a key itself: an id is a name for it that may be shown, as in `acme-1`")
    return name(text)


def format_duration(seconds: int) -> str:
    """5400 as `1h30m`: what `duration_s` reads back."""
    parts = []
    for unit, length_s in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        number, seconds = divmod(seconds, length_s)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0s"


def format_thousandths(milli: int) -> str:
    """250 as `0.25`: what `thousandths` reads back."""
    whole, rest = divmod(milli, 1_000)
    decimals = f".{rest:03d}".rstrip("0") if rest else ""
    return f"{whole}{decimals}"


def format_percent(milli: int) -> str:
    """700 as `70%`, 995 as `99.5%`: what `percent_milli` reads back."""
    return f"{milli // 10}%" if milli % 10 == 0 else f"{milli // 10}.{milli % 10}%"


def format_money(nano_usd: int) -> str:
    """50_000_000 as `0.05 USD`: what `money_nano_usd` reads back."""
    whole, rest = divmod(nano_usd, NANO_USD)
    decimals = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{whole}{decimals} USD"


def _bounded(value: int, written: type[str] | object) -> int:
    form = written if callable(written) else str
    if value < 1:
        raise ValueError(f"{form(value)} is too small: it must be more than 0")
    if value > LIMIT_MAX:
        raise ValueError(f"{form(value)} is too large: at most {form(LIMIT_MAX)}")
    return value
