"""Answers that an upstream compressed though it was asked not to: read as if it had not. gzip and deflate, as zlib knows them.

The gateway asks for identity, because what it cannot read it cannot count. Some servers, and proxies in front of them, compress
all the same. Other codings (br, zstd) have no reader here and stay a fault of the upstream's.

Failure policy: bytes that are no such coding, or something after its end, are UpstreamFault("protocol"); a coding that ends
before its own end is UpstreamFault("broken"), as a body that is cut short is. A few bytes can stand for gigabytes, so no more
is unpacked at once than is asked for: what waits stays packed, and the connection's window holds for it.
"""

from __future__ import annotations

import zlib

from gateway.errors import UpstreamFault
from gateway.upstream.reply import HttpReply

BLOCK_BYTES = 64 * 1024
"""Unpacked at once, at most."""
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_FRAMING = (b"content-encoding", b"content-length")


class DecodedReply:
    """`Reply` of `base` over one whose body is compressed. Its headers tell neither the coding nor the packed length."""

    __slots__ = ("status", "headers", "ends_by_close", "_packed", "_decoder", "_tail", "_has_begun")

    def __init__(self, packed: HttpReply) -> None:
        self.status = packed.status
        self.headers = [item for item in packed.headers if item[0] not in _FRAMING]
        self.ends_by_close = packed.ends_by_close
        self._packed = packed
        self._decoder = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._tail = b""
        self._has_begun = False

    async def next_block(self) -> bytes:
        while True:
            block = self._tail or await self._packed.next_block()
            if not block:
                if self._has_begun and not self._decoder.eof:
                    raise UpstreamFault("broken", "the upstream's compressed answer ends before its end", reached=True)
                return b""
            self._has_begun = True
            if self._decoder.eof:
                raise self._faulty("has something after its end")
            try:
                data = self._decoder.decompress(block, BLOCK_BYTES)
            except zlib.error as error:
                raise self._faulty(f"cannot be read ({error})") from None
            self._tail = self._decoder.unused_data or self._decoder.unconsumed_tail
            if data:
                return data

    async def read(self, limit_bytes: int) -> bytes:
        blocks = []
        size = 0
        while block := await self.next_block():
            size += len(block)
            if size > limit_bytes:
                self.close()
                raise UpstreamFault("protocol", f"the upstream answered with more than {limit_bytes} bytes", reached=True)
            blocks.append(block)
        return b"".join(blocks)

    def close(self) -> None:
        self._packed.close()

    def _faulty(self, what: str) -> UpstreamFault:
        self.close()
        return UpstreamFault("protocol", f"the upstream's compressed answer {what}", reached=True)
