"""Rewriting the texts of messages, as they stream and whole, and cutting whole ones short. Signatures stay byte for byte."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from typing import Any

import orjson

from gateway.values import Usage
from gateway.wires.anthropic_messages_stream import Counts
from gateway.wires.base import Edits, Stage
from gateway.wires.edit import CHANNELS_MAX, StreamEditor, one_text, strings
from gateway.wires.shorten import Allowance
from gateway.wires.sse import Event, parse, pieces

_DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
_TEXT = re.compile(rb'"type":"text_delta","text":"((?:[^"\\]|\\.)*)"')
CALLS = ("tool_use", "server_tool_use", "mcp_tool_use")


def _one(value: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(value["type"]).encode(), orjson.dumps(value))


class MessagesEditor(StreamEditor):
    """An `Editor` of messages events."""

    def __init__(self, edits: Edits) -> None:
        super().__init__(edits)
        self._current: Hashable = None
        """The block whose text deltas were last decoded."""
        self._open: list[Any] = []
        """Blocks whose start was relayed, and no end: what a filter dropped may have ended them for the reader."""

    def feed(self, events: bytes) -> bytes:
        if not self.is_cut:
            return super().feed(events)
        ending = [piece for piece in pieces(events) if parse(piece).name != "content_block_stop"]
        stops = [_one({"type": "content_block_stop", "index": index}) for index in self._open]
        self._open = []
        return b"".join([*stops, *ending])

    def _passes(self, events: bytes) -> bool:
        stage = self._stages.get(self._current)
        if self._current is None or self._current not in self._stages or b'"index":%d,' % self._index() not in events:
            return False
        found: list[bytes] = _TEXT.findall(events)
        if not found or 3 * len(found) != events.count(b"\n") or events.count(b'"index":%d,' % self._index()) < len(found):
            return False
        if stage is None:
            return True
        text = one_text(b"".join(found))
        return text is not None and stage.passes(text)

    def _index(self) -> int:
        return self._current[0] if type(self._current) is tuple and type(self._current[0]) is int else -1

    def _rewrite(self, piece: bytes, event: Event, value: dict[str, Any]) -> bytes:
        kind, index = value.get("type"), value.get("index")
        if kind == "content_block_start":
            if len(self._open) < CHANNELS_MAX:
                self._open.append(index)
            block = value.get("content_block")
            if type(block) is dict:
                for said in ("text", "thinking"):
                    text = block.get(said)
                    if type(text) is str and text:
                        block[said] = self._through((index, said), self._make(said), text)
                        if block[said] != text:
                            piece = _one(value)
        elif kind == "content_block_delta":
            delta = value.get("delta")
            name = _DELTAS.get(str(delta.get("type"))) if type(delta) is dict else None
            if type(delta) is dict and name is not None and type(delta.get(name)) is str:
                channel = (index, name)
                made = self._through(channel, self._make(name), delta[name])
                self._current = channel if name == "text" else None
                if made != delta[name]:
                    delta[name] = made
                    return _one(value) if made else b""
        elif kind == "content_block_stop":
            closing = [self._closing(channel) for channel in self._of(index)]
            if not self.is_cut:
                self._open = [other for other in self._open if other != index]
            return b"".join(closing if self.is_cut else [*closing, piece]) if any(closing) or self.is_cut else piece
        return piece

    def _make(self, name: str) -> Callable[[], Stage | None]:
        edits = self._edits
        return edits.text if name == "text" else edits.reasoning if name == "thinking" else edits.arguments

    def _of(self, index: Any) -> list[Hashable]:
        return [channel for channel in self._stages if type(channel) is tuple and channel[0] == index]

    def _closing(self, channel: Hashable) -> bytes:
        text = self._flushed(channel)
        if not text or type(channel) is not tuple:
            return b""
        index, name = channel
        kind = next(kind for kind, field in _DELTAS.items() if field == name)
        return _one({"type": "content_block_delta", "index": index, "delta": {"type": kind, name: text}})


def edited(answer: bytes, edits: Edits) -> tuple[bytes, bool]:
    """A whole answer with its texts edited, and whether a filter cut it: then what came after it is taken off."""
    value = _answer(answer)
    if value is None:
        return answer, False
    is_changed = is_cut = False

    def through(make: Callable[[], Stage | None], text: str) -> str:
        nonlocal is_changed, is_cut
        stage = make()
        if stage is None or is_cut:
            return text if stage is None else ""
        made = edits.whole(stage, text)
        is_changed, is_cut = is_changed or made != text, stage.is_cut
        return made

    for place, block in enumerate(value["content"]):
        if type(block) is not dict:
            continue
        if type(block.get("text")) is str:
            block["text"] = through(edits.text, block["text"])
        if type(block.get("thinking")) is str:
            block["thinking"] = through(edits.reasoning, block["thinking"])
        if block.get("type") in CALLS and "input" in block:
            block["input"] = strings(block["input"], lambda text: through(edits.arguments, text))
        if is_cut:
            del value["content"][place + 1 :]
            value |= {"stop_reason": "refusal", "stop_sequence": None}
            break
    return (orjson.dumps(value), is_cut) if is_changed or is_cut else (answer, False)


def shortened(answer: bytes, limit: int) -> tuple[bytes, Usage] | None:
    """A whole answer that reports more than `limit` output tokens, cut to them."""
    value = _answer(answer)
    counts = Counts()
    if value is None or not counts.take(value.get("usage")) or counts.output is None or counts.output <= limit:
        return None
    blocks = [block for block in value["content"] if type(block) is dict]
    texts = [orjson.dumps(block["input"]).decode() if _is_call(block) else _text(block) for block in blocks]
    allowance = Allowance(texts, counts.output, limit)
    kept: list[dict[str, Any]] = []
    for block, text in zip(blocks, texts):
        if allowance.is_spent:
            break
        part = allowance.cut(text)
        if _is_call(block):
            block["input"] = block["input"] if part == text else {}  # as the vendor does: half a call is none
        elif "thinking" in block:
            block["thinking"] = part
        elif "text" in block:
            block["text"] = part
        kept.append(block)
    value |= {"content": kept, "stop_reason": "max_tokens", "stop_sequence": None}
    value["usage"]["output_tokens"] = counts.output = limit
    return orjson.dumps(value), counts.usage(is_final=True)


def _is_call(block: dict[str, Any]) -> bool:
    return block.get("type") in CALLS and "input" in block


def _text(block: dict[str, Any]) -> str:
    for name in ("text", "thinking"):
        if type(block.get(name)) is str:
            return str(block[name])
    return ""


def _answer(answer: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None
    return value if type(value) is dict and type(value.get("content")) is list else None
