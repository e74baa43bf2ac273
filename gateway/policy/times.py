"""Whether a rule is in force at a moment, and when that changes next. Pure: the moment arrives as an argument.

Local times are told by the zone database. Where a clock is put forward, hours that begin inside the gap begin after it; where
it is put back, both hours of the same name count, but a span ends when its end comes for the first time. A span of hours
belongs to the day it begins on: `fri 22:00-06:00` ends on Saturday morning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from gateway.policy.model import When

_SECOND_US = 1_000_000
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
    return any(start_us <= now_us < end_us for start_us, end_us in _spans(when, now_us, ahead_days=1))


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
            for span in _spans(when, after_us, ahead_days=_AHEAD_DAYS):
                moments.extend(span)
        earliest_us = min([earliest_us, *(moment for moment in moments if moment > now_us)])
    return earliest_us


def at_us(day: date, minutes: int, timezone: str) -> int:
    """Minutes after a day's midnight, by the zone's clock, as microseconds since the epoch."""
    local = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)
    return round(local.replace(tzinfo=_zone(timezone)).timestamp()) * _SECOND_US


def day_of(moment_us: int, timezone: str) -> date:
    """The day of a moment by the zone's clock."""
    return datetime.fromtimestamp(moment_us // _SECOND_US, _zone(timezone)).date()


def _spans(when: When, now_us: int, *, ahead_days: int) -> Iterator[tuple[int, int]]:
    """The spans of hours that begin from the day before `now_us` on."""
    start, end = when.hours if when.hours is not None else (0, MINUTES_A_DAY)
    if end <= start:
        end += MINUTES_A_DAY
    today = day_of(now_us, when.timezone)
    for offset in range(-1, ahead_days + 1):
        day = today + timedelta(days=offset)
        if not when.days or day.weekday() in when.days:
            yield at_us(day, start, when.timezone), at_us(day, end, when.timezone)


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
