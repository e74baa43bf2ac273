"""Dates, times of day and days of the week of a policy file: `when` of a budget, and single dates elsewhere.

A date is a text in quotes, because YAML readers disagree on dates without. `until` takes the whole of its last day in.
"""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache

from gateway.policy.fields import Fields, among, scalar, text
from gateway.policy.model import When
from gateway.policy.shapes import TEXT, either, items, written
from gateway.policy.times import MINUTES_A_DAY, at_us
from gateway.policy.yaml_tree import Items, Scalar, Table, shown

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MOMENT_IS = 'a date is written like "2027-01-31", and a moment like "2027-01-31 18:00", in quotes'
HOURS_ARE = "hours are written like `09:00-18:00`, or `22:00-06:00` for a night"
_INSTANT = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?: (\d\d):(\d\d))?")
_HOURS = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_DAY = f"(?:{'|'.join(DAYS)})"
MOMENT = written(_INSTANT.pattern, MOMENT_IS)
_DAYS = written(f"{_DAY}(?:-{_DAY})?")
WORDS = {
    "from": MOMENT,
    "until": MOMENT,
    "days": either(_DAYS, items(_DAYS, may_be_empty=False)),
    "hours": written(_HOURS.pattern, HOURS_ARE),
    "timezone": TEXT,
}

Instant = tuple[date, int | None]
"""A day, and minutes after its midnight where a time was given."""


def read_when(owner: Fields) -> When | None:
    """The `when` of a mapping; None where there is none."""
    node = owner.value("when")
    if node is None:
        return None
    fields = Fields(owner.report, node, owner.at("when"), WORDS)
    if isinstance(node, Table) and node.entries.keys() <= {"timezone"}:
        owner.refuse("when", "write `from`, `until`, `days` or `hours`, or remove the word")
    timezone = fields.get("timezone", text(timezone_name), "UTC")
    from_us = read_instant(fields, "from", timezone=timezone)
    until_us = read_instant(fields, "until", timezone=timezone, is_end=True)
    if from_us is not None and until_us is not None and from_us >= until_us:
        fields.refuse("until", "it is over before it begins: `until` must be after `from`")
    return When(from_us, until_us, _read_days(fields), fields.get("hours", text(_hours), None), timezone)


def read_instant(fields: Fields, word: str, *, timezone: str = "UTC", is_end: bool = False) -> int | None:
    """A date or a date and a time as microseconds since the epoch; None where it is missing or wrong.

    `is_end`: a date without a time stands for the end of its day.
    """
    found = fields.get(word, text(_instant), None)
    if found is None:
        return None
    day, minutes = found
    return at_us(day, (MINUTES_A_DAY if is_end else 0) if minutes is None else minutes, timezone)


def timezone_name(name: str) -> str:
    """An IANA name. Raises ValueError, with the nearest one."""
    if not _is_timezone(name):
        raise ValueError(f"{shown(name)} is no IANA time zone such as `UTC` or `Europe/Berlin`{_similar_timezone(name)}")
    return name


def _instant(written: str) -> Instant:
    found = _INSTANT.fullmatch(written)
    if found is None:
        raise ValueError(MOMENT_IS)
    year, month, day, hour, minute = (None if part is None else int(part) for part in found.groups())
    try:
        there = date(year or 0, month or 0, day or 0)
    except ValueError:
        raise ValueError(f"{shown(written)} is on no calendar; {MOMENT_IS}") from None
    if not 2000 <= there.year < 2200:
        raise ValueError(f"{shown(written)} is out of bounds: years 2000 to 2199")
    if hour is None or minute is None:
        return there, None
    return there, _minutes(hour, minute)


def _hours(written: str) -> tuple[int, int] | None:
    found = _HOURS.fullmatch(written)
    if found is None:
        raise ValueError(HOURS_ARE)
    start, end = _minutes(int(found[1]), int(found[2])), _minutes(int(found[3]), int(found[4]))
    if start in (end, MINUTES_A_DAY):
        raise ValueError(f"{written} is no span of hours: remove the word for all day")
    return start, end


def _minutes(hour: int, minute: int) -> int:
    if minute > 59 or hour * 60 + minute > MINUTES_A_DAY:
        raise ValueError(f"{hour:02d}:{minute:02d} is no time of day: 00:00 to 24:00")
    return hour * 60 + minute


def _read_days(fields: Fields) -> tuple[int, ...]:
    node = fields.value("days")
    if node is None:
        return ()
    read_days: Callable[[Scalar], tuple[int, ...]] = text(_days)
    if isinstance(node, Scalar):
        return fields.get("days", read_days, ())
    found: set[int] = set()
    none: tuple[int, ...] = tuple(found)
    for path, item in fields.items("days", may_be_empty=False):
        found |= set(scalar(fields.report, item, path, read_days, none))
    if isinstance(node, Items) and not node.items:
        fields.refuse("days", "an empty list names no day: remove the word for every day, or list days")
    return tuple(sorted(found))


def _days(written: str) -> tuple[int, ...]:
    """`mon`, or `mon-fri`."""
    first, dash, last = written.partition("-")
    for word in (first, last) if dash else (first,):
        if word not in DAYS:
            raise ValueError(f"{shown(written)} is no day, nor days like `mon-fri`; {among(word, DAYS)}")
    start, end = DAYS.index(first), DAYS.index(last or first)
    return tuple(sorted((start + offset) % 7 for offset in range((end - start) % 7 + 1)))


@lru_cache(maxsize=1024)
def _is_timezone(name: str) -> bool:
    if name == "localtime":  # whatever the machine is set to: another window on every gateway
        return False
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a directory of zones, such as `Europe`
        return False
    return True


@lru_cache(maxsize=1024)
def _similar_timezone(name: str) -> str:
    by_lower: Mapping[str, str] = {zone.lower(): zone for zone in zoneinfo.available_timezones()}
    similar = difflib.get_close_matches(name[:64].lower(), by_lower, 1)
    return f"; did you mean `{by_lower[similar[0]]}`?" if similar else ""
