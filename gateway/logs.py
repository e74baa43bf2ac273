"""The gateway's log: one JSON object a line on standard output, by structlog.

Rule 1: no prompt text, no key, no credential is ever handed to a logger: there is nothing to redact later. `phases.record`
names every field of a request's line.
Rule 2: nothing a caller sends can forge a line: JSON escapes control characters, and `printable` removes the separators
that JSON leaves alone (U+2028, U+2029, U+0085).
Rule 3: a slow or full standard output must not stop the loop. Lines are buffered and written once every
`FLUSH_EVERY_S`; at `BUFFER_MAX_BYTES` new lines are dropped and counted, and the count is logged when there is room.

Failure policy: a crash of the process loses at most the last `FLUSH_EVERY_S` of lines; a proper stop loses none.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import select
import sys
import threading
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

FLUSH_EVERY_S = 0.1
BUFFER_MAX_BYTES = 4 * 1024 * 1024


class LineBuffer:
    """Where structlog writes. `run` hands what has gathered to a thread, which alone may wait for the reader.

    `_taken_bytes` is written by the loop's thread and `_written_bytes` by the other: their difference is what waits.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lines: list[bytes] = []
        self._blocks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._taken_bytes = self._written_bytes = 0
        self._dropped = 0

    def write(self, line: bytes) -> None:
        if self._taken_bytes - self._written_bytes + len(line) > BUFFER_MAX_BYTES:
            self._dropped += 1
            return
        self._lines.append(line)
        self._taken_bytes += len(line) + 1
        if self._thread is None:
            self._write_out(self._take())

    def _take(self) -> bytes:
        if self._dropped and self._taken_bytes - self._written_bytes < BUFFER_MAX_BYTES // 2:
            line = orjson.dumps({"event": "log_lines_dropped", "level": "error", "count": self._dropped})
            self._dropped = 0
            self._lines.append(line)
            self._taken_bytes += len(line) + 1
        data = b"\n".join(self._lines) + b"\n" if self._lines else b""
        self._lines = []
        return data

    def _write_out(self, data: bytes) -> None:
        """A reader that has gone (a closed pipe) is no reason to stop serving."""
        size = len(data)
        try:
            while data:
                try:
                    data = data[os.write(self._fd, data) :]
                except BlockingIOError:
                    select.select((), (self._fd,), (), 1.0)
        except OSError:
            pass
        self._written_bytes += size

    def _work(self) -> None:
        while (data := self._blocks.get()) is not None:
            self._write_out(data)

    async def run(self) -> None:
        """Hand lines over for ever."""
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()
        while True:
            await asyncio.sleep(FLUSH_EVERY_S)
            if self._lines or self._dropped:
                self._blocks.put(self._take())

    def close(self, timeout_s: float) -> None:
        """Write what is left, but wait for a reader that reads nothing no longer than this."""
        self._blocks.put(self._take())
        self._blocks.put(None)
        if self._thread is not None:
            self._thread.join(timeout_s)


class _Logger:
    """structlog's wrapped logger: every level takes the finished line."""

    def __init__(self, buffer: LineBuffer) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = buffer.write


def _render(_logger: Any, level: str, event: MutableMapping[str, Any]) -> bytes:
    event["level"] = level
    event["at"] = datetime.now(UTC)
    return orjson.dumps(event, default=str, option=orjson.OPT_UTC_Z)


_buffer: LineBuffer | None = None


def request_line(fields: dict[str, Any]) -> None:
    """The line of a request, on structlog's own output but past its processors: for a line whose fields are all known,
    binding, copying and dispatching cost four times the rendering. Does nothing before `configure`."""
    if _buffer is not None:
        fields["event"] = "request"
        _buffer.write(_render(None, "info", fields))


def configure(fd: int | None = None) -> LineBuffer:
    """Set structlog up for this process and return the buffer whose `run` the app must start."""
    global _buffer  # noqa: PLW0603  # a process has one log
    _buffer = buffer = LineBuffer(sys.stdout.fileno() if fd is None else fd)
    structlog.configure(
        processors=[_render],
        wrapper_class=structlog.make_filtering_bound_logger(20),
        logger_factory=lambda *_: _Logger(buffer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_FromLibraries()], level=logging.WARNING, force=True)
    return buffer


class _FromLibraries(logging.Handler):
    """What aiohttp and asyncio log, as lines like ours: the logger, the event, and an exception's type without its text,
    which for a malformed request would be that request."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        event = str(record.msg).partition("\n")[0]  # the format alone: its arguments may quote a request
        log = structlog.get_logger()
        log.warning("library", logger=record.name, text=printable(event), error=type(error).__name__ if error else None)


def printable(text: str, *, limit: int = 200) -> str:
    """Text of a caller, safe to print on a terminal and in a line: cut to `limit`, unprintable characters escaped."""
    if len(text) > limit:
        text = text[:limit] + "…"
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
