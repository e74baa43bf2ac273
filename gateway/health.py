"""`/healthz` (this process is alive) and `/readyz` (it can serve: store and upstream answer, and it isn't stopping).

They answer without a key, on the tenants' listener, and say nothing but which part fails.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import orjson

from gateway.errors import StoreFault
from gateway.whole import Whole

PATHS = frozenset(("/healthz", "/readyz"))
CHECK_AGAIN_S = 1.0
"""Answers are kept this long: anyone may ask, and asking must not load the store."""


class Pings(Protocol):
    async def ping(self) -> None: ...


class Probes(Protocol):
    async def probe(self) -> bool: ...


class Checks:
    """`stopping` is set once shutdown has begun: from then on the gateway is alive but not ready."""

    def __init__(self, store: Pings, upstream: Probes, stopping: asyncio.Event) -> None:
        self._store = store
        self._upstream = upstream
        self._stopping = stopping
        self._checking = asyncio.Lock()
        self._checked_s = float("-inf")
        self._parts: dict[str, bool] = {}

    async def answer(self, path: str) -> Whole:
        if path == "/healthz":
            return _json(200, {"status": "alive"})
        async with self._checking:  # whoever asks while it is looked waits for that answer
            if asyncio.get_running_loop().time() - self._checked_s > CHECK_AGAIN_S:
                self._parts = {"store": await self._store_answers(), "upstream": await self._upstream.probe(), "policies": True}
                self._checked_s = asyncio.get_running_loop().time()
        parts = {**self._parts, "accepting": not self._stopping.is_set()}
        is_ready = all(parts.values())
        return _json(200 if is_ready else 503, {"status": "ready" if is_ready else "not ready", "parts": parts})

    async def _store_answers(self) -> bool:
        try:
            await self._store.ping()
        except StoreFault:
            return False
        return True


def _json(status: int, body: dict[str, object]) -> Whole:
    return Whole(status, [("Content-Type", "application/json")], orjson.dumps(body))
