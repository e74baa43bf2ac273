"""The model servers behind a gateway: pools of servers that serve the same models, and which pool serves which.

A pool asks the server that has the fewest requests running, of equals the one that has waited longest. Failure policy: a
request of which no byte was written goes to the next server; one that may have been read never goes out twice, for a generation
costs money. What rests, and for how long, is `breaker`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import structlog

from gateway.errors import UpstreamFault
from gateway.upstream.base import Body, Reply
from gateway.upstream.breaker import Breaker
from gateway.upstream.pool import HttpUpstream

log = structlog.get_logger()

TIDY_EVERY_S = 5.0
Headers = list[tuple[bytes, bytes]]


class Server:
    """One base URL, its connections and its failures."""

    __slots__ = ("breaker", "turn", "upstream")

    def __init__(self, upstream: HttpUpstream) -> None:
        self.upstream = upstream
        self.breaker = Breaker()
        self.turn = 0
        """When it was asked last, in requests of its pool."""

    @property
    def running(self) -> int:
        opened, idle = self.upstream.connections
        return opened - idle


class Pool:
    """Servers that serve the same models; an `Upstream` itself."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self.servers = tuple(servers)
        self._turn = 0

    async def send(self, method: bytes, target: bytes, headers: Headers, body: bytes | Body) -> Reply:
        """See `base.Upstream.send`. Raises the fault of the server that was asked last."""
        if len(self.servers) == 1:
            return await self.servers[0].upstream.send(method, target, headers, body)
        loop = asyncio.get_running_loop()
        left = list(self.servers)
        while True:
            server = self._choose(left, loop.time())
            left.remove(server)
            try:
                reply = await server.upstream.send(method, target, headers, body)
            except UpstreamFault as fault:
                self._note_fault(server, fault.kind, loop.time())
                if fault.reached or not left:
                    raise
                continue
            server.breaker.note_status(reply.status, loop.time())
            return reply

    def choose(self) -> Server:
        """The server that a request would go to now, for who makes connections of its own."""
        return self._choose(self.servers, asyncio.get_running_loop().time())

    def _choose(self, servers: Sequence[Server], now_s: float) -> Server:
        awake = [server for server in servers if not server.breaker.is_resting(now_s)]
        if awake:
            server = min(awake, key=lambda server: (server.running, server.turn))
        else:
            server = min(servers, key=lambda server: server.breaker.rests_until_s)
        self._turn += 1
        server.turn = self._turn
        return server

    def _note_fault(self, server: Server, kind: str, now_s: float) -> None:
        was_resting = server.breaker.is_resting(now_s)
        server.breaker.note_fault(kind, now_s)
        if server.breaker.is_resting(now_s) and not was_resting:
            rest_s = round(server.breaker.rests_until_s - now_s, 1)
            log.warning("server_rests", side="upstream", server=server.upstream.where, fault=kind, rest_s=rest_s)

    async def probe(self) -> bool:
        """Whether one of its servers can be connected to."""
        return any(await asyncio.gather(*(server.upstream.probe() for server in self.servers)))

    async def close(self) -> None:
        await asyncio.gather(*(server.upstream.close() for server in self.servers))


class Route(NamedTuple):
    """Where a model's requests go."""

    name: str
    """As the policy names it; "": the one that the settings name."""
    pool: Pool
    credentials: Mapping[str, Headers]
    """The pool's own, by wire family."""


class Wanted(NamedTuple):
    """A pool that a policy asks for."""

    name: str
    urls: tuple[str, ...]
    credentials: Mapping[str, Headers]


class Fleet:
    """Every pool. Servers are kept over reloads as long as some pool wants their URL, and with them their connections."""

    def __init__(self, default: Route, open_server: Callable[[str], HttpUpstream]) -> None:
        self._default = default
        self._open = open_server
        self._routes: dict[str, Route] = {"": default}
        self._servers: dict[tuple[str, str], Server] = {}
        self._dropped: list[Server] = []

    def adopt(self, wanted: Sequence[Wanted]) -> None:
        """From now on these pools, and the default, are the fleet. Raises SettingsError, and nothing has changed then.

        Running requests keep the server they were sent to; one that no pool wants any more is closed by `close_dropped`.
        """
        servers: dict[tuple[str, str], Server] = {}
        routes = {"": self._default}
        for pool in wanted:
            members = []
            for url in pool.urls:
                server = self._servers.get((pool.name, url)) or Server(self._open(url))
                servers[pool.name, url] = server
                members.append(server)
            routes[pool.name] = Route(pool.name, Pool(members), pool.credentials)
        self._dropped += [server for key, server in self._servers.items() if key not in servers]
        self._servers, self._routes = servers, routes

    def route(self, name: str) -> Route:
        """The pool of this name; the default where a reload has taken it away meanwhile."""
        return self._routes.get(name, self._default)

    @property
    def routes(self) -> tuple[Route, ...]:
        """Those that are in use: the default only where the policy names none."""
        named = tuple(route for name, route in self._routes.items() if name)
        return named or (self._default,)

    async def probe(self) -> bool:
        """Whether every pool in use has a server that can be connected to."""
        return all(await asyncio.gather(*(route.pool.probe() for route in self.routes)))

    async def close_dropped(self) -> None:
        """Close the servers of former pools that have nothing running any more."""
        idle = [server for server in self._dropped if not server.running]
        self._dropped = [server for server in self._dropped if server.running]
        await asyncio.gather(*(server.upstream.close() for server in idle))

    async def tidy(self) -> None:
        """Close them for ever, as they become idle."""
        while True:
            await asyncio.sleep(TIDY_EVERY_S)
            await self.close_dropped()

    async def close(self) -> None:
        servers = [*self._servers.values(), *self._dropped]
        await asyncio.gather(self._default.pool.close(), *(server.upstream.close() for server in servers))
