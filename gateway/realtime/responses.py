"""The responses of one session: each is held before it begins, followed while it runs, settled and recorded when it is done.

    asked (by the client)  --held-->  pending  --response.created-->  running  --response.done-->  settled
                           --refused-> an error event, nothing is sent upstream
    begun by the server    --held-->  running
                           --refused-> cancelled upstream; what it has cost all the same is charged to the session

A response is a request of the caller's budgets, and reads the whole conversation anew. It counts in the window in which it
was asked for, by the closing rule of `phases.settle`.

The server tells the client's own responses and those that it begins itself apart nowhere: `response.created` is taken for the
client's oldest that is pending. Should it have been the other way round, the client's own ends in an error event of the
server's, and each response has been held for all the same.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import Any

from gateway.errors import Refusal
from gateway.holds import Hold
from gateway.house import House
from gateway.output.clamp import limit_of
from gateway.phases import admit, settle
from gateway.phases.leash import UNBOUNDED_STEP_TOKENS, Leash
from gateway.phases.record import Entry, Timings, record
from gateway.realtime.looks import Looks
from gateway.realtime.rules import Rules
from gateway.values import Ask, Caller, Cut, Ended, Extent, Outcome, Usage
from gateway.wires.openai_realtime import response_of, usage_of
from gateway.wires.openai_realtime_talk import Delivered, Mark, Talk

RESPONSES_MAX = 32
"""Of one session at once. The vendor runs one in the conversation, and a few beside it."""
EXTENT = Extent(audio_seconds=1)
"""One response, and at least a second of speech: how many there will be is known when they have been spoken."""
_TOLD_SLACK = (5, 4)
"""A limit that the upstream was told of is a second lock here, well above it: an estimate must not cut what obeys."""


class Running:
    """One response, from its hold to its end."""

    __slots__ = (
        "ask", "cut", "delivered", "entry", "event_id", "hold", "is_apart", "is_muted", "is_own_id", "leash", "limit", "mark"
    )  # fmt: skip

    def __init__(self, entry: Entry, ask: Ask, hold: Hold | None, limit: int | None, mark: Mark) -> None:
        self.entry = entry
        self.ask = ask
        self.hold = hold
        """None: it was refused, and is being cancelled."""
        self.limit = limit
        """Output tokens that the gateway allows; None: what was asked for."""
        self.mark = mark
        """Where the conversation stood."""
        self.delivered = Delivered()
        self.leash: Leash | None = None
        self.event_id = ""
        """Of the client's event that asked for it; "" for one that the server began."""
        self.is_own_id = False
        """The id is the gateway's own: the client gave none."""
        self.is_apart = False
        """It is no part of the conversation."""
        self.is_muted = hold is None
        """Nothing more of it is passed on, but that it is done."""
        self.cut: Cut = ""


class Responses:
    """Of one session. Every one that was opened is settled: when it is done, or by `end`."""

    def __init__(
        self, session: Entry, ask: Ask, caller: Caller, rules: Rules, house: House, family: str, talk: Talk, looks: Looks
    ) -> None:
        self._session = session
        self._ask = ask
        self._caller = caller
        self._rules = rules
        self._house = house
        self._family = family
        self._talk = talk
        self._looks = looks
        self._count = 0
        self._pending: deque[Running] = deque()
        self._running: dict[str, Running] = {}
        self._beside = Usage(0, 0, 0, 0, is_complete=True)
        self._beside_s = 0
        self.idle = asyncio.Event()
        """No response is pending or running."""
        self.idle.set()

    def __len__(self) -> int:
        return len(self._pending) + len(self._running)

    # Beginnings

    async def ask(self, response: dict[str, Any], bound: int | None, event_id: str, *, is_own_id: bool) -> Running:
        """Hold what the client asks for. `bound`: output tokens that it, or its session, allows. Raises Refusal, StoreFault."""
        running = await self._open(response, bound, is_told=True)
        running.event_id, running.is_own_id = event_id, is_own_id
        running.is_apart = response.get("conversation") == "none"
        self._pending.append(running)
        self.idle.clear()
        return running

    async def created(self, response_id: str, bound: int | None, *, is_told: bool) -> Refusal | None:
        """A response has begun. A refusal: it is the server's own, and there is nothing to hold for it. Raises StoreFault.

        `is_told`: the session's own bound is within what the policy allows.
        """
        if self._pending:
            running = self._pending.popleft()
        else:
            try:
                running = await self._open({}, bound, is_told=is_told)
            except Refusal as refused:
                self.refused(response_id)
                return refused.with_traceback(None)
        self._running[response_id] = running
        self.idle.clear()
        return None

    def refused(self, response_id: str) -> None:
        """Nothing is held for this response of the server's own: nothing of it is passed on."""
        self._running[response_id] = Running(self._entry(), self._ask, None, None, self._talk.mark())
        self.idle.clear()

    async def _open(self, response: dict[str, Any], bound: int | None, *, is_told: bool) -> Running:
        if len(self) >= RESPONSES_MAX:
            message = f"This session has {RESPONSES_MAX} responses under way: wait until one of them is done."
            raise Refusal("rate_limit", message, status=429, retry_after_ms=1000, reason="realtime_responses")
        house, known = self._house, self._rules.now()
        asked = self._talk.asked(response)
        ask = self._ask._replace(
            text_bytes=asked.text_bytes, media_tokens=asked.media_tokens, output_tokens_max=bound, extent=EXTENT
        )
        limit = limit_of(bound, known.effective.rule.max_output_tokens, known.effective.output)
        entry, mark = self._entry(), self._talk.mark()
        entry.ask = ask
        self._looks.look(entry, ask, response)
        held = await admit.hold(
            house.holds, house.waiting, self._caller, ask, limit, entry.id, known, house.estimator, house.store_now_us
        )
        hold = entry.hold = held.hold
        entry.limits, entry.limit = held.limits, held.limit
        entry.timings.mark("hold")
        if not hold.reserved.admitted:
            refusal = admit.refused(hold, self._caller, ask, known)
            entry.status = refusal.status
            self._note(entry, refusal)
            raise refusal
        self._session.limits = held.limits
        running = Running(entry, ask, hold, held.limit, mark)
        running.leash = self._leash(running, hold, is_told=is_told)
        hold.progress = partial(settle.progress, hold, ask, running.delivered, self._family, house.estimator)
        return running

    def _leash(self, running: Running, hold: Hold, *, is_told: bool) -> Leash | None:
        limit, quote = running.limit, hold.quote
        if limit is None and (not quote.lines or quote.output_tokens >= quote.bound_tokens):
            return None
        if limit is not None and is_told:
            limit = limit * _TOLD_SLACK[0] // _TOLD_SLACK[1] + 1
        ahead = self._rules.known.effective.output.hold_ahead
        return Leash(
            self._house.holds, hold, running.delivered, running.ask, self._family, self._house.estimator,
            limit_tokens=limit, step_tokens=UNBOUNDED_STEP_TOKENS if ahead is None else ahead,
        )  # fmt: skip

    def _entry(self) -> Entry:
        self._count += 1
        entry = Entry(f"{self._session.id}_{self._count}", Timings())
        entry.session = self._session.id
        entry.policy, entry.endpoint, entry.caller = self._rules.digest, self._session.endpoint, self._session.caller
        entry.ask = self._ask
        return entry

    # While they run

    def of(self, response_id: str) -> Running | None:
        return self._running.get(response_id)

    async def follow(self, running: Running, kind: str, event: dict[str, Any]) -> bool:
        """Count an event, and hold more where it is due. False: the response has reached its end, and is to be cancelled."""
        delivered, leash = running.delivered, running.leash
        delivered.take(kind, event, self._talk)
        if leash is None:
            return True
        if leash.due():
            await leash.lengthen()
        if not delivered.is_cut or (await leash.lengthen() and not delivered.is_cut):
            return True
        running.cut = "limit" if running.hold is None or running.hold.extension is None else "budget"
        running.is_muted = True
        return False

    def exceeded(self, running: Running) -> Refusal:
        """What is said of a response that its budget has ended."""
        hold = running.hold
        assert hold is not None and hold.extension is not None  # noqa: S101, PT018  # see `follow`
        refused = Hold(hold.quote, hold.extension, hold.ledger, hold.is_local, hold.opened_s)
        return admit.refused(refused, self._caller, running.ask, self._rules.known)

    # Ends

    def done(self, event: dict[str, Any], response_id: str) -> Running | None:
        """`response.done`: settle by its usage. None: nobody knows this response."""
        running = self._running.pop(response_id, None)
        if running is None:
            return None
        response = response_of(event)
        usage, status = usage_of(response.get("usage")), response.get("status")
        if usage is not None and running.hold is not None and not running.is_apart:
            self._looks.words.answered()
            self._talk.answered(running.mark, usage.input_tokens + usage.output_tokens)
        if running.hold is None:
            self.beside(usage or Usage(0, 0, 0, 0, is_complete=True), 0)
        elif status == "failed" and usage is None and not running.delivered.events:
            self._settle(running, "upstream_refused", None, status=500)
        else:
            ended: Ended = "cut" if running.cut else "client_left" if status == "cancelled" else "complete"
            self._settle(running, ended, usage)
        self._note_idle()
        return running

    def declined(self, event_id: object) -> Running | None:
        """An error event that answers a `response.create`: it never began. None: it answers something else."""
        for running in self._pending:
            if running.event_id == event_id:
                self._pending.remove(running)
                self._settle(running, "upstream_refused", None, status=400)
                self._note_idle()
                return running
        return None

    def end(self, ended: Ended) -> None:
        """The session is over: what runs is charged by what was delivered. Idempotent."""
        for running in (*self._pending, *self._running.values()):
            if running.hold is not None:
                self._settle(running, "client_left" if ended in ("complete", "cut") else ended, None)
        self._pending.clear()
        self._running.clear()
        self._note_idle()

    def _settle(self, running: Running, ended: Ended, usage: Usage | None, *, status: int = 200) -> None:
        hold, delivered, entry = running.hold, running.delivered, running.entry
        if hold is None:
            return
        seconds = self._talk.take_heard_s() + -(-delivered.spoken_ms // 1000)
        outcome = Outcome(
            ended, status, usage, delivered.events, 0, cut=running.cut,
            extent=hold.quote.extent._replace(audio_seconds=seconds),
        )  # fmt: skip
        settle.close(hold, self._caller, running.ask, outcome, self._family, self._house.estimator)
        entry.status = status
        entry.timings.mark("relay")
        self._note(entry, None)

    def _note(self, entry: Entry, refusal: Refusal | None) -> None:
        record(entry, refusal)
        self._looks.tell(entry)
        self._house.tally.note(entry, refusal)
        if refusal is not None:
            self._house.explained.note(entry, refusal, self._house.store_now_us())

    def _note_idle(self) -> None:
        if not len(self):
            self.idle.set()

    # What is charged beside responses

    def beside(self, usage: Usage, seconds: int) -> None:
        """Work that no response stands for: transcripts of what the caller said, responses that were refused too late."""
        known = self._beside
        self._beside = Usage(
            known.input_tokens + usage.input_tokens,
            known.cached_input_tokens + usage.cached_input_tokens,
            known.cache_write_tokens + usage.cache_write_tokens,
            known.output_tokens + usage.output_tokens,
            is_complete=True,
        )
        self._beside_s += seconds

    def amounts_beside(self, hold: Hold) -> tuple[int, ...]:
        """That, on each line of the session's own hold."""
        return settle.amounts(hold.quote, self._beside, hold.quote.extent._replace(audio_seconds=self._beside_s))

    @property
    def usage_beside(self) -> Usage:
        return self._beside
