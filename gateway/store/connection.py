"""The process's one connection to the store: made, kept, and made again. Knows commands and replies, nothing of budgets.

Failure policy: a call made while the connection is up, or while the first attempt to restore it runs, waits for its reply
up to the timeout. Once an attempt has failed, calls fail at once until one succeeds: a gateway must not queue on a store
that is gone.
Nothing is repeated here: whoever knows that a call is idempotent repeats it.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from gateway.background import Tasks
from gateway.errors import GaugerError, StoreFault
from gateway.store.address import Address
from gateway.store.link import Argument, ConnectionLost, Link, ReplyFault

CONNECT_TIMEOUT_S = 5.0
BACKOFF_MIN_S, BACKOFF_MAX_S = 0.05, 2.0
_WRONG_SERVER = frozenset({"READONLY", "LOADING", "MASTERDOWN"})
"""Answers of a server that will not do until it changes or the name points elsewhere: nothing ran, so connect anew."""


class Connection:
    """Use `open`, then `send`, then `close`. All on one event loop.

    `prelude` is sent after AUTH and SELECT on each new socket (scripts to load). `revive` runs before each attempt to
    reconnect (an embedded server may have to be started again); what it raises counts as a failed attempt.
    """

    def __init__(
        self,
        address: Address,
        *,
        timeout_s: float,
        prelude: Sequence[tuple[Argument, ...]] = (),
        revive: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self.address = address
        self._timeout_s = timeout_s
        self._prelude = prelude
        self._revive = revive
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks(self._reconnect_failed)
        self._link = self._new_link()
        self._fault: str | None = None
        self._is_closed = False

    async def open(self) -> None:
        """Raises StoreFault naming the address, without its secrets."""
        try:
            await self._establish(self._link)
        except (OSError, GaugerError) as error:
            self._is_closed = True
            raise StoreFault(self._unreachable(error)) from error

    def send(self, args: tuple[Argument, ...]) -> asyncio.Future[Any]:
        """The future reply; see `Link.send`. Raises StoreFault at once where the store is known to be gone."""
        if self._fault is not None:
            raise StoreFault(self._fault)
        return self._link.send(args)

    def distrust(self, fault: ReplyFault) -> None:
        """Connect anew if this answer means that the server is the wrong one."""
        if fault.code in _WRONG_SERVER and self._link.is_ready:
            self._link.abort(ConnectionLost(str(fault)))

    async def close(self) -> None:
        """Idempotent. What is pending fails with StoreFault."""
        self._is_closed = True
        self._fault = "the connection to the store was closed"
        self._link.abort(ConnectionLost(self._fault))
        await self._tasks.drain(0)
        await asyncio.sleep(0)  # lets the transport's connection_lost run before its loop may end

    def _new_link(self) -> Link:
        return Link(self._loop, timeout_s=self._timeout_s, on_lost=self._lost)

    async def _establish(self, link: Link) -> None:
        address = self.address
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                if address.path:
                    await self._loop.create_unix_connection(lambda: link, address.path)
                else:
                    context = ssl.create_default_context() if address.is_tls else None
                    await self._loop.create_connection(lambda: link, address.host, address.port, ssl=context)
                await link.handshake([*self._greeting(), *self._prelude])
        except TimeoutError as error:
            fault = StoreFault(f"no answer within {CONNECT_TIMEOUT_S:g} s")
            link.abort(fault)
            raise fault from error
        except StoreFault as fault:
            link.abort(fault)
            raise
        except BaseException:
            link.abort(StoreFault("connecting was given up"))
            raise
        link.begin()

    def _greeting(self) -> list[tuple[Argument, ...]]:
        greeting: list[tuple[Argument, ...]] = []
        if self.address.password:
            user = [self.address.user.encode()] if self.address.user else []
            greeting.append((b"AUTH", *user, self.address.password.encode()))
        if self.address.db:
            greeting.append((b"SELECT", self.address.db))
        greeting.append((b"PING",))
        return greeting

    def _lost(self, link: Link) -> None:
        if self._is_closed or link is not self._link or not link.is_ready:
            return  # closed on purpose, or lost while connecting: `_establish` has raised
        self._link = self._new_link()
        self._tasks.spawn(self._reconnect(), name="store reconnect")

    async def _reconnect(self) -> None:
        backoff_s = BACKOFF_MIN_S
        while not self._is_closed:
            try:
                if self._revive is not None:
                    await self._revive()
                await self._establish(self._link)
            except (OSError, GaugerError) as error:
                if self._is_closed:
                    return
                self._fault = self._unreachable(error)
                self._link.abort(StoreFault(self._fault))
                self._link = self._new_link()
                # Gateways that lost one store must not come back in step.
                await asyncio.sleep(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311  # no secret
                backoff_s = min(BACKOFF_MAX_S, 2 * backoff_s)
            else:
                self._fault = None
                return

    def _reconnect_failed(self, name: str, error: BaseException) -> None:
        self._fault = f"{name} failed: {error!r}"  # a bug: better a store that is gone than one that is half there
        self._link.abort(StoreFault(self._fault))

    def _unreachable(self, error: BaseException) -> str:
        return f"the store at {self.address} cannot be used: {error}"
