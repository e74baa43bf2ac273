"""Following a stream of chat completion chunks. See `follow` for how few of its events are decoded.

When usage counts as complete: once the stream has finished (`[DONE]`, or a finish_reason for every choice that was asked
for: some servers never send `[DONE]`) and no content came after the last report. Servers that report usage with every chunk
(vLLM's continuous_usage_stats) are thereby incomplete until their end; a report that came before the content, or one without
the count of input or output, never becomes complete.

Hiding usage that only the gateway asked for: the chunk that exists for it (`choices: []`) is dropped whole; usage that rides
on another chunk is taken off, and that one event is serialised anew; `"usage":null` is cut out by its bytes.
"""

from __future__ import annotations

from typing import Any

import orjson

from gateway.values import Usage
from gateway.wires.base import CutReason
from gateway.wires.fields import CHOICES_MAX, text_bytes
from gateway.wires.follow import Follower
from gateway.wires.lenient import dumps
from gateway.wires.openai_chat_usage import Counts, usage_of
from gateway.wires.sse import Event, parse, with_data

# Cutting this out of an event by its bytes is safe: inside a JSON string every quote is escaped, and an escaped one has a
# backslash before it where this has a comma. A quote that ends a string is followed by `,`, `:`, `}` or `]`, never by a
# letter. So the first quote opens a name, and what is matched is a member whose value is null, not a piece of content.
_NULL_USAGE = b',"usage":null'
_NULL_USAGE_SPACED = b', "usage": null'
_UNFINISHED = b'"finish_reason":null'
_UNFINISHED_SPACED = b'"finish_reason": null'
_LINE_BREAKS = b"\r\n"
_SCALARS = (str, int, float, bool, type(None))
_OWN = ("usage", "obfuscation", "error")
"""What a chunk says for itself alone."""


class ChatReader(Follower):
    """A `StreamReader` of chat completion chunks."""

    _object = "chat.completion.chunk"

    __slots__ = (
        *("_hides", "_choices", "_ended", "_counts", "_is_stale", "_unfinished", "_null_usage", "_is_common"),
        *("_envelope_fields", "_says_null"),
    )

    def __init__(self, *, hides_usage: bool, choices: int) -> None:
        super().__init__()
        self._hides = hides_usage
        self._choices = choices
        self._ended: set[int] = set()
        self._counts = Counts()
        self._is_stale = True
        """Content came after the last report of usage (or there was none)."""
        self._unfinished = _UNFINISHED
        self._null_usage = b""
        """How this stream's chunks write that they report no usage; b"": they leave it out."""
        self._is_common = False
        """Content chunks say "unfinished" once and have two lines, as nearly all servers' do."""
        self._envelope_fields: dict[str, Any] = {}
        """Of this stream's chunks (id, created, model, ...), for the ending; {}: none has come."""
        self._says_null = False
        """Chunks say that they report no usage."""

    def _ordinary(self, head: bytes) -> bytes | None:
        if not self._is_common:
            return self._uncommon(head)
        # An event that says "unfinished" has two lines or more. So when there are twice as many line feeds, there is no
        # other event: no end, no usage chunk, no error. What is left to look for is usage that rides along, and an event
        # that says it is null says nothing else of it.
        events = head.count(self._unfinished)
        if not events or 2 * events != head.count(b"\n"):
            return None
        if null := self._null_usage:
            if self._hides:
                shorter = head.replace(null, b"")
                if len(head) - len(shorter) != events * len(null):
                    return None
                head = shorter
            elif head.count(null) != events:
                return None
        elif b'"usage"' in head:
            return None
        self._is_stale = True
        self._estimate(events, head)
        return head

    def _uncommon(self, head: bytes) -> bytes | None:
        """As `_ordinary`, for servers that leave finish_reason out, write comments, number events, ..."""
        if b'"usage"' in head:
            if self._hides:
                head = _without_null_usage(head)
                if b'"usage"' in head:
                    return None
            elif not self._null_usage or head.count(b'"usage"') != head.count(self._null_usage):
                return None
        events = head.count(b"\ndata:") + head.startswith(b"data:")
        if (
            not events
            or b'"error"' in head
            or b"[DONE]" in head
            or head.count(b'"finish_reason"') != head.count(self._unfinished)
            or (b"\r" in head and b"\r\r" in head)  # lines that end in CR alone are not counted by their LF
        ):
            return None
        self._is_stale = True
        self._estimate(events, head)
        return head

    def _event(self, piece: bytes) -> bytes:
        written = piece
        if self._hides:
            piece = _without_null_usage(piece)
        event = parse(piece)
        if event.data.startswith(b"[DONE]"):  # as SDKs do
            self.is_finished = True
            self._conclude()
            return piece
        chunk = _decoded(event)
        if chunk is None:
            return piece
        choices = chunk.get("choices")
        if type(choices) is not list:
            choices = []
        if choices and not self._envelope_fields:
            self._envelope_fields = {
                name: value for name, value in chunk.items() if type(value) in _SCALARS and name not in _OWN
            }
            self._says_null = "usage" in chunk
        size = self._note_choices(choices)
        if size:
            self._note_content(piece, size)
            if not self._exact_left:
                self._learn_style(written)
        has_failed = bool(chunk.get("error")) or chunk.get("object") == "error" or event.name == "error"
        self.failed = self.failed or has_failed
        if "usage" not in chunk:
            self._conclude()
            return piece
        if self._counts.take(chunk["usage"]):
            self._is_stale = False
            self.usage = self._counts.usage(is_final=False)
        self._conclude()
        if not self._hides:
            return piece
        if not choices and chunk["usage"] is not None and not has_failed:
            return piece[: len(piece) - len(piece.lstrip(_LINE_BREAKS))]  # what stood before the event stays
        del chunk["usage"]
        try:
            return with_data(piece, orjson.dumps(chunk))
        except orjson.JSONEncodeError:  # orjson reads deeper nesting than it writes
            return piece

    def ending(self, reason: CutReason, usage: Usage) -> bytes:
        """A finish reason for every choice that has none, usage where it was asked for, `[DONE]`.

        What a filter cut off may have held the upstream's own ends: then every choice is ended, and the editor, which knows
        what the client has been given, takes off what would be said twice.
        """
        self.is_finished = True
        envelope = self._envelope_fields or {"id": "chatcmpl-0", "object": self._object, "created": 0, "model": ""}
        null = {"usage": None} if self._says_null and not self._hides else {}
        finish = {"logprobs": None, "finish_reason": "length" if reason == "length" else "content_filter"}
        chunks: list[dict[str, Any]] = [
            {**envelope, "choices": [{"index": index, **self._nothing(), **finish}], **null}
            for index in range(self._choices)
            if reason == "filter" or index not in self._ended
        ]
        if not self._hides:
            chunks.append({**envelope, "choices": [], "usage": usage_of(usage)})
        return b"".join([*(b"data: %b\n\n" % dumps(chunk) for chunk in chunks), b"data: [DONE]\n\n"])

    def _mark(self) -> Any:
        return super()._mark(), frozenset(self._ended)

    def _undo(self, mark: Any) -> None:
        super()._undo(mark[0])
        self._ended = set(mark[1])

    def _nothing(self) -> dict[str, Any]:
        """What a choice says that says nothing more."""
        return {"delta": {}}

    def _note_choices(self, choices: list[Any]) -> int:
        size = 0
        for choice in choices:
            if type(choice) is dict:
                size += self._content_of(choice)
                if choice.get("finish_reason") and len(self._ended) < CHOICES_MAX:
                    index = choice.get("index")
                    self._ended.add(index if type(index) is int else 0)
        if len(self._ended) >= self._choices:
            self.is_finished = True
        return size

    def _note_content(self, piece: bytes, size: int) -> None:
        self._exact_left = max(0, self._exact_left - 1)
        self._is_stale = True
        self._count(size)
        if b'"name"' not in piece:  # the chunk that opens a tool call has an envelope of its own
            self._learn(len(piece) - size, _kind(piece))

    def _learn_style(self, piece: bytes) -> None:
        """From the last content event that was decoded: how this stream's content events look."""
        self._unfinished = _UNFINISHED_SPACED if _UNFINISHED_SPACED in piece else _UNFINISHED
        # With several choices an event may say "unfinished" more than once, and counting it does not count events.
        self._is_common = self._choices == 1 and piece.count(self._unfinished) == 1 and piece.count(b"\n") == 2
        # Counting nulls proves that no other usage is there only where a chunk names usage once.
        self._null_usage = _null_usage(piece) if piece.count(b'"usage"') == 1 else b""

    def _conclude(self) -> None:
        if self.is_finished and not self._is_stale and self.usage is not None and not self.usage.is_complete:
            self.usage = self._counts.usage(is_final=True)

    def _content_of(self, choice: dict[str, Any]) -> int:
        return _content(choice)

    def _measure(self, piece: bytes) -> None:
        chunk = _decoded(parse(piece))
        choices = chunk.get("choices") if chunk else None
        if type(choices) is list and (size := sum(self._content_of(choice) for choice in choices if type(choice) is dict)):
            self._learn(len(piece) - size, _kind(piece))


def _kind(piece: bytes) -> bytes:
    """The first letters of a delta: an answer and reasoning are written under names of different lengths."""
    at = piece.find(b'"delta":')
    return piece[at : at + 14]


def _null_usage(piece: bytes) -> bytes:
    """How an event writes that it reports no usage; b"": it does not say so."""
    if _NULL_USAGE in piece:
        return _NULL_USAGE
    return _NULL_USAGE_SPACED if _NULL_USAGE_SPACED in piece else b""


def _without_null_usage(text: bytes) -> bytes:
    if b'"usage"' not in text:
        return text
    return text.replace(_NULL_USAGE, b"").replace(_NULL_USAGE_SPACED, b"")


def _decoded(event: Event) -> dict[str, Any] | None:
    """The chunk; None for a comment, and for what is no JSON object (which is relayed for the client to judge)."""
    if not event.data:
        return None
    try:
        chunk = orjson.loads(event.data)
    except orjson.JSONDecodeError:
        return None
    return chunk if type(chunk) is dict else None


def _content(choice: dict[str, Any]) -> int:
    """UTF-8 bytes of what the model wrote in one choice of a chunk: text, reasoning, refusal, calls of tools."""
    delta = choice.get("delta")
    if type(delta) is not dict:
        return 0
    size = text_bytes(delta.get("content")) + text_bytes(delta.get("refusal"))
    # Servers name reasoning one way or the other; some write it under both names.
    size += text_bytes(delta.get("reasoning_content")) or text_bytes(delta.get("reasoning"))
    calls = delta.get("tool_calls")
    if type(calls) is list:
        size += sum(_function(call.get("function")) for call in calls if type(call) is dict)
    return size + _function(delta.get("function_call"))


def _function(function: Any) -> int:
    return text_bytes(function.get("name")) + text_bytes(function.get("arguments")) if type(function) is dict else 0
