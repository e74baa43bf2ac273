"""The spelling of values: what is printed reads back, amounts are exact, and nothing else is accepted."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy import scalars


@given(st.integers(1, scalars.PERIOD_S_MAX))
def test_durations_read_back(seconds: int) -> None:
    """Every duration that can be said reads back as what it was."""
    assert scalars.duration_s(scalars.format_duration(seconds)) == seconds


@given(st.integers(1, scalars.LIMIT_MAX))
def test_money_reads_back(nano_usd: int) -> None:
    """Every nano-dollar survives: there is no float on the way."""
    assert scalars.money_nano_usd(scalars.format_money(nano_usd)) == nano_usd


@given(st.integers(0, 10**6), st.integers(0, 12), st.sampled_from([("1k", 1000), ("1M", 10**6), ("100", 100)]))
def test_prices_are_exact_or_refused(digits: int, decimals: int, per: tuple[str, int]) -> None:
    """A price is the exact nano-USD for a million tokens, or refused when there is no such integer or it is too large."""
    amount = f"{digits // 10**decimals}.{digits % 10**decimals:0{decimals}d}" if decimals else str(digits)
    exact = Fraction(digits, 10**decimals) * 10**9 * 10**6 / per[1]
    text = f"{amount} USD / {per[0]} tokens"
    if exact.denominator == 1 and exact <= scalars.LIMIT_MAX:
        assert scalars.price_nano_usd_per_1m(text) == exact
    else:
        with pytest.raises(ValueError):
            scalars.price_nano_usd_per_1m(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1", 1), ("500k", 500_000), ("2M", 2_000_000), ("1.5M", 1_500_000), ("1000000000000000", scalars.LIMIT_MAX)],
)
def test_counts(text: str, expected: int) -> None:
    """Counts are digits, or thousands and millions."""
    assert scalars.count(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1", 1), ("500k", 500_000), ("20MB", 20_000_000), ("1.5GB", 1_500_000_000), ("1GiB", 2**30), ("0.5KiB", 512)],
)
def test_sizes(text: str, expected: int) -> None:
    """Sizes are counts of bytes, or have a unit: powers of 1000, with an `i` of 1024."""
    assert scalars.size_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "20 MB", "20mb", "20KB", "20kiB", "-1MB", "0MB", "1.5", "0.1kiB", "2000TB", "MB", "٣MB"])
def test_bad_sizes(text: str) -> None:
    """One way to write a unit, and whole bytes."""
    with pytest.raises(ValueError):
        scalars.size_bytes(text)


@given(st.integers(0, 10**6))
def test_thousandths_read_back(milli: int) -> None:
    """Every number that can be said reads back as what it was."""
    assert scalars.thousandths(scalars.format_thousandths(milli)) == milli


@pytest.mark.parametrize("text", ["", ".5", "1.", "1e3", "+1", "0,5", "0.0001", "1_0", "nan", "٣", "1\n"])
def test_bad_numbers(text: str) -> None:
    """Plain decimals of at most three places."""
    with pytest.raises(ValueError):
        scalars.thousandths(text)


@given(st.text(max_size=30))
def test_readers_raise_nothing_but_value_errors(text: str) -> None:
    """Whatever stands in a file, a reader gives a value in bounds or a ValueError (a key's: the same for all texts)."""
    for read in (scalars.duration_s, scalars.count, scalars.size_bytes, scalars.money_nano_usd, scalars.price_nano_usd_per_1m):
        message, value = "", 0
        try:
            value = read(text)
        except ValueError as error:
            message = str(error)
        assert 0 <= value <= scalars.LIMIT_MAX
        assert message.isprintable()
    with pytest.raises(
        ValueError, match=r"^a key's hash is `hmac-sha256:` and 64 hex digits in lower case, [a-z` :]+ prints it$"
    ):
        scalars.key_digest(text)


@pytest.mark.parametrize("text", ["", "5", "1m5h", "1h 5m", "m", "-5m", "1.5h", "5ms", "367d", "0s", "٣s", "5m\n"])
def test_bad_durations(text: str) -> None:
    """Units come once and from large to small; no fractions, no signs, no other alphabet's digits."""
    with pytest.raises(ValueError):
        scalars.duration_s(text)


@pytest.mark.parametrize(
    "text", ["5", "5USD", "$5", "5 usd", "1,000 USD", "-5 USD", "0 USD", "1e3 USD", ".5 USD", "٣ USD", "5 USD\n"]
)
def test_bad_money(text: str) -> None:
    """One way to write money."""
    with pytest.raises(ValueError):
        scalars.money_nano_usd(text)


@pytest.mark.parametrize("text", ["a", "A.b-c_d", "0", "a" * 64])
def test_names(text: str) -> None:
    """Names are plain words."""
    assert scalars.name(text) == text


@pytest.mark.parametrize("text", ["", "-a", ".a", "a b", "a/b", "ä", "a\n", "a" * 65, "a\x00"])
def test_bad_names(text: str) -> None:
    """Nothing enters a name that a log, a terminal or a store key would have to escape."""
    with pytest.raises(ValueError):
        scalars.name(text)
