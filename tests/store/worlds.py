"""Both ledgers behind one face, each with a clock that tests set: nothing here sleeps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway.store.local import LocalLedger
from gateway.store.ports import Ledger
from gateway.store.redis import RedisLedger
from gateway.store.scripts import load_scripts
from gateway.values import Line

START_US = 1_795_000_000_000_000
SECOND, MINUTE, HOUR, DAY = 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000
LEASE_US = 30 * SECOND
CLOCK_KEY = b"g1:test:clock"
SCRIPTS = load_scripts("local function now_us() return tonumber(redis.call('GET', 'g1:test:clock')) end")
TAG = b"00000000000000ab"


class World:
    """A ledger and its clock."""

    def __init__(self, redis: RedisLedger | None) -> None:
        self.redis = redis
        self.now_us = START_US
        self.ledger: Ledger = redis if redis is not None else LocalLedger(now_us=lambda: self.now_us)

    async def set_clock(self, now_us: int) -> None:
        self.now_us = now_us
        if self.redis is not None:
            await command(self.redis, b"SET", CLOCK_KEY, now_us)

    async def advance(self, by_us: int) -> None:
        await self.set_clock(self.now_us + by_us)

    async def reserve(self, hold: bytes, *lines: Line, lease_us: int = LEASE_US) -> Any:
        return await self.ledger.reserve(hold, TAG, lines, lease_us=lease_us)

    async def settle(self, hold: bytes, lines: list[Line] | tuple[Line, ...], *actual: int) -> bool:
        return await self.ledger.settle(hold, TAG, lines, actual)

    async def renew(self, hold: bytes, lines: list[Line] | tuple[Line, ...], *posted: int, lease_us: int = LEASE_US) -> bool:
        return await self.ledger.renew(hold, TAG, lines, posted, lease_us=lease_us)

    async def extend(self, hold: bytes, *lines: Line, lease_us: int = LEASE_US) -> Any:
        return await self.ledger.extend(hold, TAG, lines, lease_us=lease_us)

    async def stand(self, *lines: Line) -> list[tuple[int, int, int]]:
        """(used, held, remaining) of each line."""
        return [standing[:3] for standing in (await self.ledger.standings(TAG, lines)).standings]


@asynccontextmanager
async def world_of(kind: str, url: str) -> AsyncIterator[World]:
    """A fresh world; `kind` is "redis" or "local"."""
    if kind == "local":
        yield World(None)
        return
    redis = await RedisLedger.connect(url, scripts=SCRIPTS)
    try:
        await command(redis, b"FLUSHALL")
        world = World(redis)
        await world.set_clock(START_US)
        yield world
    finally:
        await redis.close()


async def command(ledger: RedisLedger, *args: bytes | int) -> Any:
    """Any command, on the ledger's own connection."""
    return await ledger._connection.send(args)


def owner(name: str) -> bytes:
    return b"g1:{" + TAG + b"}:o:" + name.encode()


def bucket(
    amount: int,
    *,
    certain: int = 0,
    burst: int = 10,
    refill: int = 10,
    field: bytes = b"b",
    enforce: bool = True,
    who: str = "a",
) -> Line:
    return Line(owner(who), field, "bucket", burst, refill, MINUTE, enforce, amount, certain)


def rolling(
    amount: int, *, certain: int = 0, limit: int = 10, field: bytes = b"r", enforce: bool = True, who: str = "a"
) -> Line:
    return Line(owner(who), field, "rolling", limit, MINUTE, 0, enforce, amount, certain)


def calendar(
    amount: int, now_us: int, *, certain: int = 0, limit: int = 10, field: bytes = b"c", enforce: bool = True, who: str = "a"
) -> Line:
    start_us = now_us - now_us % DAY
    return Line(owner(who), field, "calendar", limit, start_us, start_us + DAY, enforce, amount, certain)


def longer(lines: list[Line], amount: int) -> list[Line]:
    """The same hold's lines, for so much in all; concurrency stays."""
    return [line if line.kind == "concurrency" else line._replace(amount=amount) for line in lines]


def concurrency(amount: int = 1, *, limit: int = 3, field: bytes = b"k", enforce: bool = True, who: str = "a") -> Line:
    return Line(owner(who), field, "concurrency", limit, 0, 0, enforce, amount, 0)
