"""Tracked background tasks: what must outlive the request that started it.

Rule 1: the only place that makes tasks. A bare `asyncio.create_task` may be collected in mid-flight, and its exception is
lost; here every task is held until it ends, its failure is reported, and shutdown waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Tasks:
    """A set of running tasks. `on_error(name, exception)` is called for each that fails."""

    def __init__(self, on_error: Callable[[str, BaseException], None]) -> None:
        self._on_error = on_error
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, coroutine: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Run it until its end, whatever becomes of the caller."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_error(task.get_name(), error)

    def __len__(self) -> int:
        return len(self._running)

    async def drain(self, timeout_s: float) -> int:
        """Wait for all to end, at most `timeout_s`; then cancel the rest and return how many were cancelled."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        # New tasks may be spawned by those that end: go on until none is left.
        while self._running and (left_s := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(set(self._running), timeout=left_s)
        rest = list(self._running)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        return len(rest)
