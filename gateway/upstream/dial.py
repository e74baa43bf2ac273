"""Open sockets to the upstream: resolve, connect, TLS.

Addresses are tried one after another, each with its share of the time that is left, and the one that last worked first: an
unreachable address family costs the first connection some time and no later one. It is done here and not by the loop's
`happy_eyeballs_delay` because uvloop has none, and both loops shall behave alike.
"""

from __future__ import annotations

import asyncio
import socket
import ssl as tls
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from gateway.upstream.origin import Origin

_RESOLVED_FOR_S = 5.0
"""Look-ups run in threads: a burst of new connections shares one."""
_TLS_SHUTDOWN_S = 1.0
P = TypeVar("P", bound=asyncio.Protocol)


class _Address(NamedTuple):
    family: int
    sockaddr: Any


class Dialler:
    """Opens connections to one origin."""

    def __init__(self, origin: Origin, context: tls.SSLContext | None) -> None:
        self._origin = origin
        self._context = context
        self._addresses: list[_Address] = []
        self._resolved_at = 0.0
        self._resolving = asyncio.Lock()
        self._last_good: _Address | None = None

    async def dial(self, factory: Callable[[], P], *, connect_s: float) -> P:
        """A connected protocol. Raises OSError (TLS and name errors included), TimeoutError after `connect_s`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + connect_s
        async with asyncio.timeout_at(deadline):
            addresses = await self._resolve(loop)
            failure: OSError = OSError(f"{self._origin.host} has no address")
            for index, address in enumerate(addresses):
                now = loop.time()
                try:
                    async with asyncio.timeout_at(now + (deadline - now) / (len(addresses) - index)):
                        protocol = await self._open(loop, factory, address)
                except OSError as error:  # a share that ran out is one too
                    failure = error
                else:
                    self._last_good = address
                    return protocol
            self._resolved_at = 0.0
            raise failure

    async def _resolve(self, loop: asyncio.AbstractEventLoop) -> list[_Address]:
        origin = self._origin
        if not self._addresses and origin.is_literal:
            family = socket.AF_INET6 if ":" in origin.host else socket.AF_INET
            self._addresses = [_Address(family, (origin.host, origin.port))]
        if origin.is_literal:
            return self._addresses
        async with self._resolving:
            if not self._addresses or loop.time() - self._resolved_at >= _RESOLVED_FOR_S:
                found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
                self._addresses = [_Address(family, sockaddr) for family, _, _, _, sockaddr in found]
                self._resolved_at = loop.time()
        return sorted(self._addresses, key=self._last_good.__ne__) if self._last_good else self._addresses

    async def _open(self, loop: asyncio.AbstractEventLoop, factory: Callable[[], P], address: _Address) -> P:
        sock = socket.socket(address.family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            await loop.sock_connect(sock, address.sockaddr)
        except BaseException:
            sock.close()
            raise
        if self._context is None:
            _, protocol = await loop.create_connection(factory, sock=sock)
        else:
            _, protocol = await loop.create_connection(
                factory,
                sock=sock,
                ssl=self._context,
                server_hostname=self._origin.host,
                ssl_shutdown_timeout=_TLS_SHUTDOWN_S,
            )
        return protocol
