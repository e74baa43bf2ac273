"""What the content events of a stream have in common: all their bytes but the text, and what a vendor pads them with.

Servers write the thousands of content events of an answer alike. Once one was decoded, others are known by their bytes: an
event that begins and ends as that one did says the same, with another text. So a block of them is read by cutting it up, and
its joined text is unescaped once.

Rule 1: nothing is guessed. A JSON string holds neither a bare quote nor a bare line break, so what follows the text in an event
cannot stand in a text, and what does not unescape as one string is left to the slow path.
Rule 2: padding is letters, digits and blanks alone: it can say nothing.
"""

from __future__ import annotations

import re
import string
from collections.abc import Hashable

import orjson

from gateway.wires.sse import ENDS

_STRING = re.compile(rb' ?"([^"\\]*(?:\\.[^"\\]*)*)"')
_PADDING = re.compile(rb'"obfuscation": ?"([A-Za-z0-9]*)"|\}( *)\}[\r\n]+\Z')
"""OpenAI pads events with a field of random length, Anthropic with blanks before the last brace: against guessing texts by the
lengths of packets."""
_PADDING_BYTES = (string.ascii_letters + string.digits + " ").encode()


class Template:
    """An event is `before`, the text as a JSON string without its quotes, `middle`, padding, `after`."""

    __slots__ = ("channel", "before", "_middle", "_after", "_tail", "_between", "_is_padded")

    def __init__(self, channel: Hashable, before: bytes, middle: bytes, after: bytes) -> None:
        """`after` is b"" where there is no place for padding."""
        self.channel = channel
        self.before = before
        self._middle = middle
        self._after = after
        self._tail = middle + after
        self._between = self._tail + before
        self._is_padded = False
        """Some event was."""

    def block(self, events: bytes) -> list[bytes] | None:
        """The texts of whole events, as they are written; None: not all of them are like this, or they are padded."""
        before, tail = self.before, self._tail
        if self._is_padded or len(events) < len(self._between) or not (events.endswith(tail) and events.startswith(before)):
            return None
        return events[len(before) : -len(tail)].split(self._between)

    def text(self, piece: bytes) -> bytes | None:
        """The text of one event, as it is written; None: it is not like this."""
        before, middle, after = self.before, self._middle, self._after
        if not piece.startswith(before) or not piece.endswith(after):
            return None
        begin = len(before)
        end = piece.find(middle, begin)
        pad, close = end + len(middle), len(piece) - len(after)
        if end < 0 or close < pad:
            return None
        if close > pad:
            if piece[pad:close].translate(None, _PADDING_BYTES):
                return None
            self._is_padded = True
        return piece[begin:end]

    def spread(self, text: str, raws: list[bytes], pieces: list[bytes] | None) -> bytes:
        """The events with another text instead of the one they have together, in shares as long as theirs were.

        `pieces`: the events that the `raws` are the texts of; None: none of them is padded. Events left without are dropped.
        """
        out: list[bytes] = []
        at, size, last = 0, len(text), len(raws) - 1
        before, tail = self.before, self._tail
        for place, raw in enumerate(raws):
            if at >= size:
                break
            end = at + _chars(raw) if place < last else size
            if end > at:
                if pieces is not None:
                    tail = pieces[place][len(before) + len(raw) :]
                out += (before, orjson.dumps(text[at:end])[1:-1], tail)
                at = end
        return b"".join(out)


def learned(channel: Hashable, piece: bytes, name: bytes, text: str) -> Template | None:
    """The template of an event that was decoded: `text` stands under `name` in it. None: it is not to be told by its bytes."""
    key = b'"' + name + b'":'
    at = piece.find(key)
    if at < 0 or piece.find(key, at + 1) >= 0 or not piece.endswith(ENDS) or piece[:1] in (b"\r", b"\n"):
        return None
    match = _STRING.match(piece, at + len(key))
    if match is None or one_text(match[1]) != text:
        return None
    before, rest = piece[: match.start(1)], piece[match.end(1) :]
    padding = _PADDING.search(rest)
    if padding is None or padding.lastindex is None:
        return Template(channel, before, rest, b"")
    return Template(channel, before, rest[: padding.start(padding.lastindex)], rest[padding.end(padding.lastindex) :])


def one_text(joined: bytes) -> str | None:
    """The text of JSON strings that were written one after the other, without their quotes. None: they are none."""
    try:
        text = orjson.loads(b'"' + joined + b'"')
    except orjson.JSONDecodeError:
        return None
    return text if type(text) is str else None


def _chars(raw: bytes) -> int:
    if b"\\" not in raw and raw.isascii():
        return len(raw)
    text = one_text(raw)
    return len(raw) if text is None else len(text)
