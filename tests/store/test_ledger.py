"""What a ledger promises, held against the real server and the local ledger alike."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import StoreFault
from gateway.store.ports import WindowPassed
from gateway.values import Line, Standing

from .conftest import Run
from .worlds import DAY, HOUR, LEASE_US, MINUTE, SECOND, TAG, World, bucket, calendar, concurrency, owner, rolling


def all_kinds(now_us: int, amount: int, certain: int = 0) -> list[Line]:
    """One line of each kind, over two owners, out of owner order."""
    return [
        bucket(amount, certain=certain),
        rolling(amount, certain=certain, who="b"),
        calendar(amount, now_us, certain=certain),
        concurrency(who="b"),
    ]


def test_all_or_nothing(run: Run) -> None:
    """One line that does not fit refuses the hold, and no other line counts anything for it."""

    async def body(w: World) -> None:
        lines = [*all_kinds(w.now_us, 4)[:3], rolling(11, field=b"r2", who="b")]
        refused = await w.reserve(b"h", *lines)
        assert not refused.admitted
        assert [s.wait_us for s in refused.standings] == [0, 0, 0, -1]
        assert await w.stand(*lines) == [(0, 0, 10), (0, 0, 10), (0, 0, 10), (0, 0, 10)]

    run(body)


def test_hold_then_settle(run: Run) -> None:
    """A hold is held, its settlement is used, the rest is given back; replies are in the caller's order."""

    async def body(w: World) -> None:
        lines = all_kinds(w.now_us, 6, certain=1)
        admitted = await w.reserve(b"h", *lines)
        assert [s[:3] for s in admitted.standings] == [(1, 5, 4), (1, 5, 4), (1, 5, 4), (0, 1, 2)]
        assert await w.settle(b"h", lines, 2, 3, 4, 0)
        assert await w.stand(*lines) == [(2, 0, 8), (3, 0, 7), (4, 0, 6), (0, 0, 3)]

    run(body)


def test_void(run: Run) -> None:
    """Settling with zeros gives everything back, the certain part too."""

    async def body(w: World) -> None:
        lines = all_kinds(w.now_us, 6, certain=6)
        await w.reserve(b"h", *lines)
        assert await w.settle(b"h", lines, 0, 0, 0, 0)
        standings = (await w.ledger.standings(TAG, lines)).standings
        assert standings == (*(Standing(0, 0, 10, 0, 0) for _ in range(3)), Standing(0, 0, 3, 0, 0))

    run(body)


def test_settling_twice_is_settling_once(run: Run) -> None:
    async def body(w: World) -> None:
        lines = all_kinds(w.now_us, 6)
        await w.reserve(b"h", *lines)
        assert [await w.settle(b"h", lines, 2, 2, 2, 0) for _ in range(3)] == [True, False, False]
        assert [used for used, _, _ in await w.stand(*lines)] == [2, 2, 2, 0]

    run(body)


def test_overrun_becomes_debt_and_debt_refuses(run: Run) -> None:
    """Settlement is never refused; what it posts beyond the limit is remaining below zero, and refuses even an amount of 0."""

    async def body(w: World) -> None:
        lines = all_kinds(w.now_us, 6)[:3]
        await w.reserve(b"h", *lines)
        assert await w.settle(b"h", lines, 25, 25, 25)
        assert await w.stand(*lines) == [(25, 0, -15)] * 3
        refused = await w.reserve(b"h2", *all_kinds(w.now_us, 0)[:3])
        assert not refused.admitted
        assert refused.standings[0].wait_us == 90 * SECOND  # 15 at 10 a minute

    run(body)


def test_duplicate_reserve(run: Run) -> None:
    """A repeated reserve is admitted again and counts nothing more, even where the same again would not fit."""

    async def body(w: World) -> None:
        lines = all_kinds(w.now_us, 6)
        first = await w.reserve(b"h", *lines)
        assert await w.reserve(b"h", *lines) == first
        await w.settle(b"h", lines, 0, 0, 0, 0)
        with pytest.raises(StoreFault, match="closed before"):
            await w.reserve(b"h", *lines)

    run(body)


def test_settle_of_an_unknown_hold_shuts_the_door(run: Run) -> None:
    """A void that overtakes its reserve: the late reserve cannot open the hold."""

    async def body(w: World) -> None:
        lines = all_kinds(w.now_us, 6)
        assert not await w.settle(b"h", lines, 0, 0, 0, 0)
        with pytest.raises(StoreFault, match="closed before"):
            await w.reserve(b"h", *lines)
        assert (await w.stand(*lines))[0] == (0, 0, 10)

    run(body)


def test_lease_that_runs_out_frees_what_is_held(run: Run) -> None:
    """An abandoned hold frees its places for the next reserve, keeps its posts, and posts the rest once when settled."""

    async def body(w: World) -> None:
        lines = [rolling(10), calendar(10, w.now_us), concurrency(3)]
        await w.reserve(b"gone", *lines)
        assert await w.renew(b"gone", lines, 2, 2, 0)
        await w.advance(LEASE_US - 1)
        assert not (await w.reserve(b"early", concurrency())).admitted
        await w.advance(1)
        following = [rolling(3), calendar(3, w.now_us), concurrency(3)]
        assert (await w.reserve(b"next", *following)).admitted  # the refusal's own sweep made room
        assert await w.stand(*lines) == [(2, 3, 5), (2, 3, 5), (0, 3, 0)]
        assert not await w.renew(b"gone", lines, 5, 5, 0)
        with pytest.raises(StoreFault, match="closed before"):
            await w.reserve(b"gone", *lines)
        assert [await w.settle(b"gone", lines, 7, 7, 0) for _ in range(2)] == [True, False]
        assert await w.stand(*lines) == [(7, 3, 0), (7, 3, 0), (0, 3, 0)]

    run(body)


def test_renewal_outlives_the_lease_and_posts(run: Run) -> None:
    """Renewed holds stay; posts are cumulative and signed, and one beyond the amount is debt at once."""

    async def body(w: World) -> None:
        lines = [rolling(4), calendar(4, w.now_us)]
        await w.reserve(b"h", *lines)
        for posted, standing in ((3, (3, 1, 6)), (2, (2, 2, 6)), (12, (12, 0, -2))):
            await w.advance(LEASE_US // 2)
            assert await w.renew(b"h", lines, posted, posted)
            assert await w.stand(*lines) == [standing] * 2
        assert await w.settle(b"h", lines, 12, 12)
        assert (await w.stand(calendar(0, w.now_us)))[0] == (12, 0, -2)

    run(body)


def test_bucket_wait_is_true(run: Run) -> None:
    """The wait told is the wait: ten microseconds earlier it is refused, at its end it is admitted."""

    async def body(w: World) -> None:
        assert (await w.reserve(b"1", bucket(7, certain=7))).admitted
        refused = await w.reserve(b"2", bucket(5, certain=5))
        wait_us = refused.standings[0].wait_us
        assert wait_us == 12 * SECOND
        await w.advance(wait_us - 10)
        assert not (await w.reserve(b"3", bucket(5, certain=5))).admitted
        await w.advance(10)
        assert (await w.reserve(b"4", bucket(5, certain=5))).admitted

    run(body)


def test_bucket_gives_back_no_larger_burst(run: Run) -> None:
    """What is held is not refilled: after a long hold's give-back the bucket holds its capacity and no more."""

    async def body(w: World) -> None:
        line = bucket(8)
        await w.reserve(b"h", line, lease_us=DAY)
        await w.advance(HOUR)
        assert await w.stand(line) == [(0, 8, 2)]
        await w.settle(b"h", [line], 3)
        assert await w.stand(line) == [(3, 0, 7)]
        await w.advance(6 * SECOND)
        assert await w.stand(line) == [(2, 0, 8)]

    run(body)


def test_bucket_under_a_changed_policy(run: Run) -> None:
    """A lowered capacity takes hold at once; a hold from before a raised one does not pull it down."""

    async def body(w: World) -> None:
        small, large = bucket(2), bucket(2, burst=100)
        await w.reserve(b"h", small)
        await w.settle(b"h", [small], 0)
        await w.reserve(b"h1", small, lease_us=DAY)
        await w.reserve(b"h2", large, lease_us=DAY)
        await w.advance(10 * MINUTE)
        assert await w.stand(large) == [(0, 4, 96)]
        await w.settle(b"h1", [small], 0)
        assert await w.stand(large) == [(0, 2, 98)]
        assert await w.stand(small) == [(0, 2, 8)]

    run(body)


def test_rolling_wait_and_ageing(run: Run) -> None:
    """A rolling window forgets sub-slot by sub-slot, at most a sixtieth late, and tells when enough will be gone."""

    async def body(w: World) -> None:
        assert w.now_us % SECOND == 0
        for i in range(5):
            assert (await w.reserve(b"%d" % i, rolling(2, certain=2))).admitted
            await w.advance(10 * SECOND)
        refused = await w.reserve(b"x", rolling(4, certain=4))
        wait_us = refused.standings[0].wait_us
        assert wait_us == 21 * SECOND  # the second slot began 40 s ago: 1 s of its own, then the period
        assert refused.standings[0].reset_us == 51 * SECOND
        await w.advance(wait_us - 1)
        assert not (await w.reserve(b"y", rolling(4, certain=4))).admitted
        await w.advance(1)
        assert (await w.reserve(b"z", rolling(4, certain=4))).admitted

    run(body)


def test_rolling_posts_to_the_slot_it_came_from(run: Run) -> None:
    """A late settlement ages with its reserve, and one whose slot has gone posts nothing."""

    async def body(w: World) -> None:
        line = rolling(5)
        await w.reserve(b"h", line, lease_us=HOUR)
        await w.reserve(b"late", line, lease_us=HOUR)
        await w.advance(30 * SECOND)
        await w.reserve(b"other", rolling(0), lease_us=HOUR)
        await w.settle(b"h", [line], 4)
        assert await w.stand(line) == [(4, 5, 1)]
        await w.advance(30 * SECOND + SECOND // 2)
        assert await w.renew(b"late", [line], 1, lease_us=HOUR)
        assert await w.stand(line) == [(5, 4, 1)]  # its sub-slot still touches the last minute
        await w.advance(SECOND // 2)
        assert await w.stand(line) == [(0, 4, 6)]
        await w.settle(b"late", [line], 9)
        assert await w.stand(line) == [(0, 0, 10)]

    run(body)


def test_calendar_rolls_over(run: Run) -> None:
    """A new window starts empty, whatever the old one still holds; late settlements post to the old one."""

    async def body(w: World) -> None:
        line = calendar(6, w.now_us)
        await w.reserve(b"h", line, lease_us=2 * DAY)
        await w.settle(b"h2", [line], 0)
        await w.set_clock(line.c)
        with pytest.raises(WindowPassed) as passed:
            await w.reserve(b"i", rolling(1), line)
        assert passed.value.now_us == line.c
        assert await w.stand(rolling(0)) == [(0, 0, 10)]
        new = calendar(10, w.now_us)
        assert (await w.reserve(b"j", new)).admitted
        await w.settle(b"h", [line], 6)
        assert await w.stand(new) == [(0, 10, 0)]
        refused = await w.reserve(b"k", calendar(1, w.now_us))
        assert refused.standings[0].wait_us == DAY

    run(body)


def test_shadow_never_refuses(run: Run) -> None:
    """A shadow line counts, goes over, and says so by its wait; the hold is admitted."""

    async def body(w: World) -> None:
        lines = [bucket(8, enforce=False), rolling(8, enforce=False), concurrency(2, enforce=False), rolling(1, field=b"e")]
        assert [s.wait_us for s in (await w.reserve(b"1", *lines)).standings] == [0, 0, 0, 0]
        over = await w.reserve(b"2", *lines)
        assert over.admitted
        assert [s.remaining for s in over.standings] == [-6, -6, -1, 8]
        assert [s.wait_us for s in over.standings] == [36 * SECOND, 61 * SECOND, SECOND, 0]

    run(body)


def test_integers_are_exact(run: Run) -> None:
    """Nano-dollars up to 2**53 are counted to the last one."""

    async def body(w: World) -> None:
        limit = 2**53
        line = calendar(2**53 - 1, w.now_us, limit=limit)
        await w.reserve(b"h", line)
        await w.settle(b"h", [line], 2**53 - 2)
        assert await w.stand(line) == [(2**53 - 2, 0, 2)]

    run(body)


def test_lines_no_store_can_keep(run: Run) -> None:
    """A budget named twice, amounts out of range, empty names: the caller's mistakes, found before anything is counted."""

    async def body(w: World) -> None:
        for bad in (
            [bucket(1), rolling(1), bucket(2)],
            [bucket(1, certain=2)],
            [bucket(-1)],
            [bucket(2**53 + 1)],
            [bucket(1, field=b"")],
            [bucket(1, field=b"x" * 256)],
            [bucket(1, refill=0)],
        ):
            with pytest.raises(ValueError):
                await w.reserve(b"h", *bad)
        with pytest.raises(ValueError):
            await w.settle(b"h", [bucket(1)], 1, 2)

    run(body)


def test_no_lines(run: Run) -> None:
    """A tenant without budgets is always admitted."""

    async def body(w: World) -> None:
        reserved = await w.reserve(b"h")
        assert (reserved.admitted, reserved.standings) == (True, ())
        assert await w.settle(b"h", [])

    run(body)


def test_a_field_that_changes_its_kind_starts_anew(run: Run) -> None:
    """A policy may turn a bucket into a window under the same name: holds from before do no harm."""

    async def body(w: World) -> None:
        old = bucket(10, field=b"f")
        await w.reserve(b"h", old)
        new = [rolling(3, field=b"f")]
        assert (await w.reserve(b"i", *new)).admitted
        assert await w.settle(b"h", [old], 10)
        assert await w.stand(*new) == [(0, 3, 7)]

    run(body)


def test_a_forgotten_owner_is_no_longer_charged(run: Run) -> None:
    """An owner idle so long that it was forgotten starts whole: a hold from its earlier life frees nothing in the new."""

    async def body(w: World) -> None:
        await w.reserve(b"old", concurrency(2))
        await w.advance(DAY)
        assert (await w.reserve(b"new", concurrency(2))).admitted
        assert await w.settle(b"old", [concurrency(2)], 0)
        assert await w.stand(concurrency(0)) == [(0, 2, 1)]

    run(body)


def test_many_owners_and_lines_in_any_order(run: Run) -> None:
    """Replies and settlements follow the caller's order, however its owners are mixed."""

    async def body(w: World) -> None:
        lines = [rolling(i, limit=100, who="abc"[i % 3], field=b"f%d" % i) for i in range(1, 10)]
        assert [s.held for s in (await w.reserve(b"h", *lines)).standings] == list(range(1, 10))
        assert await w.settle(b"h", lines, *range(10, 19))
        assert [used for used, _, _ in await w.stand(*lines)] == list(range(10, 19))
        assert len({line.owner for line in lines}) == 3
        assert owner("a") in {line.owner for line in lines}

    run(body)


def test_clock_that_steps_back(run: Run) -> None:
    """A clock set back by an hour refills nothing twice and breaks nothing."""

    async def body(w: World) -> None:
        lines = [bucket(10, certain=10), rolling(10, certain=10)]
        assert (await w.reserve(b"1", *lines)).admitted
        await w.advance(-HOUR)
        assert not (await w.reserve(b"2", *lines)).admitted
        assert await w.settle(b"1", lines, 9, 9)
        await w.advance(HOUR + 2 * MINUTE)
        assert (await w.reserve(b"3", *lines)).admitted

    run(body)


def test_two_hundred_at_once(run: Run) -> None:
    """Of two hundred concurrent reserves against ten, exactly ten are admitted."""

    async def body(w: World) -> None:
        replies = await asyncio.gather(*(w.reserve(b"%d" % i, bucket(1), concurrency(limit=50)) for i in range(200)))
        assert sum(reply.admitted for reply in replies) == 10

    run(body)
