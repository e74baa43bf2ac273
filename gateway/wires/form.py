"""A form with files, gathered from its parts: fields as a body like that of JSON, and where its files lie. Pure.

Rule 1: a field is there once; only names that end in [] may come again, and they make a list.
Rule 2: which parts are files is the wire's to say, not the caller's: a field sent as a file, or a file sent as a field, would
be read differently by different servers, and is refused.
Rule 3: memory is bounded: fields are small (`FIELD_BYTES_MAX`, `FIELDS_BYTES_MAX`), and a file's bytes are handed on as they
come, but for its first `HEAD_BYTES`, by which its kind is known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.wires.base import BadField
from gateway.wires.multipart import End, Multipart, Part, fields_of, head_of

FIELD_BYTES_MAX = 131_072
"""A prompt for an image may have 32,000 characters."""
FIELDS_BYTES_MAX = 524_288
HEAD_BYTES = 4096
_INTEGERS = frozenset(("n", "partial_images", "output_compression", "frame_count"))
_NUMBERS = frozenset(("temperature",))
_SWITCHES = frozenset(("stream",))
_SAID = {"true": True, "false": False, "True": True, "False": False}


class File(NamedTuple):
    """A file of a form. Its bytes are the `size` from `begin` on of all that was handed on."""

    part: Part
    begin: int
    size: int
    head: bytes
    """The first of them."""


class FormReader:
    """Gathers one form. `feed` returns what is to be kept: the bytes of files, one after the other."""

    def __init__(self, boundary: bytes, files: frozenset[str]) -> None:
        """`files`: names of the parts that are files; any other is a field."""
        self._parser = Multipart(boundary)
        self._files_named = files
        self._part: Part | None = None
        self._text = bytearray()
        self._begin = self._size = 0
        self._head = b""
        self._body: dict[str, Any] = {}
        self._seen: set[str] = set()
        self.text_bytes = 0
        """Of all fields."""

    def feed(self, block: bytes) -> list[bytes]:
        """Raises BadForm and BadField."""
        kept: list[bytes] = []
        for event in self._parser.decode(block):
            if isinstance(event, Part):
                self._start(event)
            elif isinstance(event, End):
                self._end()
            elif self._part is not None and self._part.filename is not None:
                self._size += len(event)
                if len(self._head) < HEAD_BYTES:
                    self._head += event[: HEAD_BYTES - len(self._head)]
                kept.append(event)
            else:
                self._add_text(event)
        return kept

    def finish(self) -> dict[str, Any]:
        """The body: fields by name, typed where the API has numbers and switches; files as lists of `File`.

        A name that ends in [] loses that, and is a list. Raises BadForm.
        """
        self._parser.flush()
        return self._body

    def _start(self, part: Part) -> None:
        name = part.name
        is_file = name in self._files_named
        if is_file != (part.filename is not None):
            must = "be sent as a file: give it a file name" if is_file else "not be sent as a file"
            raise BadField(name, f"{name}: must {must}.")
        is_list = name.endswith("[]")
        bare = name.removesuffix("[]")
        other = bare if is_list else f"{bare}[]"
        if other in self._seen or (name in self._seen and not is_list):
            raise BadField(bare, f"{bare}: is given more than once.")
        self._seen.add(name)
        self._part = part
        self._begin, self._size, self._head, self._text = self._begin + self._size, 0, b"", bytearray()

    def _add_text(self, piece: bytes) -> None:
        self._text += piece
        self.text_bytes += len(piece)
        if len(self._text) > FIELD_BYTES_MAX or self.text_bytes > FIELDS_BYTES_MAX:
            name = "" if self._part is None else self._part.name
            most = f"{FIELD_BYTES_MAX} bytes, and all fields together {FIELDS_BYTES_MAX}"
            raise BadField(name, f"{name}: a field of a form must have at most {most}.")

    def _end(self) -> None:
        part, self._part = self._part, None
        if part is None:
            return  # never: a part ends only where one began
        bare = part.name.removesuffix("[]")
        value: Any
        if part.filename is not None:
            self._body.setdefault(bare, []).append(File(part, self._begin, self._size, self._head))
            return
        try:
            value = _typed(bare, self._text.decode("utf-8"))
        except UnicodeDecodeError:
            raise BadField(bare, f"{bare}: must be UTF-8.") from None
        if part.name.endswith("[]"):
            self._body.setdefault(bare, []).append(value)
        else:
            self._body[bare] = value


def files(body: Mapping[str, Any], name: str) -> list[File]:
    """The files of a name in a body."""
    found = body.get(name)
    return [item for item in found if isinstance(item, File)] if isinstance(found, list) else []


def alone(body: Mapping[str, Any], *names: str) -> None:
    """Raises BadField where one of the names is there in another shape: as a list, or with a key in brackets."""
    for key in body:
        bare = key.partition("[")[0]
        if bare in names and (bare != key or isinstance(body[key], list)):
            raise BadField(bare, f"{bare}: must be a single field of this name.")


def _typed(name: str, text: str) -> Any:
    """A text as what JSON would have; as it is where it is no such thing, for the judge of the field to complain."""
    if name in _SWITCHES:
        return _SAID.get(text, text)
    if name in _INTEGERS and re.fullmatch(r"-?[0-9]{1,9}", text):
        return int(text)
    if name in _NUMBERS and re.fullmatch(r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?", text):
        return float(text)
    return text


class Piece(NamedTuple):
    """A piece of a form that goes up: bytes, or a file's."""

    text: bytes
    begin: int = 0
    size: int = 0
    """Of the file, after the text; 0: there is none."""


def written(body: Mapping[str, Any], boundary: bytes) -> list[Piece]:
    """The form of a body: fields, and then files, under a boundary that no file may hold (it is random)."""
    fields: list[tuple[str, str]] = []
    found: list[tuple[str, File]] = []
    for name, value in body.items():
        if isinstance(value, list):
            many = f"{name}[]"
            found += [(item.part.name, item) for item in value if isinstance(item, File)]
            fields += [(many, _text(item)) for item in value if not isinstance(item, File)]
        elif value is not None:
            fields.append((name, _text(value)))
    text = fields_of(fields, boundary)
    pieces = []
    for name, item in found:
        pieces.append(Piece(text + head_of(item.part._replace(name=name), boundary), item.begin, item.size))
        text = b"\r\n"
    pieces.append(Piece(text + b"--" + boundary + b"--\r\n"))
    return pieces


def _text(value: Any) -> str:
    if type(value) is bool:
        return "true" if value else "false"
    return str(value)
