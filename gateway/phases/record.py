"""The line of every request: what was decided and what came of it, in one JSON object.

Rule 1: no prompt, no answer, no key, no header of the caller; a model's name is judged printable before it gets here.
Rule 2: every field has its unit in its name. A field that has no value is absent.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from gateway.budgets.meters import METERS, Terms
from gateway.endpoints import Endpoint
from gateway.errors import Refusal
from gateway.holds import Hold
from gateway.logs import request_line
from gateway.values import Ask, Caller, Limit, Sighting, Verdict
from gateway.watch.many import Many


class Timings:
    """When each phase ended. `fields()` gives microseconds, a phase each: `identify_us`, `read_us`, ..."""

    __slots__ = ("_last_ns", "_marks", "_start_ns")

    def __init__(self) -> None:
        self._start_ns = self._last_ns = time.perf_counter_ns()
        self._marks: dict[str, int] = {}

    def mark(self, phase: str) -> None:
        now_ns = time.perf_counter_ns()
        self._marks[phase] = (now_ns - self._last_ns) // 1000
        self._last_ns = now_ns

    def fields(self) -> dict[str, int]:
        self._marks["total"] = (time.perf_counter_ns() - self._start_ns) // 1000
        return self._marks


class Asked(NamedTuple):
    """What a request asked for: who replays the log runs this through another policy."""

    model: str
    max_tokens: int | None
    """Of one choice; None: it named no bound."""
    choices: int


class Entry:
    """What is known of one request so far: filled in as it goes its way, so that it can be recorded wherever it ends."""

    __slots__ = (
        "id",
        "timings",
        "policy",
        "endpoint",
        "caller",
        "ask",
        "asked",
        "hold",
        "limits",
        "status",
        "dropped",
        "limit",
        "downgraded_to",
        "session",
        "subject",
        "at_us",
        "sighting",
        "many",
        "sealed",
        "verdict",
    )

    def __init__(self, request_id: str, timings: Timings) -> None:
        self.id = request_id
        self.timings = timings
        self.policy = ""
        """Digest of the policy that decided."""
        self.endpoint: Endpoint | None = None
        self.caller: Caller | None = None
        self.ask: Ask | None = None
        self.asked: Asked | None = None
        """What the request itself said, before the policy had a say."""
        self.hold: Hold | None = None
        self.limits: list[Limit] = []
        """How the caller's budgets stood when the request was admitted or refused."""
        self.status = 0
        """0: nobody was left to be answered."""
        self.dropped: tuple[str, ...] = ()
        self.session = ""
        """Id of the session that the request is a part of; "" for one by itself."""
        self.limit: int | None = None
        """Output tokens of one choice, where the gateway allowed fewer than were asked for."""
        self.downgraded_to = ""
        """The model that was asked instead of the one that the request named; "": none."""
        self.subject = ""
        """As whom the caller is watched; "": nobody has looked."""
        self.at_us = 0
        """When it was looked at, by the store's clock."""
        self.sighting: Sighting | None = None
        self.many: Many | None = None
        """What was seen in the requests of a batch."""
        self.sealed = ""
        """The prompt, encrypted, where it is kept as evidence."""
        self.verdict: Verdict | None = None


def record(entry: Entry, refusal: Refusal | None) -> None:
    """Log one request."""
    fields: dict[str, Any] = {"id": entry.id, "status": entry.status, "policy": entry.policy}
    if entry.session:
        fields["session"] = entry.session
    if entry.endpoint is not None:
        fields["endpoint"] = entry.endpoint.name
    if entry.caller is not None:
        fields["organisation"], fields["tenant"], fields["key_id"], fields["plan"] = entry.caller
    ask, hold = entry.ask, entry.hold
    if ask is not None:
        fields["model"], fields["stream"] = ask.model, ask.is_stream
    if entry.asked is not None:
        fields["asked"] = entry.asked._asdict()
    if entry.limit is not None:
        fields["max_tokens"] = entry.limit
    if entry.dropped:
        fields["dropped"] = entry.dropped
    if entry.downgraded_to:
        fields["downgraded_to"] = entry.downgraded_to
    if entry.verdict is not None:
        _add_verdict(fields, entry.verdict)
    if hold is not None:
        _add_hold(fields, hold)
    if refusal is not None:
        fields["verdict"] = "refused"
        fields["reason"], fields["side"] = refusal.reason, refusal.side
        if refusal.meter is not None:  # a budget's message holds the numbers of that moment, and nothing of the caller's
            fields["message"] = refusal.message
    else:
        fields["verdict"] = "served"
    fields["timings_us"] = entry.timings.fields()
    request_line(fields)


def _add_verdict(fields: dict[str, Any], verdict: Verdict) -> None:
    fields["watch"] = {
        "ladder": verdict.ladder,
        "step": verdict.step,
        "mode": "shadow" if verdict.is_shadow else "enforce",
        "cluster": verdict.cluster,
    }


def _add_hold(fields: dict[str, Any], hold: Hold) -> None:
    quote = hold.quote
    fields["quote"] = {"input_tokens": quote.input_tokens, "output_tokens": quote.output_tokens}
    if hold.is_local:
        fields["held_locally"] = True
    if hold.over_shadow:
        fields["would_refuse"] = hold.over_shadow
    outcome = hold.outcome
    if outcome is None:
        return
    fields["ended"], fields["upstream_status"] = outcome.ended, outcome.upstream_status
    if outcome.cut:
        fields["cut"] = outcome.cut
    if outcome.fault:
        fields["fault"] = outcome.fault
    if hold.charged is not None:
        usage = hold.charged
        fields["usage"] = {
            "input_tokens": usage.input_tokens,
            "cached_input_tokens": usage.cached_input_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "output_tokens": usage.output_tokens,
            "is_complete": usage.is_complete,
        }
        if quote.price is not None:
            fields["cost_nano_usd"] = METERS["cost"].actual(usage, Terms(quote.price, quote.counts_cached_input), quote.extent)
