"""What stands in for a running gateway while policies are tried: its door, on some ledger, under the loop's own clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar

from gateway.background import Tasks
from gateway.budgets.limits import lines, plan_lines
from gateway.door import Door
from gateway.holds import Hold, Holds
from gateway.policy.model import Budget
from gateway.snapshot import Snapshot
from gateway.store.ports import Ledger
from gateway.trial.asks import GivenTokens
from gateway.trial.standing import Standing
from gateway.values import Caller
from gateway.waiting import Waiting

SECRET = b"policies are tried here"
"""Keys are not looked at; names in the store are hashed under it."""
LEASE_S = 30 * 86_400.0
"""Nothing is killed here, and requests may run for days."""


class World:
    """A door that opens at `at_us`, microseconds since the epoch."""

    def __init__(self, ledger: Ledger, at_us: int) -> None:
        self.ledger = ledger
        self._loop = asyncio.get_running_loop()
        self._zero_us = at_us - round(self._loop.time() * 1_000_000)
        holds = Holds(ledger, fallback=None, tasks=Tasks(_raise), lease_s=LEASE_S, renew_every_s=LEASE_S / 2)
        self.standing = Standing()
        self.door = Door(holds, _Told(holds), GivenTokens(), self.now_us)

    def now_us(self) -> int:
        return self._zero_us + round(self._loop.time() * 1_000_000)

    async def spend(self, policy: Snapshot, caller: Caller, model: str, user: str, given: Sequence[tuple[Budget, int]]) -> None:
        """Charge budgets with what they have used before: each at once, and whether it fits or not."""
        for number, (budget, used) in enumerate(given):
            known = policy.admission(caller, model, None, self.now_us())
            plan = plan_lines([budget], caller, model, secret=policy.secret)
            (line,) = lines(plan, input_tokens=0, output_tokens=0, terms=known.terms, now_us=self.now_us(), end_user=user)
            spent = line._replace(amount=used, certain=used, enforce=False)
            hold_id = b"given-%d" % number
            await self.ledger.reserve(hold_id, plan.tag, [spent], lease_us=round(LEASE_S * 1e6))
            await self.ledger.settle(hold_id, plan.tag, [spent], [used])


passed: ContextVar[asyncio.Event] = ContextVar("passed")
"""Set as soon as a request has gone as far as it can without time going on: the next one comes after it."""


class _Told(Waiting):
    async def wait(self, refused: Hold, open_again: Callable[[], Awaitable[Hold]]) -> Hold:
        passed.get().set()
        return await super().wait(refused, open_again)


def _raise(name: str, error: BaseException) -> None:
    raise RuntimeError(f"{name}: {error!r}") from error
