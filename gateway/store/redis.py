"""The ledger on Redis or Valkey: one script call a verb, over one connection. What the verbs do stands in `lua/`.

Failure policy: a call whose connection broke is repeated once, on the same hold id, within its timeout; nothing else
is. `StoreFault` means that the outcome is unknown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from gateway.errors import StoreFault
from gateway.store.address import parse_url
from gateway.store.connection import Connection
from gateway.store.encoding import Packed, group, pack_amounts, pack_lines, unpack_reply
from gateway.store.link import Argument, ConnectionLost, ReplyFault
from gateway.store.ports import HoldGone, WindowPassed
from gateway.store.scripts import Script, Scripts, load_scripts
from gateway.values import Line, Reserved

_REFUSED, _ADMITTED, _WINDOW_PASSED, _CLOSED, _NOT_OPEN = 0, 1, 2, 3, 4


class RedisLedger:
    """`Ledger` on a server. Make it with `connect`.

    `tag` is the hash tag that all of a hold's owner keys carry in braces: keys are `g1:{TAG}:h:HOLD` and `g1:{TAG}:x`.
    A hold of no lines costs no call and is always admitted.
    """

    def __init__(self, connection: Connection, *, timeout_s: float, scripts: Scripts, clock_us: Callable[[], int]) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._scripts = scripts
        self._clock_us = clock_us
        self.clock_offset_us = 0
        """Store's clock minus this machine's, as of the last reply (late by its way back)."""

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        timeout_s: float = 1.0,
        revive: Callable[[], Awaitable[object]] | None = None,
        scripts: Scripts | None = None,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> RedisLedger:
        """Connect, load the scripts and read the store's clock. Raises StoreFault.

        `url`: see `address.py`. `revive` is awaited before each attempt to reconnect.
        """
        scripts = scripts or load_scripts()
        prelude: list[tuple[Argument, ...]] = [(b"SCRIPT", b"LOAD", script.source) for script in scripts]
        connection = Connection(parse_url(url), timeout_s=timeout_s, prelude=prelude, revive=revive)
        await connection.open()
        ledger = cls(connection, timeout_s=timeout_s, scripts=scripts, clock_us=clock_us)
        try:
            await ledger.ping()
        except BaseException:
            await connection.close()
            raise
        return ledger

    async def ping(self) -> None:
        """Ask for the store's clock. Raises StoreFault: it cannot be used now."""
        seconds, microseconds = await self._connection.send((b"TIME",))
        self._learn_clock(int(seconds) * 1_000_000 + int(microseconds))

    @property
    def connection(self) -> Connection:
        """For what is no ledger's business and shares its connection (`store.owners`)."""
        return self._connection

    def server_now_us(self) -> int:
        """The store's clock, estimated: off by the network's delay at most."""
        return self._clock_us() + self.clock_offset_us

    async def close(self) -> None:
        """Idempotent. Calls that are waiting fail with StoreFault."""
        await self._connection.close()

    async def reserve(self, hold_id: bytes, tag: bytes, lines: Sequence[Line], *, lease_us: int) -> Reserved:
        """See `Ledger.reserve`. Raises ValueError for lines that no store can keep (see `pack_lines`)."""
        if not lines:
            return Reserved(True, self.server_now_us(), ())
        packed = pack_lines(lines)
        script, keys = self._scripts.reserve, _keys(hold_id, tag, packed.owners)
        head: tuple[Argument, ...] = (b"EVALSHA", script.sha, len(keys), *keys)
        command = (*head, lease_us, packed.lines, packed.names, hold_id)
        began_us = self._clock_us()
        try:  # as `_run`, without its coroutine: every request comes this way
            reply = await self._connection.send(command)
        except (ReplyFault, ConnectionLost) as fault:
            reply = await self._again(script, command, fault, began_us)
        return self._reserved(reply, packed)

    async def renew(self, hold_id: bytes, tag: bytes, lines: Sequence[Line], posted: Sequence[int], *, lease_us: int) -> bool:
        """See `Ledger.renew`."""
        if not lines:
            return True
        owners, _, order = group(lines)
        amounts = pack_amounts(posted, order, len(lines))
        keys = _keys(hold_id, tag, owners)
        return bool(await self._run(self._scripts.renew, keys, (lease_us, amounts, hold_id)) == 1)

    async def extend(self, hold_id: bytes, tag: bytes, lines: Sequence[Line], *, lease_us: int) -> Reserved:
        """See `Ledger.extend`. Raises ValueError as `reserve` does."""
        if not lines:
            return Reserved(True, self.server_now_us(), ())
        packed = pack_lines(lines)
        args = (lease_us, packed.lines, packed.names, hold_id)
        return self._reserved(await self._run(self._scripts.extend, _keys(hold_id, tag, packed.owners), args), packed)

    async def settle(self, hold_id: bytes, tag: bytes, lines: Sequence[Line], actual: Sequence[int]) -> bool:
        """See `Ledger.settle`."""
        if not lines:
            return True
        owners, _, order = group(lines)
        amounts = pack_amounts(actual, order, len(lines))
        return bool(await self._run(self._scripts.settle, _keys(hold_id, tag, owners), (amounts, hold_id)) == 1)

    def post(
        self, hold_id: bytes, tag: bytes, lines: Sequence[Line], actual: Sequence[int], *, lost: Callable[[StoreFault], None]
    ) -> None:
        """See `Ledger.post`."""
        if not lines:
            return
        owners, _, order = group(lines)
        keys = _keys(hold_id, tag, owners)
        amounts = pack_amounts(actual, order, len(lines))
        command: tuple[Argument, ...] = (b"EVALSHA", self._scripts.settle.sha, len(keys), *keys, amounts, hold_id)
        try:
            reply = self._connection.send(command)
        except StoreFault as fault:
            lost(fault)
            return

        def done(reply: asyncio.Future[Any]) -> None:
            if not reply.cancelled() and (error := reply.exception()) is not None:
                lost(error if isinstance(error, StoreFault) else StoreFault(repr(error)))

        reply.add_done_callback(done)

    async def standings(self, tag: bytes, lines: Sequence[Line]) -> Reserved:
        """See `Ledger.standings`. Raises WindowPassed as `reserve` does."""
        if not lines:
            return Reserved(True, self.server_now_us(), ())
        packed = pack_lines(lines)
        keys = _keys(b"", tag, packed.owners)
        return self._reserved(await self._run(self._scripts.standings, keys, (packed.lines, packed.names)), packed)

    def _reserved(self, reply: object, packed: Packed) -> Reserved:
        try:
            code, now_us, standings = unpack_reply(cast(bytes, reply), packed.order)
        except ValueError as error:
            raise StoreFault(str(error)) from error
        self._learn_clock(now_us)
        if code == _WINDOW_PASSED:
            raise WindowPassed(now_us)
        if code == _CLOSED:
            raise StoreFault("the hold was closed before: a late duplicate cannot open it again")
        if code == _NOT_OPEN:
            raise HoldGone
        return Reserved(code == _ADMITTED, now_us, standings)

    def _learn_clock(self, store_us: int) -> None:
        self.clock_offset_us = store_us - self._clock_us()

    async def _run(self, script: Script, keys: list[bytes], args: tuple[Argument, ...]) -> Any:
        command = (b"EVALSHA", script.sha, len(keys), *keys, *args)
        began_us = self._clock_us()
        try:
            return await self._connection.send(command)
        except (ReplyFault, ConnectionLost) as fault:
            return await self._again(script, command, fault, began_us)

    async def _again(
        self, script: Script, command: tuple[Argument, ...], fault: ReplyFault | ConnectionLost, began_us: int
    ) -> Any:
        """Once more, where that can help; raises the fault where it cannot."""
        send = self._connection.send
        if isinstance(fault, ReplyFault):
            if fault.code != "NOSCRIPT":
                self._connection.distrust(fault)
                raise fault
            # Nothing ran. SCRIPT LOAD and not EVAL: servers drop scripts that came by EVAL once there are many.
            loading = send((b"SCRIPT", b"LOAD", script.source))
            return (await asyncio.gather(loading, send(command)))[1]
        # It may have run: every verb is idempotent on the hold's id. The new connection has the scripts.
        try:
            async with asyncio.timeout(max(0.0, self._timeout_s - (self._clock_us() - began_us) / 1e6)):
                return await send(command)
        except TimeoutError:
            raise fault from None


def _keys(hold_id: bytes, tag: bytes, owners: list[bytes]) -> list[bytes]:
    head = b"g1:{" + tag + b"}:"
    return [head + b"h:" + hold_id, head + b"x", *owners]
