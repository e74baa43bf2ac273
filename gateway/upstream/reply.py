"""One answer, as its reader sees it: what has come of the body, and the wait for more.

Rule 1: a reply outlives its connection. Once the answer is complete they are parted, and the connection may already carry
another request: nothing here may touch it then. That is why this is an object of its own, one a request.
Rule 2: every reply ends exactly once: complete, failed, or closed by its reader.
Rule 3: bytes come out before the fault that followed them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.errors import UpstreamFault

if TYPE_CHECKING:
    from gateway.upstream.connection import Connection

BUFFERED_BYTES_MAX = 256 * 1024
"""More than this unread: the socket is not read until the reader has taken it."""
_NONE_YET: list[tuple[bytes, bytes]] = []
"""Replaced by the connection when the head has come; never filled."""


class HttpReply:
    """`Reply` of `base`. The methods under "for the connection" are the connection's alone."""

    __slots__ = (
        *("status", "headers", "ends_by_close", "is_coded"),
        *("_loop", "_connection", "_blocks", "_unread_bytes", "_waiter", "_fault"),
    )

    def __init__(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = _NONE_YET
        self.ends_by_close = False
        self.is_coded = False
        """Its body is compressed: see `decode`."""
        self._loop = loop
        self._connection: Connection | None = connection
        self._blocks: list[bytes] = []
        self._unread_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._fault: tuple[str, str] | None = None

    # for the reader

    async def answered(self) -> HttpReply:
        """Wait for status and headers. Raises UpstreamFault(reached=True)."""
        if not self.status and self._fault is None:
            await self._wait()
        if not self.status:
            raise self._raised()
        return self

    async def next_block(self) -> bytes:
        blocks = self._blocks
        if not blocks:
            if self._fault is None and self._connection is not None:
                await self._wait()
            if not blocks:
                if self._fault is not None:
                    raise self._raised()
                return b""
        block = blocks[0] if len(blocks) == 1 else b"".join(blocks)
        blocks.clear()
        if self._unread_bytes > BUFFERED_BYTES_MAX and self._connection is not None:
            self._connection.resume()
        self._unread_bytes = 0
        return block

    async def read(self, limit_bytes: int) -> bytes:
        if self._connection is None and self._fault is None and len(self._blocks) == 1 and self._unread_bytes <= limit_bytes:
            return self._blocks.pop()  # it all came at once, as most short answers do
        blocks = []
        size = 0
        while block := await self.next_block():
            size += len(block)
            if size > limit_bytes:
                connection = self._connection
                self.close()
                where = f"{connection.where} answered" if connection is not None else "The upstream answered"
                raise UpstreamFault("protocol", f"{where} with more than {limit_bytes} bytes", reached=True)
            blocks.append(block)
        return b"".join(blocks)

    def close(self) -> None:
        connection = self._connection
        if connection is None:
            return
        self.fail("broken", "the gateway closed this answer before its end")
        self._blocks.clear()
        connection.drop()

    # for the connection

    def feed(self, block: bytes) -> bool:
        """Take bytes of the body. True: too much is unread, stop reading the socket."""
        self._blocks.append(block)
        self._unread_bytes += len(block)
        return self._unread_bytes > BUFFERED_BYTES_MAX

    def end(self) -> None:
        """The answer is complete: part from the connection."""
        self._connection = None
        self.wake()

    def fail(self, kind: str, message: str) -> None:
        """The answer broke off: part from the connection. `reached` is always True: the request had been written."""
        self._fault = (kind, message)
        self._connection = None
        self.wake()

    def wake(self) -> None:
        """Status and headers, bytes or an end have come."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _raised(self) -> UpstreamFault:
        """A new exception each time: a kept one would gather tracebacks and hold its frames alive."""
        kind, message = self._fault or ("broken", "the answer ended before its head")
        return UpstreamFault(kind, message, reached=True)

    async def _wait(self) -> None:
        waiter = self._waiter = self._loop.create_future()
        try:
            await waiter
        except asyncio.CancelledError:
            self.close()  # the client has left: the upstream shall see it now, not when someone tidies up
            raise
        finally:
            self._waiter = None
