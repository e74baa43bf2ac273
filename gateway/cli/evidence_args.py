"""What the commands of `gauger evidence` are given: files, public keys, times and heads, read strictly."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

from gateway.errors import SettingsError
from gateway.evidence.chain import LINE_BYTES_MAX
from gateway.evidence.export_format import HEAD_BYTES_MAX
from gateway.evidence.keys import read_public


def lines_of(path: str) -> Generator[bytes, None, None]:
    """A file's lines, each with its end; one that is too long comes in parts. Raises SettingsError."""
    try:
        with sys.stdin.buffer if path == "-" else Path(path).open("rb") as file:
            limit = HEAD_BYTES_MAX
            while line := file.readline(limit):
                yield line
                limit = LINE_BYTES_MAX + 2
    except OSError as error:
        raise SettingsError(f"FILE: {path} cannot be read: {error.strerror}") from None


def public(text: str) -> bytes:
    path = Path(text)
    if len(text) != 64 and path.is_file():
        text = path.read_text(errors="replace")
    return read_public(text, "--public-key")


def time_us(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a time, as in 2027-01-31 or 2027-01-31T08:30") from None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return max(0, int(at.timestamp() * 1_000_000))


def head(text: str) -> tuple[int, str]:
    number, _, link = text.partition(":")
    if not number.isdigit() or len(link) != 64:
        raise argparse.ArgumentTypeError("must be N:LINK, as `gauger evidence list` prints it")
    return int(number), link.lower()
