"""Calendar windows: the day or month of a named time zone that contains an instant. Nothing else knows of time zones.

A day begins at the first instant at which the zone's clock shows its midnight or later. So every case has one answer:

- A clock set forward over midnight (Africa/Cairo, America/Sao_Paulo until 2018): the day begins at the jump.
- A clock set back over midnight (America/Havana; America/St_Johns, at 00:01): the day begins the first time; it does not
  begin again, though the clock shows yesterday's date for up to an hour more.
- A day left out (Pacific/Apia, 30 December 2011): it has no window, its neighbours meet.

Hence windows tile time: each ends where the next begins, none is empty, and a counter is reset once.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Calendar = Literal["day", "month"]

_DAY = timedelta(days=1)
_US = 1_000_000
_last: dict[tuple[Calendar, ZoneInfo | str], tuple[int, int]] = {}
"""The window that was asked for last, which nearly always is the one asked for next. A memo of a pure function, as large
as the policy's list of zones."""


def calendar_window(now_us: int, calendar: Calendar, zone: ZoneInfo | str) -> tuple[int, int]:
    """(start_us, end_us) of the window with start_us <= now_us < end_us, in microseconds since the epoch.

    0.2 us while the window lasts, some 10 us when another is asked for. Years 1 to 9998. Raises ZoneInfoNotFoundError (a
    KeyError) for a name that is no zone.
    """
    window = _last.get((calendar, zone))
    if window is None or not window[0] <= now_us < window[1]:
        start_s, end_s = _window_s(now_us // _US, calendar, ZoneInfo(zone) if isinstance(zone, str) else zone)
        window = _last[calendar, zone] = (start_s * _US, end_s * _US)
    return window


def _window_s(now_s: int, calendar: Calendar, zone: ZoneInfo) -> tuple[int, int]:
    first = datetime.fromtimestamp(now_s, zone).date()
    if calendar == "month":
        first = first.replace(day=1)
    start_s = _start_s(first, zone)
    while True:
        following = _following(first, calendar)
        end_s = _start_s(following, zone)
        if now_s < end_s:
            return start_s, end_s
        # The clock was set back over midnight and shows yesterday again: today has begun all the same.
        first, start_s = following, end_s


def _following(first: date, calendar: Calendar) -> date:
    if calendar == "day":
        return first + _DAY
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)


def _start_s(day: date, zone: ZoneInfo) -> int:
    """The first second at which the zone's clock shows `day` 00:00 or later."""
    midnight = datetime(day.year, day.month, day.day)
    start_s = int(midnight.replace(tzinfo=zone).timestamp())  # fold 0: of two midnights the first
    if _clock(start_s, zone) == midnight:
        return start_s
    # No clock ever showed this midnight. Read with the offset after the jump it lies before the jump, read with the one
    # before the jump it lies after: the jump is between them.
    before_s, after_s = int(midnight.replace(tzinfo=zone, fold=1).timestamp()), start_s
    while after_s - before_s > 1:
        middle_s = (before_s + after_s) // 2
        if _clock(middle_s, zone) < midnight:
            before_s = middle_s
        else:
            after_s = middle_s
    return after_s


def _clock(instant_s: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(instant_s, zone).replace(tzinfo=None)
