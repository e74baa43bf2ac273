"""Following a stream of responses events. See `follow` for how few of its events are decoded; nothing is hidden here.

Which events carry content: every `*.delta` whose `delta` is a string (text, refusals, reasoning, summaries, arguments, code;
kinds that nobody knows yet too), but audio. An item that came without any delta (servers differ) is counted by its
`response.output_item.done`.

How it ends: `response.completed`, `.incomplete`, `.failed` or `.cancelled`. Each is the wire's own end, so `response.failed` is
not `failed`: clients read it as the answer's outcome, and the SDK does not raise. `failed` is an `error` event, after which
nothing is certain. A `[DONE]` that some servers append means nothing here.

Usage comes with the event that ends the stream, and only there; a stream without one is incomplete.

The cut: a stream whose bounds are set before its first `feed` keeps what it relays (see `openai_responses_draft`), for its
ending repeats it. Where no bounds were set nothing is kept, and `ending` gives the last event alone, without output: an editor,
which keeps what it let through, puts in its own.
"""

from __future__ import annotations

from typing import Any

import orjson

from gateway.values import Usage
from gateway.wires.base import CutReason
from gateway.wires.fields import text_bytes, tokens
from gateway.wires.follow import NEVER, Follower
from gateway.wires.openai_responses_draft import Draft, usage_of
from gateway.wires.openai_responses_events import ENDS, ITEM_ADDED, ITEM_DONE, decoded, delta_of, index_of, rewrite_item
from gateway.wires.sse import parse

_RELEARN_EVENTS = 2
"""Events decoded at the start of each item: other kinds have other envelopes."""


class Counts:
    """The latest believable counts of an upstream."""

    __slots__ = ("input", "cached", "written", "output", "reasoning")

    def __init__(self) -> None:
        self.input: int | None = None
        self.cached = 0
        self.written = 0
        self.output: int | None = None
        self.reasoning = 0

    def take(self, report: Any) -> bool:
        """Take over what `report` says. False: it is no report."""
        if type(report) is not dict:
            return False
        self.input, self.output = tokens(report.get("input_tokens")), tokens(report.get("output_tokens"))
        details, made = report.get("input_tokens_details"), report.get("output_tokens_details")
        if type(details) is dict:
            self.cached = tokens(details.get("cached_tokens")) or 0
            self.written = tokens(details.get("cache_write_tokens")) or 0
        if type(made) is dict:
            self.reasoning = tokens(made.get("reasoning_tokens")) or 0
        return self.input is not None or self.output is not None

    def usage(self, *, is_final: bool) -> Usage:
        """As usage; complete only when it is final and nothing that is charged is missing."""
        is_complete = is_final and self.input is not None and self.output is not None
        whole = self.input or 0
        cached = min(self.cached, whole)
        return Usage(whole, cached, min(self.written, whole - cached), self.output or 0, is_complete)


class ResponsesReader(Follower):
    """A `StreamReader` of responses events."""

    __slots__ = ("_draft", "_has_begun", "_number", "_opening", "_says", "_nothing", "_lines", "_name", "_has_said")

    def __init__(self) -> None:
        super().__init__()
        self._draft: Draft | None = None
        self._has_begun = False
        self._number = 0
        """The last sequence number that was decoded."""
        self._name = ""
        """The kind of event that the next four were learned from."""
        self._opening = b""
        """How such events begin; b"": not learned."""
        self._says = b""
        """How they say their type."""
        self._nothing = b""
        """How they would say that they bring nothing: such an event is no content."""
        self._lines = 0
        self._has_said = False
        """The current item has brought text by deltas."""

    def feed(self, block: bytes) -> bytes:
        """As `Follower.feed`."""
        if not self._has_begun:
            self._has_begun = True
            if self.stop_events < NEVER or self.stop_bytes < NEVER:
                self._draft = Draft()
        return self._kept(super().feed(block))

    def flush(self) -> bytes:
        """As `Follower.flush`."""
        return self._kept(super().flush())

    def resume(self) -> bytes:
        """As `Follower.resume`."""
        return self._kept(super().resume())

    def ending(self, reason: CutReason, usage: Usage) -> bytes:
        """What is open is closed as `incomplete`, then `response.incomplete` with all that was relayed, and the usage."""
        self.is_finished = True
        draft = self._draft
        if draft is None:
            draft = Draft(number=self._number + self.events)
        return draft.ending(reason, usage_of(usage), self.answer_id)

    def _kept(self, relayed: bytes) -> bytes:
        if relayed and self._draft is not None:
            self._draft.add(relayed)
        return relayed

    def _ordinary(self, head: bytes) -> bytes | None:
        # The opening ends a line or opens an object, which content cannot counterfeit: it escapes line feeds and quotes. An
        # event has so many lines: when the counts agree, every event is of the one kind, and none says anything else.
        opening = self._opening
        if not opening:
            return None
        events = head.count(opening)
        if not events or self._lines * events != head.count(b"\n") or head.count(self._says) != events:
            return None
        if self._nothing in head or (b"\r" in head and b"\r\r" in head):
            return None  # (lines that end in CR alone are not counted by their LF)
        self._estimate(events, head)
        return head

    def _event(self, piece: bytes) -> bytes:
        value = decoded(piece)
        if value is None:
            self.failed = self.failed or _is_error(piece)
            return piece
        name: str = value["type"]
        self._number = max(self._number, index_of(value, "sequence_number"))
        if (delta := delta_of(value)) is not None:
            self._note_delta(piece, name, delta)
        elif name in (ITEM_ADDED, ITEM_DONE):
            self._note_item(name, value.get("item"))
        elif name == "error" or value.get("error"):
            self.failed = True
        elif type(response := value.get("response")) is dict:
            self._note_response(name, response)
        return piece

    def _note_response(self, name: str, response: dict[str, Any]) -> None:
        answer_id = response.get("id")
        if not self.answer_id and type(answer_id) is str:
            self.answer_id = answer_id
        if name in ENDS:
            self.is_finished = True
            counts = Counts()
            if counts.take(response.get("usage")):
                self.usage = counts.usage(is_final=True)

    def _note_item(self, name: str, item: Any) -> None:
        size = 0
        if name == ITEM_ADDED:
            self._opening = b""
            self._envelope = 0.0
            self._exact_left = max(self._exact_left, _RELEARN_EVENTS)
            self._has_said = False
            if type(item) is dict and "call_id" in item:
                size = text_bytes(item.get("name"))
        elif not self._has_said:
            size = _written(item)
        if size:
            self._count(size)

    def _note_delta(self, piece: bytes, name: str, delta: str) -> None:
        self._has_said = True
        if not delta:
            return
        size = text_bytes(delta)
        self._exact_left = max(0, self._exact_left - 1)
        self._count(size)
        self._learn(len(piece) - size, name.encode("utf-8", "replace"))
        if name != self._name or not self._opening:
            self._learn_opening(piece, name)

    def _learn_opening(self, piece: bytes, name: str) -> None:
        self._name, self._opening = name, b""
        begin = piece.lstrip(b"\r\n")
        lines = piece.count(b"\n")
        quoted = b'"' + name.encode("utf-8", "replace") + b'"'
        for space in (b"", b" "):
            mark, self._nothing = b'"type":' + space + quoted, b'"delta":' + space + b'""'
            if piece.count(mark) != 1 or b"\r\r" in piece:
                continue
            at = begin.find(b"{")
            opening = begin[: at + 1]
            if lines == 3 and opening.startswith(b"event:") and b"\n" in opening:
                self._opening, self._says, self._lines = opening, mark, lines
                return
            if lines == 2 and begin.startswith(opening + mark) and opening.startswith(b"data:"):
                self._opening, self._says, self._lines = opening + mark, mark, lines
                return

    def _measure(self, piece: bytes) -> None:
        value = decoded(piece)
        delta = delta_of(value) if value is not None else None
        if value is not None and delta:
            self._learn(len(piece) - text_bytes(delta), value["type"].encode("utf-8", "replace"))


def _is_error(piece: bytes) -> bool:
    """Whether an event without a type tells an error: by its name, or as OpenAI's other streams do."""
    event = parse(piece)
    if event.name == "error":
        return True
    if b'"error"' not in event.data:
        return False
    try:
        value = orjson.loads(event.data)
    except orjson.JSONDecodeError:
        return False
    return type(value) is dict and bool(value.get("error"))


def _written(item: Any) -> int:
    """UTF-8 bytes of what the model wrote in an item that came whole."""
    size = 0

    def count(_kind: str, text: str) -> str:
        nonlocal size
        size += text_bytes(text)
        return text

    rewrite_item(item, count)
    return size


def usage_of_answer(answer: bytes) -> Usage | None:
    """Usage of a whole answer; None where it reports none. Incomplete where a count that is charged is missing."""
    try:
        value = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None
    counts = Counts()
    if type(value) is not dict or not counts.take(value.get("usage")):
        return None
    return counts.usage(is_final=True)
