"""The multiplexed connection: order, timeouts, cancellation, breaks, recovery.

A scripted server stands in where a real one is too well-behaved.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import hiredis
import pytest

from gateway.errors import StoreFault
from gateway.store import link
from gateway.store.address import parse_url
from gateway.store.connection import Connection
from gateway.store.link import ConnectionLost, ReplyFault
from gateway.store.redis import RedisLedger

from .worlds import LEASE_US, TAG, bucket, command

Answer = Callable[[list[bytes], asyncio.StreamWriter], Awaitable[None]]


class Scripted:
    """A server that answers PING, and leaves every other command to `answer`."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self.url = f"unix://{path}"
        self.path = path
        self.answer = answer
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        commands = hiredis.Reader()
        try:
            while data := await reader.read(65536):
                commands.feed(data)
                while (got := commands.gets()) is not False:
                    if got == [b"PING"]:
                        writer.write(b"+PONG\r\n")
                    else:
                        await self.answer(got, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)
        self.path.unlink(missing_ok=True)


@asynccontextmanager
async def scripted(answer: Answer) -> AsyncIterator[Scripted]:
    with tempfile.TemporaryDirectory(prefix="gg") as folder:
        server = Scripted(Path(folder) / "s", answer)
        await server.start()
        try:
            yield server
        finally:
            await server.stop()


@asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[Connection]:
    connection = Connection(parse_url(url), **{"timeout_s": 0.1, **options})
    await connection.open()
    try:
        yield connection
    finally:
        await connection.close()


async def echo(got: list[bytes], writer: asyncio.StreamWriter) -> None:
    writer.write(b"$%d\r\n%b\r\n" % (len(got[1]), got[1]))


def test_replies_reach_their_callers(store_url: str) -> None:
    """Hundreds of calls in flight on one socket each get their own reply, in however many reads the replies come."""

    async def main() -> None:
        async with connected(store_url, timeout_s=5.0) as connection:
            texts = [b"%d" % i * (1 + i * 37 % 5000) for i in range(500)]
            assert await asyncio.gather(*(connection.send((b"ECHO", text)) for text in texts)) == texts

    asyncio.run(main())


def test_late_reply_is_dropped() -> None:
    """A call that times out fails with StoreFault; its late reply does not shift anybody else's."""

    async def main() -> None:
        async def answer(got: list[bytes], writer: asyncio.StreamWriter) -> None:
            if got[1] == b"slow":
                await asyncio.sleep(0.18)
            await echo(got, writer)

        async with scripted(answer) as server, connected(server.url) as connection:
            with pytest.raises(StoreFault, match=r"did not answer within 0\.1 s"):
                await connection.send((b"ECHO", b"slow"))
            assert await connection.send((b"ECHO", b"next")) == b"next"
            assert server.connections == 1

    asyncio.run(main())


def test_cancelled_call_leaves_its_place() -> None:
    """A caller that is cancelled in mid-flight does not shift the replies of the others."""

    async def main() -> None:
        async with scripted(echo) as server, connected(server.url) as connection:

            async def ask(text: bytes) -> bytes:
                return bytes(await connection.send((b"ECHO", text)))

            tasks = [asyncio.ensure_future(ask(b"%d" % i)) for i in range(10)]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            replies = await asyncio.gather(*tasks, return_exceptions=True)
            assert replies[1::2] == [b"%d" % i for i in range(1, 10, 2)]
            assert all(isinstance(reply, asyncio.CancelledError) for reply in replies[::2])
            assert await ask(b"after") == b"after"

    asyncio.run(main())


def test_store_that_stops_answering_is_cut_off() -> None:
    """A half-dead connection (no answer, no close) is given up after three timeouts, and a new one made."""

    async def main() -> None:
        async def answer(got: list[bytes], writer: asyncio.StreamWriter) -> None:
            if server.connections > 1:
                await echo(got, writer)

        async with scripted(answer) as server, connected(server.url, timeout_s=0.05) as connection:
            with pytest.raises(StoreFault):
                await connection.send((b"ECHO", b"x"))
            async with asyncio.timeout(5):
                while server.connections == 1:
                    await asyncio.sleep(0.01)
            assert await connection.send((b"ECHO", b"y")) == b"y"

    asyncio.run(main())


def test_break_in_mid_reply() -> None:
    """A connection cut inside a reply fails everything pending with ConnectionLost; the next call meets a new connection."""

    async def main() -> None:
        async def answer(got: list[bytes], writer: asyncio.StreamWriter) -> None:
            if server.connections > 1:
                await echo(got, writer)
                return
            writer.write(b"$100\r\nhalf a rep")
            await writer.drain()
            writer.transport.abort()

        async with scripted(answer) as server, connected(server.url, timeout_s=1.0) as connection:
            calls = [connection.send((b"ECHO", b"%d" % i)) for i in range(3)]
            for fault in await asyncio.gather(*calls, return_exceptions=True):
                assert isinstance(fault, ConnectionLost)
            assert await connection.send((b"ECHO", b"again")) == b"again"

    asyncio.run(main())


@pytest.mark.parametrize(
    "nonsense", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n+OK\r\n+OK\r\n", b"$-7\r\n", b"*1000000000000\r\n"]
)
def test_nonsense_is_a_broken_connection(nonsense: bytes) -> None:
    """Bytes that are no reply, or one reply too many, break the connection: nobody gets another's answer."""

    async def main() -> None:
        async def answer(got: list[bytes], writer: asyncio.StreamWriter) -> None:
            if server.connections > 1:
                await echo(got, writer)
            else:
                writer.write(nonsense)

        async with scripted(answer) as server, connected(server.url, timeout_s=1.0) as connection:
            try:
                assert await connection.send((b"ECHO", b"x")) == b"OK"
            except ConnectionLost:
                pass
            await asyncio.sleep(0.01)
            assert await connection.send((b"ECHO", b"again")) == b"again"

    asyncio.run(main())


def test_gone_store_fails_fast_and_comes_back() -> None:
    """While the store is gone calls fail at once; once it is back, they are served again without anyone's doing."""

    async def main() -> None:
        async with scripted(echo) as server, connected(server.url, timeout_s=1.0) as connection:
            await server.stop()
            with pytest.raises(StoreFault):
                await connection.send((b"ECHO", b"x"))
            started_s = asyncio.get_running_loop().time()
            with pytest.raises(StoreFault, match="cannot be used"):
                await connection.send((b"ECHO", b"x"))
            assert asyncio.get_running_loop().time() - started_s < 0.5
            await server.start()
            async with asyncio.timeout(5):
                while True:
                    try:
                        assert await connection.send((b"ECHO", b"y")) == b"y"
                        break
                    except StoreFault:
                        await asyncio.sleep(0.01)

    asyncio.run(main())


def test_store_that_does_not_read() -> None:
    """Bytes for a store that reads nothing wait here within bounds: calls time out, and past the bound they are refused."""

    async def main() -> None:
        async def answer(got: list[bytes], writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.3)

        async with scripted(answer) as server, connected(server.url) as connection:
            calls = [connection.send((b"ECHO", b"x" * 4000)) for _ in range(1000)]
            faults = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(fault) for fault in faults} == {StoreFault}
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(link, "PENDING_MAX", 1000)
                with pytest.raises(StoreFault, match="1000 replies behind"):
                    connection.send((b"ECHO", b"x"))

    asyncio.run(main())


def test_close_fails_what_waits() -> None:
    """Closing is final and idempotent: what waits fails, and so does every later call."""

    async def main() -> None:
        async def silent(got: list[bytes], writer: asyncio.StreamWriter) -> None:
            pass

        async with scripted(silent) as server, connected(server.url) as connection:
            call = connection.send((b"ECHO", b"x"))
            await connection.close()
            await connection.close()
            with pytest.raises(StoreFault):
                await call
            with pytest.raises(StoreFault, match="was closed"):
                connection.send((b"ECHO", b"x"))

    asyncio.run(main())


def test_lost_scripts_are_loaded_again(store_url: str) -> None:
    """After SCRIPT FLUSH the next calls load what is missing and succeed, many at once."""

    async def main() -> None:
        ledger = await RedisLedger.connect(store_url)
        try:
            await command(ledger, b"FLUSHALL")
            await command(ledger, b"SCRIPT", b"FLUSH")
            line = bucket(1)
            held = [ledger.reserve(b"%d" % i, TAG, [line], lease_us=LEASE_US) for i in range(20)]
            assert sum(reply.admitted for reply in await asyncio.gather(*held)) == 10
        finally:
            await ledger.close()

    asyncio.run(main())


def test_two_connections_share_a_budget(store_url: str) -> None:
    """Of two hundred reserves over two connections against ten, exactly ten are admitted."""

    async def main() -> None:
        ledgers = [await RedisLedger.connect(store_url) for _ in range(2)]
        try:
            await command(ledgers[0], b"FLUSHALL")
            calls = [ledgers[i % 2].reserve(b"%d" % i, TAG, [bucket(1)], lease_us=LEASE_US) for i in range(200)]
            assert sum(reply.admitted for reply in await asyncio.gather(*calls)) == 10
            assert abs(ledgers[0].clock_offset_us) < 1_000_000
        finally:
            for ledger in ledgers:
                await ledger.close()

    asyncio.run(main())


def test_databases_and_passwords(store_url: str) -> None:
    """The URL's database is selected; a password that the store refuses is an error that does not quote it."""

    async def main() -> None:
        async with connected(f"{store_url}?db=3") as three, connected(store_url) as zero:
            await three.send((b"SET", b"k", b"v"))
            assert await zero.send((b"GET", b"k")) is None
            await three.send((b"DEL", b"k"))
        with pytest.raises(StoreFault) as refused:
            await RedisLedger.connect(store_url.replace("unix://", "unix://user:s3cret@"))
        assert "s3cret" not in str(refused.value)
        assert "WRONGPASS" in str(refused.value)
        async with connected(store_url) as connection:
            with pytest.raises(ReplyFault) as fault:
                await connection.send((b"NOSUCH",))
            assert fault.value.code == "ERR"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h", ("h", 6379, "", False, 0, "", "")),
        ("valkey://u:p%40w@h:7/4", ("h", 7, "", False, 4, "u", "p@w")),
        ("rediss://:pw@[::1]:7000", ("::1", 7000, "", True, 0, "", "pw")),
        ("unix:///run/s.sock?db=2", ("", 0, "/run/s.sock", False, 2, "", "")),
        ("redis+unix://u:p@/run/a%20b", ("", 0, "/run/a b", False, 0, "u", "p")),
    ],
)
def test_urls(url: str, expected: tuple[object, ...]) -> None:
    address = parse_url(url)
    assert tuple(address) == expected
    assert "p@w" not in repr(address)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://h", "starts with 'http': allowed are redis://"),
        ("h:6379", "starts with 'h'"),
        ("redis://", "names no host"),
        ("redis://:secret@h:port", "is the port a number"),
        ("redis://h/x", "database 'x'"),
        ("unix://run/s.sock", "three slashes"),
        ("unix://", "names no socket"),
    ],
)
def test_bad_urls(url: str, message: str) -> None:
    """Each mistake is named; a secret in the URL is not repeated."""
    with pytest.raises(StoreFault, match=message) as fault:
        parse_url(url)
    assert "secret" not in str(fault.value)
