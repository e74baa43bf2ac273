"""What following a stream is like on any wire: whole events only, most of them looked at by scanning, few decoded.

Decoding every event as JSON costs five times what relaying it does, and nearly all events say nothing but a few characters
of content. So a block is first asked, by counting byte strings, whether each of its events is an ordinary one; only if
not are its events looked at one by one, and only those that may matter are decoded.

Rule 1: a scan may take an ordinary event for one that matters (that costs time), never the other way round.
Rule 2: the first content events of a stream are decoded, so that short answers are counted exactly. From them is learned how
many bytes of an event are its envelope; later ones are estimated by it, and a few of them are decoded to keep it true.
Rule 3: near a bound (`stop_events`, `stop_bytes`) every event is decoded, so that a stream stops at the same event however it
was cut into blocks (at `stop_bytes` give or take what had been estimated by then); the event that would be beyond is held back
whole, with all that follows it. The event that ends an answer is never beyond.
Rule 4: what is relayed, `usage`, `events` and the flags do not depend on how the stream was cut into blocks.
`content_bytes` does, by some per cent, once events are estimated.
"""

from __future__ import annotations

import sys
from typing import Any

from gateway.values import Usage
from gateway.wires.sse import Splitter, first_end

NEVER = sys.maxsize
_EVENT_BYTES_LEAST = 24
"""No content event is shorter on any wire."""
EXACT_EVENTS = 8
"""Content events at the start of a stream that are decoded."""
SAMPLE_EVERY = 32
_SAMPLE_EVERY_IN_BLOCK = 128
_STRIDE_BYTES = 512
_STRIDE_BYTES_MAX = 32_768
"""More than this is estimated in parts, so that each part is estimated by what was learned near it."""


class Follower:
    """A `StreamReader` less what differs between wires: `_ordinary`, `_event` and `_measure`."""

    __slots__ = (
        *("usage", "events", "is_finished", "failed", "_content_bytes"),
        *("_splitter", "_split", "_exact_left", "_envelope", "_kind", "_until_sample"),
        *("stop_events", "stop_bytes", "is_cut", "answer_id", "_rest"),
    )

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.events = 0
        self._content_bytes = 0.0
        self.is_finished = False
        self.failed = False
        self._splitter = Splitter()
        self._split = self._splitter.split
        self._exact_left = EXACT_EVENTS
        self._envelope = 0.0
        """Bytes of a content event that are no content, on average; 0.0: not learned yet."""
        self._kind = b""
        """What kind of content the envelope was learned from."""
        self._until_sample = SAMPLE_EVERY
        self.stop_events = self.stop_bytes = NEVER
        self.is_cut = False
        self.answer_id = ""
        self._rest = b""
        """Whole events that came after the stop."""

    @property
    def content_bytes(self) -> int:
        """UTF-8 bytes of content, at least one an event: what is rounded or clamped event by event would add up."""
        return max(round(self._content_bytes), self.events)

    def feed(self, block: bytes) -> bytes:
        """The events that are whole now; the very block where nothing was cut, held back or hidden.

        Raises EventTooLong, and nothing else, whatever comes.
        """
        head = self._split(block)
        if not head:
            return b""
        if self.is_cut:
            self._rest += head
            return b""
        if (
            not self._exact_left
            and len(head) <= _STRIDE_BYTES_MAX
            and not self._is_near(head)
            and (kept := self._ordinary(head)) is not None
        ):
            return kept
        return self._walk(head)

    def resume(self) -> bytes:
        """The bounds have been raised after a stop: what was held back, as far as they now allow."""
        rest, self._rest, self.is_cut = self._rest, b"", False
        return self._walk(rest) if rest else b""

    def _is_near(self, head: bytes) -> bool:
        """Whether these events may go beyond a bound."""
        return (
            self.events + len(head) // _EVENT_BYTES_LEAST >= self.stop_events
            or self._content_bytes + len(head) >= self.stop_bytes
        )

    def flush(self) -> bytes:
        """The stream ended: what is left to relay of a last event without its blank line. Idempotent."""
        self._exact_left = max(self._exact_left, 1)  # what may be cut in half is not to be guessed at
        rest = self._splitter.flush()
        if self.is_cut:
            self._rest += rest
            return b""
        return self._walk(rest) if rest else b""

    def _walk(self, head: bytes) -> bytes:
        """Take the head in strides: longer ones while their events are ordinary, down to a single event where they are not."""
        relayed: list[bytes] = []
        begin, size = 0, len(head)
        stride = min(size // 4, _STRIDE_BYTES_MAX)
        is_changed = False
        while begin < size:
            end = first_end(head, begin + (0 if self._exact_left else stride))
            piece = head[begin:end]
            kept = None if self._exact_left or self._is_near(piece) else self._ordinary(piece)
            if kept is not None:
                stride = min(stride * 2, _STRIDE_BYTES_MAX) or _STRIDE_BYTES
            elif stride and not self._exact_left:
                stride = stride // 4 if stride > _STRIDE_BYTES else 0
                continue
            else:
                mark, events, was_finished = self._mark(), self.events, self.is_finished
                kept = self._event(piece)
                is_beyond = self.events > self.stop_events or self.content_bytes > self.stop_bytes
                ends_itself = self.is_finished and not was_finished  # the answer is whole with this event
                if is_beyond and self.events > events and not ends_itself:
                    self._undo(mark)
                    self.is_cut = True
                    self._rest = head[begin:]
                    return b"".join(relayed)
            relayed.append(kept)
            is_changed = is_changed or kept is not piece
            begin = end
        return b"".join(relayed) if is_changed else head

    def _mark(self) -> Any:
        """What `_undo` needs to forget one event: whatever `_event` would not come to again by itself."""
        return self.events, self._content_bytes, self.usage, self.failed

    def _undo(self, mark: Any) -> None:
        self.events, self._content_bytes, self.usage, self.failed = mark

    def _ordinary(self, head: bytes) -> bytes | None:
        """Count and relay events all of which carry content and nothing that matters; None: some may, look closer."""
        raise NotImplementedError

    def _event(self, piece: bytes) -> bytes:
        """Decode one event, take note of what it says, and give what is to be relayed of it."""
        raise NotImplementedError

    def _measure(self, piece: bytes) -> None:
        """Decode one event that has been counted already, and learn from its envelope if it has content."""
        raise NotImplementedError

    def _count(self, content_bytes: int) -> None:
        """One content event, exactly."""
        self.events += 1
        self._content_bytes += content_bytes

    def _estimate(self, events: int, head: bytes) -> None:
        """Content events that were not decoded: their bytes less their envelopes."""
        self.events += events
        self._until_sample -= events
        if self._until_sample < 0:
            self._sample(events, head)
        self._content_bytes += len(head) - events * self._envelope

    def _sample(self, events: int, head: bytes) -> None:
        """Decode an event, or a few spread over a long head, and learn from them."""
        self._until_sample = SAMPLE_EVERY
        step = len(head) // (1 + events // _SAMPLE_EVERY_IN_BLOCK) + 1
        for at in range(0, len(head), step):
            begin = first_end(head, at) if at else 0
            piece = head[begin : first_end(head, begin)]
            self._measure(piece)

    def _learn(self, envelope: int, kind: bytes) -> None:
        """Move towards a measured envelope; go there at once where the content is of another kind than before.

        Envelopes are of one size in most streams, change where reasoning turns into an answer, and vary from event to event
        where text is escaped or a vendor pads it: then an average is what is wanted.
        """
        if kind != self._kind or not self._envelope:
            self._envelope = float(envelope)
            self._kind = kind
        elif envelope != self._envelope:
            self._envelope += (envelope - self._envelope) / 8
            self._until_sample = min(self._until_sample, SAMPLE_EVERY // 2)
