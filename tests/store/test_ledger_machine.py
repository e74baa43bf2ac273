"""Both ledgers under the same random life: holds, duplicates, renewals, extensions, crashes, late settlements, clocks.

They must never differ. A crash is a hold that no later rule happens to draw.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, rule, run_state_machine_as_test

from gateway.errors import StoreFault
from gateway.store.ports import WindowPassed
from gateway.values import Line, Reserved, Standing

from .worlds import CLOCK_KEY, DAY, HOUR, LEASE_US, MINUTE, SECOND, START_US, TAG, World, command, owner, world_of

# (owner, field, kind, limit, refill or period, enforce); calendar windows follow the clock.
BUDGETS = (
    ("a", b"bucket", "bucket", 10, 10, True),
    ("a", b"slow", "bucket", 30, 7, True),
    ("b", b"rolling", "rolling", 20, MINUTE, True),
    ("b", b"odd", "rolling", 12, 61_000_007, True),
    ("a", b"day", "calendar", 40, 0, True),
    ("b", b"places", "concurrency", 3, 0, True),
    ("a", b"shadow", "bucket", 5, 5, False),
)


GONE = Standing(0, 0, 2**53, 0, 0)
"""What an extension is told of a calendar window that has passed."""


def line(budget: int, now_us: int, amount: int, certain: int) -> Line:
    who, name, kind, limit, b, enforce = BUDGETS[budget]
    c = MINUTE if kind == "bucket" else 0
    if kind == "calendar":
        b = now_us - now_us % DAY
        c = b + DAY
    if kind == "concurrency":
        amount = certain = min(1, amount)
    return Line(owner(who), name, kind, limit, b, c, enforce, amount, min(certain, amount))  # type: ignore[arg-type]


@dataclass(eq=False)
class Hold:
    hold_id: bytes
    lines: list[Line]
    opened_us: int
    peak: list[int] = field(default_factory=list)
    """The most ever posted, for each line."""
    posted: list[int] = field(default_factory=list)
    """What the last renewal posted, for each line."""
    settled_us: int | None = None


class Ledgers(RuleBasedStateMachine):
    """`url` is set by the test."""

    url = ""
    holds = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.context = world_of("redis", self.url)
        self.real: World = self.runner.run(self.context.__aenter__())
        self.local = World(None)
        self.now_us = START_US
        self.count = 0
        self.debt = dict.fromkeys((budget[1] for budget in BUDGETS), 0)
        """What was posted beyond what was held, by budget: all that may ever stand below zero."""

    def both(self, verb: str, *args: object, **options: object) -> object:
        """Call both ledgers; they must agree in reply or in fault."""
        replies = []
        for world in (self.real, self.local):
            try:
                replies.append(self.runner.run(getattr(world.ledger, verb)(*args, **options)))
            except WindowPassed as passed:
                replies.append(("window passed", passed.now_us))
            except StoreFault as fault:
                replies.append(str(fault))
        assert replies[0] == replies[1], verb
        if isinstance(replies[0], Reserved):
            lines = args[-1]
            for each, standing in zip(lines, replies[0].standings):  # type: ignore[call-overload]
                if standing == GONE:
                    assert verb == "extend"
                    assert not each.b <= self.now_us < each.c
                    continue
                assert standing.used + standing.held + standing.remaining == each.a
                if each.enforce:
                    assert standing.remaining >= -self.debt[each.field], each
                assert standing.held >= 0
        return replies[0]

    def owe(self, hold: Hold, amounts: list[int], *, is_swept: bool) -> None:
        """Declare as debt what these posts may exceed the hold by; after a sweep nothing is held any more."""
        for i, each in enumerate(hold.lines):
            covered = hold.peak[i] if is_swept else max(each.amount, hold.peak[i])
            if each.kind != "concurrency":
                self.debt[each.field] += max(0, amounts[i] - covered)
                hold.peak[i] = max(hold.peak[i], amounts[i])

    @rule(
        target=holds,
        wanted=st.lists(st.sampled_from(range(len(BUDGETS))), min_size=1, max_size=5, unique=True),
        amount=st.integers(0, 12),
        certain=st.integers(0, 3),
        lease_us=st.sampled_from([LEASE_US, 5 * SECOND, 2 * HOUR]),
        is_stale=st.integers(0, 20).map(lambda n: n == 0),
    )
    def reserve(self, wanted: list[int], amount: int, certain: int, lease_us: int, is_stale: bool) -> Hold:
        self.count += 1
        window_us = self.now_us - (DAY if is_stale else 0)
        lines = [line(budget, window_us, amount, certain) for budget in wanted]
        certainly = [0 if each.kind == "concurrency" else each.certain for each in lines]
        hold = Hold(b"h%d" % self.count, lines, self.now_us, certainly, certainly.copy())
        self.both("reserve", hold.hold_id, TAG, hold.lines, lease_us=lease_us)
        return hold

    @rule(hold=holds)
    def repeat_reserve(self, hold: Hold) -> None:
        """A late duplicate. (One of a hold closed long ago is no duplicate any more: its tombstone has gone.)"""
        is_fresh = hold.settled_us is None or self.now_us - hold.settled_us < MINUTE
        if is_fresh and self.now_us - hold.opened_us < DAY:
            self.both("reserve", hold.hold_id, TAG, hold.lines, lease_us=LEASE_US)

    @rule(hold=holds, scale=st.integers(0, 15))
    def renew(self, hold: Hold, scale: int) -> None:
        amounts = [min(1, scale) if each.kind == "concurrency" else scale for each in hold.lines]
        self.owe(hold, amounts, is_swept=False)
        if self.both("renew", hold.hold_id, TAG, hold.lines, amounts, lease_us=LEASE_US) is True:
            hold.posted = amounts

    @rule(hold=holds, amount=st.integers(0, 25), lease_us=st.sampled_from([LEASE_US, 2 * HOUR]), times=st.integers(1, 2))
    def extend(self, hold: Hold, amount: int, lease_us: int, times: int) -> None:
        """Admitted if, and only if, all that the hold grows by fits its enforced lines; repeated, it changes nothing.

        (An owner may have been forgotten since a hold of hours ago: that grows, and counts nothing in the owner's new life.)
        """
        lines = [x if x.kind == "concurrency" else x._replace(amount=max(amount, x.certain)) for x in hold.lines]
        replies = [self.both("extend", hold.hold_id, TAG, lines, lease_us=lease_us) for _ in range(times)]
        assert replies[0] == replies[-1]
        reply = replies[0]
        if not isinstance(reply, Reserved):
            assert reply == "the hold is no longer open"
            return
        growths = [
            max(0, new.amount - posted) - max(0, old.amount - posted)
            for old, new, posted in zip(hold.lines, lines, hold.posted)
        ]
        for each, growth, standing in zip(hold.lines, growths, reply.standings):
            if growth > 0 and reply.admitted and standing == GONE:
                self.debt[each.field] += growth  # held in a window that has passed, where nothing refuses it
            elif growth > 0 and reply.admitted and each.enforce and self.now_us - hold.opened_us < HOUR:
                assert standing.remaining >= 0
        if reply.admitted:
            hold.lines = [old._replace(amount=max(old.amount, new.amount)) for old, new in zip(hold.lines, lines)]
        else:
            assert any(
                each.enforce and growth > max(0, standing.remaining)
                for each, growth, standing in zip(hold.lines, growths, reply.standings)
            )

    @rule(hold=holds, scale=st.integers(0, 15), times=st.integers(1, 2))
    def settle(self, hold: Hold, scale: int, times: int) -> None:
        if self.now_us - hold.opened_us > DAY:
            return  # what is kept of it on the real server ages by the machine's clock, not by ours
        amounts = [0 if each.kind == "concurrency" else scale for each in hold.lines]
        self.owe(hold, amounts, is_swept=True)  # it may have been swept: then all of it comes on top
        for time in range(times):
            closed = self.both("settle", hold.hold_id, TAG, hold.lines, amounts)
            assert not (time and closed)
        hold.settled_us = self.now_us if hold.settled_us is None else hold.settled_us

    @rule(by_us=st.sampled_from([1, 999, SECOND, 5 * SECOND, LEASE_US, 61 * SECOND, HOUR, 3 * HOUR, DAY, 40 * DAY]))
    def advance(self, by_us: int) -> None:
        self.now_us += by_us
        self.local.now_us = self.now_us
        self.runner.run(self.real.set_clock(self.now_us))

    @rule()
    def look(self) -> None:
        self.both("standings", TAG, [line(budget, self.now_us, 1, 0) for budget in range(len(BUDGETS))])

    def teardown(self) -> None:
        try:
            self.advance(3 * HOUR)
            for _ in range(2):
                quiet = self.both("standings", TAG, [line(budget, self.now_us, 1, 0) for budget in range(len(BUDGETS))])
                assert isinstance(quiet, Reserved)
                assert [standing.held for standing in quiet.standings] == [0] * len(BUDGETS)
            assert self.real.redis is not None
            keys = self.runner.run(command(self.real.redis, b"KEYS", b"*"))
            ttls = {key: self.runner.run(command(self.real.redis, b"PTTL", key)) for key in keys if key != CLOCK_KEY}
            assert [key for key, ttl in ttls.items() if ttl < 0] == []
        finally:
            self.runner.run(self.context.__aexit__(None, None, None))
            self.runner.close()


@pytest.mark.parametrize("steps", [30])
def test_ledgers_agree(store_url: str, steps: int) -> None:
    """Same standings; never more than limit plus declared debt; after quiet nothing is held; every key expires."""
    Ledgers.url = store_url
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Ledgers,
        settings=settings(
            max_examples=250,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
