"""When a rule is in force: dates, days, hours, zones, and the nights on which a clock is put forward or back."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.model import When
from gateway.policy.times import FOR_EVER_US, changes_at_us, is_in_force

BERLIN = "Europe/Berlin"
HOUR_US = 3_600_000_000
START_US = 1_798_761_600_000_000
"""2027-01-01 in UTC."""


def berlin_us(text: str, *, fold: int = 0) -> int:
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(BERLIN), fold=fold)
    return round(local.timestamp()) * 1_000_000


NIGHT = When(days=(4,), hours=(22 * 60, 6 * 60), timezone=BERLIN)
EARLY = When(hours=(150, 180), timezone=BERLIN)


@pytest.mark.parametrize(
    ("when", "moment", "expected"),
    [
        (NIGHT, "2027-01-08 21:59", False),
        (NIGHT, "2027-01-08 22:00", True),
        (NIGHT, "2027-01-09 05:59", True),
        (NIGHT, "2027-01-09 06:00", False),
        (NIGHT, "2027-01-09 22:00", False),
        (NIGHT, "2027-01-08 05:00", False),
        (When(days=(5, 6), timezone=BERLIN), "2027-01-09 00:00", True),
        (When(days=(5, 6), timezone=BERLIN), "2027-01-11 00:00", False),
        (When(hours=(540, 1440), timezone=BERLIN), "2027-01-11 23:59", True),
        # The clock goes from 02:00 to 03:00 on 2027-03-28: there is no half past two.
        (EARLY, "2027-03-28 03:15", False),
        (EARLY, "2027-03-29 02:45", True),
    ],
)
def test_moments(when: When, moment: str, expected: bool) -> None:
    """A span of hours belongs to the day it begins on, and its end is no part of it."""
    assert is_in_force(when, berlin_us(moment)) is expected


def test_a_clock_put_back() -> None:
    """From the first half past two to three there is an hour and a half, and all of it counts."""
    first, second = berlin_us("2027-10-31 02:30"), berlin_us("2027-10-31 02:30", fold=1)
    assert second - first == HOUR_US
    assert [is_in_force(EARLY, moment) for moment in (first - 1, first, second - 1, second, second + HOUR_US // 2)] == [
        False, True, True, True, False,
    ]  # fmt: skip


def test_from_and_until() -> None:
    """From its first moment on, up to its last."""
    when = When(from_us=10, until_us=20)
    assert [is_in_force(when, now_us) for now_us in (9, 10, 19, 20)] == [False, True, True, False]
    assert [changes_at_us([when], now_us) for now_us in (9, 10, 19, 20)] == [10, 20, 20, FOR_EVER_US]
    assert is_in_force(None, 0)
    assert changes_at_us([None], 0) == FOR_EVER_US


moments = st.integers(0, 400 * 24 * 3600).map(lambda seconds: START_US + seconds * 1_000_000)
whens = st.builds(
    When,
    from_us=st.none() | moments,
    until_us=st.none() | moments,
    days=st.sets(st.integers(0, 6)).map(lambda days: tuple(sorted(days))),
    hours=st.none() | st.tuples(st.integers(0, 1439), st.integers(1, 1440)).filter(lambda hours: hours[0] != hours[1]),
    timezone=st.sampled_from(["UTC", BERLIN, "America/New_York", "Pacific/Auckland", "Asia/Kathmandu"]),
)


@given(st.lists(whens, min_size=1, max_size=3), moments, st.floats(0, 1, exclude_max=True))
def test_nothing_changes_before_it_is_said_to(several: list[When], now_us: int, share: float) -> None:
    """Up to the moment that `changes_at_us` names, every rule is as it is now: who keeps an answer so long is never wrong."""
    until_us = min(changes_at_us(several, now_us), now_us + 40 * 24 * HOUR_US)
    later_us = now_us + int((until_us - now_us) * share)
    assert until_us > now_us
    assert [is_in_force(when, later_us) for when in several] == [is_in_force(when, now_us) for when in several]
