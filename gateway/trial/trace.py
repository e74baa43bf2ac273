"""Traffic that has been: the gateway's own request log, or CSV, as arrivals in order of time.

CSV has a header line; columns: `timestamp` (or `timestamp_s`, `timestamp_ms`, `at`; seconds since any moment, or ISO 8601),
`input_tokens`, `output_tokens`; and where they are known `tenant`, `key`, `model`, `endpoint`, `user`, `max_tokens`,
`duration_ms`. Of the log, lines of other events are passed over. A file that ends in .gz is unpacked as it is read.

Failure policy: the first line that cannot be read ends the reading, with its number: a trace half read would tell of other
traffic than there was. Lines out of order are put in order within `WINDOW` of them; a log is written as requests end.
"""

from __future__ import annotations

import csv
import gzip
import heapq
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson

from gateway.errors import GaugerError

WINDOW = 20_000
"""Lines within which arrivals are put in order."""
TOKENS_A_SECOND = 50
"""How fast an answer comes, where a trace does not say how long it took."""
_TIMES = ("timestamp", "timestamp_s", "timestamp_ms", "at")
COLUMNS = ("tenant", "key", "model", "endpoint", "user", "input_tokens", "output_tokens", "max_tokens", "duration_ms")


class TraceError(GaugerError):
    """A trace that cannot be read: which line, and what is expected there."""


class Arrival(NamedTuple):
    """One request of a trace."""

    at_us: int
    """Since the epoch, or since the trace's own beginning."""
    tenant: str
    key: str
    model: str
    endpoint: str
    user: str
    input_tokens: int
    output_tokens: int
    max_tokens: int | None
    duration_us: int
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    """Parts of the input."""
    choices: int = 1


class Missing(NamedTuple):
    """What is taken for a column that a trace does not have."""

    tenant: str = ""
    model: str = ""
    endpoint: str = "chat/completions"


class Trace:
    """Iterate it once. `position` in [0, 1] tells how much of the file has been read."""

    def __init__(self, path: Path, missing: Missing) -> None:
        self._path = path
        self._missing = missing
        self._size = max(1, path.stat().st_size)
        self._raw: IO[bytes] | None = None
        self.late = 0
        """Arrivals further out of order than WINDOW lines: they are taken as if they came at the latest moment seen."""

    @property
    def position(self) -> float:
        return 0.0 if self._raw is None or self._raw.closed else self._raw.tell() / self._size

    def __iter__(self) -> Iterator[Arrival]:
        """Arrivals in order of time. Raises TraceError and OSError."""
        waiting: list[tuple[int, int, Arrival]] = []
        last_us = -(1 << 62)
        for number, arrival in enumerate(self._read()):
            entry = (arrival.at_us, number, arrival)
            if len(waiting) < WINDOW:
                heapq.heappush(waiting, entry)
                continue
            first = heapq.heappushpop(waiting, entry)[2]
            if first.at_us < last_us:
                self.late += 1
                first = first._replace(at_us=last_us)
            last_us = first.at_us
            yield first
        while waiting:
            first = heapq.heappop(waiting)[2]
            yield first._replace(at_us=max(first.at_us, last_us))

    def _read(self) -> Iterator[Arrival]:
        with self._path.open("rb") as raw:
            self._raw = raw
            # Closed with `raw`, which it reads from.
            file: IO[bytes] = gzip.GzipFile(fileobj=raw) if self._path.suffix == ".gz" else raw  # type: ignore[assignment]
            try:
                head = file.readline(1 << 20)
                rest = _lines(head, file)
                yield from self._read_log(rest) if head.lstrip().startswith(b"{") else self._read_csv(rest)
            except (gzip.BadGzipFile, EOFError, UnicodeDecodeError) as error:
                raise TraceError(f"{self._path}: cannot be read: {error}") from None

    def _read_log(self, lines: Iterator[bytes]) -> Iterator[Arrival]:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                fields = orjson.loads(line)
                if fields["event"] != "request" or "quote" not in fields or "model" not in fields:
                    continue
                yield self._from_log(fields)
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
                what = f"the gateway's request log has a JSON object a line, and this is none of its: {error!r}"
                raise TraceError(f"{self._path}:{number}: {what}") from None

    def _from_log(self, fields: dict[str, Any]) -> Arrival:
        usage, quote = fields.get("usage") or {}, fields["quote"]
        timings = fields["timings_us"]
        asked = fields.get("asked") or {"model": fields["model"], "max_tokens": quote["output_tokens"] or None, "choices": 1}
        return Arrival(
            at_us=_instant_us(fields["at"]) - int(timings["total"]),
            tenant=fields["tenant"],
            key=fields["key_id"],
            model=asked["model"],
            endpoint=fields["endpoint"],
            user="",
            input_tokens=usage.get("input_tokens") or quote["input_tokens"],
            output_tokens=usage.get("output_tokens", 0),
            max_tokens=asked["max_tokens"],
            # What it waited for room then is no part of how long it ran.
            duration_us=max(0, int(timings["total"]) - int(timings.get("hold", 0))),
            cached_input_tokens=usage.get("cached_input_tokens", 0),
            cache_write_tokens=usage.get("cache_write_tokens", 0),
            choices=asked["choices"],
        )

    def _read_csv(self, lines: Iterator[bytes]) -> Iterator[Arrival]:
        rows = csv.reader(line.decode() for line in lines)
        header = [name.strip().lower() for name in next(rows, [])]
        time_column = next((name for name in _TIMES if name in header), "")
        absent = [name for name in ("input_tokens", "output_tokens") if name not in header]
        for name in ("tenant", "model"):
            if name not in header and not getattr(self._missing, name):
                absent.append(f"{name} (or --{name})")
        if not time_column:
            absent.insert(0, "timestamp")
        if absent:
            raise TraceError(f"{self._path}:1: the CSV's header line lacks: {', '.join(absent)}")
        at = {name: header.index(name) for name in (*COLUMNS, time_column) if name in header}
        scale = 1_000 if time_column == "timestamp_ms" else 1_000_000
        for number, row in enumerate(rows, 2):
            if not row:
                continue
            try:
                yield self._from_row(row, at, time_column, scale)
            except (IndexError, ValueError) as error:
                raise TraceError(f"{self._path}:{number}: {error}") from None

    def _from_row(self, row: list[str], at: dict[str, int], time_column: str, scale: int) -> Arrival:
        def text(name: str, otherwise: str) -> str:
            return row[at[name]] if name in at and row[at[name]] else otherwise

        output_tokens = _tokens(row[at["output_tokens"]], "output_tokens")
        duration_ms = text("duration_ms", "")
        max_tokens = text("max_tokens", "")
        missing = self._missing
        return Arrival(
            at_us=_moment_us(row[at[time_column]], scale),
            tenant=text("tenant", missing.tenant),
            key=text("key", ""),
            model=text("model", missing.model),
            endpoint=text("endpoint", missing.endpoint),
            user=text("user", ""),
            input_tokens=_tokens(row[at["input_tokens"]], "input_tokens"),
            output_tokens=output_tokens,
            max_tokens=_tokens(max_tokens, "max_tokens") if max_tokens else None,
            duration_us=(
                _tokens(duration_ms, "duration_ms") * 1_000 if duration_ms else output_tokens * 1_000_000 // TOKENS_A_SECOND
            ),
        )


def _lines(head: bytes, file: IO[bytes]) -> Iterator[bytes]:
    yield head
    yield from io.BufferedReader(file, 1 << 18) if isinstance(file, io.RawIOBase) else file


def _tokens(text: str, column: str) -> int:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e12:
        raise ValueError(f"{column} is {text[:40]!r}: a count is expected, 0 or more")
    return int(number)


def _moment_us(text: str, scale: int) -> int:
    try:
        return round(float(text) * scale)
    except ValueError:
        return _instant_us(text)


def _instant_us(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"the time is {text[:40]!r}: seconds, or ISO 8601, are expected") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000)
