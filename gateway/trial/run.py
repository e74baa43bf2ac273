"""One policy test: its requests through the gateway's own door, and what was seen beside what was expected."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import NamedTuple

from gateway.door import enter
from gateway.errors import Refusal
from gateway.holds import Hold
from gateway.phases import admit, settle
from gateway.phases.classify import obeyed, refuse
from gateway.policy.trials import Expect, Given, Request, Trial
from gateway.snapshot import Snapshot
from gateway.trial.asks import caller_of, make_ask
from gateway.trial.world import World, passed
from gateway.values import Outcome, Usage


@dataclass(slots=True)
class Seen:
    """What became of one request."""

    verdict: str = "admitted"
    refused_by: str | None = None
    reason: str | None = None
    retry_after_ms: int | None = None
    """0: waiting is useless, and no time is told."""
    message: str = ""
    shortened_to: int | None = None
    downgraded_to: str | None = None
    queued_ms: int = 0
    dropped: tuple[str, ...] = ()
    would_refuse: tuple[str, ...] = ()
    watched: str = "none"


class Miss(NamedTuple):
    """A request that went another way than its test says."""

    request: Request
    number: int
    """Which of the request's repetitions, from 1."""
    differences: tuple[tuple[str, str, str], ...]
    """(word, expected, seen)."""
    message: str
    """What the tenant would have been told; "" where it was admitted."""


async def run_trial(trial: Trial, policy: Snapshot, world: World) -> list[Miss]:
    """Every miss of a test, in order. The world is new. Raises NotCounted."""
    if trial.given_for is not None:
        await _spend(trial, trial.given_for, policy, world)
    running: list[tuple[Request, int, asyncio.Task[Seen]]] = []
    async with asyncio.TaskGroup() as group:
        for request in trial.requests:
            for number in range(1, request.repeat + 1):
                await asyncio.sleep(request.after_ms / 1000)
                passed.set(asyncio.Event())
                task = group.create_task(_one(request, len(running), policy, world))
                running.append((request, number, task))
                await passed.get().wait()
    misses = []
    for request, number, task in running:
        seen = task.result()
        if differences := compare(request.expect, seen):
            misses.append(Miss(request, number, differences, seen.message))
    return misses


async def _spend(trial: Trial, who: Request, policy: Snapshot, world: World) -> None:
    caller = caller_of(policy.policy, who.tenant, who.key)
    known = policy.admission(caller, who.model, None, world.now_us())
    counted = {budget.name: budget for budget in known.effective.budgets}
    for given in trial.given:
        if given.budget not in counted:
            raise NotCounted(given, [*counted])
    await world.spend(policy, caller, who.model, who.user, [(counted[given.budget], given.used) for given in trial.given])


async def _one(request: Request, serial: int, policy: Snapshot, world: World) -> Seen:
    try:
        return await _through(request, b"trial-%d" % serial, policy, world)
    finally:
        passed.get().set()


async def _through(request: Request, request_id: bytes, policy: Snapshot, world: World) -> Seen:
    caller = caller_of(policy.policy, request.tenant, request.key)
    began_us = world.now_us()
    verdict = world.standing.of(policy.policy, caller, request.score_milli, began_us)
    step = "none" if verdict is None else verdict.step
    try:
        admit.permit(policy, caller, request.endpoint)
        refuse(verdict)
        wire, ask = make_ask(
            request.endpoint, request.model,
            input_tokens=request.input_tokens, max_tokens=request.max_tokens, user=request.user, fields=request.fields,
        )  # fmt: skip
        entered = await enter(
            world.door, ask, wire, request.endpoint, caller, policy, request_id.decode(), verdict=obeyed(verdict)
        )
        hold = entered.held.hold
        if not hold.reserved.admitted:
            raise admit.refused(hold, caller, entered.ask, entered.known)
    except Refusal as refusal:
        return _refused(refusal, step)
    seen = Seen(
        shortened_to=entered.held.limit,
        downgraded_to=entered.downgraded_to or None,
        queued_ms=(world.now_us() - began_us) // 1000,
        dropped=entered.dropped,
        would_refuse=tuple(hold.over_shadow),
        watched=step,
    )
    if request.takes_ms:
        passed.get().set()
        await asyncio.sleep(request.takes_ms / 1000)
    outcome = Outcome("complete", 200, _usage(request, hold), 0, 0)
    settle.close(hold, caller, entered.ask, outcome, wire.family, world.door.estimator)
    return seen


def _usage(request: Request, hold: Hold) -> Usage:
    """What the model server reports: what the test says, or all that was held."""
    uses, quote = request.uses, hold.quote
    input_tokens = quote.input_tokens if uses.input_tokens is None else uses.input_tokens
    output_tokens = quote.output_tokens if uses.output_tokens is None else uses.output_tokens
    return Usage(input_tokens, min(uses.cached_input_tokens, input_tokens), 0, output_tokens, is_complete=True)


def _refused(refusal: Refusal, step: str) -> Seen:
    is_budget = refusal.reason.startswith("budget:")
    return Seen(
        verdict="refused",
        refused_by=refusal.reason.removeprefix("budget:") if is_budget else None,
        reason=None if is_budget else refusal.reason,
        retry_after_ms=refusal.retry_after_ms or 0,
        message=refusal.message,
        watched=step,
    )


class NotCounted(ValueError):
    """A test gives the usage of a budget that does not count its requests."""

    def __init__(self, given: Given, counted: list[str]) -> None:
        names = ", ".join(counted) or "none"
        super().__init__(f"the budget `{given.budget}` does not count this test's requests; these do: {names}")
        self.place = given.place


def compare(expect: Expect, seen: Seen) -> tuple[tuple[str, str, str], ...]:
    """Where what was seen differs from what was expected: (word, expected, seen). Words that a test does not write are not
    looked at; a time in whole seconds stands for what rounds up to it."""
    if expect.verdict != seen.verdict:
        return (("verdict", expect.verdict, seen.verdict if seen.verdict == "admitted" else f"refused by {_why(seen)}"),)
    pairs = [
        ("refused_by", expect.refused_by, seen.refused_by or f"({seen.reason})"),
        ("reason", expect.reason, seen.reason or f"(the budget {seen.refused_by})"),
        ("retry_after", _wait(expect.retry_after_ms), _wait(_rounded(seen.retry_after_ms, expect.retry_after_ms))),
        ("shortened_to", expect.shortened_to, seen.shortened_to),
        ("downgraded_to", expect.downgraded_to, seen.downgraded_to),
        ("queued", _shown_ms(expect.queued_ms), _shown_ms(_rounded(seen.queued_ms, expect.queued_ms))),
        ("dropped", _listed(expect.dropped), _listed(seen.dropped)),
        ("watched", expect.watched, seen.watched),
        ("would_refuse", _listed(expect.would_refuse), _listed(seen.would_refuse)),
    ]
    return tuple((word, str(wanted), _or_none(got)) for word, wanted, got in pairs if wanted is not None and wanted != got)


def _why(seen: Seen) -> str:
    return f"the budget {seen.refused_by}" if seen.refused_by else f"({seen.reason})"


def _rounded(seen_ms: int | None, expected_ms: int | None) -> int | None:
    if seen_ms is None or expected_ms is None or expected_ms % 1000:
        return seen_ms
    return -(-seen_ms // 1000) * 1000


def _wait(ms: int | None) -> str | None:
    return "never" if ms == 0 else _shown_ms(ms)


def _shown_ms(ms: int | None) -> str | None:
    return None if ms is None else f"{ms / 1000:g}s"


def _listed(names: tuple[str, ...] | None) -> str | None:
    return None if names is None else ", ".join(sorted(names)) or "nothing"


def _or_none(value: object) -> str:
    return "nothing" if value is None else str(value)
