"""Whether a rule is in force at a moment, and when that changes next. Pure: the moment arrives as an argument.

Local times are told by the zone database. Where a clock is put forward, hours that begin inside the gap begin after it; where
it is put back, both hours of the same name count, but a span ends when its end comes for the first time. A span of hours
belongs to the day it begins on: `fri 22:00-06:00` ends on Saturday morning.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from gateway.policy.model import When

_SECOND_US = 1_000_000
_QUARTER_US = 900 * _SECOND_US
MINUTES_A_DAY = 1440
FOR_EVER_US = 1 << 62
"""Later than any clock will tell."""
_AHEAD_DAYS = 9
"""Any week has every day: within these days hours begin or end, if they ever do."""


def is_in_force(when: When | None, now_us: int) -> bool:
    """Whether `when` allows the moment `now_us` (microseconds since the epoch). None: always."""
    if when is None:
        return True
    if when.from_us is not None and now_us < when.from_us:
        return False
    if when.until_us is not None and now_us >= when.until_us:
        return False
    if when.hours is None and not when.days:
        return True
    today = _today(now_us // _QUARTER_US, when.timezone)
    spans = _spans(when.days, when.hours, when.timezone, today, 1)
    return any(start_us <= now_us < end_us for start_us, end_us in spans)


def changes_at_us(whens: Iterable[When | None], now_us: int) -> int:
    """The first moment after `now_us` at which one of them may begin or cease to be in force; FOR_EVER_US: never.

    It may come too early, and never too late.
    """
    earliest_us = FOR_EVER_US
    for when in whens:
        if when is None or (when.until_us is not None and now_us >= when.until_us):
            continue
        moments = [moment for moment in (when.from_us, when.until_us) if moment is not None]
        if when.hours is not None or when.days:
            after_us = now_us if when.from_us is None else max(now_us, when.from_us)
            edges = _edges(when.days, when.hours, when.timezone, _today(after_us // _QUARTER_US, when.timezone))
            moments.extend(edges[bisect_right(edges, after_us) :][:1])
        earliest_us = min([earliest_us, *(moment for moment in moments if moment > now_us)])
    return earliest_us


def at_us(day: date, minutes: int, timezone: str) -> int:
    """Minutes after a day's midnight, by the zone's clock, as microseconds since the epoch."""
    local = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)
    return round(local.replace(tzinfo=_zone(timezone)).timestamp()) * _SECOND_US


def day_of(moment_us: int, timezone: str) -> date:
    """The day of a moment by the zone's clock."""
    return datetime.fromtimestamp(moment_us // _SECOND_US, _zone(timezone)).date()


@lru_cache(maxsize=4096)  # many rules have the same hours, and a day is long
def _spans(
    days: tuple[int, ...], hours: tuple[int, int] | None, timezone: str, today: date, ahead_days: int
) -> tuple[tuple[int, int], ...]:
    """The spans of hours that begin from the day before `today` on."""
    start, end = hours if hours is not None else (0, MINUTES_A_DAY)
    if end <= start:
        end += MINUTES_A_DAY
    begins = [today + timedelta(days=offset) for offset in range(-1, ahead_days + 1)]
    begins = [day for day in begins if not days or day.weekday() in days]
    return tuple([(at_us(day, start, timezone), at_us(day, end, timezone)) for day in begins])


@lru_cache(maxsize=4096)
def _edges(days: tuple[int, ...], hours: tuple[int, int] | None, timezone: str, today: date) -> tuple[int, ...]:
    """When those spans begin and end, in order."""
    return tuple(sorted({edge for span in _spans(days, hours, timezone, today, _AHEAD_DAYS) for edge in span}))


@lru_cache(maxsize=4096)
def _today(quarter: int, timezone: str) -> date:
    """The day in which a quarter of an hour lies: days and offsets change at quarters only."""
    return day_of(quarter * _QUARTER_US, timezone)


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
