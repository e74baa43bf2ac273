"""What the watch sees in a request, and where its sender stands. CPU alone: nothing is asked of the store here.

Failure policy: no request fails by being looked at. A bug in looking costs the sighting, is logged once for each kind of error,
and the request goes on as if it had not been looked at; the verdict holds all the same.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.errors import ABNORMAL_USAGE, Refusal
from gateway.snapshot import Snapshot
from gateway.values import Ask, Caller, Sighting, Verdict
from gateway.watch.watcher import Watcher, look_failed

LOOKED_AT = frozenset(("openai.chat", "openai.completions", "openai.responses", "openai.realtime", "anthropic.messages"))
"""Wires whose answers are a language model's own words, which somebody could learn from. Batches are looked at request by
request; for those that are not here docs/watch.md says why."""
HEADER = "x-gauger-watch"


class Classified(NamedTuple):
    subject: str
    """As whom the caller is watched."""
    at_us: int
    sighting: Sighting | None
    """None: nothing is seen in such a request."""
    verdict: Verdict | None
    """None: the subject stands on no step."""


def classify(watcher: Watcher, policy: Snapshot, caller: Caller, ask: Ask, now_us: int) -> Classified:
    """Look at a request. Raises nothing."""
    who = policy.watched(caller, now_us)
    rung = watcher.rung(who.subject, now_us)
    verdict = None if rung is None else policy.verdict(who, rung)
    sighting = None
    if ask.wire in LOOKED_AT:
        try:
            sighting = watcher.look(who.subject, ask, now_us)
        except Exception as error:
            look_failed(error)
    return Classified(who.subject, now_us, sighting, verdict)


def standing(watcher: Watcher, policy: Snapshot, caller: Caller, now_us: int) -> Verdict | None:
    """Where a caller stands, for requests that nothing is seen in."""
    who = policy.watched(caller, now_us)
    rung = watcher.rung(who.subject, now_us)
    return None if rung is None else policy.verdict(who, rung)


def obeyed(verdict: Verdict | None) -> Verdict | None:
    """The verdict, where something is done about it."""
    return None if verdict is None or verdict.is_shadow else verdict


def refuse(verdict: Verdict | None) -> None:
    """Raises Refusal (permission, 403) where the verdict says so. Its words are the same whatever was noticed."""
    if verdict is not None and verdict.is_refused and not verdict.is_shadow:
        message = "Abnormal usage was detected on this account, and its requests are not served. Please contact support."
        raise Refusal(
            "permission", message, status=403, code="abnormal_usage_detected", reason="watch_refused", problem=ABNORMAL_USAGE
        )


def marks(verdict: Verdict | None) -> list[tuple[str, str]]:
    """The header that tells a tenant where it stands; [] where the policy does not want it told, and in shadow."""
    return [(HEADER, verdict.step)] if verdict is not None and verdict.is_marked and not verdict.is_shadow else []
