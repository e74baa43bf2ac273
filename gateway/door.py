"""From an ask to its hold: what the policy takes out of it, what it may cost, and what becomes of it where that does not fit.

Shared by the spine and by whoever tries policies without serving (`gauger test`, `gauger replay`): they run the same code.
Failure policy: nothing is held when this raises or when `Entered.held` was not admitted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from gateway.budgets.estimate import Estimator
from gateway.errors import Refusal
from gateway.holds import Holds
from gateway.phases import admit
from gateway.phases.curb import FILED, FILES, at_model, curb
from gateway.snapshot import Admission, Snapshot
from gateway.values import Ask, Caller, Verdict
from gateway.waiting import Waiting
from gateway.wires.base import Wire


class Door(NamedTuple):
    """What a process holds budgets with."""

    holds: Holds
    waiting: Waiting
    estimator: Estimator
    store_now_us: Callable[[], int]
    """The store's clock."""


class Entered(NamedTuple):
    """An ask, and how it stands with its budgets."""

    ask: Ask
    """As it will be forwarded, but for its limit."""
    known: Admission
    held: admit.Held
    """Admitted or not."""
    dropped: tuple[str, ...]
    """Fields that were taken out."""
    downgraded_to: str
    """The model that is asked instead of the one it named; "": none."""


async def enter(
    door: Door,
    ask: Ask,
    wire: Wire,
    endpoint: str,
    caller: Caller,
    policy: Snapshot,
    request_id: str,
    *,
    check: Callable[[Ask], Awaitable[None]] | None = None,
    verdict: Verdict | None = None,
) -> Entered:
    """Hold a request's budgets: its own model's, or those of the models that its budgets downgrade it to, each tried once.

    `verdict`: what the watch takes away. `check`: awaited with what is left of the ask, before anything is held.
    Raises Refusal, StoreFault and what `check` raises.
    """
    known = admit.admission(caller, ask.model, endpoint, policy, door.store_now_us(), verdict)
    if ask.wire in (FILES, FILED):
        known = admit.whole_or_not(known)
    tried = {ask.model}
    downgraded_to = ""
    while True:
        curbed, limit, dropped = curb(ask, wire, known.effective.output, known.effective.rule.max_output_tokens)
        if check is not None:
            await check(curbed)
        held = await admit.hold(
            door.holds, door.waiting, caller, curbed, limit, request_id, known, door.estimator, door.store_now_us
        )
        entered = Entered(curbed, known, held, dropped, downgraded_to)
        if not held.downgrade_to or held.downgrade_to in tried:
            return entered
        try:
            known = admit.admission(caller, held.downgrade_to, endpoint, policy, door.store_now_us(), verdict)
        except Refusal:  # the tenant may not have that model: then this is a refusal like any other
            return entered
        downgraded_to = held.downgrade_to
        ask = at_model(ask, downgraded_to)
        tried.add(downgraded_to)
