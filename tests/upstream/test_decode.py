"""Answers that come compressed though none was asked for."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import UpstreamFault
from gateway.upstream.decode import BLOCK_BYTES, DecodedReply
from tests.upstream.scripted import Scripted, always, run, upstream

TEXT = ('data: {"choices":[{"delta":{"content":"é"}}]}\n\n' * 40).encode()


class Packed:
    """A reply whose blocks are the test's."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self.status = 200
        self.headers = [(b"content-type", b"a/b"), (b"content-encoding", b"gzip"), (b"content-length", b"9")]
        self.ends_by_close = False
        self.is_closed = False
        self._blocks = [block for block in blocks if block]

    async def next_block(self) -> bytes:
        return self._blocks.pop(0) if self._blocks else b""

    def close(self) -> None:
        self.is_closed = True


async def unpacked(blocks: Iterable[bytes], limit_bytes: int = 1 << 20) -> bytes:
    return await DecodedReply(Packed(blocks)).read(limit_bytes)  # type: ignore[arg-type]


@pytest.mark.parametrize("packed", [gzip.compress(TEXT), zlib.compress(TEXT)], ids=["gzip", "deflate"])
def test_every_split_point(packed: bytes) -> None:
    """A compressed answer may be split anywhere, and byte by byte: it is the same answer."""

    async def main() -> None:
        for at in range(len(packed) + 1):
            assert await unpacked((packed[:at], packed[at:])) == TEXT
        assert await unpacked(packed[at : at + 1] for at in range(len(packed))) == TEXT

    run(main())


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300_000), st.integers(0, 2**32))
def test_any_answer_any_chunks(body: bytes, seed: int) -> None:
    """Whatever was packed comes out, in blocks that are bounded."""
    packed, chance = gzip.compress(body, 1), random.Random(seed)
    cuts = sorted(chance.randrange(len(packed)) for _ in range(5))
    blocks = [packed[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(packed)], strict=True)]

    async def main() -> None:
        reply = DecodedReply(Packed(blocks))  # type: ignore[arg-type]
        found = []
        while block := await reply.next_block():
            assert len(block) <= BLOCK_BYTES
            found.append(block)
        assert b"".join(found) == body

    run(main())


def test_what_a_server_flushes_comes_at_once() -> None:
    """A stream's events are not held back until its compression ends."""
    packer = zlib.compressobj(wbits=31)

    async def main() -> None:
        blocks = [packer.compress(TEXT) + packer.flush(zlib.Z_SYNC_FLUSH), packer.flush()]
        reply = DecodedReply(Packed(blocks))  # type: ignore[arg-type]
        assert await reply.next_block() == TEXT
        assert await reply.next_block() == b""

    run(main())


@pytest.mark.parametrize(
    ("packed", "kind"),
    [
        (gzip.compress(TEXT)[:-9], "broken"),
        (b"\x1f\x8b", "broken"),
        (TEXT, "protocol"),
        (gzip.compress(TEXT) + b"x", "protocol"),
        (gzip.compress(TEXT) + gzip.compress(TEXT), "protocol"),
        (gzip.compress(TEXT)[:-8] + bytes(8), "protocol"),
    ],
    ids=["cut short", "a head alone", "no coding", "a byte behind it", "another behind it", "a wrong sum"],
)
def test_what_is_no_such_coding(packed: bytes, kind: str) -> None:
    """A fault, and never an end: half an answer is not taken for a whole one."""

    async def main() -> None:
        for blocks in ((packed,), [packed[at : at + 1] for at in range(len(packed))]):
            with pytest.raises(UpstreamFault) as caught:
                await unpacked(blocks)
            assert (caught.value.kind, caught.value.reached) == (kind, True)

    run(main())


def test_a_bomb_is_not_unpacked() -> None:
    """A hundred megabytes in a hundred kilobytes: refused at the limit, and the connection is closed."""
    packed = gzip.compress(bytes(100_000_000), 9)

    async def main() -> None:
        bomb = Packed((packed,))
        with pytest.raises(UpstreamFault, match="more than 1000000 bytes"):
            await DecodedReply(bomb).read(1_000_000)  # type: ignore[arg-type]
        assert bomb.is_closed

    run(main())


def test_through_a_connection() -> None:
    """Its headers tell neither coding nor packed length, and the connection is used again; an empty body is an empty body."""
    body = gzip.compress(TEXT)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: a/b\r\ncontent-encoding: GZIP\r\ncontent-length: %d\r\n\r\n"
    empty = b"HTTP/1.1 204 No Content\r\ncontent-encoding: gzip\r\n\r\n"

    async def main() -> None:
        for answer, expected in ((head % len(body) + body, TEXT), (empty, b"")):
            async with Scripted(always(answer)) as server:
                pool = upstream(server.url)
                for _ in range(2):
                    reply = await pool.send(b"GET", b"/", [], b"")
                    assert [name for name, _ in reply.headers if name.startswith(b"content-")] in ([b"content-type"], [])
                    assert await reply.read(1 << 20) == expected
                    reply.close()
                assert server.accepted == 1
                await pool.close()

    run(main())
