"""Server-sent events: where one ends, and what one says. Knows no API; what the data means is the wires' business.

Rule 1: an event ends with a blank line, and a line with LF, CRLF or CR (WHATWG HTML, "9.2.5 Parsing an event stream").
A blank line is therefore LF LF, LF CRLF, LF CR or CR CR; CRLF CRLF ends in LF CRLF.
Rule 2: nothing depends on how the bytes were cut. The one doubt is an event that ends in LF CR at the end of a block: the
CR may be half of a CRLF, so the event waits for one byte more (or for the stream's end). After CR CR nobody waits: an LF
that follows it begins the next event, where it is an empty line and means nothing.
Rule 3: an unfinished event is bounded. A terminator that never comes must not fill the memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

EVENT_BYTES_MAX = 1 << 20
"""The longest unfinished event of text that is held back."""

ENDS = (b"\n\n", b"\n\r\n", b"\r\r")
"""What a block that ends with an event ends with."""

_END = re.compile(rb"\n\n|\n\r\n?|\r\r")
BOM = b"\xef\xbb\xbf"


class EventTooLong(ValueError):
    """An event was not finished within EVENT_BYTES_MAX: the upstream's fault."""


class Event(NamedTuple):
    """One event as its reader sees it. An event without a `data` line has data b"" and is not dispatched by clients."""

    name: str
    """Of its `event` line; "" when it has none."""
    data: bytes
    """The `data` lines, joined by LF."""


class Splitter:
    """Cuts a stream between its events: `split` gives what is whole, and keeps the unfinished rest."""

    __slots__ = ("_carry", "_bytes_max")

    def __init__(self, bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._carry = bytearray()
        self._bytes_max = bytes_max

    @property
    def is_clean(self) -> bool:
        """Nothing is held back."""
        return not self._carry

    def split(self, block: bytes) -> bytes:
        """The whole events that are there now, or b"". The very same object where nothing had to be cut.

        Raises EventTooLong when what is held back has grown over the bound.
        """
        carry = self._carry
        if not carry and block.endswith(ENDS):
            return block
        begin = max(0, len(carry) - 2)  # a terminator has at most three bytes, and may straddle
        carry += block
        end = _last_end(carry, begin)
        if end:
            head = bytes(carry[:end])
            del carry[:end]
            return head
        if len(carry) > self._bytes_max:
            carry.clear()
            raise EventTooLong(f"An event of the stream is not finished after {self._bytes_max} bytes.")
        return b""

    def flush(self) -> bytes:
        """What is left of a last event without its blank line. Idempotent."""
        rest = bytes(self._carry)
        self._carry.clear()
        return rest


def _last_end(text: bytearray, begin: int) -> int:
    """Where the last whole event ends; 0: none does. Looks at no byte before `begin`."""
    end = text.rfind(b"\n\n", begin) + 2
    if text.find(b"\r", begin) >= 0:  # JSON holds no bare CR, so streams with LF alone stop here
        end = max(end, text.rfind(b"\r\r", begin) + 2)
        at = text.rfind(b"\n\r", begin, len(text) - 1)  # a CR that is the last byte may be half of a CRLF
        if at >= 0:
            end = max(end, at + 3 if text[at + 2] == 0x0A else at + 2)
    return end if end > 1 else 0


def first_end(head: bytes, begin: int) -> int:
    """Where the first event ends whose blank line begins at `begin` or after it; the head's own end if none does."""
    match = _END.search(head, begin)
    return match.end() if match else len(head)


def pieces(head: bytes) -> Iterator[bytes]:
    """The events of a head as they stand, terminators included; their concatenation is the head.

    A piece may begin with line breaks that the event before it did not need, and a last one may be unfinished.
    """
    if b"\r" not in head:  # nearly always: much faster than the pattern
        *whole, rest = head.split(b"\n\n")
        for each in whole:
            yield each + b"\n\n"
        if rest:
            yield rest
        return
    begin = 0
    for match in _END.finditer(head):
        end = match.end()
        yield head[begin:end]
        begin = end
    if begin < len(head):
        yield head[begin:]


def parse(piece: bytes) -> Event:
    """What one event says. Comments, `id`, `retry` and fields that nobody knows are passed over."""
    name = ""
    data: list[bytes] = []
    for line in piece.removeprefix(BOM).splitlines():
        field, colon, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" ") if colon else b"")
        elif field == b"event":
            name = value.removeprefix(b" ").decode("utf-8", "replace")
    return Event(name, data[0] if len(data) == 1 else b"\n".join(data))


def with_data(piece: bytes, data: bytes) -> bytes:
    """The event with other data: its other lines, its line ends and its blank line as they were."""
    lines: list[bytes] = []
    is_written = False
    for line in piece.splitlines(keepends=True):
        text = line.rstrip(b"\r\n")
        if text.removeprefix(BOM).partition(b":")[0] != b"data":
            lines.append(line)
        elif not is_written:
            is_written = True
            lines.append(b"data: " + data + line[len(text) :])
    return b"".join(lines)


class Decoder:
    """The whole stream as events: bytes in by `decode`, the last one out by `flush`. Events without data are left out."""

    __slots__ = ("_splitter",)

    def __init__(self) -> None:
        self._splitter = Splitter()

    def decode(self, block: bytes) -> list[Event]:
        """The events that are whole now. Raises EventTooLong."""
        return _events(self._splitter.split(block))

    def flush(self) -> list[Event]:
        """The last event, if the stream ended without a blank line after it (a browser drops it; SDKs differ)."""
        return _events(self._splitter.flush())


def _events(head: bytes) -> list[Event]:
    return [event for piece in pieces(head) if (event := parse(piece)).data]
