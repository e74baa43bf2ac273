"""Following a stream that nothing stops: few events, and what was begun is paid for whole (images, transcripts)."""

from __future__ import annotations

from gateway.values import Usage
from gateway.wires.base import CutReason
from gateway.wires.follow import NEVER
from gateway.wires.sse import EVENT_BYTES_MAX, Event, Splitter, parse, pieces


class Unstopped:
    """A `StreamReader` less `_event`, which is shown each event but the one that says that all is done."""

    stop_events = stop_bytes = NEVER
    is_cut = False
    answer_id = ""
    event_bytes_max = EVENT_BYTES_MAX

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.events = 0
        self.content_bytes = 0
        self.is_finished = False
        self.failed = False
        self._splitter = Splitter(self.event_bytes_max)

    def feed(self, block: bytes) -> bytes:
        """The events that are whole now. Raises EventTooLong."""
        return self._follow(self._splitter.split(block))

    def flush(self) -> bytes:
        return self._follow(self._splitter.flush())

    def resume(self) -> bytes:
        return b""

    def ending(self, reason: CutReason, usage: Usage) -> bytes:
        """Nothing: nothing stops it."""
        self.is_finished = True
        return b""

    def _follow(self, head: bytes) -> bytes:
        for piece in pieces(head):
            event = parse(piece)
            if event.data.startswith(b"[DONE]"):
                self.is_finished = True
            else:
                self._event(event)
        return head

    def _event(self, event: Event) -> None:
        raise NotImplementedError

    def _count(self, event: Event) -> None:
        """It carried content."""
        self.events += 1
        self.content_bytes += len(event.data)
