"""Rewriting the texts of a stream as it passes: what chat, completions and messages have in common.

Rule 1: whole events in, whole events out; where no stage would change anything, the very same bytes.
Rule 2: an event whose text was taken away and that says nothing else is dropped; what a stage has held back leaves as an event
of its own before the event that ends its channel.
Rule 3: once a stage has cut, what is left of that feed is dropped, and what is fed later passes: it is the gateway's own
ending.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import orjson

from gateway.wires.base import Edits, Stage
from gateway.wires.sse import Event, parse, pieces

CHANNELS_MAX = 1024
"""Channels are named by the upstream: beyond this many, text is dropped rather than let through unseen."""


class StreamEditor:
    """An `Editor` less what differs between wires: `_passes`, `_rewrite` and `_closing`."""

    def __init__(self, edits: Edits) -> None:
        self._edits = edits
        self._stages: dict[Hashable, Stage | None] = {}
        self.is_cut = False

    def feed(self, events: bytes) -> bytes:
        if self.is_cut or self._passes(events):
            return events
        left: list[bytes] = []
        is_changed = False
        for piece in pieces(events):
            made = self._edit(piece)
            is_changed = is_changed or made is not piece
            left.append(made)
            if self.is_cut:
                is_changed = True
                break
        return b"".join(left) if is_changed else events

    def flush(self) -> bytes:
        """The stream ended without the event that ends it: what was held back leaves all the same. Idempotent."""
        if self.is_cut:
            return b""
        return b"".join([self._closing(channel) for channel in list(self._stages)])

    def _edit(self, piece: bytes) -> bytes:
        event = parse(piece)
        try:
            value = orjson.loads(event.data) if event.data else None
        except orjson.JSONDecodeError:
            return piece
        return self._rewrite(piece, event, value) if type(value) is dict else piece

    def _through(self, channel: Hashable, make: Callable[[], Stage | None], text: str) -> str:
        """Text of a channel through its stage. Sets `is_cut`."""
        if channel not in self._stages:
            if len(self._stages) >= CHANNELS_MAX:
                return ""
            self._stages[channel] = make()
        stage = self._stages[channel]
        if stage is None or self.is_cut:
            return text if stage is None else ""
        made = stage.feed(text)
        self.is_cut = stage.is_cut
        return made

    def _flushed(self, channel: Hashable) -> str:
        stage = self._stages.pop(channel, None)
        if stage is None:
            return ""
        made = stage.flush()
        self.is_cut = self.is_cut or stage.is_cut
        return made

    def _passes(self, events: bytes) -> bool:
        """The fast path: sure that nothing changes. Stages have then been fed."""
        raise NotImplementedError

    def _rewrite(self, piece: bytes, event: Event, value: dict[str, Any]) -> bytes:
        """One event, decoded; b"": it is dropped."""
        raise NotImplementedError

    def _closing(self, channel: Hashable) -> bytes:
        """An event with what a channel has held back; b"": nothing."""
        raise NotImplementedError


def one_text(joined: bytes) -> str | None:
    """The text of JSON strings that were written one after the other, without their quotes. None: they are none."""
    try:
        text = orjson.loads(b'"' + joined + b'"')
    except orjson.JSONDecodeError:
        return None
    return text if type(text) is str else None


def strings(value: Any, edit: Callable[[str], str]) -> Any:
    """A JSON value with each of its strings edited (names are not)."""
    if type(value) is str:
        return edit(value)
    if type(value) is list:
        return [strings(item, edit) for item in value]
    if type(value) is dict:
        return {name: strings(item, edit) for name, item in value.items()}
    return value
