"""One open session: events up, events down, and how it ends.

Invariants, whatever happens:

1. no `response.create` goes up that nothing is held for, and no response of the server's own passes that nothing is held for;
2. every response and the session itself are settled once, by the closing rule, before anybody waits for a close;
3. the client learns why in its own protocol: an error event, then a close frame;
4. a client that leaves closes the upstream's session at once, and an upstream that ends closes the client's with its own code.

How a session ends, and with what close frame, is in `ends`.
Nothing is queued here: each direction has one event in hand, and waits until the other side has taken it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import getrandbits
from typing import Any

import aiohttp
import orjson
import structlog
from aiohttp import web

from gateway import answer
from gateway.errors import Refusal, StoreFault, UpstreamFault
from gateway.output.fields import FieldRefused
from gateway.realtime.ends import End, close_reason, ended_by, expired, refusal_of, spent_by
from gateway.realtime.looks import Looks
from gateway.realtime.responses import Responses, Running
from gateway.realtime.rules import Rules
from gateway.realtime.upward import Upward, Way
from gateway.snapshot import Snapshot
from gateway.upstream.websocket import Closed
from gateway.values import Outcome
from gateway.wires import openai_realtime as wire
from gateway.wires.base import BadField
from gateway.wires.lenient import dumps, loads
from gateway.wires.openai_realtime import BadEvent, Said
from gateway.wires.openai_realtime_talk import Talk

log = structlog.get_logger()

CLOSE_S = 5.0
"""For the client's own close frame, which answers ours."""
CLOSE_AT_STOP_S = 0.2
"""aiohttp reads nothing of its clients any more then; ours has been written by that time."""


class Session:
    def __init__(self, request: web.BaseRequest, way: Way, policy: Snapshot) -> None:
        self._request = request
        self._way = way
        self._talk = Talk()
        self._rules = rules = Rules(way.house, policy, way.caller, way.ask.model)
        looks = Looks(rules, way.caller, way.house)
        self._responses = Responses(
            way.entry, way.ask, way.caller, rules, way.house, way.family.name, self._talk, looks
        )  # fmt: skip
        self._up = Upward(way, self._talk, looks.words, rules, self._responses)
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
        if hold.beside is not None:
            hold.beside.close(self._responses.amounts_beside(hold.beside))
        hold.close(self._responses.amounts_beside(hold))

    async def _part(self, end: End, ways: list[asyncio.Task[End]]) -> None:
        """Say why, and close both sides: the upstream first, for it works."""
        await asyncio.gather(*ways, return_exceptions=True)
        way = self._way
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
                    await way.client.close(code=end.close_code, message=close_reason(end.reason))

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
        return expired(limit_s)

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
            await self._up.take(said, self._last)
            return
        except (BadEvent, BadField, FieldRefused, StoreFault, Refusal) as declined:
            event_id = declined.event_id if isinstance(declined, BadEvent) else None if said is None else said.event_id
            refusal = refusal_of(declined)
        await self._refuse(refusal, event_id)

    # Down

    async def _from_upstream(self) -> End:
        while True:
            got = await self._way.upstream.receive()
            if isinstance(got, Closed):
                return ended_by(got)
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
        is_told = self._up.bound is not None and (output.max_tokens is None or self._up.bound <= output.max_tokens)
        try:
            refusal = await self._responses.created(response_id, self._up.bound, is_told=is_told)
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
        if self._last is None and (end := spent_by(refusal)) is not None:
            self._last = end
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
