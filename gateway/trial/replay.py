"""What a policy would have done to traffic that has been: every arrival through the gateway's own door, in the trace's time.

The ledger is the one in memory, which passes the store's own tests. A request that the trace says was answered is taken to use
what it used then, less what it would not have got; one that the policy refuses is not repeated, though its client might have.

Requests that wait for room need a loop whose timers run in the trace's time; where no budget queues, time is just set, which is
faster.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import NamedTuple

from gateway.budgets.meters import METERS, Terms
from gateway.door import Door, Entered, enter
from gateway.errors import Refusal
from gateway.phases import admit, settle
from gateway.policy.model import Policy
from gateway.policy.read_trials import START_US, budgets_of
from gateway.snapshot import Snapshot
from gateway.store.local import LocalLedger
from gateway.trial.asks import WIRE_OF, caller_of, make_ask
from gateway.trial.clock import run_virtually
from gateway.trial.tallies import BudgetTally, Tally, TenantTally
from gateway.trial.trace import Arrival
from gateway.trial.world import SECRET, World, passed
from gateway.values import Ask, Caller, Outcome, Usage
from gateway.wires.base import Wire

OLD_US = 946_684_800_000_000
"""2000-01-01: a trace that begins before it counts from its own beginning, which is then taken for START_US."""
TOLD_EVERY = 2_000
UNKNOWN_MAX = 1_000


class _Running(NamedTuple):
    """A request that has been admitted, and ends later."""

    end_us: int
    serial: int
    entered: Entered
    caller: Caller
    ask: Ask
    family: str
    usage: Usage


def replay(
    arrivals: Iterable[Arrival], policy: Policy, *, on_progress: Callable[[int], None], is_mine: Callable[[str], bool]
) -> Tally:
    """Run a trace through a policy. `is_mine` tells by its organisation's name whether a tenant is of this process."""
    run = _Replay(policy, is_mine, on_progress)
    if any(budget.on_exceed == "queue" for budget in budgets_of(policy)):
        return run_virtually(lambda: run.in_the_loop(arrivals))
    return asyncio.run(run.by_hand(arrivals))


class _Replay:
    def __init__(self, policy: Policy, is_mine: Callable[[str], bool], on_progress: Callable[[int], None]) -> None:
        self._policy = Snapshot(policy, SECRET)
        self._is_mine = is_mine
        self._on_progress = on_progress
        self._tally = Tally()
        self._callers: dict[tuple[str, str], Caller | None] = {}
        self._asks: dict[tuple[str, str, str, int | None, int], tuple[Wire, Ask]] = {}
        self._serials = count(1)
        self._now_us = 0
        self._world: World

    # Time that is set

    async def by_hand(self, arrivals: Iterable[Arrival]) -> Tally:
        self._now_us = START_US
        self._world = World(LocalLedger(now_us=lambda: self._now_us), START_US)
        door = self._world.door._replace(store_now_us=lambda: self._now_us)
        running: list[_Running] = []
        for caller, arrival in self._mine(arrivals):
            while running and running[0].end_us <= arrival.at_us:
                ended = heapq.heappop(running)
                self._now_us = ended.end_us
                self._end(ended)
            self._now_us = arrival.at_us
            started = await self._start(door, caller, arrival, next(self._serials))
            if started is not None:
                heapq.heappush(running, started)
        return self._tally

    # Time that passes

    async def in_the_loop(self, arrivals: Iterable[Arrival]) -> Tally:
        def now_us() -> int:
            return self._world.now_us()

        ledger = LocalLedger(now_us=now_us)
        is_first = True
        async with asyncio.TaskGroup() as group:
            for caller, arrival in self._mine(arrivals):
                if is_first:
                    self._world, is_first = World(ledger, arrival.at_us), False
                await asyncio.sleep(max(0.0, (arrival.at_us - self._world.now_us()) / 1e6))
                passed.set(asyncio.Event())
                group.create_task(self._live(caller, arrival))
                await passed.get().wait()
        return self._tally

    async def _live(self, caller: Caller, arrival: Arrival) -> None:
        world = self._world
        try:
            started = await self._start(world.door, caller, arrival, next(self._serials))
        finally:
            passed.get().set()
        if started is not None:
            await asyncio.sleep(max(0.0, (started.end_us - world.now_us()) / 1e6))
            self._end(started)

    # One request

    def _mine(self, arrivals: Iterable[Arrival]) -> Iterator[tuple[Caller, Arrival]]:
        tally = self._tally
        offset_us = None
        for number, arrival in enumerate(arrivals, 1):
            if not number % TOLD_EVERY:
                self._on_progress(number)
            if offset_us is None:
                offset_us = START_US - arrival.at_us if arrival.at_us < OLD_US else 0
            if offset_us:
                arrival = arrival._replace(at_us=arrival.at_us + offset_us)
            caller = self._caller(arrival.tenant, arrival.key)
            if caller is None:
                if arrival.tenant in tally.unknown or len(tally.unknown) < UNKNOWN_MAX:
                    tally.unknown[arrival.tenant] = tally.unknown.get(arrival.tenant, 0) + 1
            elif arrival.endpoint not in WIRE_OF:
                if arrival.endpoint in tally.untried or len(tally.untried) < UNKNOWN_MAX:
                    tally.untried[arrival.endpoint] = tally.untried.get(arrival.endpoint, 0) + 1
            elif self._is_mine(caller.organisation):
                tally.knows_users = tally.knows_users or bool(arrival.user)
                tally.first_us = tally.first_us or arrival.at_us
                tally.last_us = arrival.at_us
                tally.requests += 1
                yield caller, arrival

    def _caller(self, tenant: str, key: str) -> Caller | None:
        """None: the policy does not have this tenant. A key that it does not have stands for the tenant's first."""
        try:
            return self._callers[tenant, key]
        except KeyError:
            caller = None
            if who := self._policy.policy.tenants.get(tenant):
                caller = caller_of(self._policy.policy, tenant, key if any(known.id == key for known in who.keys) else "")
            if len(self._callers) < 100_000:
                self._callers[tenant, key] = caller
            return caller

    def _ask(self, arrival: Arrival) -> tuple[Wire, Ask]:
        """Judged once for each kind of request; all that differs is how many tokens come in."""
        kind = (arrival.endpoint, arrival.model, arrival.user, arrival.max_tokens, arrival.choices)
        made = self._asks.get(kind)
        if made is None:
            fields = {"n": arrival.choices} if arrival.choices > 1 else {}
            made = make_ask(
                arrival.endpoint, arrival.model, input_tokens=0, max_tokens=arrival.max_tokens, user=arrival.user, fields=fields
            )
            if len(self._asks) > 10_000:
                self._asks.clear()
            self._asks[kind] = made
        return made[0], made[1]._replace(text_bytes=arrival.input_tokens)

    async def _start(self, door: Door, caller: Caller, arrival: Arrival, serial: int) -> _Running | None:
        """Through the door; None: it was refused. What happened is noted."""
        tenant = self._tally.tenants.get(caller.tenant)
        if tenant is None:
            tenant = self._tally.tenants[caller.tenant] = TenantTally()
        tenant.requests += 1
        try:
            admit.permit(self._policy, caller, arrival.endpoint)
            wire, ask = self._ask(arrival)
            entered = await enter(door, ask, wire, arrival.endpoint, caller, self._policy, f"r{serial}")
        except Refusal as refusal:
            tenant.note_refusal(arrival.at_us)
            tenant.refused_otherwise[refusal.reason] = tenant.refused_otherwise.get(refusal.reason, 0) + 1
            return None
        held, hold = entered.held, entered.held.hold
        if not hold.reserved.admitted:
            reason = admit.refused(hold, caller, entered.ask, entered.known).reason
            tenant.note_refusal(arrival.at_us)
            self._note_budgets(tenant, entered, door.store_now_us(), reason.removeprefix("budget:"))
            return None
        tenant.admitted += 1
        delay_us = door.store_now_us() - arrival.at_us
        if delay_us > 0:
            tenant.delayed += 1
            tenant.delay_us += delay_us
        if entered.downgraded_to:
            tenant.downgraded += 1
        output_tokens = arrival.output_tokens
        if held.limit is not None and output_tokens > held.limit * entered.ask.choices:
            tenant.shortened += 1
            tenant.cut_tokens += output_tokens - held.limit * entered.ask.choices
            output_tokens = held.limit * entered.ask.choices
        self._note_budgets(tenant, entered, door.store_now_us(), "")
        cached, written = arrival.cached_input_tokens, arrival.cache_write_tokens
        usage = Usage(arrival.input_tokens, cached, written, output_tokens, is_complete=True)
        self._note_cost(tenant, entered, usage)
        end_us = arrival.at_us + max(0, delay_us) + arrival.duration_us
        return _Running(end_us, serial, entered, caller, entered.ask, wire.family, usage)

    def _end(self, running: _Running) -> None:
        outcome = Outcome("complete", 200, running.usage, 0, 0)
        settle.close(
            running.entered.held.hold, running.caller, running.ask, outcome, running.family, self._world.door.estimator
        )

    def _note_cost(self, tenant: TenantTally, entered: Entered, usage: Usage) -> None:
        tenant.input_tokens += usage.input_tokens
        tenant.output_tokens += usage.output_tokens
        quote = entered.held.hold.quote
        if quote.price is not None:
            tenant.cost_nano_usd += METERS["cost"].actual(usage, Terms(quote.price, quote.counts_cached_input), quote.extent)

    def _note_budgets(self, tenant: TenantTally, entered: Entered, now_us: int, refused_by: str) -> None:
        hold = entered.held.hold
        for budget, line, standing in zip(hold.quote.budgets, hold.quote.lines, hold.reserved.standings):
            seen = tenant.budgets.get(budget.name)
            if seen is None:
                place = f"{budget.place.file}:{budget.place.line}"
                seen = tenant.budgets[budget.name] = BudgetTally(
                    budget.meter, budget.enforce, place, is_by_user="user" in budget.scope
                )
            is_refused = budget.name == refused_by
            seen.refused += is_refused
            seen.would_refuse += not budget.enforce and standing.wait_us != 0
            seen.curve.note(now_us, standing.used + standing.held, line.a, is_refused=is_refused)
