"""Open holds: what happens when the store fails, when a renewal meets a bug, and when a caller leaves in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from gateway.background import Tasks
from gateway.errors import StoreFault
from gateway.holds import Holds
from gateway.store.local import LocalLedger
from gateway.store.ports import WindowPassed
from gateway.values import Line, Quote

LINE = Line(b"g1:{t}:b:o", b"f", "concurrency", 5, 0, 0, True, 1, 0)


def quote(hold_id: bytes = b"h") -> Quote:
    return Quote(hold_id, b"t", 1, 1, None, False, (), (LINE,))


class Broken(LocalLedger):
    """A store that fails its first `failures` reserves."""

    def __init__(self, failures: int, error: type[StoreFault] = StoreFault) -> None:
        super().__init__(now_us=lambda: 1)
        self.failures = failures
        self.asked = 0
        self.settled: list[Sequence[int]] = []

    async def reserve(self, *args: Any, **kwargs: Any) -> Any:
        self.asked += 1
        if self.failures:
            self.failures -= 1
            raise StoreFault("gone")
        return await super().reserve(*args, **kwargs)

    async def settle(self, hold_id: bytes, tag: bytes, lines: Any, actual: Sequence[int]) -> bool:
        self.settled.append(actual)
        return await super().settle(hold_id, tag, lines, actual)


def run(ledger: Any, body: Callable[[Holds, Tasks], Awaitable[None]], fallback: Any = None, renew_s: float = 0.01) -> None:
    async def main() -> None:
        tasks = Tasks(lambda name, error: None)
        await body(Holds(ledger, fallback=fallback, tasks=tasks, lease_s=10, renew_every_s=renew_s), tasks)
        await tasks.drain(1)

    asyncio.run(main())


def test_a_reserve_of_unknown_outcome_is_voided() -> None:
    """The request goes on within the local share, and the store is told to forget what it may have held."""
    store = Broken(1)

    async def body(holds: Holds, tasks: Tasks) -> None:
        hold = await holds.open(quote(), lambda _: quote())
        assert (hold.is_local, hold.reserved.admitted) == (True, True)
        await tasks.drain(1)
        assert store.settled == [(0,)]

    run(store, body, LocalLedger())


def test_a_store_that_is_gone_is_asked_once_in_a_while() -> None:
    """From the first fault on nobody waits for it but one that looks whether it is back."""
    store = Broken(1000)

    async def body(holds: Holds, tasks: Tasks) -> None:
        for number in range(20):
            hold = await holds.open(quote(b"%d" % number), lambda _: quote())
            hold.close((0,))
        assert store.asked == 2

    run(store, body, LocalLedger())


def test_a_window_that_passed_is_quoted_again_on_either_ledger() -> None:
    """The local share once answered 503 when this machine's midnight was not the store's."""

    class Edge(LocalLedger):
        seen = 0

        async def reserve(self, *args: Any, **kwargs: Any) -> Any:
            self.seen += 1
            if self.seen == 1:
                raise WindowPassed(7)
            return await super().reserve(*args, **kwargs)

    asked: list[int] = []

    def requote(now_us: int) -> Quote:
        asked.append(now_us)
        return quote()

    async def body(holds: Holds, tasks: Tasks) -> None:
        assert (await holds.open(quote(), requote)).reserved.admitted

    run(Edge(), body)
    run(Broken(1), body, Edge())
    assert asked == [7, 7]


def test_one_streams_bug_does_not_end_the_others_renewals() -> None:
    """An exception in one hold's progress once ended the task that renews all."""
    store = LocalLedger()
    renewed: list[bytes] = []

    async def body(holds: Holds, tasks: Tasks) -> None:
        real = store.renew

        async def renew(hold_id: bytes, *args: Any, **kwargs: Any) -> bool:
            renewed.append(hold_id)
            return await real(hold_id, *args, **kwargs)

        store.renew = renew  # type: ignore[method-assign]
        bad = await holds.open(quote(b"bad"), lambda _: quote())
        await holds.open(quote(b"good"), lambda _: quote())
        bad.progress = lambda: [1 // 0]
        renewing = tasks.spawn(holds.run(), name="renewals")
        while renewed.count(b"good") < 3:
            await asyncio.sleep(0)
        renewing.cancel()

    run(store, body)
