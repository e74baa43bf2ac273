"""Calendar windows: they tile time in every zone, whatever its clock has been through."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.budgets.windows import calendar_window

ZONES = sorted(available_timezones() - {"localtime"})
HOUR_US = 3_600_000_000


def us(text: str) -> int:
    """Microseconds of an ISO instant with offset."""
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000


def clock(at_us: int, zone: str) -> datetime:
    return datetime.fromtimestamp(at_us // 1_000_000, ZoneInfo(zone)).replace(tzinfo=None)


@settings(max_examples=1_500, deadline=None)
@given(st.integers(us("1900-01-02T00:00Z"), us("2100-01-01T00:00Z")), st.sampled_from(["day", "month"]), st.sampled_from(ZONES))
@example(us("1867-10-18T12:00Z"), "day", "America/Juneau")  # a day that came twice
@example(us("2006-10-29T03:00Z"), "day", "America/St_Johns")  # 00:01 became 23:01
@example(us("2011-12-30T09:59:59Z"), "day", "Pacific/Apia")  # before the day that was left out
@example(us("1919-03-31T04:30Z"), "day", "America/Toronto")  # 23:30 became 00:30
def test_windows_tile_time(now_us, calendar, zone):
    """Each instant is in exactly one window, which begins when the zone's clock first reaches its midnight."""
    start_us, end_us = calendar_window(now_us, calendar, zone)
    assert start_us <= now_us < end_us
    assert {calendar_window(at_us, calendar, zone) for at_us in (start_us, end_us - 1)} == {(start_us, end_us)}
    assert calendar_window(start_us - 1, calendar, zone)[1] == start_us
    assert calendar_window(end_us, calendar, zone)[0] == end_us
    first, before = clock(start_us, zone), clock(start_us - 1, zone)
    midnight = first.replace(hour=0, minute=0, second=0, day=1 if calendar == "month" else first.day)
    assert before < midnight <= first


@settings(max_examples=300, deadline=None)
@given(st.integers(0, us("2100-01-01T00:00Z")), st.sampled_from(["day", "month"]))
def test_utc_days_and_months(now_us, calendar):
    """In UTC, windows are what the calendar says."""
    now = datetime.fromtimestamp(now_us // 1_000_000, UTC)
    start = now.replace(hour=0, minute=0, second=0, microsecond=0)
    end = start + timedelta(days=1)
    if calendar == "month":
        start = start.replace(day=1)
        end = (start + timedelta(days=31)).replace(day=1)
    expected = (int(start.timestamp()) * 1_000_000, int(end.timestamp()) * 1_000_000)
    assert calendar_window(now_us, calendar, "UTC") == expected


@pytest.mark.parametrize(
    ("zone", "at", "start", "hours"),
    [
        ("Europe/Berlin", "2026-03-29T12:00Z", "2026-03-29T00:00+01:00", 23),
        ("Europe/Berlin", "2026-10-25T12:00Z", "2026-10-25T00:00+02:00", 25),
        ("Australia/Lord_Howe", "2026-04-05T00:00Z", "2026-04-05T00:00+11:00", 24.5),
        # Midnight does not exist: the day begins at one o'clock.
        ("America/Sao_Paulo", "2018-11-04T12:00Z", "2018-11-04T01:00-02:00", 23),
        ("Africa/Cairo", "2026-04-24T12:00Z", "2026-04-24T01:00+03:00", 23),
        ("Asia/Beirut", "2026-03-29T12:00Z", "2026-03-29T01:00+03:00", 23),
        # 24:00 became 23:00: yesterday lasts an hour more.
        ("America/Sao_Paulo", "2018-02-17T12:00Z", "2018-02-17T00:00-02:00", 25),
        ("Africa/Cairo", "2026-10-29T12:00Z", "2026-10-29T00:00+03:00", 25),
        # Midnight comes twice: the first one counts.
        ("America/Havana", "2026-11-01T12:00Z", "2026-11-01T00:00-04:00", 25),
        # The clock went back to yesterday after a minute of today: today goes on.
        ("America/St_Johns", "2006-10-29T03:00Z", "2006-10-29T00:00-02:30", 25),
        # The 30th was left out: the 29th meets the 31st.
        ("Pacific/Apia", "2011-12-30T10:00Z", "2011-12-31T00:00+14:00", 24),
    ],
)
def test_days_of_clocks_that_jump(zone, at, start, hours):
    """A day has the hours its zone gives it, and one beginning."""
    assert calendar_window(us(at), "day", zone) == (us(start), us(start) + int(hours * HOUR_US))


def test_month_over_a_clock_change():
    """A month is in local time at both of its ends."""
    expected = (us("2026-10-01T00:00+02:00"), us("2026-11-01T00:00+01:00"))
    assert calendar_window(us("2026-10-31T22:59:59Z"), "month", ZoneInfo("Europe/Berlin")) == expected


def test_unknown_zone():
    """A name that is no zone is said to be none."""
    with pytest.raises(ZoneInfoNotFoundError):
        calendar_window(0, "day", "Mars/Olympus")
