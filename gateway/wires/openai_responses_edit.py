"""Rewriting the texts of responses as they stream.

A text is said by its deltas and then repeated, by the event that closes it, by its part, its item and the stream's last event:
deltas go through the channel's own stage, each repetition whole through a new one, so that all of them tell the same. What
spells a changed text token by token (`logprobs`) is taken off; `encrypted_content` stays as it is.

Sequence numbers only ever rise: events that are dropped leave gaps, and held-back text that leaves by an event of its own takes
a number of a gap, or moves those after it.

When a filter cuts, whatever else came is dropped. What ends the stream then is not what the upstream or the reader would
close, but what the client has been given: this editor keeps that, and writes the ending itself (see `openai_responses_draft`),
with the usage of the last event that comes.
"""

from __future__ import annotations

from typing import Any

from gateway.wires.base import Edits, Stage
from gateway.wires.edit import CHANNELS_MAX
from gateway.wires.openai_responses_draft import Draft
from gateway.wires.openai_responses_events import (
    ENDS,
    ITEM_ADDED,
    ITEM_DONE,
    REPEATS,
    Channel,
    channel_of,
    decoded,
    delta_of,
    encoded,
    forget_tokens,
    index_of,
    kind_of,
    part_index,
    rewrite_item,
    rewrite_part,
)
from gateway.wires.openai_responses_look import Look, learn
from gateway.wires.openai_responses_whole import Rewriter
from gateway.wires.sse import pieces


class ResponsesEditor:
    """An `Editor` of responses events."""

    __slots__ = ("is_cut", "_rewrite", "_stages", "_shapes", "_draft", "_number", "_has_ended", "_look")

    def __init__(self, edits: Edits) -> None:
        self.is_cut = False
        self._rewrite = Rewriter(edits)
        self._stages: dict[Channel, Stage | None] = {}
        self._shapes: dict[Channel, dict[str, Any]] = {}
        """A delta of each channel: held-back text leaves in an event like it."""
        self._draft = Draft()
        self._number = -1
        """Of the last event that left."""
        self._has_ended = False
        self._look: Look | None = None
        """Of the last channel that brought text."""

    def feed(self, events: bytes) -> bytes:
        """Whole events, edited; the very same object where nothing changed."""
        if self.is_cut:
            return self._end(list(pieces(events)))
        if self._passes(events):
            self._draft.add(events)
            return events
        out: list[bytes] = []
        is_changed = False
        whole = list(pieces(events))
        for piece in whole:
            kept = self._piece(piece)
            out.append(kept)
            is_changed = is_changed or kept is not piece
            if self.is_cut:
                break
        edited = b"".join(out) if is_changed or self.is_cut else events
        self._draft.add(edited)
        return edited + self._end(whole[len(out) - 1 :]) if self.is_cut else edited

    def flush(self) -> bytes:
        """What was held back, where the stream ends without an end. Idempotent."""
        if self.is_cut:
            return b""
        held = self._release(list(self._stages))
        self._draft.add(held)
        return held

    def _passes(self, events: bytes) -> bool:
        """Whether these are all deltas of the last channel, and its stage, which has then been fed, lets them through."""
        look = self._look
        said = look.read(events) if look is not None else None
        if look is None or said is None or said.first <= self._number:
            return False
        stage = self._stages[look.channel]
        if stage is not None and not stage.passes(said.text):
            return False
        self._number = said.last
        return True

    def _piece(self, piece: bytes) -> bytes:
        value = decoded(piece)
        return piece if value is None else self._value(piece, value)

    def _value(self, piece: bytes, value: dict[str, Any]) -> bytes:
        name: str = value["type"]
        if (delta := delta_of(value)) is not None:
            return self._delta(piece, value, delta)
        held = b""
        if name in ENDS or name == "error":
            held = self._release(list(self._stages))
        elif name.endswith(".done"):
            held = self._release([channel for channel in self._stages if _ends(name, value, channel)])
        if self.is_cut:
            return held
        is_changed = self._repeated(name, value)
        if self._rewrite.is_cut:  # a text that came without deltas: nothing of it leaves
            self.is_cut = True
            return held
        kept = self._written(piece, value, is_changed=is_changed)
        return held + kept if held else kept

    def _delta(self, piece: bytes, value: dict[str, Any], delta: str) -> bytes:
        channel = channel_of(value)
        if channel not in self._stages:
            if len(self._stages) >= CHANNELS_MAX:
                return b""
            self._stages[channel] = self._rewrite.stage(kind_of(channel.stem))
        stage = self._stages[channel]
        if self._look is None or channel != self._look.channel:
            self._look = learn(piece, value)
        if stage is None:
            return self._written(piece, value, is_changed=False)
        text = stage.feed(delta)
        self.is_cut = stage.is_cut
        self._shapes[channel] = value
        if text == delta:
            return self._written(piece, value, is_changed=False)
        if not text:
            return b""
        value["delta"] = text
        forget_tokens(value)
        return self._written(piece, value, is_changed=True)

    def _release(self, channels: list[Channel]) -> bytes:
        """Channels end: what they held back, in events of their kinds."""
        out: list[bytes] = []
        for channel in channels:
            stage, shape = self._stages.pop(channel), self._shapes.pop(channel, None)
            self._look = None
            if stage is None:
                continue
            text = stage.flush()
            self.is_cut = stage.is_cut
            if text and shape is not None:
                shape["delta"] = text
                shape.pop("obfuscation", None)
                forget_tokens(shape)
                out.append(self._written(b"", shape, is_changed=True))
            if self.is_cut:
                break
        return b"".join(out)

    def _repeated(self, name: str, value: dict[str, Any]) -> bool:
        """Rewrite what an event repeats. False: nothing changed."""
        rewrite = self._rewrite
        if type(response := value.get("response")) is dict:
            return rewrite.answer(response)
        if name in (ITEM_ADDED, ITEM_DONE):
            return rewrite_item(value.get("item"), rewrite)
        if type(part := value.get("part")) is dict:
            is_reasoning = "summary_index" in value or part.get("type") == "reasoning_text"
            return rewrite_part(part, "reasoning" if is_reasoning else "text", rewrite)
        is_changed = False
        if name.endswith(".done"):
            kind = kind_of(name)
            for field in REPEATS:
                text = value.get(field)
                if type(text) is str and (new := rewrite(kind, text)) != text:
                    value[field] = new
                    is_changed = True
        if is_changed:
            forget_tokens(value)
        return is_changed

    def _written(self, piece: bytes, value: dict[str, Any], *, is_changed: bool) -> bytes:
        """The event under a number that is larger than the last one's."""
        number = value.get("sequence_number")
        if type(number) is int:
            if number <= self._number:
                number = value["sequence_number"] = self._number + 1
                is_changed = True
            self._number = number
        if not is_changed:
            return piece
        return encoded(value)

    def _end(self, events: list[bytes]) -> bytes:
        """After a cut: the ending, once it is known what usage it is to tell."""
        for piece in events:
            value = None if self._has_ended else decoded(piece)
            if value is not None and value["type"] in ENDS and type(response := value.get("response")) is dict:
                self._has_ended = True
                usage = response.get("usage")
                return self._draft.ending("filter", usage if type(usage) is dict else None)
        return b""


def _ends(name: str, value: dict[str, Any], channel: Channel) -> bool:
    """Whether a `.done` event ends a channel: its own, its part's, or its item's."""
    if channel.output != index_of(value):
        return False
    if name == ITEM_DONE:
        return True
    return channel.part == part_index(value) and (name.endswith("_part.done") or channel.stem == name.removesuffix(".done"))
