"""Requests that wait at the door: in order, as long as they may, and without a trace. Under a clock that is not real."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.background import Tasks
from gateway.holds import Hold, Holds
from gateway.store.local import LocalLedger
from gateway.trial.clock import run_virtually
from gateway.values import Line, Quote
from gateway.waiting import ASK_AGAIN_S, Waiting
from tests.budgets.make import budget

ONE_A_SECOND = Line(b"g1:{t}:b:o", b"f", "bucket", 1, 1, 1_000_000, True, 1, 1)
ONE_AT_ONCE = Line(b"g1:{t}:b:o", b"c", "concurrency", 1, 0, 0, True, 1, 0)


class Door:
    """Requests with one budget against a ledger in memory, all on the loop's own clock."""

    def __init__(self, line: Line, *, queue_ms: int, waiting_max: int = 1000) -> None:
        self.loop = asyncio.get_running_loop()
        ledger = LocalLedger(now_us=lambda: 1_000_000 + round(self.loop.time() * 1e6))
        self.holds = Holds(ledger, fallback=None, tasks=Tasks(lambda name, error: None), lease_s=1000, renew_every_s=100)
        self.waiting = Waiting(self.holds, waiting_max=waiting_max)
        kind: Any = line.kind
        self._budget = budget(kind=kind, on_exceed="queue", queue_ms=queue_ms)
        self._line = line
        self.came: list[tuple[str, bool, float]] = []

    async def request(self, name: str, *, runs_s: float = 0.0) -> None:
        quote = Quote(name.encode(), b"t", 1, 1, None, False, (self._budget,), (self._line,))

        async def once() -> Hold:
            return await self.holds.open(quote, lambda _: quote)

        hold = await once()
        if not hold.reserved.admitted:
            hold = await self.waiting.wait(hold, once)
        self.came.append((name, hold.reserved.admitted, round(self.loop.time(), 3)))
        if hold.reserved.admitted:
            await asyncio.sleep(runs_s)
            hold.close([self._line.certain])

    async def requests(self, *names: str, **options: Any) -> list[tuple[str, bool, float]]:
        await asyncio.gather(*(self.request(name, **options) for name in names))
        assert len(self.waiting) == 0
        return self.came


def at(line: Line, body: Callable[[Door], Awaitable[Any]], **options: Any) -> Any:
    async def main() -> Any:
        return await body(Door(line, **options))

    return run_virtually(main)


def test_they_go_in_one_after_the_other_as_the_bucket_refills() -> None:
    """Each at the very moment there is room for it, in the order they came."""
    came = at(ONE_A_SECOND, lambda door: door.requests("a", "b", "c", "d"), queue_ms=10_000)
    assert came == [("a", True, 0), ("b", True, 1), ("c", True, 2), ("d", True, 3)]


def test_nobody_waits_for_what_comes_too_late() -> None:
    """The wait is certain to be longer than the budget allows: a refusal now is better than one later."""
    assert at(ONE_A_SECOND, lambda door: door.requests("a", "b"), queue_ms=900) == [("a", True, 0), ("b", False, 0)]


def test_who_is_too_far_behind_is_refused_when_its_time_is_over() -> None:
    """Its place in the line is not known in advance, for those before it may leave."""
    came = at(ONE_A_SECOND, lambda door: door.requests("a", "b", "c", "d"), queue_ms=2_500)
    assert came == [("a", True, 0), ("b", True, 1), ("c", True, 2), ("d", False, 2)]


def test_a_place_that_becomes_free_is_taken_at_once() -> None:
    """Where only running requests are in the way, the end of one opens the door."""
    came = at(ONE_AT_ONCE, lambda door: door.requests("a", "b", "c", runs_s=0.1), queue_ms=5_000)
    assert came == [("a", True, 0), ("b", True, 0.1), ("c", True, 0.2)]


def test_the_time_is_bounded_where_nobody_knows_how_long() -> None:
    """A request that runs for a minute keeps nobody waiting for longer than the budget says."""
    came = at(ONE_AT_ONCE, lambda door: door.requests("a", "b", runs_s=60), queue_ms=2_000)
    assert came == [("a", True, 0), ("b", False, 2)]


def test_only_so_many_wait() -> None:
    """Each keeps its body in memory."""
    came = at(ONE_A_SECOND, lambda door: door.requests("a", "b", "c", "d"), queue_ms=10_000, waiting_max=2)
    assert came == [("a", True, 0), ("d", False, 0), ("b", True, 1), ("c", True, 2)]


def test_a_client_that_leaves_lets_the_next_one_in() -> None:
    """It leaves no trace: nothing is held for it, and nobody stands behind it for ever."""

    async def body(door: Door) -> list[tuple[str, bool, float]]:
        names = ("a", "b", "leaves", "leaves too", "c")
        first, second, gone, also_gone, last = [asyncio.ensure_future(door.request(name)) for name in names]
        await asyncio.sleep(0.5)
        also_gone.cancel()
        await second
        gone.cancel()
        await asyncio.gather(first, last)
        assert (len(door.waiting), len(door.holds)) == (0, 0)
        return door.came

    assert at(ONE_A_SECOND, body, queue_ms=10_000) == [("a", True, 0), ("b", True, 1), ("c", True, 2)]


def test_another_gateways_requests_end_unseen_and_are_asked_for() -> None:
    """Nobody tells this process: it asks the store again every quarter of a second."""

    async def body(door: Door) -> list[tuple[str, bool, float]]:
        elsewhere = Door(ONE_AT_ONCE, queue_ms=0)
        elsewhere.holds = Holds(door.holds._ledger, fallback=None, tasks=Tasks(print), lease_s=1000, renew_every_s=100)
        running = asyncio.ensure_future(elsewhere.request("elsewhere", runs_s=0.3))
        await asyncio.sleep(0)
        await door.requests("here")
        await running
        return door.came

    assert at(ONE_AT_ONCE, body, queue_ms=5_000) == [("here", True, 2 * ASK_AGAIN_S)]
