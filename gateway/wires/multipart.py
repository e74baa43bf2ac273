"""Read a multipart body (RFC 7578) as it comes, so that it can mean one thing only. Pure: `decode` and `flush`, no IO.

Parsers of forms differ on what surrounds a part: text before the first boundary, blanks after one, bare line feeds, folded
headers, a name said twice, what a backslash in a file's name is. Each of these is refused here, and what is forwarded is
written anew by `serialise` under a boundary of the gateway's own: no byte of framing that came goes up.

A decoder holds at most the head of one part (`HEAD_BYTES_MAX`) and as many bytes as a boundary has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

PARTS_MAX = 64
HEAD_BYTES_MAX = 4096
"""Of one part's headers."""
HEADERS_MAX = 8
NAME_CHARS_MAX = 64
FILENAME_CHARS_MAX = 255
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=?-]{1,70}")
"""RFC 2046 section 5.1.1, less the blank."""
_PARAMETER = re.compile(r';[ \t]*([A-Za-z0-9*_-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";,\\]+))[ \t]*')
_KIND = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")
_NAME = re.compile(r"[a-z_][a-z0-9_]*(?:\[[a-z0-9_]*\])*")
"""In lower case, as all fields of the APIs: nothing can look like one and be another."""
_ENCODINGS = ("binary", "8bit", "7bit")


class BadForm(ValueError):
    """The body is no form that can mean one thing only. The message is for the tenant, and quotes nothing of the body."""


class Part(NamedTuple):
    """The head of a part; its bytes follow."""

    name: str
    filename: str | None
    """None: it is no file but a field."""
    kind: str
    """Its media type; "" where it gave none that is one."""


class End(NamedTuple):
    """The part that was begun is over."""


END = End()
Event = Part | bytes | End


def boundary_of(content_type: str) -> bytes:
    """The boundary that a Content-Type names. Raises BadForm."""
    head, mark, rest = content_type.partition(";")
    if head.strip().lower() != "multipart/form-data":
        raise BadForm("The content type must be 'multipart/form-data'.")
    found = _parameters(mark + rest).get("boundary", "")
    if not _BOUNDARY.fullmatch(found):
        raise BadForm("The content type must name a boundary of 1 to 70 letters, digits and '()+_,./:=?-.")
    return found.encode()


class Multipart:
    """Decodes one body. Events come in order: a `Part`, its bytes in pieces, `END`; then the next."""

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._rest = b"\r\n"
        """What is not judged yet. The first boundary needs no line break before it: it is given one."""
        self._state = "before"
        self._parts = 0
        self.is_over = False
        """The closing boundary has come."""

    def decode(self, block: bytes) -> list[Event]:
        """What is certain now. Raises BadForm."""
        events: list[Event] = []
        self._rest += block
        while self._step(events):
            pass
        return events

    def flush(self) -> None:
        """The body has ended. Raises BadForm if it ended before its closing boundary."""
        if not self.is_over:
            raise BadForm("The form ends before its closing boundary.")

    def _step(self, events: list[Event]) -> bool:
        """Judge what can be judged next. False: more must come."""
        rest = self._rest
        if self._state == "body":
            return self._body(rest, events)
        if self._state == "head":
            return self._head(rest, events)
        if self._state == "before":
            begin = rest[: len(self._delimiter)]
            if begin != self._delimiter[: len(begin)]:
                raise BadForm("The form must begin with its boundary.")
            if len(begin) < len(self._delimiter):
                return False
            self._rest, self._state = rest[len(begin) :], "mark"
            return True
        if self._state == "mark":
            if len(rest) < 2:
                return False
            if rest[:2] == b"--":
                self.is_over, self._state = True, "over"
            elif rest[:2] == b"\r\n":
                self._state = "head"
            else:
                raise BadForm("A boundary of the form must be followed by a line break, or by -- and the end.")
            self._rest = rest[2:]
            return True
        if rest not in (b"", b"\r", b"\r\n"):
            raise BadForm("Nothing may follow the closing boundary of the form.")
        return False

    def _head(self, rest: bytes, events: list[Event]) -> bool:
        end = rest.find(b"\r\n\r\n")
        if end > HEAD_BYTES_MAX or (end < 0 and len(rest) > HEAD_BYTES_MAX + 4):
            raise BadForm(f"A part of the form has more than {HEAD_BYTES_MAX} bytes of headers.")
        if end < 0:
            return False
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise BadForm(f"The form has more than {PARTS_MAX} parts.")
        events.append(_part(rest[:end]))
        # An empty part's boundary begins with the blank line's own line break, as the first one does without any.
        self._rest, self._state = b"\r\n" + rest[end + 4 :], "body"
        self._skip = 2
        return True

    _skip = 0
    """Bytes at the beginning of `_rest` that were put there, and are none of the part's."""

    def _body(self, rest: bytes, events: list[Event]) -> bool:
        at = rest.find(self._delimiter)
        if at < 0:
            kept = min(len(rest), len(self._delimiter) - 1)
            # Only from a carriage return on can what is kept be a delimiter's beginning.
            begin = rest.find(b"\r", len(rest) - kept)
            until = len(rest) if begin < 0 else begin
            if until > self._skip:
                events.append(rest[self._skip : until])
                self._rest, self._skip = rest[until:], 0
            return False
        if at > self._skip:
            events.append(rest[self._skip : at])
        events.append(END)
        self._rest, self._skip, self._state = rest[at + len(self._delimiter) :], 0, "mark"
        return True


def _part(head: bytes) -> Part:
    try:
        lines = head.decode("utf-8").split("\r\n")
    except UnicodeDecodeError:
        raise BadForm("A header of a part of the form is not UTF-8.") from None
    if len(lines) > HEADERS_MAX:
        raise BadForm(f"A part of the form has more than {HEADERS_MAX} headers.")
    found: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z0-9-]+", name) or not _is_text(value):
            raise BadForm("A header of a part of the form is not of the kind 'name: value' on one line.")
        if name.lower() in found:
            raise BadForm("A part of the form has the same header twice.")
        found[name.lower()] = value.strip(" \t")
    if found.get("content-transfer-encoding", "binary").lower() not in _ENCODINGS:
        raise BadForm("The parts of the form must not be encoded: leave Content-Transfer-Encoding out.")
    kind, mark, rest = found.get("content-disposition", "").partition(";")
    if kind.strip().lower() != "form-data":
        raise BadForm("Each part of the form needs a header 'Content-Disposition: form-data; name=\"...\"'.")
    parameters = _parameters(mark + rest)
    name = parameters.get("name", "")
    if len(name) > NAME_CHARS_MAX or not _NAME.fullmatch(name) or "name*" in parameters:
        raise BadForm(f"The name of a part of the form must have 1 to {NAME_CHARS_MAX} small letters, digits, _ and [].")
    media = found.get("content-type", "").partition(";")[0].strip()
    return Part(name, _filename(parameters), media if _KIND.fullmatch(media) else "")


def _parameters(text: str) -> dict[str, str]:
    """Parameters of a header, names in lower case. Raises BadForm."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None:
            raise BadForm("The parameters of a header of the form cannot be read.")
        name = match[1].lower()
        if name in found:
            raise BadForm("A header of the form has the same parameter twice.")
        found[name] = match[3] if match[2] is None else match[2]
        at = match.end()
    return found


def _filename(parameters: dict[str, str]) -> str | None:
    name = parameters.get("filename")
    if (extended := parameters.get("filename*")) is not None:
        charset, _, rest = extended.partition("'")
        try:
            name = unquote_to_bytes(rest.partition("'")[2]).decode("utf-8")
        except UnicodeDecodeError:
            charset = ""
        if charset.lower() != "utf-8":
            raise BadForm("The name of a file in the form must be UTF-8.")
    if name is None:
        return None
    if len(name) > FILENAME_CHARS_MAX:
        raise BadForm(f"The name of a file in the form has more than {FILENAME_CHARS_MAX} characters.")
    return "".join("_" if char in '"\\/' or not char.isprintable() else char for char in name) or "file"


def _is_text(value: str) -> bool:
    return all(char.isprintable() or char == "\t" for char in value)


def head_of(part: Part, boundary: bytes) -> bytes:
    """What stands before a part's bytes; its name and file name are as `Multipart` gives them."""
    lines = [b"--" + boundary, b'Content-Disposition: form-data; name="%b"' % part.name.encode()]
    if part.filename is not None:
        lines[1] += b'; filename="%b"' % part.filename.encode()
        lines.append(b"Content-Type: " + (part.kind or "application/octet-stream").encode())
    return b"\r\n".join(lines) + b"\r\n\r\n"


def fields_of(fields: Iterable[tuple[str, str]], boundary: bytes) -> bytes:
    """Whole parts of a form for fields that are no files."""
    return b"".join(head_of(Part(name, None, ""), boundary) + value.encode() + b"\r\n" for name, value in fields)
