"""A tenant that is not like its own past: what follows, how it is kept in a dossier, and how it is told.

Rule: nothing here moves anybody. A change is no score and no footing; it is a line on record, and at most somebody's look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog

from gateway.detectors import REASONS, Change
from gateway.policy.model import Ladder
from gateway.policy.scalars import format_percent
from gateway.values import Finding, Reason
from gateway.watch.book import Book
from gateway.watch.cases import Case

log = structlog.get_logger()

YOUNG = "in the first day of its history"


def look_back(book: Book, case: Case, ladder: Ladder | None, now_us: int) -> None:
    """Compare a subject with its own past; what is new of that goes on record, where its ladder does not ignore it."""
    case.change, case.measured = book.history(case.subject)
    change = case.change
    if change is None or change.since_us == case.change_told_us:
        return
    case.change_told_us = change.since_us
    if ladder is not None and ladder.on_change == "ignore":
        return
    book.decided("change", case, now_us, ladder=ladder, reason=YOUNG if change.is_young else "")
    if ladder is not None and not change.is_young:
        codes = [reason.code for reason in change.finding.reasons]
        log.warning("watch_change", subject=case.subject, ladder=ladder.name, score=change.finding.score, reasons=codes)


def wants_review(case: Case, ladder: Ladder | None) -> bool:
    """Whether somebody is to look at a subject because it changed."""
    change = case.change
    return change is not None and not change.is_young and ladder is not None and ladder.on_change == "review"


def written(case: Case) -> dict[str, Any] | None:
    """A change as a dossier holds it; None: there is none."""
    change = case.change
    if change is None:
        return None
    finding = change.finding
    return {
        "since_us": change.since_us,
        "last_us": change.last_us,
        "young": change.is_young,
        "past_requests": change.past_requests,
        "past_us": change.past_us,
        "score": finding.score,
        "requests": finding.requests,
        "reasons": [list(reason) for reason in finding.reasons],
    }


def read(said: Any) -> Change | None:
    """As `written` wrote it. Raises LookupError, TypeError, ValueError for what it does not write."""
    if said is None:
        return None
    reasons = tuple(Reason(str(code), int(value), int(usual), str(unit)) for code, value, usual, unit in said["reasons"])
    finding = Finding("change", int(said["score"]), reasons, int(said["requests"]))
    times = (int(said["since_us"]), int(said["last_us"]))
    return Change(*times, bool(said["young"]), int(said["past_requests"]), int(said["past_us"]), finding)


def told(row: Mapping[str, Any]) -> list[str]:
    """What a dossier says of a change, in sentences; [] where it says nothing."""
    try:
        change = read(row.get("change"))
    except (LookupError, TypeError, ValueError):
        return ["what its dossier says of its own past cannot be read"]
    if change is None:
        return []
    when = f"since {instant(change.since_us)}, last seen at {instant(change.last_us)}"
    past = f"{change.past_requests} of the {_long(change.since_us - change.past_us)} before"
    lines = [
        f"not like its own past, {when}; a reason to look at it, and no ground for a step:",
        f"  {change.finding.requests} requests, beside {past}",
    ]
    if change.is_young:
        lines.append(f"  {YOUNG}: a daily cycle's other half looks the same")
    return lines + [f"  {sentence(reason)}" for reason in change.finding.reasons]


def _long(time_us: int) -> str:
    """A time, as coarse as its length."""
    minutes = max(1, time_us // 60_000_000)
    for size, unit in ((1_440, "days"), (60, "hours")):
        if minutes >= 2 * size:
            return f"{minutes // size} {unit}"
    return f"{minutes} minutes" if minutes > 1 else "minute"


def sentence(reason: Reason) -> str:
    """From and to."""
    what = REASONS.get(reason.code, reason.code)
    return f"{what}: from {amount(reason.usual, reason.unit)} to {amount(reason.value, reason.unit)}"


def measured(row: Mapping[str, Any]) -> list[str]:
    """What else was measured, beside what honest traffic shows; [] where nothing is known."""
    rows: Sequence[Any] = row.get("measured") or ()
    lines = []
    for code, value, usual, unit in rows:
        beside = f" (usual: {amount(usual, unit)})" if unit == "per mille" else ""
        lines.append(f"  {REASONS.get(code, code)}: {amount(value, unit)}{beside}")
    return ["measured, and no part of any score:", *lines] if lines else []


def amount(value: int, unit: str) -> str:
    return format_percent(value) if unit == "per mille" else f"{value} {unit}"


def instant(at_us: int) -> str:
    """For people; "": never."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if at_us else ""
