"""Rewriting the texts of messages as they stream. See `edit` for the rules.

Thinking is edited, its signature never: clients send both back in later turns, and the vendor judges by the signature.
Citations and redacted thinking are no text of the model's. A filter's cut is told as the stop reason `refusal`, the vendor's
own word for it.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from gateway.wires.base import Edits
from gateway.wires.edit import Kind, StreamEditor, Through, strings
from gateway.wires.lenient import dumps, loads
from gateway.wires.sse import Event, with_data

DELTAS: dict[str, tuple[str, Kind]] = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "reasoning"),
    "input_json_delta": ("partial_json", "arguments"),
}
"""By type: where a delta has its text, and what kind of text it is."""
_TYPES = {name: kind for kind, (name, _) in DELTAS.items()}
_OPEN_MAX = 1024


class MessagesEditor(StreamEditor):
    """An `Editor` of messages events."""

    __slots__ = ("_open", "_has_stopped", "_is_over")

    def __init__(self, edits: Edits) -> None:
        super().__init__(edits)
        self._open: list[int] = []
        """Blocks that the client has seen begin and not end."""
        self._has_stopped = False
        """The client has been told a stop reason."""
        self._is_over = False

    def _edit(self, piece: bytes, event: Event, value: dict[str, Any] | None) -> bytes:
        if value is None:
            return piece if event.name == "error" else b""
        kind = value.get("type")
        if kind == "content_block_delta":
            return self._delta(piece, value)
        if kind == "content_block_start":
            return self._start(piece, value)
        if kind == "content_block_stop":
            index = _index(value)
            held = self._release(index)
            self._open = [other for other in self._open if other != index]
            return held + piece
        if kind == "message_delta" or kind == "message_stop":
            held = self.flush()
            if self.is_cut:
                return held + self._end(piece, event, value)
            self._has_stopped = self._has_stopped or kind == "message_delta"
            self._is_over = self._is_over or kind == "message_stop"
            return held + piece
        return piece

    def _delta(self, piece: bytes, value: dict[str, Any]) -> bytes:
        delta = value.get("delta")
        found = DELTAS.get(str(delta.get("type"))) if type(delta) is dict else None
        if found is None or type(delta) is not dict:
            return piece
        name, kind = found
        text = delta.get(name)
        if type(text) is not str or not text:
            return piece
        channel = (_index(value), name)
        new = self._through(channel, kind, text)
        self._learn(channel, piece, name, text)
        if new == text:
            return piece
        delta[name] = new
        return with_data(piece, dumps(value)) if new else b""

    def _start(self, piece: bytes, value: dict[str, Any]) -> bytes:
        index = _index(value)
        block = value.get("content_block")
        is_changed = False
        if type(block) is dict:
            for name, kind in DELTAS.values():
                text = block.get(name)
                if type(text) is str and text:
                    block[name] = self._through((index, name), kind, text)
                    is_changed = is_changed or block[name] != text
            if block.get("input"):  # some servers give it here, and whole
                through = Through(self._edits)
                through.is_cut = self.is_cut
                is_changed = edit_call(block, through) or is_changed
                self.is_cut = through.is_cut
        if len(self._open) >= _OPEN_MAX:
            return b""
        self._open.append(index)
        return with_data(piece, dumps(value)) if is_changed else piece

    def _end(self, piece: bytes, event: Event, value: dict[str, Any] | None) -> bytes:
        kind = value.get("type") if value is not None else None
        if value is None or self._is_over:
            return b""
        if kind == "content_block_stop" and (index := _index(value)) in self._open:
            self._open = [other for other in self._open if other != index]
            return piece
        if kind == "message_delta" and not self._has_stopped:
            self._has_stopped = True
            closed = [_event({"type": "content_block_stop", "index": index}) for index in reversed(self._open)]
            self._open = []
            delta = value.get("delta")
            value["delta"] = {**(delta if type(delta) is dict else {}), "stop_reason": "refusal", "stop_sequence": None}
            return b"".join([*closed, with_data(piece, dumps(value))])
        if kind == "message_stop" and self._has_stopped:
            self._is_over = True
            return piece
        return b""

    def _release(self, index: int) -> bytes:
        """A block ends: what its channels held back."""
        ends = [channel for channel in self._stages if type(channel) is tuple and channel[0] == index]
        return b"".join([self._held(channel, self._flushed(channel)) for channel in ends])

    def _held(self, channel: Hashable, text: str) -> bytes:
        if not text or type(channel) is not tuple:
            return b""
        index, name = channel
        return _event({"type": "content_block_delta", "index": index, "delta": {"type": _TYPES[name], name: text}})


def edit_call(block: dict[str, Any], through: Through) -> bool:
    """Edit a tool call's whole input in place: as the JSON text that it is streamed as, or string by string if that breaks it.

    A call that is cut has no input. False: nothing changed.
    """
    before = block["input"]
    if type(before) is not dict:
        before = {}
    text = dumps(before).decode()
    after = through("arguments", text)
    if after == text:
        return False
    if through.is_cut:
        block["input"] = {}
        return True
    made = loads(after.encode())
    block["input"] = strings(before, lambda inner: through("arguments", inner)) if made is None else made
    if through.is_cut:
        block["input"] = {}
    return True


def _index(value: dict[str, Any]) -> int:
    index = value.get("index")
    return index if type(index) is int else 0


def _event(value: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (value["type"].encode(), dumps(value))
