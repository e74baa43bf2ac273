"""Bodies that are sent as they are read: as fast as the server takes them, and no further than its refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.errors import UpstreamFault
from tests.upstream.scripted import OK, Scripted, always, read_request, run, turns, upstream
from tests.upstream.test_pool import BOTH

BLOCK = b"x" * 65_536


class Blocks:
    """A body of so many blocks, that counts how many were asked for."""

    def __init__(self, count: int, *, fails_at: int = -1) -> None:
        self.size = count * len(BLOCK)
        self.asked = 0
        self._count = count
        self._fails_at = fails_at

    async def blocks(self) -> AsyncIterator[bytes]:
        self.asked = 0
        for at in range(self._count):
            if at == self._fails_at:
                raise OSError("the disk is gone")
            self.asked += 1
            yield BLOCK


@BOTH
def test_whole(loop: str) -> None:
    """All of it arrives under its length, and the connection is used again, also after one that had been idle."""
    bodies: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await read_request(reader)
            assert b"\r\ncontent-length: %d\r\n" % len(body) in head
            bodies.append(body)
            writer.write(OK)

    async def main() -> None:
        async with Scripted(script) as server:
            client = upstream(server.url)
            for count in (1, 40, 0):
                reply = await client.send(b"POST", b"/", [], Blocks(count))
                assert await reply.read(10) == b"ok"
            assert [len(body) for body in bodies] == [len(BLOCK), 40 * len(BLOCK), 0]
            assert (server.accepted, client.connections) == (1, (1, 1))
            await client.close()

    run(main(), loop)


@BOTH
def test_as_fast_as_it_is_read(loop: str) -> None:
    """A server that reads nothing is sent no more than buffers hold."""
    goes_on = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await goes_on.wait()
        await reader.readexactly(1000 * len(BLOCK))
        writer.write(OK)

    async def main() -> None:
        async with Scripted(script) as server:
            client = upstream(server.url)
            body = Blocks(1000)
            task = asyncio.ensure_future(client.send(b"POST", b"/", [], body))
            stood_still, before = 0, -1
            while stood_still < 20:
                await asyncio.sleep(0.005)
                stood_still = stood_still + 1 if 0 < body.asked == before else 0
                before = body.asked
            assert body.asked < 400
            goes_on.set()
            assert await (await task).read(10) == b"ok"
            assert body.asked == 1000
            await client.close()

    run(main(), loop)


@BOTH
def test_an_early_refusal(loop: str) -> None:
    """It is delivered, the rest is not sent, and the connection, which has half a request in it, is not used again."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig")
        await writer.drain()
        await reader.read()

    async def main() -> None:
        async with Scripted(script) as server:
            client = upstream(server.url)
            body = Blocks(1000)
            reply = await client.send(b"POST", b"/", [], body)
            assert (reply.status, await reply.read(10)) == (413, b"big")
            assert body.asked < 1000
            await turns(lambda: client.connections == (0, 0))

    run(main(), loop)


@BOTH
def test_a_server_that_goes(loop: str) -> None:
    """Its fault, after it may have read some: never sent again."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    async def main() -> None:
        async with Scripted(script) as server:
            client = upstream(server.url)
            with pytest.raises(UpstreamFault) as fault:
                await client.send(b"POST", b"/", [], Blocks(1000))
            assert (fault.value.kind, fault.value.reached, server.accepted) == ("broken", True, 1)
            await turns(lambda: client.connections == (0, 0))

    run(main(), loop)


@BOTH
def test_a_body_that_cannot_be_read(loop: str) -> None:
    """What reading it raises comes out, and half a request is cut off: it cannot be taken for a whole one."""
    lengths: list[int] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            lengths.append(len(await reader.read(-1)))
        except ConnectionError:
            lengths.append(-1)

    async def main() -> None:
        async with Scripted(script) as server:
            client = upstream(server.url)
            with pytest.raises(OSError, match="disk is gone"):
                await client.send(b"POST", b"/", [], Blocks(3, fails_at=2))
            await turns(lambda: bool(lengths))
            assert lengths[0] < 3 * len(BLOCK)
            await turns(lambda: client.connections == (0, 0))

    run(main(), loop)


@BOTH
def test_whoever_leaves(loop: str) -> None:
    """Cancelled while it is sent, the server sees it at once."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(10)

    async def main() -> None:
        async with Scripted(script) as server:
            client = upstream(server.url)
            body = Blocks(1000)
            task = asyncio.ensure_future(client.send(b"POST", b"/", [], body))
            await turns(lambda: body.asked > 3)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await turns(lambda: client.connections == (0, 0))

    run(main(), loop)


def test_asked_anew() -> None:
    """An idle connection that was closed meanwhile: the body goes out whole on a new one."""

    async def main() -> None:
        async with Scripted(always()) as server:
            client = upstream(server.url)
            assert await (await client.send(b"POST", b"/", [], b"{}")).read(10) == b"ok"
            (connection,) = client._open
            connection.shut()
            body = Blocks(3)
            assert await (await client.send(b"POST", b"/", [], body)).read(10) == b"ok"
            assert (body.asked, server.accepted) == (3, 2)
            await client.close()

    run(main())
