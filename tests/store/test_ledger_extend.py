"""Holds that grow while they run: what `extend` promises, held against the real server and the local ledger alike."""

from __future__ import annotations

import pytest

from gateway.errors import StoreFault
from gateway.store.ports import HoldGone, WindowPassed
from gateway.values import Line

from .conftest import Run
from .worlds import DAY, HOUR, LEASE_US, MINUTE, SECOND, World, bucket, calendar, command, concurrency, longer, rolling

GONE = (0, 0, 2**53, 0, 0)


def all_kinds(now_us: int, amount: int, certain: int = 0) -> list[Line]:
    """One line of each kind, over two owners, out of owner order."""
    return [
        bucket(amount, certain=certain),
        rolling(amount, certain=certain, who="b"),
        calendar(amount, now_us, certain=certain),
        concurrency(who="b"),
    ]


def test_more_is_held_and_all_of_the_rest_is_given_back(run: Run) -> None:
    """Amounts are absolute, concurrency stays what it is, and a settlement gives back what the hold had grown to."""

    async def body(w: World) -> None:
        lines = all_kinds(w.now_us, 4, certain=1)
        await w.reserve(b"h", *lines)
        extended = await w.extend(b"h", *longer(lines, 9))
        assert extended.admitted
        assert [s[:3] for s in extended.standings] == [(1, 8, 1), (1, 8, 1), (1, 8, 1), (0, 1, 2)]
        assert await w.settle(b"h", lines, 5, 6, 7, 0)
        assert await w.stand(*lines) == [(5, 0, 5), (6, 0, 4), (7, 0, 3), (0, 0, 3)]

    run(body)


def test_repeating_it_changes_nothing(run: Run) -> None:
    """A repeated extension, and one that asks for less, are admitted and hold no more and no less; even where others owe."""

    async def body(w: World) -> None:
        lines = all_kinds(w.now_us, 4)
        await w.reserve(b"h", *lines)
        replies = [await w.extend(b"h", *longer(lines, amount)) for amount in (8, 8, 5, 0)]
        assert [[s[:3] for s in reply.standings] for reply in replies] == [[(0, 8, 2)] * 3 + [(0, 1, 2)]] * 4
        other = longer(lines[:3], 2)
        await w.reserve(b"other", *other)
        await w.settle(b"other", other, 30, 30, 30)
        in_debt = await w.extend(b"h", *longer(lines, 8))
        assert in_debt.admitted
        assert [s.remaining for s in in_debt.standings] == [-28, -28, -28, 2]

    run(body)


def test_all_or_nothing(run: Run) -> None:
    """One line that does not fit refuses the extension; no line grows, and what is told as remaining is what does fit."""

    async def body(w: World) -> None:
        lines = [*all_kinds(w.now_us, 4), rolling(4, limit=7, field=b"tight", who="b")]
        await w.reserve(b"h", *lines)
        refused = await w.extend(b"h", *longer(lines, 8))
        assert not refused.admitted
        assert [s[:3] for s in refused.standings] == [(0, 4, 6), (0, 4, 6), (0, 4, 6), (0, 1, 2), (0, 4, 3)]
        assert await w.stand(*lines) == [s[:3] for s in refused.standings]
        assert (await w.extend(b"h", *longer(lines, 4 + 3))).admitted
        assert not (await w.extend(b"h", *longer(lines, 4 + 4))).admitted

    run(body)


def test_shadow_never_refuses(run: Run) -> None:
    """A shadow line grows beyond its limit and refuses nothing."""

    async def body(w: World) -> None:
        lines = [
            bucket(4, enforce=False),
            rolling(4, enforce=False),
            calendar(4, w.now_us, enforce=False),
            rolling(4, field=b"e"),
        ]
        await w.reserve(b"h", *lines)
        extended = await w.extend(b"h", *longer(lines[:3], 25), lines[3]._replace(amount=10))
        assert extended.admitted
        assert [s.remaining for s in extended.standings] == [-15, -15, -15, 0]

    run(body)


def test_what_was_posted_is_no_longer_held(run: Run) -> None:
    """After a renewal the rest is held, amount less posted; so it is after an extension, a sweep and a settlement."""

    async def body(w: World) -> None:
        lines = [rolling(4), calendar(4, w.now_us)]
        await w.reserve(b"h", *lines)
        assert await w.renew(b"h", lines, 3, 3)
        assert [s[:3] for s in (await w.extend(b"h", *longer(lines, 9))).standings] == [(3, 6, 1)] * 2
        assert await w.renew(b"h", lines, 8, 8)
        assert await w.stand(*lines) == [(8, 1, 1)] * 2
        await w.advance(LEASE_US)
        assert await w.stand(*lines) == [(8, 0, 2)] * 2
        assert await w.settle(b"h", lines, 9, 9)
        assert await w.stand(*lines) == [(9, 0, 1)] * 2

    run(body)


def test_posts_beyond_the_amount_hold_nothing_yet(run: Run) -> None:
    """A hold that has posted 7 of its 4 holds nothing; grown to 6 still nothing, and grown to 9 the 2 that are left."""

    async def body(w: World) -> None:
        lines = [rolling(4), calendar(4, w.now_us)]
        await w.reserve(b"h", *lines)
        assert await w.renew(b"h", lines, 7, 7)
        seen = [[s[:3] for s in (await w.extend(b"h", *longer(lines, amount))).standings] for amount in (6, 9)]
        assert seen == [[(7, 0, 3)] * 2, [(7, 2, 1)] * 2]
        assert await w.settle(b"h", lines, 7, 7)
        assert await w.stand(*lines) == [(7, 0, 3)] * 2

    run(body)


def test_a_refusal_sweeps_what_was_abandoned(run: Run) -> None:
    """What abandoned holds keep from others does not end a running stream; and a hold that is late does not sweep itself."""

    async def body(w: World) -> None:
        lines = [rolling(2), concurrency()]
        await w.reserve(b"gone", rolling(6))
        await w.reserve(b"h", *lines)
        await w.advance(LEASE_US)
        assert (await w.extend(b"h", *longer(lines, 9))).admitted
        assert await w.stand(*lines) == [(0, 9, 1), (0, 1, 2)]
        await w.advance(LEASE_US)
        assert not (await w.extend(b"h", *longer(lines, 11))).admitted
        assert await w.stand(*lines) == [(0, 9, 1), (0, 1, 2)]

    run(body)


def test_the_lease_is_renewed(run: Run) -> None:
    """A hold that is only extended stays, for days: the owners of lines that do not grow outlive it too."""

    async def body(w: World) -> None:
        lines = [bucket(1, burst=10_000), concurrency(who="b"), rolling(0, who="c")]
        await w.reserve(b"h", *lines, lease_us=HOUR)
        for hour in range(1, 50):
            await w.advance(HOUR - 1)
            assert (await w.extend(b"h", lines[0]._replace(amount=1 + hour), *lines[1:], lease_us=HOUR)).admitted
        assert await w.stand(*lines) == [(0, 50, 9_950), (0, 1, 2), (0, 0, 10)]

    run(body)


def test_a_hold_that_is_no_longer_open(run: Run) -> None:
    """Unknown, swept and settled holds can't be extended; nothing is counted for them, and the lease is not given back."""

    async def body(w: World) -> None:
        lines = all_kinds(w.now_us, 4)
        with pytest.raises(HoldGone, match="no longer open"):
            await w.extend(b"never", *longer(lines, 5))
        assert await w.stand(*lines) == [(0, 0, 10)] * 3 + [(0, 0, 3)]
        await w.reserve(b"swept", *lines)
        await w.reserve(b"settled", *lines)
        await w.settle(b"settled", lines, 1, 1, 1, 0)
        await w.advance(LEASE_US)
        assert (await w.stand(*lines))[1:] == [(1, 0, 9), (1, 0, 9), (0, 0, 3)]
        for hold in (b"swept", b"settled"):
            with pytest.raises(HoldGone):
                await w.extend(hold, *longer(lines, 5))
            assert not await w.renew(hold, lines, 1, 1, 1, 0)
        assert (await w.stand(*lines))[1:] == [(1, 0, 9), (1, 0, 9), (0, 0, 3)]

    run(body)


def test_a_calendar_window_that_has_passed_refuses_nothing(run: Run) -> None:
    """A stream that began before midnight holds more of yesterday, and nothing of today; other lines still refuse it."""

    async def body(w: World) -> None:
        line, slow = calendar(6, w.now_us), bucket(6, burst=500)
        await w.reserve(b"h", line, slow, lease_us=2 * DAY)
        await w.set_clock(line.c)
        today = calendar(4, w.now_us)
        for hold in (b"before", b"after"):  # the counter still is yesterday's, and then it is today's
            extended = await w.extend(b"h", *longer([line, slow], 200 + (hold == b"after")), lease_us=2 * DAY)
            assert (extended.admitted, extended.standings[0]) == (True, GONE)
            assert (await w.reserve(hold, today)).admitted
        assert await w.stand(today) == [(0, 8, 2)]
        refused = await w.extend(b"h", *longer([line, slow], 600), lease_us=2 * DAY)
        assert (refused.admitted, refused.standings[0], refused.standings[1].remaining) == (False, GONE, 299)
        await w.settle(b"h", [line, slow], 250, 250)
        assert await w.stand(today, slow) == [(0, 8, 2), (250, 0, 250)]
        with pytest.raises(WindowPassed):
            await w.stand(line)

    run(body)


def test_a_rolling_windows_oldest_part_goes_by_while_the_hold_grows(run: Run) -> None:
    """What is held counts wherever it came from; what was posted ages with the reserve, and then leaves room to grow."""

    async def body(w: World) -> None:
        line = rolling(5)
        await w.reserve(b"h", line, lease_us=HOUR)
        assert await w.renew(b"h", [line], 5, lease_us=HOUR)
        assert not (await w.extend(b"h", line._replace(amount=11), lease_us=HOUR)).admitted
        await w.advance(MINUTE + SECOND)
        grown = await w.extend(b"h", line._replace(amount=11), lease_us=HOUR)
        assert [s[:3] for s in grown.standings] == [(0, 6, 4)]
        assert not (await w.extend(b"h", line._replace(amount=16), lease_us=HOUR)).admitted
        assert await w.settle(b"h", [line], 8)
        assert await w.stand(line) == [(0, 0, 10)]

    run(body)


def test_a_bucket_gives_no_more_than_has_dripped_back(run: Run) -> None:
    """A running stream may hold what refills meanwhile; in debt it gets nothing, until that is repaid."""

    async def body(w: World) -> None:
        line = bucket(6)
        await w.reserve(b"h", line, lease_us=HOUR)
        assert await w.renew(b"h", [line], 6, lease_us=HOUR)
        other = bucket(4)
        await w.reserve(b"other", other)
        await w.settle(b"other", [other], 6)
        assert await w.stand(line) == [(12, 0, -2)]
        for wait_s, amount, admitted in ((11, 7, False), (7, 7, True), (0, 8, False), (6, 8, True)):
            await w.advance(wait_s * SECOND)
            assert (await w.extend(b"h", line._replace(amount=amount), lease_us=HOUR)).admitted is admitted, amount

    run(body)


def test_a_hold_goes_by_the_policy_it_was_made_under(run: Run) -> None:
    """Were its budget's limit or mode changed meanwhile, its own lines are the ones that count."""

    async def body(w: World) -> None:
        line = rolling(4, limit=10)
        await w.reserve(b"h", line)
        assert not (await w.extend(b"h", line._replace(a=100, enforce=False, amount=11))).admitted
        assert (await w.extend(b"h", line._replace(a=1, amount=10))).admitted

    run(body)


def test_a_forgotten_owner_is_not_charged(run: Run) -> None:
    """A hold from before its owner was forgotten grows without counting in the owner's new life."""

    async def body(w: World) -> None:
        old = bucket(4)
        await w.reserve(b"old", old)
        await w.advance(DAY)
        await w.reserve(b"new", bucket(4))
        extended = await w.extend(b"old", bucket(9))
        assert (extended.admitted, extended.standings[0][:3]) == (True, (0, 4, 6))
        assert await w.settle(b"old", [old], 9)
        assert await w.stand(old) == [(0, 4, 6)]

    run(body)


def test_lines_no_store_can_keep(run: Run) -> None:
    """Amounts out of range are the caller's mistake, and a hold of other lines is the store's fault: nothing is changed."""

    async def body(w: World) -> None:
        lines = [rolling(2), calendar(2, w.now_us)]
        await w.reserve(b"h", *lines)
        with pytest.raises(ValueError):
            await w.extend(b"h", *longer(lines, 2**53 + 1))
        with pytest.raises(StoreFault):
            await w.extend(b"h", lines[0])
        assert await w.stand(*lines) == [(0, 2, 8)] * 2
        assert (await w.extend(b"h")).admitted

    run(body)


def test_many_owners_and_lines_in_any_order(run: Run) -> None:
    """New amounts and replies follow the caller's order, however its owners are mixed."""

    async def body(w: World) -> None:
        lines = [rolling(1, limit=100, who="abc"[i % 3], field=b"f%d" % i) for i in range(1, 10)]
        await w.reserve(b"h", *lines)
        extended = await w.extend(b"h", *(line._replace(amount=10 + i) for i, line in enumerate(lines)))
        assert [s.held for s in extended.standings] == list(range(10, 19))
        assert await w.settle(b"h", lines, *range(9))
        assert await w.stand(*lines) == [(i, 0, 100 - i) for i in range(9)]

    run(body)


def test_extensions_leave_nothing_that_never_expires(run: Run) -> None:
    """Every key of a hold that was extended, the index of open holds too, has a TTL that outlives the lease."""

    async def body(w: World) -> None:
        lines = [rolling(1), concurrency(who="b")]
        await w.reserve(b"h", *lines)
        await w.extend(b"h", *longer(lines, 5), lease_us=2 * HOUR)
        if w.redis is None:
            return
        keys = await command(w.redis, b"KEYS", b"g1:{*")
        ttls = [await command(w.redis, b"PTTL", key) for key in keys]
        assert len(keys) == 4
        assert min(ttls) > 2 * HOUR // 1000

    run(body)
