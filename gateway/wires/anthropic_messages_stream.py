"""Following a stream of messages events. See `follow` for how few of its events are decoded; nothing is hidden here.

Usage comes in two parts: `message_start` reports the input and the first output tokens, `message_delta` the output so far,
cumulatively, and sometimes the input anew; the latest wins, field by field. It is complete once a `message_delta` has
reported the output and either gave a stop_reason or was followed by `message_stop`. The output that `message_start` reports
is never final: a stream that ends without a `message_delta` is incomplete.
"""

from __future__ import annotations

from typing import Any

import orjson

from gateway.values import Usage
from gateway.wires.base import CutReason
from gateway.wires.fields import text_bytes, tokens
from gateway.wires.follow import Follower
from gateway.wires.sse import parse

_TEXTS = ("text", "thinking", "partial_json")
"""Where a delta carries what the model wrote. Signatures and citations are not written token by token."""
CALLS = ("tool_use", "server_tool_use", "mcp_tool_use")
_OPEN_MAX = 1024
_RELEARN_EVENTS = 2
"""Events decoded at the start of each content block: other blocks have other envelopes."""


class Counts:
    """The latest believable counts of an upstream."""

    __slots__ = ("input", "cached", "written", "output")

    def __init__(self) -> None:
        self.input: int | None = None
        self.cached = 0
        self.written = 0
        self.output: int | None = None

    def take(self, report: Any) -> bool:
        """Take over what `report` says. False: it is no report."""
        if type(report) is not dict:
            return False
        uncached, output = tokens(report.get("input_tokens")), tokens(report.get("output_tokens"))
        cached, written = tokens(report.get("cache_read_input_tokens")), tokens(report.get("cache_creation_input_tokens"))
        self.input = self.input if uncached is None else uncached
        self.cached = self.cached if cached is None else cached
        self.written = self.written if written is None else written
        self.output = self.output if output is None else output
        return uncached is not None or output is not None

    def usage(self, *, is_final: bool) -> Usage:
        """As usage, whose input is the whole of it; complete only when it is final and nothing charged is missing."""
        is_complete = is_final and self.input is not None and self.output is not None
        whole = (self.input or 0) + self.cached + self.written
        return Usage(whole, self.cached, self.written, self.output or 0, is_complete)


class MessagesReader(Follower):
    """A `StreamReader` of messages events."""

    __slots__ = ("_counts", "_has_output", "_has_stopped", "_opening", "_open")

    def __init__(self) -> None:
        super().__init__()
        self._counts = Counts()
        self._has_output = False
        self._has_stopped = False
        self._opening = b""
        """How the current block's deltas begin, up to their text; b"": not learned."""
        self._open: list[int] = []
        """Indexes of the blocks that were begun and not ended."""

    def _ordinary(self, head: bytes) -> bytes | None:
        # The opening holds a raw line feed, which JSON escapes, so content cannot counterfeit it. An event has three lines:
        # when both counts agree, every event is a delta of this block, and none says anything else.
        opening = self._opening
        if not opening:
            return None
        events = head.count(opening)
        if not events or 3 * events != head.count(b"\n"):
            return None
        self._estimate(events, head)
        return head

    def _event(self, piece: bytes) -> bytes:
        event = parse(piece)
        if event.name == "error":
            self.failed = True
        try:
            value = orjson.loads(event.data) if event.data else None
        except orjson.JSONDecodeError:
            return piece
        if type(value) is not dict:
            return piece
        kind = value.get("type")
        if kind == "content_block_delta":
            self._note_delta(piece, value)
        elif kind == "content_block_start":
            if type(index := value.get("index")) is int and len(self._open) < _OPEN_MAX:
                self._open.append(index)
            self._note_block(value.get("content_block"))
        elif kind == "content_block_stop":
            self._open = [index for index in self._open if index != value.get("index")]
        elif kind == "message_start":
            message = value.get("message")
            self._note_usage(message.get("usage") if type(message) is dict else None, is_cumulative=False)
        elif kind == "message_delta":
            delta = value.get("delta")
            self._has_stopped = self._has_stopped or (type(delta) is dict and bool(delta.get("stop_reason")))
            self._note_usage(value.get("usage"), is_cumulative=True)
        elif kind == "message_stop":
            self.is_finished = self._has_stopped = True
            if self.usage is not None:
                self.usage = self._counts.usage(is_final=self._has_output)
        elif kind == "error":
            self.failed = True
        return piece

    def _mark(self) -> Any:
        return super()._mark(), list(self._open)

    def _undo(self, mark: Any) -> None:
        super()._undo(mark[0])
        self._open = mark[1]

    def ending(self, reason: CutReason, usage: Usage) -> bytes:
        """Open blocks are closed, then the stop reason with the output tokens, then the end.

        What a filter cut off may have held the upstream's own ends: the editor, which knows what the client has been given,
        takes off what would be said twice.
        """
        self.is_finished = True
        events: list[dict[str, Any]] = [{"type": "content_block_stop", "index": index} for index in reversed(self._open)]
        stop = "max_tokens" if reason == "length" else "refusal"
        delta = {"stop_reason": stop, "stop_sequence": None}
        events.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": usage.output_tokens}})
        events.append({"type": "message_stop"})
        return b"".join([b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event)) for event in events])

    def _note_usage(self, report: Any, *, is_cumulative: bool) -> None:
        if not self._counts.take(report):
            return
        self._has_output = self._has_output or (is_cumulative and tokens(report.get("output_tokens")) is not None)
        self.usage = self._counts.usage(is_final=self._has_output and self._has_stopped)

    def _note_block(self, block: Any) -> None:
        self._opening = b""
        self._envelope = 0.0
        self._exact_left = max(self._exact_left, _RELEARN_EVENTS)
        if type(block) is dict:
            size = sum(text_bytes(block.get(name)) for name in _TEXTS)
            if block.get("type") in CALLS:
                size += text_bytes(block.get("name"))
            if size:
                self._count(size)

    def _note_delta(self, piece: bytes, value: dict[str, Any]) -> None:
        size = _content(value)
        if not size:
            return
        self._exact_left = max(0, self._exact_left - 1)
        self._count(size)
        self._learn(len(piece) - size, b"")
        if not self._opening and piece.count(b"\n") == 3 and b"\r\r" not in piece:
            self._opening = _opening(piece)

    def _measure(self, piece: bytes) -> None:
        try:
            value = orjson.loads(parse(piece).data)
        except orjson.JSONDecodeError:
            return
        if type(value) is dict and (size := _content(value)):
            self._learn(len(piece) - size, b"")


def _content(value: dict[str, Any]) -> int:
    """UTF-8 bytes of what the model wrote in a delta."""
    delta = value.get("delta")
    return sum(text_bytes(delta.get(name)) for name in _TEXTS) if type(delta) is dict else 0


def _opening(piece: bytes) -> bytes:
    """The event up to where its text begins; b"" where that cannot be told."""
    for name in (b'"text":', b'"thinking":', b'"partial_json":'):
        at = piece.find(name)
        if at >= 0:
            quote = piece.find(b'"', at + len(name))
            opening = piece[: quote + 1].lstrip(b"\r\n")
            return opening if quote >= 0 and b"\n" in opening else b""
    return b""
