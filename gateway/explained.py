"""Why requests were refused, with the numbers of that moment: the last of them, for `gauger explain --request ID`.

Rule: as in the log, no prompt, no answer, no key; a refusal's sentence only where it is a budget's, for others may quote a
request. Bounded: the oldest are forgotten first, and the log has them still.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from gateway.budgets.remedies import refusing
from gateway.errors import Refusal
from gateway.holds import Hold
from gateway.phases.record import Entry

KEPT_MAX = 2000


class Explained:
    """The refusals of this process."""

    __slots__ = ("_kept", "_kept_max")

    def __init__(self, kept_max: int = KEPT_MAX) -> None:
        self._kept: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._kept_max = kept_max

    def note(self, entry: Entry, refusal: Refusal, at_us: int) -> None:
        """A request was refused. Without a caller it explains itself, and anybody could fill the memory with it."""
        if entry.caller is None:
            return
        self._kept[entry.id] = _explained(entry, refusal, at_us)
        if len(self._kept) > self._kept_max:
            self._kept.popitem(last=False)

    def of(self, request_id: str) -> dict[str, Any] | None:
        return self._kept.get(request_id)


def _explained(entry: Entry, refusal: Refusal, at_us: int) -> dict[str, Any]:
    caller, ask, hold = entry.caller, entry.ask, entry.hold
    assert caller is not None  # noqa: S101  # `note` has looked
    return {
        "id": entry.id,
        "at_s": at_us / 1e6,
        "policy": entry.policy,
        **caller._asdict(),
        "endpoint": None if entry.endpoint is None else entry.endpoint.name,
        "model": None if ask is None else ask.model,
        "status": entry.status,
        "side": refusal.side,
        "reason": refusal.reason,
        "message": refusal.message if refusal.meter is not None else None,
        "retry_after_ms": refusal.retry_after_ms,
        "budgets": [] if hold is None or hold.reserved.admitted else _budgets(hold),
    }


def _budgets(hold: Hold) -> list[dict[str, Any]]:
    """How each budget stood, with the line of the policy it came from."""
    quote, standings = hold.quote, hold.reserved.standings
    in_the_way = set(refusing(quote.lines, standings))
    return [
        {
            "name": budget.name,
            "meter": budget.meter,
            "mode": "enforce" if budget.enforce else "shadow",
            "file": budget.place.file,
            "line": budget.place.line,
            "limit": line.a,
            "used": standing.used,
            "held": standing.held,
            "remaining": standing.remaining,
            "asked": line.amount,
            "wait_us": standing.wait_us,
            "is_in_the_way": index in in_the_way,
        }
        for index, (budget, line, standing) in enumerate(zip(quote.budgets, quote.lines, standings))
    ]
