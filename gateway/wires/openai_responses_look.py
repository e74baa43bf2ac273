"""Recognising the deltas of one channel of a responses stream by their bytes, many at once, without decoding each.

What is looked for cannot stand in a text, where quotes and line feeds are escaped: a member's name and value, or how an event's
lines begin. So when each is there as often as the others, every event is such a delta, and nothing else is there.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import orjson

from gateway.wires.edit import one_text
from gateway.wires.openai_responses_events import INDICES, Channel, channel_of

_DELTA = re.compile(rb'"delta": ?"((?:[^"\\]|\\.)*)"')
_NUMBER = re.compile(rb'"sequence_number": ?(\d+)')


class Said(NamedTuple):
    """What deltas of one channel say together."""

    text: str
    first: int
    """Sequence number of the first of them."""
    last: int


class Look:
    """How the deltas of `channel` look in this stream: learned from one of them."""

    __slots__ = ("channel", "_opening", "_marks", "_lines")

    def __init__(self, channel: Channel, opening: bytes, marks: tuple[bytes, ...], lines: int) -> None:
        self.channel = channel
        self._opening = opening
        self._marks = marks
        self._lines = lines

    def read(self, events: bytes) -> Said | None:
        """What these events say; None: they are not all deltas of this channel, or it is not sure."""
        count = events.count(self._opening)
        if not count or events.count(b"\n") != self._lines * count or b"\r" in events:
            return None
        for mark in self._marks:
            if events.count(mark) != count:
                return None
        found: list[bytes] = _DELTA.findall(events)
        first = _NUMBER.search(events)
        last = _NUMBER.match(events, events.rfind(b'"sequence_number":')) if first is not None else None
        if len(found) != count or first is None or last is None:
            return None
        text = one_text(b"".join(found))
        return None if text is None else Said(text, int(first[1]), int(last[1]))


def learn(piece: bytes, value: dict[str, Any]) -> Look | None:
    """The look of the channel that this delta is of; None: it is written in a way that cannot be recognised."""
    at, lines = piece.find(b"{"), piece.count(b"\n")
    if at < 0 or lines not in (2, 3) or b"\r" in piece:
        return None
    marks = []
    for name in ("type", "output_index", *INDICES):
        if name not in value:
            continue
        mark = b'"' + name.encode() + b'":' + orjson.dumps(value[name])
        if mark not in piece:
            mark = mark.replace(b'":', b'": ', 1)
        # A number may go on: without what follows it, part 1 would be taken for part 10.
        after = piece.find(mark) + len(mark)
        mark += piece[after : after + 1]
        if piece.count(mark) != 1:
            return None
        marks.append(mark)
    return Look(channel_of(value), piece[: at + 1], tuple(marks), lines)
