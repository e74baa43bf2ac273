"""How much has been said in a realtime session: what its next response will read, and what a running one has delivered.

Each response reads the whole conversation anew, so the last one's usage is the best measure there is: what it read and what it
wrote, and on top of that what came since. Text is handed on as bytes (its rate is learned elsewhere), audio and images as
tokens by the vendor's formulas: https://platform.openai.com/docs/guides/realtime-costs (a token for 100 ms heard, one for 50 ms
spoken). These are estimates before the fact: the upstream's own count replaces them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from gateway.values import Usage
from gateway.wires import media
from gateway.wires.fields import text_bytes

HEARD_TOKENS_A_SECOND = media.AUDIO_TOKENS_A_SECOND
SPOKEN_TOKENS_A_SECOND = 20
_PCM_BYTES_A_SECOND = 48_000
_G711_BYTES_A_SECOND = 8_000
_TEXT_BYTES_A_TOKEN = 8
"""A text delta is a token, or more where it is long."""


class Asked(NamedTuple):
    """What a response will read, as far as it is known before the fact."""

    text_bytes: int
    media_tokens: int


class Mark(NamedTuple):
    """Where a conversation stood when a response began to read it."""

    text_bytes: int
    media_tokens: int


class Talk:
    """One session's conversation. Events of both sides are shown to it as they pass."""

    def __init__(self) -> None:
        self._known_tokens = 0
        """What the last finished response read and wrote."""
        self._text_bytes = 0
        self._media_tokens = 0
        self._settings_bytes = 0
        """Instructions and tools: what a response reads even where it is told to leave the conversation out."""
        self._buffered_bytes = 0
        """Audio that is not yet part of the conversation."""
        self._speech_ms: tuple[int, int] | None = None
        self._in_rate = self._out_rate = _PCM_BYTES_A_SECOND
        self.heard_ms = 0
        """Audio that became part of the conversation since it was last asked."""

    def client(self, kind: str, event: dict[str, Any]) -> None:
        """An event of the client's that is forwarded."""
        if kind == "input_audio_buffer.append":
            self._buffered_bytes += _decoded_bytes(event.get("audio"))
        elif kind == "input_audio_buffer.clear":
            self._buffered_bytes = 0
        elif kind == "conversation.item.create":
            found = self.items([event.get("item")])
            self._text_bytes += found.text_bytes
            self._media_tokens += found.media_tokens
        elif kind == "session.update":
            session = event.get("session") or {}
            self._settings_bytes = len(orjson.dumps(session))
            self._text_bytes += self._settings_bytes
            self._take_formats(session)

    def server(self, kind: str, event: dict[str, Any]) -> None:
        """An event of the server's."""
        if kind == "input_audio_buffer.speech_started":
            start = event.get("audio_start_ms")
            self._speech_ms = (start, start) if type(start) is int else None
        elif kind == "input_audio_buffer.speech_stopped":
            end = event.get("audio_end_ms")
            if self._speech_ms is not None and type(end) is int:
                self._speech_ms = (self._speech_ms[0], end)
        elif kind == "input_audio_buffer.committed":
            self._commit()
        elif kind in ("session.created", "session.updated"):
            session = event.get("session")
            if type(session) is dict:
                self._take_formats(session)

    def _commit(self) -> None:
        # Silence around what was said is not kept, where the server itself finds what was said.
        heard_ms = self._buffered_bytes * 1000 // self._in_rate
        if self._speech_ms is not None and 0 < self._speech_ms[1] - self._speech_ms[0] < heard_ms:
            heard_ms = self._speech_ms[1] - self._speech_ms[0]
        self.heard_ms += heard_ms
        self._media_tokens += -(-heard_ms * HEARD_TOKENS_A_SECOND // 1000)
        self._buffered_bytes, self._speech_ms = 0, None

    def _take_formats(self, session: dict[str, Any]) -> None:
        self._in_rate = _rate(session, "input", self._in_rate)
        self._out_rate = _rate(session, "output", self._out_rate)

    def items(self, items: list[Any]) -> Asked:
        """What items come to, audio and images by their formulas."""
        objects = [item for item in items if type(item) is dict]
        found = media.responses(objects)
        audio_base64 = audio_tokens = 0
        for item in objects:
            content = item.get("content")
            for part in content if type(content) is list else ():
                audio = part.get("audio") if type(part) is dict else None
                if type(audio) is str:
                    audio_base64 += len(audio)
                    audio_tokens += -(-_decoded_bytes(audio) * HEARD_TOKENS_A_SECOND // self._in_rate)
        written = len(orjson.dumps(items)) - found.base64_bytes - audio_base64
        return Asked(max(0, written), found.tokens + audio_tokens)

    def asked(self, response: dict[str, Any]) -> Asked:
        """What a response will read that is asked for like this ({}: the server began it)."""
        given = response.get("input")
        own = self.items(given) if type(given) is list else Asked(0, 0)
        own_text = len(orjson.dumps({name: value for name, value in response.items() if name != "input"})) if response else 0
        if type(given) is list and response.get("conversation") == "none":
            # Its own input, and the instructions; of the conversation what it refers to.
            refers = any(type(item) is dict and item.get("type") == "item_reference" for item in given)
            if not refers:
                return Asked(own.text_bytes + own_text + self._settings_bytes, own.media_tokens)
        return Asked(
            self._text_bytes + own.text_bytes + own_text,
            self._known_tokens + self._media_tokens + own.media_tokens,
        )

    def mark(self) -> Mark:
        return Mark(self._text_bytes, self._media_tokens)

    def answered(self, mark: Mark, tokens: int) -> None:
        """A response that began at `mark` read and wrote so many tokens, and they are the conversation now."""
        self._known_tokens = tokens
        self._text_bytes = max(0, self._text_bytes - mark.text_bytes)
        self._media_tokens = max(0, self._media_tokens - mark.media_tokens)

    def take_heard_s(self) -> int:
        """Whole seconds heard since this was last asked; the rest is carried over."""
        seconds, self.heard_ms = divmod(self.heard_ms, 1000)
        return seconds

    def spoken_ms(self, event: dict[str, Any]) -> int:
        """Audio in a delta."""
        return _decoded_bytes(event.get("delta")) * 1000 // self._out_rate


class Delivered:
    """What of one response has passed, in tokens. Looks like a stream's reader to who holds it on a leash."""

    def __init__(self) -> None:
        self.events = 0
        """Tokens, as well as they are known before the response's end."""
        self.content_bytes = 0
        self.stop_events = self.stop_bytes = 1 << 62
        self.usage: Usage | None = None
        """Told at its end, and read there."""
        self.spoken_ms = 0
        self._text_tokens = 0

    @property
    def is_cut(self) -> bool:
        return self.events > self.stop_events

    def take(self, kind: str, event: dict[str, Any], talk: Talk) -> None:
        """An event of this response's."""
        if not kind.endswith("delta"):
            return
        if kind.endswith("audio.delta"):
            self.spoken_ms += talk.spoken_ms(event)
        else:
            self._text_tokens += max(1, -(-text_bytes(event.get("delta")) // _TEXT_BYTES_A_TOKEN))
        self.events = self._text_tokens + -(-self.spoken_ms * SPOKEN_TOKENS_A_SECOND // 1000)


def _decoded_bytes(base64: Any) -> int:
    return len(base64) * 3 // 4 if type(base64) is str else 0


def _rate(session: dict[str, Any], side: str, known: int) -> int:
    """Bytes of a second of audio: `audio.input.format.type`, or the preview's `input_audio_format`."""
    form = session.get(f"{side}_audio_format")
    if form is None:
        audio = session.get("audio")
        part = audio.get(side) if type(audio) is dict else None
        form = part.get("format") if type(part) is dict else None
        form = form.get("type") if type(form) is dict else form
    if type(form) is not str:
        return known
    return _G711_BYTES_A_SECOND if "pcmu" in form or "pcma" in form or "g711" in form else _PCM_BYTES_A_SECOND
