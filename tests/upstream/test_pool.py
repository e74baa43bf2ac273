"""Connections: reuse, idleness, limits, faults, cancellation. Against scripted servers on loopback, on both loops."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from gateway.errors import SettingsError, UpstreamFault
from gateway.upstream.base import Timeouts
from gateway.upstream.pool import HttpUpstream
from gateway.upstream.reply import HttpReply
from tests.upstream.scripted import OK, PATIENT, Scripted, always, answering, read_request, run, turns, upstream

BOTH = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


async def get(client: HttpUpstream, body: bytes = b"") -> HttpReply:
    return await client.send(b"POST", b"/v1/x", [(b"x-a", b"b")], body)


async def fault(client: HttpUpstream, body: bytes = b"") -> UpstreamFault:
    """The fault that one request ends with, wherever it is raised."""
    with pytest.raises(UpstreamFault) as caught:
        await (await get(client, body)).read(1 << 20)
    return caught.value


def sockets() -> int:
    """Open sockets of this process."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:
            pass
    return found


@BOTH
def test_reuse(loop: str) -> None:
    """Requests one after another share a connection; the request arrives as written, prefix and credentials included."""
    seen = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await read_request(reader))
            writer.write(OK)

    async def main() -> None:
        async with Scripted(script) as server:
            client = upstream(server.url + "/base/")
            for _ in range(3):
                reply = await get(client, b"body")
                assert (reply.status, await reply.read(10)) == (200, b"ok")
                reply.close()
            assert server.accepted == 1
            assert client.connections == (1, 1)
            await client.close()
            assert client.connections == (0, 0)

    run(main(), loop)
    assert seen[2] == (
        b"POST /base/v1/x HTTP/1.1\r\nhost: 127.0.0.1:%b\r\nconnection: keep-alive\r\n"
        b"authorization: Bearer upstream-secret\r\nx-a: b\r\ncontent-length: 4\r\n\r\n" % seen[2][0].split(b"\r\n")[1][16:],
        b"body",
    )


@BOTH
def test_no_reuse_after_close(loop: str) -> None:
    """An answer with connection: close, or one ended by it, is whole; the next request gets a new connection."""

    async def main() -> None:
        for answer in (OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"), b"HTTP/1.0 200 OK\r\n\r\nok"):
            async with Scripted(answering(answer)) as server:
                client = upstream(server.url)
                for _ in range(2):
                    assert await (await get(client)).read(10) == b"ok"
                assert server.accepted == 2
                await client.close()

    run(main(), loop)


@BOTH
def test_the_server_closes_an_idle_connection(loop: str) -> None:
    """EOF on an idle connection takes it out of the pool at once, so nobody's request meets it."""

    async def main() -> None:
        async with Scripted(answering(OK)) as server:
            client = upstream(server.url)
            for expected in (1, 2):
                assert await (await get(client)).read(10) == b"ok"
                await turns(lambda: client.connections == (0, 0))
                assert server.accepted == expected
            await client.close()

    run(main(), loop)


def test_the_most_recent_is_used_first_and_the_reaper_takes_the_oldest() -> None:
    """Idle connections form a stack; those idle for the timeout are closed, at the reaper's given time."""

    async def main() -> None:
        async with Scripted(always()) as server:
            client = upstream(server.url, idle_timeout_s=4.0)
            replies = await asyncio.gather(*(get(client) for _ in range(3)))
            assert [await reply.read(10) for reply in replies] == [b"ok"] * 3
            assert client.connections == (3, 3)
            for age, connection in enumerate(reversed(client._idle)):
                connection.idle_since = 100.0 - age  # the last one became idle last
            newest = next(reversed(client._idle))
            assert client.reap(101.9) == 0
            assert client.reap(102.5) == 1
            assert client.reap(103.5) == 1
            assert list(client._idle) == [newest]
            assert client.reap(104.0) == 1
            await turns(lambda: client.connections == (0, 0) and server.open == 0)
            await client.close()

    run(main())


@BOTH
def test_the_reaper_runs_by_itself(loop: str) -> None:
    """With nothing else happening, an idle connection is closed after the idle timeout."""

    async def main() -> None:
        async with Scripted(always()) as server:
            client = upstream(server.url, idle_timeout_s=0.05)
            await (await get(client)).read(10)
            await turns(lambda: client.connections == (0, 0) and server.open == 0)
            await client.close()

    run(main(), loop)


@BOTH
def test_overload_is_refused_at_once(loop: str) -> None:
    """Beyond connections_max a request is refused without waiting, and is told so; a freed place can be used again."""

    async def main() -> None:
        async with Scripted(always(OK[:-1])) as server:
            client = upstream(server.url, connections_max=2)
            first, second = await asyncio.gather(get(client), get(client))
            refused = await fault(client)
            assert (refused.kind, refused.reached) == ("overloaded", False)
            assert "connections_max=2" in refused.message
            first.close()
            await turns(lambda: client.connections == (1, 0))
            third = await get(client)
            assert server.accepted == 3
            second.close()
            third.close()
            await client.close()

    run(main(), loop)


@BOTH
def test_unreachable(loop: str) -> None:
    """A refused connection and an unknown name are connect faults that name the place; nothing was reached."""

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        client = upstream(f"http://127.0.0.1:{port}")
        refused = await fault(client)
        assert (refused.kind, refused.reached) == ("connect", False)
        assert f"127.0.0.1:{port}" in refused.message
        assert not await client.probe()
        unknown = await fault(upstream("http://no-such-host.invalid:1"))
        assert (unknown.kind, unknown.reached) == ("connect", False)

    run(main(), loop)


@BOTH
def test_several_addresses(loop: str) -> None:
    """An address that refuses does not hinder the next, and the one that worked is asked first from then on."""

    async def main() -> None:
        async with Scripted(always()) as server:
            client = upstream(f"http://localhost:{server.port}")
            tried = []

            async def resolve(host: str, port: int, **_: object) -> list[object]:
                tried.append(host)
                stream = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
                return [(*stream, ("127.0.0.99", port)), (*stream, ("127.0.0.1", port))]

            running = asyncio.get_running_loop()
            original, running.getaddrinfo = running.getaddrinfo, resolve  # type: ignore[method-assign,assignment]
            try:
                replies = await asyncio.gather(*(get(client) for _ in range(5)))
            finally:
                running.getaddrinfo = original  # type: ignore[method-assign]
            assert [await reply.read(9) for reply in replies] == [b"ok"] * 5
            assert tried == ["localhost"]  # one look-up for a burst
            assert client._dialler._last_good is not None
            assert client._dialler._last_good.sockaddr[0] == "127.0.0.1"
            await client.close()

    if loop == "asyncio":  # uvloop's methods cannot be replaced; what is tested does not depend on it
        run(main(), loop)


@BOTH
@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200", OK[:-1], b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n"]
)
def test_an_upstream_that_dies(loop: str, answer: bytes) -> None:
    """A connection that ends anywhere before the answer's end is a fault; the request may have been processed."""

    async def main() -> None:
        async with Scripted(answering(answer)) as server:
            client = upstream(server.url)
            broken = await fault(client)
            assert (broken.kind, broken.reached) == ("broken", True)
            assert "upstream-secret" not in broken.message
            await turns(lambda: client.connections == (0, 0))
            await client.close()

    run(main(), loop)


@BOTH
def test_a_reused_connection_that_dies_unanswered_is_not_retried(loop: str) -> None:
    """The request was written, so it may have been processed: it is not sent twice, and the message says what to look at."""

    async def main() -> None:
        async with Scripted(answering(OK, b"")) as server:
            client = upstream(server.url)
            await (await get(client)).read(10)
            broken = await fault(client)
            assert (broken.kind, broken.reached) == ("broken", True)
            assert "keep-alive" in broken.message
            assert server.accepted == 1
            await client.close()

    run(main(), loop)


@BOTH
def test_a_write_that_fails_at_once_goes_out_on_a_fresh_connection(loop: str) -> None:
    """When the first write fails no byte has left: the request is sent once more, on a connection of its own."""

    async def main() -> None:
        async with Scripted(always()) as server:
            client = upstream(server.url)
            await (await get(client)).read(10)
            (connection,) = client._idle
            assert connection._transport is not None
            descriptor = connection._transport.get_extra_info("socket").fileno()
            with socket.socket(fileno=os.dup(descriptor)) as same:
                same.shutdown(socket.SHUT_WR)  # the next send fails with EPIPE
            reply = await get(client)
            assert await reply.read(10) == b"ok"
            assert server.accepted == 2
            await client.close()

    run(main(), loop)


@BOTH
@pytest.mark.parametrize(
    ("kind", "setting", "answer"),
    [
        ("timeout_first_byte", "first_byte_s", b""),
        ("timeout_first_byte", "first_byte_s", b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nx:"),
        ("timeout_between_chunks", "between_chunks_s", OK[:-1]),
        ("timeout_total", "total_s", b""),
        ("timeout_total", "total_s", OK[:-1]),
    ],
)
def test_timeouts(loop: str, kind: str, setting: str, answer: bytes) -> None:
    """Each timeout has its own kind, names itself and its value, and closes the connection; after earlier use as well."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)
        writer.write(answer)
        await reader.read()

    async def main() -> None:
        async with Scripted(script) as server:
            client = upstream(server.url, PATIENT._replace(**{setting: 0.06}))
            await (await get(client)).read(10)
            late = await fault(client)
            assert (late.kind, late.reached) == (kind, True)
            assert f"127.0.0.1:{server.port}" in late.message
            assert f"{setting}=0.06" in late.message
            await turns(lambda: server.open == 0 and client.connections == (0, 0))
            await client.close()

    run(main(), loop)


@BOTH
def test_a_slow_but_steady_stream_passes(loop: str) -> None:
    """Chunks that each come in time do not add up to a timeout, though the whole takes several times as long."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(30):
            writer.write(b"1\r\nx\r\n")
            await asyncio.sleep(0.02)
        writer.write(b"0\r\n\r\n")
        await reader.read()

    async def main() -> None:
        async with Scripted(script) as server:
            client = upstream(server.url, PATIENT._replace(first_byte_s=0.3, between_chunks_s=0.3))
            assert await (await get(client)).read(100) == b"x" * 30
            await client.close()

    run(main(), loop)


@BOTH
def test_timeout_connect(loop: str) -> None:
    """A server that accepts no connection runs into connect_s, and nothing was reached."""

    async def main() -> None:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen(0)
            address = silent.getsockname()
            fill = []
            for _ in range(4):  # a full backlog drops what comes after
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(address)
                fill.append(filler)
            client = upstream(f"http://127.0.0.1:{address[1]}", PATIENT._replace(connect_s=0.1))
            before = sockets()
            late = await fault(client)
            assert (late.kind, late.reached) == ("timeout_connect", False)
            assert "connect_s=0.1" in late.message
            assert client.connections == (0, 0)
            await turns(lambda: sockets() == before)
            for filler in fill:
                filler.close()

    run(main(), loop)


@BOTH
@pytest.mark.parametrize("answer", [b"", OK[:-1]])
def test_cancelling_closes_the_socket_at_once(loop: str, answer: bytes) -> None:
    """A task that is cancelled while it waits, before the head or in the body, closes its connection within two turns."""

    async def main() -> None:
        arrived = asyncio.Event()
        left = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(answer)
            arrived.set()
            await reader.read()
            left.set()

        async with Scripted(script) as server:
            client = upstream(server.url)

            async def ask() -> None:
                await (await get(client)).read(10)

            async with asyncio.TaskGroup() as group:
                task = group.create_task(ask())
                await arrived.wait()
                await asyncio.sleep(0.02)
                task.cancel()
            assert await turns(lambda: client.connections == (0, 0)) <= 3
            await left.wait()
            await client.close()

    run(main(), loop)


@BOTH
def test_no_socket_is_leaked(loop: str) -> None:
    """After answers read, left unread, broken, cancelled and timed out there are as many sockets as before."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, _ = await read_request(reader)
            if head.startswith(b"GET /broken"):
                writer.write(OK[:-1])
                return
            if head.startswith(b"GET /silent"):
                continue
            writer.write(OK if head.startswith(b"GET /good") else OK[:-1])

    async def main() -> None:
        async with Scripted(script) as server:
            before = sockets()
            client = upstream(server.url, PATIENT._replace(first_byte_s=0.2))

            async def ask(number: int) -> None:
                what = (b"good", b"broken", b"silent", b"unread", b"cancelled")[number % 5]
                try:
                    async with asyncio.timeout(0.1 if what == b"cancelled" else None):
                        reply = await client.send(b"GET", b"/" + what, [], b"")
                        if what == b"unread":
                            reply.close()
                        await reply.read(10)
                except (UpstreamFault, TimeoutError):
                    pass

            async with asyncio.TaskGroup() as group:
                for number in range(60):
                    group.create_task(ask(number))
            opened, idle = client.connections
            assert opened == idle
            await client.close()
            await turns(lambda: sockets() == before and server.open == 0)

    run(main(), loop)


@BOTH
def test_closing_while_busy(loop: str) -> None:
    """close() ends what is in flight with a fault, refuses what comes later, and is idempotent."""

    async def main() -> None:
        async with Scripted(always(OK[:-1])) as server:
            client = upstream(server.url)
            reply = await get(client)
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(reply.next_block())
                assert await waiting == b"o"
                failing = group.create_task(fault(client))
                await turns(lambda: len(client._open) == 2)
                await client.close()
                await client.close()
                assert (await failing).reached
            assert client.connections == (0, 0)
            late = await fault(client)
            assert (late.kind, late.reached) == ("connect", False)
            assert not await client.probe()

    run(main(), loop)


@BOTH
def test_probe(loop: str) -> None:
    """A probe makes one connection, which the first request then uses; many at once share it."""

    async def main() -> None:
        async with Scripted(always()) as server:
            client = upstream(server.url)
            assert await asyncio.gather(*(client.probe() for _ in range(5))) == [True] * 5
            assert await (await get(client)).read(10) == b"ok"
            assert server.accepted == 1
            await client.close()

    run(main(), loop)


@pytest.mark.parametrize(
    "options",
    [
        {"idle_timeout_s": 0.0},
        {"connections_max": 0},
        {"timeouts": Timeouts(first_byte_s=0)},
        {"timeouts": Timeouts(total_s=float("inf"))},
    ],
)
def test_settings(options: dict[str, object]) -> None:
    """A limit that cannot be meant stops the start and is named."""
    with pytest.raises(SettingsError, match="allowed is"):
        HttpUpstream("http://a.test", credentials=[], **options)  # type: ignore[arg-type]
