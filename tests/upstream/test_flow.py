"""Large bodies: what waits in memory is bounded, and an answer that comes early is delivered."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import UpstreamFault
from tests.upstream.scripted import OK, PATIENT, Scripted, read_request, run, turns, upstream
from tests.upstream.test_pool import BOTH

MEBIBYTE = 1 << 20
TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig"


@BOTH
def test_a_slow_reader_pauses_the_upstream(loop: str) -> None:
    """While nobody reads, the upstream can send no more than buffers hold; then all of it arrives."""
    total = 64 * MEBIBYTE
    sent = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        block = b"x" * (MEBIBYTE // 4)
        while sent < total:
            writer.write(block)
            await writer.drain()
            sent += len(block)
        await reader.read()

    async def main() -> None:
        async with Scripted(script) as server:
            client = upstream(server.url, PATIENT._replace(between_chunks_s=0.2))
            reply = await client.send(b"GET", b"/", [], b"")
            stood_still = 0
            while stood_still < 6:  # longer than between_chunks_s: the silence is ours, so it must not count
                before = sent
                await asyncio.sleep(0.05)
                stood_still = stood_still + 1 if sent == before else 0
            assert sent < 24 * MEBIBYTE
            received = largest = 0
            while block := await reply.next_block():
                received += len(block)
                largest = max(largest, len(block))
            assert received == total
            assert largest <= MEBIBYTE
            await turns(lambda: client.connections == (1, 1))
            await client.close()

    run(main(), loop)


@BOTH
def test_a_large_request(loop: str) -> None:
    """10 MB go up whole, and the connection is reused afterwards."""
    body = bytes(range(256)) * (10 * MEBIBYTE // 256)
    arrived = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            arrived.append((await read_request(reader))[1])
            writer.write(OK)

    async def main() -> None:
        async with Scripted(script) as server:
            client = upstream(server.url)
            for _ in range(2):
                reply = await client.send(b"POST", b"/", [], body)
                assert await reply.read(10) == b"ok"
            assert server.accepted == 1
            await client.close()

    run(main(), loop)
    assert arrived == [body, body]


@BOTH
@pytest.mark.parametrize("closes", [True, False])
def test_an_early_answer(loop: str, closes: bool) -> None:
    """A 413 that comes while 10 MB are still going up is delivered, and its connection is not used again."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(TOO_LARGE)
        await writer.drain()
        if not closes:
            await asyncio.sleep(30)

    async def main() -> None:
        async with Scripted(script) as server:
            client = upstream(server.url)
            reply = await client.send(b"POST", b"/", [], b"x" * (10 * MEBIBYTE))
            assert (reply.status, await reply.read(10)) == (413, b"big")
            await turns(lambda: client.connections == (0, 0))
            await client.close()

    run(main(), loop)


@BOTH
def test_an_upstream_that_stops_reading(loop: str) -> None:
    """A request that nobody reads any more runs into between_chunks_s, not into first_byte_s, which starts after it."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    async def main() -> None:
        async with Scripted(script) as server:
            client = upstream(server.url, PATIENT._replace(between_chunks_s=0.1, first_byte_s=0.05))
            with pytest.raises(UpstreamFault) as caught:
                await client.send(b"POST", b"/", [], b"x" * (16 * MEBIBYTE))
            assert (caught.value.kind, caught.value.reached) == ("timeout_between_chunks", True)
            assert "read nothing of the request" in caught.value.message
            await client.close()

    run(main(), loop)
