"""WebSockets to an upstream: what is sent, what is refused, and what a fault is called."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from gateway.errors import UpstreamFault
from gateway.upstream.base import Timeouts
from gateway.upstream.origin import parse_base_url
from gateway.upstream.websocket import Closed, Declined, WebSockets

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def visit(handler: Handler, sockets: WebSockets, visitor: Callable[..., Awaitable[None]]) -> None:
    app = web.Application()
    app.router.add_get("/base/v1/realtime", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    origin = parse_base_url(f"http://127.0.0.1:{runner.addresses[0][1]}/base")
    try:
        await visitor(lambda headers=(): sockets.connect(origin, b"/v1/realtime?model=m", headers, message_bytes_max=1000))
    finally:
        await sockets.close()
        await runner.cleanup()


def sockets(**kind: int) -> WebSockets:
    return WebSockets(timeouts=Timeouts(), connections_max=kind.get("connections_max", 10))


def test_what_goes_up() -> None:
    """The headers as given, less the client's own handshake and what names who embeds it; texts as they are, both ways."""

    async def echo(request: web.Request) -> web.StreamResponse:
        seen.update({name.lower(): value for name, value in request.headers.items()})
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            await ws.send_str(message.data)
            await ws.close(code=3001, message=b"enough")
        return ws

    async def visitor(connect: Callable[..., Awaitable[object]]) -> None:
        socket = await connect([
            (b"authorization", b"Bearer up"), (b"origin", b"https://x"), (b"sec-websocket-protocol", b"realtime, key"),
            (b"sec-websocket-key", b"forged"), (b"content-type", b"application/json"),
        ])  # fmt: skip
        await socket.send("é".encode())  # type: ignore[attr-defined]
        assert await socket.receive() == "é".encode()  # type: ignore[attr-defined]
        assert await socket.receive() == Closed(3001, "enough")  # type: ignore[attr-defined]
        assert len(owner) == 1
        await socket.close()  # type: ignore[attr-defined]
        assert len(owner) == 0

    seen: dict[str, str] = {}
    owner = sockets()
    asyncio.run(visit(echo, owner, visitor))
    assert seen["authorization"] == "Bearer up"
    assert seen.keys() & {"origin", "sec-websocket-protocol", "content-type", "user-agent"} == set()
    assert seen["sec-websocket-key"] != "forged"


@pytest.mark.parametrize("status", [400, 404, 429, 503, 200])
def test_a_status_instead_of_a_session(status: int) -> None:
    """It is told with its headers."""

    async def declines(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"retry-after": "7"})

    async def visitor(connect: Callable[..., Awaitable[object]]) -> None:
        with pytest.raises(Declined) as declined:
            await connect()
        assert declined.value.status == status
        assert (b"retry-after", b"7") in declined.value.headers

    asyncio.run(visit(declines, sockets(), visitor))


def test_a_redirect_is_not_followed() -> None:
    """The gateway's credentials go where its operator sent them, and nowhere else."""

    async def redirects(request: web.Request) -> web.StreamResponse:
        seen.append(request.path)
        raise web.HTTPFound("/base/v1/realtime?model=other")

    async def visitor(connect: Callable[..., Awaitable[object]]) -> None:
        with pytest.raises(UpstreamFault) as fault:
            await connect([(b"authorization", b"Bearer up")])
        assert (fault.value.kind, fault.value.reached) == ("protocol", True)

    seen: list[str] = []
    asyncio.run(visit(redirects, sockets(), visitor))
    assert len(seen) == 1


def test_faults_before_a_session() -> None:
    """Nobody listens: connect. All connections are in use: overloaded, at once."""

    async def visitor() -> None:
        owner = sockets()
        with pytest.raises(UpstreamFault) as fault:
            await owner.connect(parse_base_url("http://127.0.0.1:1"), b"/v1/realtime", (), message_bytes_max=1000)
        assert (fault.value.kind, fault.value.reached) == ("connect", False)
        await owner.close()
        with pytest.raises(UpstreamFault) as fault:
            await sockets(connections_max=0).connect(parse_base_url("http://127.0.0.1:1"), b"/", (), message_bytes_max=1000)
        assert (fault.value.kind, fault.value.reached) == ("overloaded", False)

    asyncio.run(visitor())
