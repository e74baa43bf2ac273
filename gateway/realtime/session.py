"""One open session: events up, events down, and how it ends.

Invariants, whatever happens:

1. no `response.create` goes up that nothing is held for, and no response of the server's own passes that nothing is held for;
2. every response and the session itself are settled once, by the closing rule, before anybody waits for a close;
3. the client learns why in its own protocol: an error event, then a close frame;
4. a client that leaves closes the upstream's session at once, and an upstream that ends closes the client's with its own code.

How a session ends:

====================================  =====  ==============================
the client closes                     its own
the upstream closes                   the upstream's code and reason
the upstream breaks off, or sends     1011   `server_error`
what is no event
a budget is spent for a long time     1008   `insufficient_quota`
the policy lets the caller no more    1008   `invalid_api_key`, ..
the gateway's total_timeout           1001   `session_expired`
the gateway stops                     1001   once what runs is done, and in the drain time
====================================  =====  ==============================

Nothing is queued here: each direction has one event in hand, and waits until the other side has taken it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import getrandbits
from typing import Any, NamedTuple

import aiohttp
import orjson
import structlog
from aiohttp import web

from gateway import answer
from gateway.errors import Refusal, StoreFault, UpstreamFault
from gateway.house import House
from gateway.output.clamp import limit_of
from gateway.output.fields import FieldRefused, prepare
from gateway.phases.record import Entry
from gateway.realtime.responses import Responses, Running
from gateway.realtime.rules import Rules
from gateway.snapshot import Snapshot
from gateway.upstream.websocket import Closed, Socket
from gateway.values import Ask, Caller, Cut, Ended, Outcome
from gateway.wires import openai_realtime as wire
from gateway.wires.base import BadField, Family
from gateway.wires.lenient import dumps, loads
from gateway.wires.openai_realtime import BadEvent, Said
from gateway.wires.openai_realtime_talk import Talk

log = structlog.get_logger()

_TELLABLE = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014))
"""Codes that a close frame may carry (RFC 6455 section 7.4), beside 3000 to 4999."""
_REASON_BYTES_MAX = 123
CLOSE_S = 5.0
"""For the client's own close frame, which answers ours."""
CLOSE_AT_STOP_S = 0.2
"""aiohttp reads nothing of its clients any more then; ours has been written by that time."""


class Way(NamedTuple):
    """What a session is made of."""

    client: web.WebSocketResponse
    upstream: Socket
    caller: Caller
    ask: Ask
    family: Family
    house: House
    entry: Entry
    is_preview: bool
    """It speaks the preview's format."""


class End(NamedTuple):
    """Why a session ends, and with what close frame."""

    ended: Ended
    code: int
    reason: str = ""
    refusal: Refusal | None = None
    """What the client is told first."""
    cut: Cut = ""


class Session:
    def __init__(self, request: web.BaseRequest, way: Way, policy: Snapshot) -> None:
        self._request = request
        self._way = way
        self._talk = Talk()
        self._rules = rules = Rules(way.house, policy, way.caller, way.ask.model)
        self._responses = Responses(
            way.entry, way.ask, way.caller, rules, way.house, way.family.name, self._talk
        )  # fmt: skip
        self._bound: int | None = None
        """Output tokens that the session allows a response, as the client has set it."""
        self._last: End | None = None
        self._ending = asyncio.Event()
        """It ends as soon as no response is under way; `_last` says how."""

    def unbegun(self) -> None:
        """The client left before its upgrade."""
        self._close_hold(End("client_left", 1001))
        self._way.house.tasks.spawn(self._way.upstream.close(), name="realtime_close")

    async def run(self) -> None:
        """Until its end. Raises CancelledError alone."""
        way = self._way
        spawn = way.house.tasks.spawn
        hold = way.entry.hold
        assert hold is not None  # noqa: S101  # the door has opened it
        hold.progress = lambda: self._responses.amounts_beside(hold)
        ways = [
            spawn(self._guarded(one), name="realtime")
            for one in (self._from_upstream, self._from_client, self._expire, self._stop, self._finish)
        ]
        way.entry.status = 101
        end = End("client_left", 1001)
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            end = next(task.result() for task in ways if task in done)
        finally:
            if end.ended == "client_left" and way.client.close_code not in (None, 1006):
                end = End("complete", 1000)  # it said so, and was gone before the handler knew
            for task in ways:
                task.cancel()
            self._responses.end(end.ended)
            self._close_hold(end)
            way.entry.timings.mark("relay")
            parting = spawn(self._part(end, ways), name="realtime_close")
        await asyncio.shield(parting)

    def _close_hold(self, end: End) -> None:
        hold = self._way.entry.hold
        assert hold is not None  # noqa: S101
        hold.charged = self._responses.usage_beside
        hold.outcome = Outcome(end.ended, 101, hold.charged, 0, 0, cut=end.cut)
        hold.close(self._responses.amounts_beside(hold))

    async def _part(self, end: End, ways: list[asyncio.Task[End]]) -> None:
        """Say why, and close both sides: the upstream first, for it works."""
        await asyncio.gather(*ways, return_exceptions=True)
        way = self._way
        code = end.code if end.code in _TELLABLE or 3000 <= end.code < 5000 else 1000
        with suppress(Exception):  # it may be gone already, in any state
            await way.upstream.close(1000 if end.refusal is None else 1001)
        if self._request.transport is None:
            return
        wait_s = CLOSE_AT_STOP_S if way.house.stopping.is_set() else CLOSE_S
        with suppress(ConnectionError, TimeoutError):
            if end.refusal is not None:
                await self._tell_refusal(end.refusal, None)
            if not way.client.closed:
                async with asyncio.timeout(wait_s):
                    await way.client.close(code=code, message=_short(end.reason))

    async def _guarded(self, one: Callable[[], Awaitable[End]]) -> End:
        """An end, whatever becomes of one of the ways."""
        try:
            return await one()
        except UpstreamFault as fault:
            refusal = answer.refusal_of(fault)
            log.warning("upstream_fault", id=self._way.entry.id, side="upstream", fault=fault.kind, reason=fault.message)
            return End("upstream_died", 1011, refusal.message, refusal)
        except ConnectionError:
            return End("client_left", 1001)
        except Exception as error:
            log.error("internal_error", id=self._way.entry.id, side="gateway", exc=answer.trace(error))
            refusal = answer.internal()
            return End("gateway_failed", 1011, refusal.message, refusal)

    # Ends that nobody sends

    async def _expire(self) -> End:
        limit_s = self._way.house.settings.total_timeout
        await asyncio.sleep(limit_s)
        message = f"Your session hit the maximum duration of {limit_s / 60:g} minutes."
        refusal = Refusal("invalid_request", message, status=408, code="session_expired", reason="session_expired")
        return End("cut", 1001, message, refusal, "limit")

    async def _stop(self) -> End:
        await self._way.house.stopping.wait()
        return await self._end_when_idle(End("cut", 1001, "The gateway is shutting down: please connect again."))

    async def _finish(self) -> End:
        await self._ending.wait()
        assert self._last is not None  # noqa: S101  # set before the event
        return await self._end_when_idle(self._last)

    async def _end_when_idle(self, end: End) -> End:
        self._last = end
        await self._responses.idle.wait()
        return end

    # Up

    async def _from_client(self) -> End:
        client = self._way.client
        while True:
            message = await client.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                await self._take(bytes(message.data))
            elif message.type is aiohttp.WSMsgType.BINARY:
                refusal = Refusal("invalid_request", "Events are texts here: binary messages are not taken.", status=400,
                                  code="invalid_event", reason="bad_event")  # fmt: skip
                await self._tell_refusal(refusal, None)
            else:
                is_closed = message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING)
                return End("complete" if is_closed else "client_left", client.close_code or 1000)

    async def _take(self, raw: bytes) -> None:
        """One event of the client's: forwarded, or answered by an error event."""
        said: Said | None = None
        try:
            said = wire.read(raw)
            if said.kind == "response.create":
                await self._create(said)
            elif said.kind == "session.update":
                await self._update(said)
            elif said.kind == "transcription_session.update":
                raise BadEvent(
                    "invalid_event", "Transcription sessions are not possible here.", param="type", event_id=said.event_id
                )
            else:
                await self._forward(said.kind, said.event)
            return
        except BadEvent as bad:
            refusal = Refusal("invalid_request", bad.message, status=400, param=bad.param, code=bad.code, reason="bad_event")
            event_id = bad.event_id
        except (BadField, FieldRefused) as bad:
            code = "invalid_value" if isinstance(bad, BadField) else "field_not_allowed"
            refusal = Refusal("invalid_request", bad.message, status=400, param=bad.param, code=code, reason="bad_event")
            event_id = None if said is None else said.event_id
        except StoreFault as fault:
            refusal = answer.refusal_without_store(fault)
            event_id = None if said is None else said.event_id
        except Refusal as refused:
            refusal = refused.with_traceback(None)
            event_id = None if said is None else said.event_id
        await self._refuse(refusal, event_id)

    async def _create(self, said: Said) -> None:
        """`response.create`: held first. Raises what `_take` answers."""
        if self._last is not None:
            raise Refusal("overloaded", self._last.reason or "This session is ending.", status=503, side="gateway",
                          reason="session_ending")  # fmt: skip
        response = wire.body_of(said, "response")
        response = self._prepared(response, "response")
        bound = wire.bound(response, "response")
        if bound is None and all(response.get(name) is None for name in wire.BOUNDS):
            bound = self._bound
        is_own_id = said.event_id is None
        event_id = said.event_id or f"event_gauger{getrandbits(64):016x}"
        running = await self._responses.ask(response, bound, event_id, is_own_id=is_own_id)
        limit = running.limit
        if limit is not None:
            response = wire.clamp(response, limit, is_preview=self._way.is_preview)
        self._way.entry.limit = limit if limit is not None else self._way.entry.limit
        event = {**said.event, "event_id": event_id}
        if response or "response" in event:
            event["response"] = response
        await self._forward(said.kind, event)

    async def _update(self, said: Said) -> None:
        """`session.update`: bounded as the policy says. Raises what `_take` answers."""
        session = wire.body_of(said, "session")
        if session.get("type") not in (None, "realtime"):
            raise BadEvent("invalid_event", "session.type: only 'realtime' is possible here.", param="session.type",
                           event_id=said.event_id)  # fmt: skip
        if session.get("model") not in (None, self._way.ask.model):
            raise BadEvent("invalid_event", "session.model: cannot be changed while a session is open.", param="session.model",
                           event_id=said.event_id)  # fmt: skip
        session = self._prepared(session, "session")
        effective = self._rules.known.effective
        is_set = any(session.get(name) is not None for name in wire.BOUNDS)
        bound = wire.bound(session, "session") if is_set else self._bound
        limit = limit_of(bound, effective.rule.max_output_tokens, effective.output)
        if limit is not None:
            session, bound = wire.clamp(session, limit, is_preview=self._way.is_preview), limit
        self._bound = bound
        await self._forward(said.kind, {**said.event, "session": session})

    def _prepared(self, body: dict[str, Any], where: str) -> dict[str, Any]:
        """What the policy leaves of a session's or a response's fields. Raises FieldRefused."""
        try:
            prepared = prepare(body, self._rules.known.effective.output)
        except FieldRefused as refused:
            raise FieldRefused(f"{where}.{refused.param}", refused.message) from None
        entry = self._way.entry
        entry.dropped += tuple(name for name in prepared.dropped if name not in entry.dropped)
        return prepared.body

    async def _forward(self, kind: str, event: dict[str, Any]) -> None:
        self._talk.client(kind, event)
        await self._send(orjson.dumps(event))

    async def _send(self, text: bytes) -> None:
        try:
            await self._way.upstream.send(text)
        except ConnectionError:
            await asyncio.get_running_loop().create_future()  # the other direction knows how it ended

    # Down

    async def _from_upstream(self) -> End:
        while True:
            got = await self._way.upstream.receive()
            if isinstance(got, Closed):
                return _ended_by(got)
            event = loads(got)
            kind = None if event is None else event.get("type")
            if event is None or type(kind) is not str:
                raise UpstreamFault("protocol", "the upstream sent what is no event of a realtime session", reached=True)
            self._talk.server(kind, event)
            told = await self._heard(kind, event, got)
            if told is not None:
                await self._tell(told)

    async def _heard(self, kind: str, event: dict[str, Any], raw: bytes) -> bytes | None:
        """What of an event of the upstream's is passed on; None: nothing."""
        response_id = wire.response_id_of(event)
        if kind == "response.created":
            await self._began(response_id)
            return raw
        if kind == "response.done":
            return self._done(event, response_id, raw)
        if kind == "rate_limits.updated":
            return wire.rate_limits(event, self._way.entry.limits)
        if kind == "error":
            return self._failed(event, raw)
        if kind == "conversation.item.input_audio_transcription.completed" and (heard := wire.heard_of(event)) is not None:
            self._responses.beside(*heard)
        running = self._responses.of(response_id) if response_id else None
        if running is None:
            return raw
        if running.is_muted:
            return None
        if await self._responses.follow(running, kind, event):
            return raw
        await self._cancel(response_id)
        if running.cut == "budget":
            await self._refuse(self._responses.exceeded(running), None)
        return None

    async def _began(self, response_id: str) -> None:
        """A response has begun; one of the server's own that does not fit a budget is cancelled at once."""
        output = self._rules.known.effective.output
        is_told = self._bound is not None and (output.max_tokens is None or self._bound <= output.max_tokens)
        try:
            refusal = await self._responses.created(response_id, self._bound, is_told=is_told)
        except StoreFault as fault:
            self._responses.refused(response_id)
            refusal = answer.refusal_without_store(fault)
        if refusal is not None:
            await self._cancel(response_id)
            await self._refuse(refusal, None)

    async def _cancel(self, response_id: str) -> None:
        with suppress(ConnectionError):  # what is received next tells how it ended
            await self._way.upstream.send(orjson.dumps({"type": "response.cancel", "response_id": response_id}))

    def _done(self, event: dict[str, Any], response_id: str, raw: bytes) -> bytes:
        running = self._responses.done(event, response_id)
        if running is None or not running.is_muted:
            return raw
        if running.hold is None:  # nothing of it was passed on, and nothing is now
            return dumps({**event, "response": {**wire.response_of(event), "output": []}})
        return dumps(wire.cut_short(event))

    def _failed(self, event: dict[str, Any], raw: bytes) -> bytes:
        """The upstream's own error event."""
        error = event.get("error")
        if type(error) is not dict:
            return raw
        running: Running | None = self._responses.declined(error.get("event_id")) if error.get("event_id") else None
        if running is None or not running.is_own_id:
            return raw
        return dumps({**event, "error": {**error, "event_id": None}})

    async def _refuse(self, refusal: Refusal, event_id: str | None) -> None:
        """Tell it. Where waiting is useless (a budget is spent for long, the caller may not go on), the session ends by it."""
        await self._tell_refusal(refusal, event_id)
        wait_ms = refusal.retry_after_ms
        is_spent = refusal.kind == "quota" and wait_ms is not None and wait_ms > answer.SHORT_WAIT_MS
        if self._last is None and (is_spent or refusal.kind in ("authentication", "permission")):
            self._last = End("cut", 1008, refusal.message, cut="budget" if is_spent else "")
            self._ending.set()

    async def _tell_refusal(self, refusal: Refusal, event_id: str | None) -> None:
        own_id = f"event_gauger{getrandbits(64):016x}"
        await self._tell(wire.error_event(refusal, own_id=own_id, event_id=event_id))

    async def _tell(self, text: bytes) -> None:
        """Raises ConnectionResetError when the client has gone, or reads nothing for `read_timeout`."""
        try:
            async with asyncio.timeout(self._way.house.settings.read_timeout):
                await self._way.client.send_frame(text, aiohttp.WSMsgType.TEXT)
        except TimeoutError:
            if self._request.transport is not None:
                self._request.transport.abort()
            raise ConnectionResetError("the client reads nothing") from None
        except RuntimeError as error:  # aiohttp's word for a session that is closed
            raise ConnectionResetError(str(error)) from None


def _ended_by(closed: Closed) -> End:
    """How a session ends that the upstream has closed. Raises UpstreamFault where it just broke off."""
    if closed.code in (1000, 1001, 1005):
        return End("complete", 1000 if closed.code == 1005 else closed.code, closed.reason)
    if closed.code in _TELLABLE or 3000 <= closed.code < 5000:
        return End("upstream_died", closed.code, closed.reason)
    raise UpstreamFault("broken", "the upstream broke off the session", reached=True)


def _short(reason: str) -> bytes:
    """A close frame's reason: whole characters, 123 bytes at most."""
    return reason.encode("utf-8", "replace")[:_REASON_BYTES_MAX].decode("utf-8", "ignore").encode()
