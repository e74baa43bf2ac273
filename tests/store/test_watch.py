"""What gateways and the analyst tell each other, on a real store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.store.redis import RedisLedger
from gateway.store.watch import PAGE, Batch, Placement, Stated, WatchStore

Body = Callable[[WatchStore], Awaitable[None]]


@pytest.fixture
def watch(store_url: str) -> Callable[[Body], None]:
    """Run an async test body on an empty store."""

    def run(body: Body) -> None:
        async def main() -> None:
            ledger = await RedisLedger.connect(f"{store_url}?db=9")
            try:
                await ledger.connection.send((b"FLUSHDB",))
                await body(WatchStore(ledger.connection, entries_max=10_000))
            finally:
                await ledger.close()

        asyncio.run(main())

    return run


def test_the_stream(watch: Callable[[Body], None]) -> None:
    """What was told is read once and in order, from wherever the reader was; fields of an empty batch too."""

    async def body(store: WatchStore) -> None:
        told = [Batch("run", number, 1, b"[%d]" % number) for number in range(5)]
        told.append(Batch("run", 5, 0, b"[]", is_last=True))
        for batch in told:
            await store.append(batch)
        first = await store.read("0", at_most=2)
        rest = await store.read(first[-1][0], at_most=10)
        assert [batch for _, batch in first + rest] == told
        assert await store.read(rest[-1][0], at_most=10) == []

    watch(body)


def test_the_stream_is_bounded(watch: Callable[[Body], None]) -> None:
    """The oldest go, whether they were read or not."""

    async def body(store: WatchStore) -> None:
        small = WatchStore(store._connection, entries_max=100)
        for number in range(1_000):
            await small.append(Batch("run", number, 1, b"[]"))
        kept = await small.read("0", at_most=10_000)
        assert 100 <= len(kept) < 300
        assert kept[-1][1].first == 999

    watch(body)


def test_one_lease(watch: Callable[[Body], None]) -> None:
    """One is active until it leaves; only it can place."""

    async def body(store: WatchStore) -> None:
        assert await store.lease("one", 60_000)
        assert not await store.lease("two", 60_000)
        assert await store.lease("one", 60_000)
        placement = [Placement("acme", b"rung", b"dossier")]
        assert not await store.place("two", placement)
        assert (await store.rungs(), await store.dossiers()) == ({}, {})
        assert await store.place("one", placement)
        assert (await store.rungs(), await store.dossiers()) == ({"acme": b"rung"}, {"acme": b"dossier"})
        await store.leave("one")
        while not await store.lease("two", 60_000):
            await asyncio.sleep(0)  # a millisecond of the store's

    watch(body)


def test_changes_come_once_and_in_pages(watch: Callable[[Body], None]) -> None:
    """A gateway learns each change once; of what changed twice the last; and of a store that began anew that it did."""

    async def body(store: WatchStore) -> None:
        await store.lease("one", 60_000)
        many = [Placement(f"t{number}", b"%d" % number) for number in range(PAGE + 10)]
        await store.place("one", many)
        first = await store.changes(0)
        second = await store.changes(first.version)
        assert (len(first.rungs), first.is_all, len(second.rungs), second.is_all) == (PAGE, False, 10, True)
        assert (await store.changes(second.version)).rungs == {}
        await store.place("one", [Placement("t1", b"new"), Placement("t2", b"-"), Placement("t3", b"", b"dossier")])
        last = await store.changes(second.version)
        assert (last.rungs, last.is_all) == ({"t1": b"new"}, True)
        await store._connection.send((b"FLUSHDB",))
        assert (await store.changes(last.version)).version == 0

    watch(body)


def test_a_pardon_goes_before_what_was_decided(watch: Callable[[Body], None]) -> None:
    """Until the analyst has read it, nothing that it writes of that subject counts; then it does again."""

    async def body(store: WatchStore) -> None:
        await store.lease("one", 60_000)
        await store.place("one", [Placement("acme", b"refuse", b"d1")])
        await store.pardon("acme", b"because", b"nothing")
        await store.place("one", [Placement("acme", b"refuse", b"d2"), Placement("other", b"slow")])
        assert await store.rungs() == {"acme": b"nothing", "other": b"slow"}
        assert (await store.dossiers(), await store.pardons()) == ({"acme": b"d1"}, {"acme": b"because"})
        await store.pardon("acme", b"again", b"nothing")  # while the first is being answered
        await store.place("one", [Placement("acme", b"x", b"d3", b"because")])
        assert (await store.rungs())["acme"] == b"nothing"
        await store.place("one", [Placement("acme", b"y", b"d4", b"again")])
        assert ((await store.rungs())["acme"], await store.pardons()) == (b"y", {})

    watch(body)


def test_facts_and_positions(watch: Callable[[Body], None]) -> None:
    """Each tenant's facts replace its own, and there is word of a change; the reader's place is kept."""

    async def body(store: WatchStore) -> None:
        assert (await store.facts_version(), await store.position(), await store.holder()) == (0, "0", "")
        await store.state_facts({"a": b"1", "b": b"2"})
        await store.state_facts({"b": b"3"})
        assert await store.facts() == {"a": Stated(1, b"1"), "b": Stated(2, b"3")}
        await store._connection.send((b"HSET", b"g1:{watch}:f", b"c", b"{}"))  # as an earlier version wrote it
        assert (await store.facts())["c"] == Stated(0, b"{}")
        assert await store.keep("me", "5-0", b"how it is") == -1
        assert await store.lease("me", 60_000)
        assert [await store.keep("me", at, said) for at, said in (("5-0", b"how it is"), ("6-0", b""))] == [0, 1]
        assert (await store.position(), await store.state()) == ("6-0", b"how it is")

    watch(body)


def test_the_newest_entry(watch: Callable[[Body], None]) -> None:
    """By which a reader can tell that what it had read is no longer there."""

    async def body(store: WatchStore) -> None:
        assert await store.last() == ""
        for number in range(3):
            await store.append(Batch("run", number, 1, b"[]"))
        last = (await store.read("0", at_most=10))[-1][0]
        assert (await store.last(), await store.has(last), await store.has("1-0")) == (last, True, False)

    watch(body)


def test_a_lost_script_cache(watch: Callable[[Body], None]) -> None:
    """Scripts are loaded again."""

    async def body(store: WatchStore) -> None:
        await store._connection.send((b"SCRIPT", b"FLUSH"))
        assert await store.lease("one", 60_000)

    watch(body)
