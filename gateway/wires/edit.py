"""Rewriting the texts of a stream as it passes: what chat, completions and messages have in common.

Rule 1: whole events in, whole events out; where no stage would change anything, the very same bytes.
Rule 2: an event whose text was taken away and that says nothing else is dropped; what a stage has held back leaves as an event
of its own before the event that ends its channel.
Rule 3: what cannot be read cannot be edited, so it is dropped; comments pass.
Rule 4: once a stage has cut, no text leaves, whatever comes. What ends choices, blocks and the stream passes still, each once
and with the reason of a filter, whether it is the upstream's own (of the same block) or the reader's ending: together they end
what the client has been given.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Literal

from gateway.wires.base import Edits, Stage
from gateway.wires.lenient import loads
from gateway.wires.sse import Event, parse, pieces
from gateway.wires.template import Template, learned, one_text

__all__ = ["CHANNELS_MAX", "Kind", "StreamEditor", "Through", "one_text", "strings"]

CHANNELS_MAX = 1024
"""Channels are named by the upstream; no answer has so many at once: one more cuts."""

Kind = Literal["text", "reasoning", "arguments"]


class StreamEditor:
    """An `Editor` less what differs between wires: `_edit`, `_end` and `_held`."""

    __slots__ = ("is_cut", "_edits", "_stages", "_template", "_last")

    def __init__(self, edits: Edits) -> None:
        self.is_cut = False
        self._edits = edits
        self._stages: dict[Hashable, Stage | None] = {}
        """Of the channels that are open. None: that kind of text passes untouched."""
        self._template: Template | None = None
        """How the events of an open channel look."""
        self._last: Hashable = None
        """The channel of the last content event that was decoded."""

    def feed(self, events: bytes) -> bytes:
        """Whole events, edited; the very same object where nothing changed."""
        template = self._template
        if template is not None and not self.is_cut:
            texts = template.block(events)
            if texts is not None and (edited := self._run(template, events, texts, None)) is not None:
                return edited
        edited = self._walk(events)
        return events if edited == events else edited

    def flush(self) -> bytes:
        """The stream ended without the event that ends it: what was held back leaves all the same. Idempotent."""
        return b"".join([self._held(channel, self._flushed(channel)) for channel in list(self._stages)])

    def _walk(self, events: bytes) -> bytes:
        """Take the events one by one, but those that are like the template together."""
        out: list[bytes] = []
        alike: list[bytes] = []
        texts: list[bytes] = []
        for piece in pieces(events):
            text = None if self._template is None or self.is_cut else self._template.text(piece)
            if text is not None:
                alike.append(piece)
                texts.append(text)
                continue
            if alike:
                self._ran(alike, texts, out)
                alike, texts = [], []
            out.append(self._one(piece))
        if alike:
            self._ran(alike, texts, out)
        return b"".join(out)

    def _ran(self, alike: list[bytes], texts: list[bytes], out: list[bytes]) -> None:
        edited = None
        if self._template is not None:
            edited = self._run(self._template, b"".join(alike), texts, alike)
        out += (self._one(piece) for piece in alike) if edited is None else (edited,)

    def _run(self, template: Template, events: bytes, texts: list[bytes], alike: list[bytes] | None) -> bytes | None:
        """Events like the template; None: their texts are none."""
        text = one_text(b"".join(texts))
        if text is None:
            return None
        stage = self._stages.get(template.channel)
        if stage is None or stage.passes(text):
            return events
        new = stage.feed(text)
        if stage.is_cut:
            self.is_cut = True
        elif new == text:
            return events
        return template.spread(new, texts, alike)

    def _one(self, piece: bytes) -> bytes:
        event = parse(piece)
        if not event.data:
            return piece
        value = loads(event.data)
        return self._end(piece, event, value) if self.is_cut else self._edit(piece, event, value)

    def _through(self, channel: Hashable, kind: Kind, text: str) -> str:
        """A channel's text through its stage, up to where one cuts."""
        if self.is_cut:
            return ""
        if channel not in self._stages:
            if len(self._stages) >= CHANNELS_MAX:
                self.is_cut = True
                return ""
            self._stages[channel] = _stage(self._edits, kind)
        stage = self._stages[channel]
        if stage is None:
            return text
        new = stage.feed(text)
        self.is_cut = stage.is_cut
        return new

    def _flushed(self, channel: Hashable) -> str:
        """The channel ends: what of its text was held back. After a cut nothing of it leaves."""
        stage = self._stages.pop(channel, None)
        if self._template is not None and self._template.channel == channel:
            self._template = None
        if stage is None or self.is_cut:
            return ""
        text = stage.flush()
        self.is_cut = stage.is_cut
        return text

    def _learn(self, channel: Hashable, piece: bytes, name: str, text: str) -> None:
        """A content event that says nothing but `text`, under `name`. Where channels take turns nothing is learned."""
        if channel == self._last:
            self._template = learned(channel, piece, name.encode(), text)
        self._last = channel

    def _edit(self, piece: bytes, event: Event, value: dict[str, Any] | None) -> bytes:
        """One event; b"": it is dropped. `value`: its data, None where that is no JSON object."""
        raise NotImplementedError

    def _end(self, piece: bytes, event: Event, value: dict[str, Any] | None) -> bytes:
        """One event after a cut: rule 4."""
        raise NotImplementedError

    def _held(self, channel: Hashable, text: str) -> bytes:
        """An event with text of a channel; b"": there is none."""
        raise NotImplementedError


class Through:
    """Takes whole texts through new stages, up to the first that cuts: then nothing more leaves."""

    __slots__ = ("_edits", "is_cut")

    def __init__(self, edits: Edits) -> None:
        self._edits = edits
        self.is_cut = False

    def __call__(self, kind: Kind, text: str) -> str:
        if self.is_cut:
            return ""
        stage = _stage(self._edits, kind)
        if stage is None:
            return text
        new = self._edits.whole(stage, text)
        self.is_cut = stage.is_cut
        return new


def _stage(edits: Edits, kind: Kind) -> Stage | None:
    """The stage of a new channel."""
    return edits.text() if kind == "text" else edits.reasoning() if kind == "reasoning" else edits.arguments()


def strings(value: Any, edit: Callable[[str], str]) -> Any:
    """A JSON value with each of its strings edited (names are not)."""
    if type(value) is str:
        return edit(value)
    if type(value) is list:
        return [strings(item, edit) for item in value]
    if type(value) is dict:
        return {name: strings(item, edit) for name, item in value.items()}
    return value
