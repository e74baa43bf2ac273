"""A responses stream as far as it has been relayed, so that it can be ended there as the vendor would end it.

On this wire every text is said three times more after its deltas: by the event that closes it, by its item, and by the
event that ends the stream. Who ends a stream in its middle must therefore know what was said. A draft keeps what was relayed
as it came, and reads it only when it has to: at the cut, and whenever COMPACT_BYTES have gathered, of which only the text is
kept then. So its memory is the answer's text, the response object of the stream's beginning, and COMPACT_BYTES.
"""

from __future__ import annotations

from typing import Any

from gateway.values import Usage
from gateway.wires.base import CutReason
from gateway.wires.openai_responses_events import (
    ENDS,
    ITEM_ADDED,
    ITEM_DONE,
    PLACES,
    Channel,
    channel_of,
    decoded,
    delta_of,
    encoded,
    index_of,
)
from gateway.wires.openai_responses_look import Look, learn
from gateway.wires.sse import first_end, pieces

COMPACT_BYTES = 32_768
STRIDE_BYTES = 1_024
"""Less than this is decoded event by event."""
REASONS = {"length": "max_output_tokens", "filter": "content_filter"}
_BLANK: dict[str, Any] = {"object": "response", "created_at": 0, "model": "", "tools": [], "tool_choice": "auto"}
_ALWAYS_TOLD = frozenset(("message", "function_call", "reasoning"))
"""Items that have a status even where the upstream left it out."""
_STATUSES = {"image_generation_call": "failed", "apply_patch_call": "in_progress"}
"""Items that cannot be "incomplete"."""


class _Item:
    """One item of the output. `item` is as the client will have assembled it, but for what is still open."""

    __slots__ = ("item", "is_done", "parts", "texts")

    def __init__(self, item: dict[str, Any], *, is_done: bool) -> None:
        self.item = item
        self.is_done = is_done
        self.parts: dict[tuple[str, int], str] = {}
        """Open parts: which list, which index; and the stem of their events."""
        self.texts: dict[Channel, list[str]] = {}
        """Open texts, in pieces."""

    def part(self, parts: str, index: int, made: dict[str, Any]) -> dict[str, Any]:
        """A part of the item; `made` where there is none yet."""
        found = self.item.get(parts)
        if type(found) is not list:
            found = self.item[parts] = []
        if index < 0:
            return made
        if index < len(found) and type(found[index]) is dict:
            kept: dict[str, Any] = found[index]
            return kept
        found[index : index + 1] = [made]  # at the end, where the index lies beyond it
        return made

    def put(self, channel: Channel, text: str) -> None:
        """The text of a channel, where it belongs."""
        place = PLACES.get(channel.stem)
        if place is None:
            return
        if place.parts:
            blank: dict[str, Any] = {"type": place.part}
            if place.part == "output_text":
                blank["annotations"] = []
            self.part(place.parts, channel.part, blank)[place.field] = text
        else:
            self.item[place.field] = text


class Draft:
    """`add` what is relayed; `ending` gives what ends it."""

    __slots__ = ("_raw", "_size", "_items", "_response", "_number", "_is_over", "_look")

    def __init__(self, *, number: int = -1) -> None:
        """`number`: the largest sequence number that the client can have seen before what is added."""
        self._raw: list[bytes] = []
        self._size = 0
        self._items: dict[int, _Item] = {}
        self._response = b""
        """The last event that told the answer as a whole: it may repeat the request's tools, so it is kept as it came."""
        self._number = number
        self._is_over = False
        self._look: Look | None = None
        """Of the last channel that brought text."""

    def add(self, events: bytes) -> None:
        """Whole events, as they were relayed."""
        self._raw.append(events)
        self._size += len(events)
        if self._size > COMPACT_BYTES:
            self._read()

    def ending(self, reason: CutReason, usage: dict[str, Any] | None, answer_id: str = "") -> bytes:
        """The events that end the stream here. `usage`: as the wire writes it; None: nobody knows."""
        self._read()
        out: list[bytes] = []
        if not self._is_over:
            for output, item in sorted(self._items.items()):
                if not item.is_done:
                    self._close(output, item, out)
        known = decoded(self._response)
        begun = {**_BLANK, "id": answer_id} if known is None else known["response"]
        told = {
            "status": "incomplete",
            "incomplete_details": {"reason": REASONS[reason]},
            "output": [item.item for _, item in sorted(self._items.items())],
            "usage": usage,
        }
        self._say(out, "response.incomplete", {"response": {**begun, **told}})
        return b"".join(out)

    def _close(self, output: int, item: _Item, out: list[bytes]) -> None:
        at: dict[str, Any] = {"output_index": output}
        named = {**at, "item_id": item.item["id"]} if type(item.item.get("id")) is str else at
        for channel, texts in item.texts.items():
            text = "".join(texts)
            item.put(channel, text)
            place = PLACES.get(channel.stem)
            if place is not None:
                where = {place.at: channel.part} if place.at else {}
                more: dict[str, Any] = {"logprobs": []} if place.part == "output_text" else {}
                self._say(out, f"{channel.stem}.done", {**named, **where, place.field: text, **more})
        item.texts.clear()
        for (parts, index), stem in item.parts.items():
            where = {"summary_index" if parts == "summary" else "content_index": index}
            told = {"status": "incomplete"} if parts == "summary" else {}
            self._say(out, f"{stem}.done", {**named, **where, "part": item.part(parts, index, {}), **told})
        item.parts.clear()
        item.is_done = True
        kind = item.item.get("type")
        if "status" in item.item or kind in _ALWAYS_TOLD:
            item.item["status"] = _STATUSES.get(str(kind), "incomplete")
        self._say(out, ITEM_DONE, {**at, "item": item.item})

    def _say(self, out: list[bytes], kind: str, fields: dict[str, Any]) -> None:
        self._number += 1
        out.append(encoded({"type": kind, "sequence_number": self._number, **fields}))

    def _read(self) -> None:
        events, self._raw, self._size = b"".join(self._raw), [], 0
        begin, size = 0, len(events)
        stride = size
        while begin < size:  # by halves, down to what is decoded event by event: nearly all are deltas of one channel
            end = first_end(events, begin + stride)
            part = events[begin:end]
            if stride > STRIDE_BYTES and not self._has_read(part):
                stride //= 2
                continue
            if stride <= STRIDE_BYTES:
                self._decode(part)
            begin, stride = end, max(stride, STRIDE_BYTES) * 2

    def _has_read(self, events: bytes) -> bool:
        """Take deltas of the last channel together. False: there are others."""
        look = self._look
        item = None if look is None else self._items.get(look.channel.output)
        said = None if look is None or item is None or item.is_done else look.read(events)
        if look is None or item is None or said is None:
            return False
        item.texts.setdefault(look.channel, []).append(said.text)
        self._number = max(self._number, said.last)
        return True

    def _decode(self, events: bytes) -> None:
        for piece in pieces(events):
            value = decoded(piece)
            if value is not None:
                self._take(value, piece)

    def _take(self, value: dict[str, Any], piece: bytes) -> None:
        self._number = max(self._number, index_of(value, "sequence_number"))
        name: str = value["type"]
        if type(value.get("response")) is dict:
            self._response = piece
            self._is_over = name in ENDS
            return
        output = index_of(value)
        if name in (ITEM_ADDED, ITEM_DONE):
            if type(value.get("item")) is dict:
                self._items[output] = _Item(value["item"], is_done=name == ITEM_DONE)
            return
        item = self._items.get(output)
        if item is None or item.is_done:
            return
        text = delta_of(value)
        if text is not None:
            channel = channel_of(value)
            item.texts.setdefault(channel, []).append(text)
            if self._look is None or self._look.channel != channel:
                self._look = learn(piece, value)
        elif name.endswith(("_part.added", "_part.done")):
            _take_part(item, name, value)
        elif name.endswith(".done"):
            channel = channel_of(value)
            place = PLACES.get(channel.stem)
            if place is not None and type(value.get(place.field)) is str:
                item.texts.pop(channel, None)
                item.put(channel, value[place.field])
        elif name == "response.output_text.annotation.added":
            notes = item.part("content", index_of(value, "content_index"), {}).setdefault("annotations", [])
            if type(notes) is list:
                notes.append(value.get("annotation"))


def _take_part(item: _Item, name: str, value: dict[str, Any]) -> None:
    parts = "summary" if "summary_index" in value else "content"
    index = index_of(value, "summary_index" if parts == "summary" else "content_index")
    part = value.get("part")
    if type(part) is not dict:
        return
    item.part(parts, index, part).update(part)
    stem, _, how = name.rpartition(".")
    if how == "added":
        item.parts[parts, index] = stem
    else:
        item.parts.pop((parts, index), None)


def usage_of(usage: Usage, *, reasoning_tokens: int = 0) -> dict[str, Any]:
    """Usage as this wire writes it. How much of the output was reasoning is not known in the middle of an answer: 0."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_input_tokens, "cache_write_tokens": usage.cache_write_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
