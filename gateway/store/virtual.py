"""The ledger on a real server whose scripts run by a clock of ours: for trying policies, never for serving them.

The scripts are the very ones that serve, but for the function that tells the time: it reads a key, set before each call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from gateway.errors import StoreFault
from gateway.store.redis import RedisLedger
from gateway.store.scripts import load_scripts
from gateway.values import Line, Reserved

_CLOCK_KEY = b"g1:clock"
_SCRIPTS = load_scripts("local function now_us() return tonumber(redis.call('GET', 'g1:clock')) end")


class VirtualLedger(RedisLedger):
    """Make it with `open_virtual`."""

    now_us: Callable[[], int]
    standing: Callable[[], AbstractContextManager[None]]

    def _tick(self) -> None:
        """Commands of one connection are done in their order: the next script reads this."""
        set_clock = self._connection.send((b"SET", _CLOCK_KEY, self.now_us()))
        set_clock.add_done_callback(
            lambda reply: reply.cancelled() or reply.exception()
        )  # the call after it fails too, and says so

    async def clear(self) -> None:
        """Forget everything."""
        with self.standing():
            await self._connection.send((b"FLUSHALL",))

    async def reserve(self, hold_id: bytes, tag: bytes, lines: Sequence[Line], *, lease_us: int) -> Reserved:
        self._tick()
        with self.standing():
            return await super().reserve(hold_id, tag, lines, lease_us=lease_us)

    async def renew(self, hold_id: bytes, tag: bytes, lines: Sequence[Line], posted: Sequence[int], *, lease_us: int) -> bool:
        self._tick()
        with self.standing():
            return await super().renew(hold_id, tag, lines, posted, lease_us=lease_us)

    async def extend(self, hold_id: bytes, tag: bytes, lines: Sequence[Line], *, lease_us: int) -> Reserved:
        self._tick()
        with self.standing():
            return await super().extend(hold_id, tag, lines, lease_us=lease_us)

    async def settle(self, hold_id: bytes, tag: bytes, lines: Sequence[Line], actual: Sequence[int]) -> bool:
        self._tick()
        with self.standing():
            return await super().settle(hold_id, tag, lines, actual)

    def post(
        self, hold_id: bytes, tag: bytes, lines: Sequence[Line], actual: Sequence[int], *, lost: Callable[[StoreFault], None]
    ) -> None:
        self._tick()
        super().post(hold_id, tag, lines, actual, lost=lost)

    async def standings(self, tag: bytes, lines: Sequence[Line]) -> Reserved:
        self._tick()
        with self.standing():
            return await super().standings(tag, lines)


async def open_virtual(
    url: str, *, now_us: Callable[[], int], standing: Callable[[], AbstractContextManager[None]]
) -> VirtualLedger:
    """Connect to a server that nobody else uses. `standing` holds the clock while its body runs. Raises StoreFault."""
    options: dict[str, Any] = {"scripts": _SCRIPTS, "timeout_s": 10.0, "clock_us": now_us}
    with standing():
        ledger = await VirtualLedger.connect(url, **options)
    assert isinstance(ledger, VirtualLedger)  # noqa: S101  # `connect` makes the class it is called on
    ledger.now_us, ledger.standing = now_us, standing
    return ledger
