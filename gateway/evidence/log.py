"""One organisation's log: entries go in at the end, and once a second everything so far is signed and on disk. One writer.

Failure policy: an entry is in memory until `flush` (the process may die: it is in the page cache) or `sync` (the machine may
die: it is signed and on disk). A disk that takes nothing raises OSError; what was not written stays in memory, up to
`PENDING_BYTES_MAX`, and is written later; beyond that an entry is refused, and the caller counts it. Nothing half written is
left behind: the file is cut to where it was. After a crash the log begins again with an entry that says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.evidence import chain
from gateway.evidence.chain import Check
from gateway.evidence.files import replace
from gateway.evidence.keys import Signer
from gateway.evidence.segments import Recovered, day_of, name_of, recover, segments

SEGMENT_BYTES_MAX = 64_000_000
"""A larger one is ended within its day, so that a start reads no more than this."""
FLUSH_BYTES = 262_144
PENDING_BYTES_MAX = 8_000_000


class Log:
    """Open until `close`. `now_us` is the clock by which entries are told to be written."""

    def __init__(
        self,
        directory: Path,
        organisation: str,
        signer: Signer,
        check: Check,
        *,
        now_us: Callable[[], int],
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Puts in order what a crash left. Raises OSError."""
        self.directory = directory
        self.organisation = organisation
        self._signer = signer
        self._now_us = now_us
        self._random = random
        self._descriptor = -1
        self._path: Path | None = None
        self._size = 0
        self._day = ""
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._unsynced = False
        self.n = self.signed = self.at_us = 0
        self.link = chain.start(organisation)
        self.position = ("", 0)
        """How far the stream of sightings has been written down: an entry's id, and how many of it."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._begin(check)

    # Entries.

    def append(self, kind: str, fields: Mapping[str, Any], *, tenant_key: bytes = b"") -> int:
        """Another entry; its number. No `tenant_key`: it concerns the whole organisation. Raises OSError: there is no room."""
        at_us = max(self.at_us, self._now_us())
        if day_of(at_us) != self._day or self._size + self._pending_bytes >= SEGMENT_BYTES_MAX:
            self._next_segment(at_us)
        n = self.n + 1
        tag = chain.tag(tenant_key, n) if tenant_key else ""
        line, body_hash = chain.write_entry(n, tag, self._random(chain.SALT_BYTES), at_us, kind, fields)
        if len(line) > chain.LINE_BYTES_MAX:
            raise ValueError(f"an entry of {len(line)} bytes is longer than any may be")
        if not self.has_room:
            self.flush()
        self.n, self.at_us, self.link = n, at_us, chain.link(self.link, n, tag, body_hash)
        self._put(line)
        return n

    def _put(self, line: bytes) -> None:
        self._pending.append(line + b"\n")
        self._pending_bytes += len(line) + 1

    @property
    def is_due(self) -> bool:
        """So much waits in memory that it should be flushed."""
        return self._pending_bytes >= FLUSH_BYTES

    @property
    def has_room(self) -> bool:
        """Another entry is kept in memory, whatever the disk does."""
        return self._pending_bytes < PENDING_BYTES_MAX

    def flush(self) -> None:
        """Hand everything to the system. Raises OSError, and keeps it."""
        if self._pending:
            self._write(b"".join(self._pending))
            self._pending.clear()
            self._pending_bytes = 0

    def sync(self) -> None:
        """Sign everything so far, and have it on disk. Raises OSError, and keeps what is not."""
        if self.signed < self.n:
            self.flush()
            at_us = max(self.at_us, self._now_us())
            self._write(self._checkpoint(at_us) + b"\n")
            self.at_us, self.signed, self._unsynced = at_us, self.n, True
        if self._unsynced:
            os.fsync(self._file())
            self._unsynced = False

    def rest(self) -> None:
        """Let go of the file until something is written again. Raises OSError."""
        self.sync()
        self.abandon()

    def next_segment(self) -> None:
        """Whatever comes goes into another file. Raises OSError."""
        self._next_segment(max(self.at_us, self._now_us()))

    def follow(self, signer: Signer, fields: Mapping[str, Any]) -> None:
        """Another key signs from here on: the old one what was before, the new one the entry that says so. Raises OSError."""
        if signer.id != self._signer.id:
            self.sync()
            self._signer = signer
            self.next_segment()
            self.append("key", {"public_key": signer.public.hex(), **fields})

    def close(self) -> None:
        """Say that it ends here, and sign it. Raises OSError."""
        try:
            self.append("closed", {})
            self.sync()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """As if the process had died here."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    # Files.

    def _begin(self, check: Check) -> None:
        """Where the log ends, and an entry that says how it was found."""
        found, aside = self._recover(check)
        at_us = self._now_us()
        if found is None:
            self._next_segment(at_us)
            fields: dict[str, Any] = {"public_key": self._signer.public.hex(), "key": self._signer.id}
            self.append("begun", {**fields, "put_aside": aside} if aside else fields)
        else:
            if found.is_damaged or aside or found.key != self._signer.id:
                self._next_segment(max(at_us, self.at_us))
            fields = {
                "after": "closed" if found.last_kind == "closed" and not found.cut_bytes else "not closed",
                "unsigned": found.n - found.signed,
                "cut_bytes": found.cut_bytes,
            }
            if found.is_damaged:
                fields["damaged"] = True
            if aside:
                fields["put_aside"] = aside
            self.append("opened", fields)
            if found.key != self._signer.id:
                self.append("key", {"public_key": self._signer.public.hex(), "key": self._signer.id, "before": found.key})
        self.sync()

    def _recover(self, check: Check) -> tuple[Recovered | None, list[str]]:
        """The last segment that can be relied on, and the names of later files, which are put aside."""
        aside = []
        for segment in reversed(segments(self.directory)):
            found = recover(segment.path, self.organisation, check)
            if found is None:
                name = f"{segment.path.name}.damaged-{self._now_us()}"
                segment.path.rename(segment.path.with_name(name))
                aside.append(name)
                continue
            self.n, self.link, self.at_us, self.signed = found.n, found.link, found.at_us, found.signed
            self.position = found.position
            self._use(segment.path, found.end)
            self._day = segment.day
            return found, aside
        return None, aside

    def _use(self, path: Path, size: int) -> None:
        """The file that entries go to. What is in it after its first `size` bytes was never whole."""
        self._path, self._size = path, size
        descriptor = self._file()
        if os.fstat(descriptor).st_size > size:
            os.ftruncate(descriptor, size)
            os.fsync(descriptor)

    def _file(self) -> int:
        if self._descriptor < 0:
            if self._path is None:
                raise OSError("the log has no file")
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        return self._descriptor

    def _next_segment(self, at_us: int) -> None:
        """Another file, which begins with a checkpoint; it is there whole or not at all. Raises OSError."""
        if self._path is not None:
            self.sync()
            self.abandon()
        path = self.directory / name_of(self.n + 1, at_us)
        line = self._checkpoint(at_us) + b"\n"
        replace(path, line)
        self._use(path, len(line))
        self.at_us, self.signed, self._day = at_us, self.n, day_of(at_us)

    def _checkpoint(self, at_us: int) -> bytes:
        fields = {"organisation": self.organisation, "position": self.position}
        return chain.write_checkpoint(self.n, self.link, at_us, self._signer.id, self._signer.sign, fields)

    def _write(self, data: bytes) -> None:
        """All of it or nothing. Raises OSError."""
        descriptor = self._file()
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        except OSError:
            os.ftruncate(descriptor, self._size)
            raise
        self._size += len(data)
