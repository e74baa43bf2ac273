"""Files that tenants send up, kept until they have gone on: small ones in memory, larger ones in a file without a name.

What is judged must be whole before a byte of it goes on, and a form may name its model behind its file. So forms are kept, and
not in memory: beyond `MEMORY_BYTES` they are written to the directory for temporary files, in a thread, and a file there has
no name, so that nothing is left behind however the process ends.

Failure policy: all forms together are bounded, and a tenant's to half of that, so that one cannot take the place of all; what
goes beyond is refused (503 with a wait), as when the disk is full, and nothing has been counted for it then.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from typing import IO

import structlog

from gateway.errors import Refusal

log = structlog.get_logger()

MEMORY_BYTES = 1_048_576
BLOCK_BYTES = 65_536
RETRY_MS = 5_000


class Spool:
    """All that one process keeps."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._by_tenant: dict[str, int] = {}
        self.used_bytes = 0

    def open(self, tenant: str) -> Spooled:
        return Spooled(self, tenant)

    def take(self, tenant: str, count: int) -> None:
        """Raises Refusal (overloaded, 503)."""
        mine = self._by_tenant.get(tenant, 0) + count
        if self.used_bytes + count > self._limit_bytes or mine > self._limit_bytes // 2:
            raise _no_room("The gateway is taking as many uploads as it can hold. Please try again.")
        self._by_tenant[tenant] = mine
        self.used_bytes += count

    def give_back(self, tenant: str, count: int) -> None:
        left = self._by_tenant.get(tenant, 0) - count
        if left > 0:
            self._by_tenant[tenant] = left
        else:
            self._by_tenant.pop(tenant, None)
        self.used_bytes -= count


class Spooled:
    """One form's files, one after the other. Written first, then read; `close` in any case."""

    def __init__(self, spool: Spool, tenant: str) -> None:
        self._spool = spool
        self._tenant = tenant
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._file: IO[bytes] | None = None
        self._writing: asyncio.Future[None] | None = None
        self._is_closed = False
        self.size = 0

    async def write(self, block: bytes) -> None:
        """Raises Refusal (overloaded, 503)."""
        self._spool.take(self._tenant, len(block))
        self.size += len(block)
        self._waiting.append(block)
        self._waiting_bytes += len(block)
        if self._waiting_bytes > MEMORY_BYTES:
            await self._write_out()

    async def _write_out(self) -> None:
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        # A thread cannot be cancelled: whoever leaves now lets it end, and it closes the file.
        self._writing = asyncio.get_running_loop().run_in_executor(None, self._append, data)
        try:
            await asyncio.shield(self._writing)
        except OSError as error:
            log.error("spool_failed", side="gateway", reason=error.strerror or type(error).__name__)
            raise _no_room("The gateway cannot keep this upload at the moment. Please try again.") from None

    def _append(self, data: bytes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="gauger-", buffering=0)  # noqa: SIM115  # `close` closes it
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    async def read(self, begin: int, size: int) -> AsyncIterator[bytes]:
        """Bytes from `begin` on, in blocks. Raises OSError."""
        if self._file is not None and self._waiting:
            await self._write_out()
        if self._file is None:
            data = b"".join(self._waiting)
            self._waiting[:] = [data]
            for at in range(begin, begin + size, BLOCK_BYTES):
                yield data[at : min(at + BLOCK_BYTES, begin + size)]
            return
        number = self._file.fileno()
        end = begin + size
        while begin < end:
            block = await asyncio.to_thread(os.pread, number, min(BLOCK_BYTES, end - begin), begin)
            if not block:
                raise OSError("a file of the spool ended early")
            begin += len(block)
            yield block

    def close(self) -> None:
        """Forget it all. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        self._spool.give_back(self._tenant, self.size)
        self._waiting.clear()
        if self._writing is not None and not self._writing.done():
            self._writing.add_done_callback(lambda _done: self._close_file())
        else:
            self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()


def _no_room(message: str) -> Refusal:
    return Refusal("overloaded", message, status=503, side="gateway", retry_after_ms=RETRY_MS, reason="spool")
