"""The files of one chain: a day each at most, and each begins with a signed checkpoint, so that it can be checked by itself.

Failure policy of `recover`: what was being written when the machine died is cut off, and the caller is told how much it was.
What was changed before a good checkpoint is not touched: the file stays as it is, and fails whoever verifies it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from gateway.evidence.chain import LINE_BYTES_MAX, Broken, Check, Checkpoint, Entry, Walk, read

DAY_US = 86_400_000_000
_NAME = re.compile(r"([0-9]{12,18})-([0-9]{4}-[0-9]{2}-[0-9]{2})\.jsonl")
_STRIDE = 1 << 20


class Segment(NamedTuple):
    path: Path
    first: int
    """Number of its first entry."""
    day: str
    """On which it was begun, UTC."""


class Recovered(NamedTuple):
    """How a segment ends, once it has been put in order."""

    n: int
    link: bytes
    at_us: int
    key: str
    """Id of the key of its last checkpoint."""
    signed: int
    """Entries up to this were signed; those after it were found without a signature."""
    position: tuple[str, int]
    last_kind: str
    """Of the last entry; "": it has none with a body."""
    end: int
    """Bytes of the file that stay."""
    cut_bytes: int
    is_damaged: bool
    """Before its last good checkpoint something does not fit."""


def day_of(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%d")


def name_of(first: int, at_us: int) -> str:
    return f"{first:012d}-{day_of(at_us)}.jsonl"


def segments(directory: Path) -> list[Segment]:
    """In order. Raises OSError."""
    found = []
    for name in os.listdir(directory):
        if match := _NAME.fullmatch(name):
            found.append(Segment(directory / name, int(match[1]), match[2]))
    return sorted(found, key=lambda each: (each.first, each.day))


def lines(path: Path, *, offset: int = 0) -> Iterator[tuple[int, bytes, bool]]:
    """(offset, line, whether it is whole). A line longer than any entry comes in parts that are not whole. Raises OSError."""
    with path.open("rb", buffering=_STRIDE) as file:
        file.seek(offset)
        while line := file.readline(LINE_BYTES_MAX + 1):
            is_whole = line.endswith(b"\n")
            yield offset, line[:-1] if is_whole else line, is_whole
            offset += len(line)


def recover(path: Path, organisation: str, check: Check) -> Recovered | None:
    """How a segment ends; nothing is changed. None: nothing in it can be relied on. Raises OSError."""
    walk = Walk(organisation, check)
    key, last_kind, position = "", "", ("", 0)
    is_fitting, is_damaged = True, False
    end = size = 0
    for offset, line, is_whole in lines(path):
        size = offset + len(line) + is_whole
        if not is_whole:
            is_fitting = False
            continue
        found = _step(walk, line) if is_fitting else None
        if found is None:
            found = _resume(walk, line)
            is_fitting = found is not None
            if found is None:
                continue
            is_damaged = True
        end = size
        if isinstance(found, Checkpoint):
            key, position = found.key, _position(found.fields.get("position"), position)
        elif found.body is not None:
            last_kind = found.body["kind"]
            if last_kind == "sighting":
                position = _position(found.body.get("position"), position)
        else:
            last_kind = ""
    if walk.signed < 0:
        return None
    return Recovered(walk.n, walk.link, max(walk.at_us, walk.signed_at_us), key, walk.signed, position, last_kind, end,
                     size - end, is_damaged)  # fmt: skip


def _step(walk: Walk, line: bytes) -> Entry | Checkpoint | None:
    """The line, where it fits."""
    try:
        return walk.step(line)
    except Broken:
        return None


def _resume(walk: Walk, line: bytes) -> Checkpoint | None:
    """The line, where it is a good checkpoint after something that does not fit: the walk goes on from it."""
    try:
        found = read(line)
        if not isinstance(found, Checkpoint) or found.upto < walk.n:
            return None
        walk.resume(found)
    except Broken:
        return None
    return found


def _position(said: object, otherwise: tuple[str, int]) -> tuple[str, int]:
    if isinstance(said, list) and len(said) == 2 and isinstance(said[0], str) and isinstance(said[1], int):
        return said[0], said[1]
    return otherwise
