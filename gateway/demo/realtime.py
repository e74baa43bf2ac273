"""OpenAI's realtime sessions, in the format that came after the preview. One session speaks to one WebSocket.

A token is a word, or 50 ms of speech where a response speaks: each is one delta. What a response reads is the words of every
item in the conversation, of the instructions, and a token for each 100 ms of audio, so that a test can work out usage by hand.
The session's script comes with its model: `?model=demo-small%3Ftokens%3D50`. Where `turn_detection` is set, a second of audio
in the buffer is a turn: the server commits it and answers by itself.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from itertools import cycle, islice
from typing import Any

import orjson

from gateway.demo.plan import TEXT
from gateway.demo.script import Script
from gateway.demo.seen import Seen

BYTES_A_SECOND = 48_000
TOKEN_OF_SPEECH = base64.b64encode(bytes(BYTES_A_SECOND // 20)).decode()
LIMITS = [{"name": "requests", "limit": 31337, "remaining": 31337, "reset_seconds": 1.0}]
"""The operator's own: a gateway keeps them to itself."""


class Cut(Exception):
    """Cut the connection here."""


class Session:
    """What the server knows of one session. `send` writes one event."""

    def __init__(
        self, model: str, script: Script, seen: Seen, send: Callable[[bytes], Awaitable[None]], go: asyncio.Event
    ) -> None:
        self._script = script
        self._seen = seen
        self._write = send
        self._go = go
        self._count = 0
        self._items: list[dict[str, Any]] = []
        self._buffered = 0
        self._active: dict[str, asyncio.Task[None]] = {}
        self._main = ""
        """The response that the conversation has under way."""
        self._session: dict[str, Any] = {
            "type": "realtime",
            "object": "realtime.session",
            "id": "sess_demo",
            "model": model.partition("?")[0],
            "output_modalities": ["audio"],
            "instructions": "",
            "max_output_tokens": "inf",
            "audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000}, "turn_detection": None}},
        }
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Raises `Cut` when the connection is to be cut."""

    async def send(self, kind: str, **fields: Any) -> None:
        self._count += 1
        await self._write(orjson.dumps({"type": kind, "event_id": f"event_demo{self._count:06d}", **fields}))

    async def begin(self) -> None:
        await self.send("session.created", session=self._session)

    async def end(self) -> None:
        for task in self._active.values():
            task.cancel()
        await asyncio.gather(*self._active.values(), return_exceptions=True)

    async def take(self, raw: str) -> None:
        """One event of the client's."""
        try:
            event = orjson.loads(raw)
        except orjson.JSONDecodeError:
            await self._error("invalid_json", "The event is no JSON.", None)
            return
        self._seen.json.append(event)
        handler = self._HANDLERS.get(event.get("type"))
        if handler is None:
            await self._error("invalid_value", f"Invalid value: {event.get('type')!r}.", event.get("event_id"))
        else:
            await handler(self, event)

    async def _error(self, code: str, message: str, event_id: str | None) -> None:
        error = {"type": "invalid_request_error", "code": code, "message": message, "param": None, "event_id": event_id}
        await self.send("error", error=error)

    async def _update(self, event: dict[str, Any]) -> None:
        self._session |= event["session"]
        await self.send("session.updated", session=self._session)

    async def _create_item(self, event: dict[str, Any]) -> None:
        await self._add(event["item"])

    async def _add(self, item: dict[str, Any]) -> None:
        self._count += 1
        item = {"id": f"item_demo{self._count:06d}", "object": "realtime.item", "status": "completed", **item}
        previous = self._items[-1]["id"] if self._items else None
        self._items.append(item)
        await self.send("conversation.item.added", previous_item_id=previous, item=item)
        await self.send("conversation.item.done", previous_item_id=previous, item=item)

    async def _append(self, event: dict[str, Any]) -> None:
        self._buffered += len(base64.b64decode(event["audio"]))
        detection = self._session.get("audio", {}).get("input", {}).get("turn_detection")
        if detection and self._buffered >= BYTES_A_SECOND:
            await self.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="item_speech")
            end_ms = self._buffered * 1000 // BYTES_A_SECOND
            await self.send("input_audio_buffer.speech_stopped", audio_end_ms=end_ms, item_id="item_speech")
            await self._commit({})
            await self._create({})

    async def _commit(self, _event: dict[str, Any]) -> None:
        tokens = self._buffered * 10 // BYTES_A_SECOND
        self._buffered = 0
        await self.send("input_audio_buffer.committed", previous_item_id=None, item_id="item_speech")
        await self._add(
            {"type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": None}], "_": tokens}
        )
        transcription = self._session.get("audio", {}).get("input", {}).get("transcription")
        if transcription:
            usage = {"type": "tokens", "input_tokens": tokens, "output_tokens": 3, "total_tokens": tokens + 3}
            await self.send(
                "conversation.item.input_audio_transcription.completed",
                item_id="item_speech", content_index=0, transcript="what you said", usage=usage,
            )  # fmt: skip

    async def _clear(self, _event: dict[str, Any]) -> None:
        self._buffered = 0
        await self.send("input_audio_buffer.cleared")

    async def _create(self, event: dict[str, Any]) -> None:
        asked = event.get("response") or {}
        is_apart = asked.get("conversation") == "none"
        if self._main and not is_apart:
            code = "conversation_already_has_active_response"
            await self._error(code, "Conversation already has an active response in progress.", event.get("event_id"))
            return
        self._count += 1
        response_id = f"resp_demo{self._count:06d}"
        if not is_apart:
            self._main = response_id
        self._active[response_id] = asyncio.get_running_loop().create_task(self._respond(response_id, asked))

    async def _cancel(self, event: dict[str, Any]) -> None:
        task = self._active.get(event.get("response_id") or self._main)
        if task is None:
            await self._error(
                "response_cancel_not_active", "Cancellation failed: no active response found.", event.get("event_id")
            )
        else:
            task.cancel()

    async def _respond(self, response_id: str, asked: dict[str, Any]) -> None:
        bound = asked.get("max_output_tokens", self._session["max_output_tokens"])
        tokens = self._script.tokens if bound == "inf" or self._script.ignore_max else min(self._script.tokens, bound)
        spent = self._read(asked)
        response: dict[str, Any] = {
            "id": response_id, "object": "realtime.response", "status": "in_progress", "status_details": None, "output": [],
            "metadata": asked.get("metadata"), "usage": None, "max_output_tokens": bound,
        }  # fmt: skip
        said: list[str] = []
        try:
            try:
                await self._speak(response, asked, tokens, said)
                status = "completed" if tokens == self._script.tokens else "incomplete"
                reason = None if status == "completed" else {"type": "incomplete", "reason": "max_output_tokens"}
            except asyncio.CancelledError:
                status, reason = "cancelled", {"type": "cancelled", "reason": "client_cancelled"}
            item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "".join(said)}]}
            usage = {
                "total_tokens": spent + len(said), "input_tokens": spent, "output_tokens": len(said),
                "input_token_details": {"text_tokens": spent, "audio_tokens": 0, "cached_tokens": self._script.cached},
                "output_token_details": {"text_tokens": len(said), "audio_tokens": 0},
            }  # fmt: skip
            response |= {"status": status, "status_details": reason, "output": [item]}
            if self._main == response_id:
                self._items.append({"id": f"item_of_{response_id}", **item})
                self._main = ""
            self._active.pop(response_id, None)
            await self.send("response.done", response=response | {"usage": usage if self._script.usage else None})
        except ConnectionError:
            pass

    def _read(self, asked: dict[str, Any]) -> int:
        """What a response reads, in tokens."""
        if self._script.input_tokens >= 0:
            return self._script.input_tokens
        items = asked.get("input", self._items)
        texts = [str(asked.get("instructions") or self._session["instructions"])]
        texts += [str(part.get("text", "")) for item in items for part in item.get("content", ())]
        heard = sum(int(item.get("_", 0)) for item in items)
        return max(1, sum(len(text.split()) for text in texts) + heard)

    async def _speak(self, response: dict[str, Any], asked: dict[str, Any], tokens: int, said: list[str]) -> None:
        """Every event of a response but its last."""
        response_id, script = response["id"], self._script
        await self.send("response.created", response=response)
        await self.send("rate_limits.updated", rate_limits=LIMITS)
        where = {"response_id": response_id, "item_id": f"item_of_{response_id}", "output_index": 0}
        item = {"id": where["item_id"], "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        await self.send("response.output_item.added", response_id=response_id, output_index=0, item=item)
        is_speech = "audio" in asked.get("output_modalities", self._session["output_modalities"])
        for index, word in enumerate(islice(cycle(TEXT), tokens)):
            if index == script.die_after:
                self.failure.set_exception(Cut())
                await asyncio.get_running_loop().create_future()
            if index == script.stall_after:
                await self._go.wait()
            if index and script.gap_ms:
                await asyncio.sleep(script.gap_ms / 1000)
            text = f" {word}" if index else word
            said.append(text)
            self._seen.tokens += 1
            if is_speech:
                await self.send("response.output_audio.delta", **where, content_index=0, delta=TOKEN_OF_SPEECH)
            else:
                await self.send("response.output_text.delta", **where, content_index=0, delta=text)
        if not is_speech:
            await self.send("response.output_text.done", **where, content_index=0, text="".join(said))
        await self.send(
            "response.output_item.done", response_id=response_id, output_index=0, item=item | {"status": "completed"}
        )

    _HANDLERS = {  # noqa: RUF012  # a table, never changed
        "session.update": _update,
        "conversation.item.create": _create_item,
        "input_audio_buffer.append": _append,
        "input_audio_buffer.commit": _commit,
        "input_audio_buffer.clear": _clear,
        "response.create": _create,
        "response.cancel": _cancel,
    }
