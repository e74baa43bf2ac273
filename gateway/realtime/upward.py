"""What the client of a realtime session asks for, made to what its policy allows, and sent up: responses and settings.

Rule: what is forwarded is the gateway's own serialisation, and no `response.create` goes up that nothing is held for.
"""

from __future__ import annotations

import asyncio
from random import getrandbits
from typing import Any, NamedTuple

import orjson
from aiohttp import web

from gateway.errors import Refusal
from gateway.house import House
from gateway.output.clamp import limit_of
from gateway.output.fields import FieldRefused, prepare
from gateway.phases.record import Entry
from gateway.realtime.ends import End
from gateway.realtime.responses import Responses
from gateway.realtime.rules import Rules
from gateway.upstream.websocket import Socket
from gateway.values import Ask, Caller
from gateway.wires import openai_realtime as wire
from gateway.wires.base import Family
from gateway.wires.openai_realtime import BadEvent, Said
from gateway.wires.openai_realtime_talk import Talk
from gateway.wires.openai_realtime_words import Words


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


class Upward:
    """The client's direction of one session."""

    def __init__(self, way: Way, talk: Talk, words: Words, rules: Rules, responses: Responses) -> None:
        self._way = way
        self._talk = talk
        self._words = words
        self._rules = rules
        self._responses = responses
        self.bound: int | None = None
        """Output tokens that the session allows a response, as the client has set it."""

    async def take(self, said: Said, last: End | None) -> None:
        """Forward one event. `last`: how the session will end, once what runs is done; None: it goes on.

        Raises BadEvent, BadField, FieldRefused, StoreFault and Refusal: then nothing has gone up.
        """
        if said.kind == "response.create":
            await self._create(said, last)
        elif said.kind == "session.update":
            await self._update(said)
        elif said.kind == "transcription_session.update":
            raise BadEvent(
                "invalid_event", "Transcription sessions are not possible here.", param="type", event_id=said.event_id
            )
        else:
            await self._forward(said.kind, said.event)

    async def _create(self, said: Said, last: End | None) -> None:
        """`response.create`: held first. Raises what `take` does."""
        if last is not None:
            raise Refusal("overloaded", last.reason or "This session is ending.", status=503, side="gateway",
                          reason="session_ending")  # fmt: skip
        response = wire.body_of(said, "response")
        response = self._prepared(response, "response")
        bound = wire.bound(response, "response")
        if bound is None and all(response.get(name) is None for name in wire.BOUNDS):
            bound = self.bound
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
        """`session.update`: bounded as the policy says. Raises what `take` does."""
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
        bound = wire.bound(session, "session") if is_set else self.bound
        limit = limit_of(bound, effective.rule.max_output_tokens, effective.output)
        if limit is not None:
            session, bound = wire.clamp(session, limit, is_preview=self._way.is_preview), limit
        self.bound = bound
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
        self._words.client(kind, event)
        await self._send(orjson.dumps(event))

    async def _send(self, text: bytes) -> None:
        try:
            await self._way.upstream.send(text)
        except ConnectionError:
            await asyncio.get_running_loop().create_future()  # the other direction knows how it ended
