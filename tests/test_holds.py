"""Open holds: what happens when the store fails, when a renewal meets a bug, and when a caller leaves in between.

And how they grow while they run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from gateway.background import Tasks
from gateway.errors import StoreFault
from gateway.holds import Holds
from gateway.store.local import LocalLedger
from gateway.store.ports import WindowPassed
from gateway.values import Line, Quote, Reserved

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


TOKENS = Line(b"g1:{t}:b:o", b"t", "rolling", 100, 60_000_000, 0, True, 10, 0)


def tokens(output_tokens: int) -> Quote:
    return quote()._replace(output_tokens=output_tokens, lines=(LINE, TOKENS._replace(amount=output_tokens)))


class Forgetful(LocalLedger):
    """A store whose extensions fail while it `is_gone`."""

    is_gone = True
    asked = 0

    async def extend(self, *args: Any, **kwargs: Any) -> Reserved:
        self.asked += 1
        if self.is_gone:
            raise StoreFault("gone")
        return await super().extend(*args, **kwargs)


def test_a_hold_grows_until_a_budget_has_run_out() -> None:
    """Extended, the hold is the larger quote; refused, it is what it was, and the standings tell how much would have fitted."""
    store = LocalLedger()

    async def body(holds: Holds, tasks: Tasks) -> None:
        hold = await holds.open(tokens(10), lambda _: tokens(10))
        assert await holds.extend(hold, tokens(60))
        assert (hold.quote, hold.extension) == (tokens(60), None)
        assert not await holds.extend(hold, tokens(101))
        assert hold.quote == tokens(60)
        assert hold.extension is not None
        assert hold.extension.standings[1].remaining == 40
        assert await holds.extend(hold, tokens(100))
        assert hold.extension is None
        hold.close((0, 70))
        standing = (await store.standings(b"t", [TOKENS])).standings[0]
        assert (standing.used, standing.held) == (70, 0)

    run(store, body)


def test_no_stream_is_cut_because_the_store_is_gone() -> None:
    """The stream goes on with the larger quote, and what it then delivers is posted in full, into debt if need be.

    Only the first extensions wait for a store that is gone: from then on one in a while asks, until it is back.
    """
    store = Forgetful()

    async def body(holds: Holds, tasks: Tasks) -> None:
        hold = await holds.open(tokens(10), lambda _: tokens(10))
        for step in range(2, 20):
            assert await holds.extend(hold, tokens(10 * step))
            assert (hold.quote, hold.extension) == (tokens(10 * step), None)
        assert (store.asked, holds.is_store_down) == (2, True)
        hold.close((0, 190))
        assert (await store.standings(b"t", [TOKENS])).standings[0].remaining == -90

    run(store, body, LocalLedger())


def test_an_extension_notices_that_the_store_is_back() -> None:
    """It may be running streams alone that ask."""
    store = Forgetful()

    async def body(holds: Holds, tasks: Tasks) -> None:
        hold = await holds.open(tokens(10), lambda _: tokens(10))
        assert await holds.extend(hold, tokens(20))
        store.is_gone = False
        assert await holds.extend(hold, tokens(30))
        assert not holds.is_store_down
        assert not await holds.extend(hold, tokens(101))

    run(store, body)


def test_a_hold_of_the_local_share_grows_there() -> None:
    """The share's own limits refuse it, and the store is not asked."""
    store = Broken(1)

    async def body(holds: Holds, tasks: Tasks) -> None:
        hold = await holds.open(tokens(5), lambda _: tokens(5))
        assert hold.is_local
        assert await holds.extend(hold, tokens(50))
        assert not await holds.extend(hold, tokens(51))

    run(store, body, LocalLedger(share=0.5))


def test_a_hold_that_the_store_has_lost_goes_on() -> None:
    """A store that came back empty knows no hold: its streams are not cut, and it is not taken for one that is gone."""
    store = LocalLedger()

    async def body(holds: Holds, tasks: Tasks) -> None:
        hold = await holds.open(tokens(10), lambda _: tokens(10))
        assert await store.settle(b"h", b"t", tokens(10).lines, (0, 0))
        assert await holds.extend(hold, tokens(1000))
        assert (hold.quote, hold.extension, holds.is_store_down) == (tokens(1000), None, False)

    run(store, body)


def test_a_closed_or_refused_hold_does_not_grow() -> None:
    """Nothing is held for what has ended: not after it, and not by an extension that was under way as it ended."""
    store = LocalLedger()

    async def body(holds: Holds, tasks: Tasks) -> None:
        hold = await holds.open(tokens(10), lambda _: tokens(10))
        real = store.extend

        async def extend(*args: Any, **kwargs: Any) -> Reserved:
            reserved = await real(*args, **kwargs)
            hold.close((0, 0))
            return reserved

        store.extend = extend  # type: ignore[method-assign]
        for _ in range(2):
            assert not await holds.extend(hold, tokens(20))
            assert hold.quote == tokens(10)
        refused = await holds.open(tokens(101)._replace(hold_id=b"i"), lambda _: tokens(101))
        assert not await holds.extend(refused, tokens(102))
        assert (await store.standings(b"t", [TOKENS])).standings[0].remaining == 100

    run(store, body)


def test_a_request_without_budgets_may_grow_for_ever() -> None:
    async def body(holds: Holds, tasks: Tasks) -> None:
        free = quote()._replace(lines=())
        hold = await holds.open(free, lambda _: free)
        assert await holds.extend(hold, free._replace(output_tokens=10**6))
        assert hold.quote.output_tokens == 10**6

    run(LocalLedger(), body)
