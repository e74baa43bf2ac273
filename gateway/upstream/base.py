"""What the phases may ask of an upstream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

CODINGS = frozenset((b"gzip", b"x-gzip", b"deflate"))
"""Compressed bodies that can be read (see `decode`), though none is asked for."""


class Timeouts(NamedTuple):
    """Seconds; each has its own error kind."""

    connect_s: float = 5.0
    first_byte_s: float = 600.0
    """From the request's last byte to the status line."""
    between_chunks_s: float = 120.0
    """Longest silence inside a body."""
    total_s: float = 3600.0


class NotSent(asyncio.CancelledError):
    """`send` was cancelled before a byte of the request was written: the upstream was never reached."""


class Reply(Protocol):
    """An answer whose status and headers have come. Close it once, by `close` (idempotent)."""

    status: int
    headers: list[tuple[bytes, bytes]]
    """Names in lower case, in the order they came; hop-by-hop headers included."""
    ends_by_close: bool
    """The body has neither a length nor chunks: only the close of the connection ends it, so a proper end proves little."""

    async def read(self, limit_bytes: int) -> bytes:
        """The whole body. Raises UpstreamFault if it breaks off or is longer than the limit."""
        ...

    async def next_block(self) -> bytes:
        """The next bytes of the body as they came, joined to what else has come meanwhile; b"" at its proper end.

        Raises UpstreamFault(reached=True) when the body breaks off or a timeout passes. Reading is flow-controlled: no
        more than about 256 KB wait in memory, then the socket is no longer read.
        """
        ...

    def close(self) -> None:
        """A body read to its end gives the connection back; any other is cut off at once."""
        ...


class Body(Protocol):
    """The body of a request that is too large to be held in memory."""

    size: int
    """Of the whole, in bytes: what content-length says."""

    def blocks(self) -> AsyncIterator[bytes]:
        """The whole from its beginning, in blocks of moderate size; asked anew for each server that is tried."""
        ...


class Upstream(Protocol):
    """A model server behind a base URL."""

    async def send(self, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes | Body) -> Reply:
        """Send a request and wait for the answer's status and headers.

        Raises UpstreamFault; `reached` is False only when no byte of the request was written. Cancelling it closes the
        connection at once. A `Body` is read as fast as the server takes it, and no further than an answer that refuses it.
        Host, content-length and the upstream's own credentials are set here, not by the caller.
        """
        ...
