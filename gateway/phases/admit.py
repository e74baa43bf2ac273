"""What a request may cost at worst, and what is said when that does not fit.

Failure policy: a model the plan does not allow is refused, and so is a model without a price where an enforced budget
counts money: an unknown price must not be a way around a spending limit.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.budgets import limits as budget_limits
from gateway.budgets.estimate import Estimator
from gateway.budgets.limits import LinePlan, lines, plan_lines
from gateway.budgets.meters import Terms
from gateway.budgets.refusals import refusal
from gateway.errors import Refusal
from gateway.holds import Hold
from gateway.policy.model import Policy
from gateway.policy.resolve import Effective, resolve
from gateway.store.ports import Ledger, WindowPassed
from gateway.values import Ask, Caller, Limit, Line, Quote

SHARE_RETRY_MS = 2000
"""While the store is gone nobody knows when it is back: soon enough to notice, late enough not to press."""
PLANS_MAX = 20_000
"""Cached plans of one policy, over callers and models. A model's name is the tenant's text: the cache is emptied when full."""


class Admission(NamedTuple):
    """What is known of a caller and a model before its request comes."""

    effective: Effective
    plan: LinePlan
    terms: Terms


class Snapshot:
    """One policy, with what was worked out from it so far. A request keeps the snapshot it began with."""

    def __init__(self, policy: Policy, secret: bytes) -> None:
        self.policy = policy
        self.digest = policy.digest
        self.secret = secret
        self.callers: dict[str, Caller] = {}
        """Who sent a credential header's value, for `identify`: good ones only."""
        self._admissions: dict[tuple[str, str], Admission] = {}

    def admission(self, caller: Caller, model: str) -> Admission:
        """Key ids are unique in a deployment, so they stand for the whole caller."""
        known = self._admissions.get((caller.key_id, model))
        if known is None:
            known = self._work_out(caller, model)
            if len(self._admissions) >= PLANS_MAX:
                self._admissions.clear()
            self._admissions[caller.key_id, model] = known
        return known

    def _work_out(self, caller: Caller, model: str) -> Admission:
        effective = resolve(
            self.policy, organisation=caller.organisation, tenant=caller.tenant, key_id=caller.key_id, model=model
        )
        terms = Terms(effective.rule.price, effective.counts_cached_input)
        return Admission(effective, plan_lines(effective.budgets, caller, model, secret=self.secret), terms)


class Policies:
    """Where the running policy is found: each request takes one snapshot and keeps it."""

    def __init__(self, policy: Policy, secret: bytes) -> None:
        self._snapshot = Snapshot(policy, secret)

    def snapshot(self) -> Snapshot:
        return self._snapshot


def quote(caller: Caller, ask: Ask, request_id: str, policy: Snapshot, estimator: Estimator, now_us: int) -> Quote:
    """The worst case of a request, a line for each of its budgets. Raises Refusal (permission)."""
    effective, plan, terms = policy.admission(caller, ask.model)
    if not effective.allowed:
        message = f"The model {ask.model} is not part of the plan {caller.plan}."
        raise Refusal("permission", message, status=403, param="model", code="model_not_allowed", reason="model_not_allowed")
    if terms.price is None and any(budget.meter == "cost" and budget.enforce for budget in effective.budgets):
        message = f"The model {ask.model} has no price in this gateway, and a spending limit applies: use a priced model."
        raise Refusal("permission", message, status=403, param="model", code="model_not_priced", reason="model_not_priced")
    rule = effective.rule
    bound = ask.output_tokens_max
    if bound is None:
        bound = rule.max_output_tokens
        if rule.unbounded_output == "learned":
            bound = estimator.output_bound(caller.tenant, ask.model, bound)
    input_tokens = estimator.input_tokens(ask.model, ask.text_bytes, ask.media_tokens, tenant=caller.tenant)
    output_tokens = bound * ask.choices
    return Quote(
        hold_id=request_id.encode(),
        tag=plan.tag,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        price=terms.price,
        counts_cached_input=terms.counts_cached_input,
        budgets=effective.budgets,
        lines=lines(
            plan,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            terms=terms,
            now_us=now_us,
            end_user=ask.end_user,
        ),
    )


def limits(hold: Hold) -> list[Limit]:
    """How the caller's budgets stand, for headers."""
    return budget_limits.limit_views(hold.quote.budgets, hold.quote.lines, hold.reserved.standings)


def refused(hold: Hold, caller: Caller, ask: Ask) -> Refusal:
    """The refusal of a quote that did not fit."""
    quote = hold.quote
    if hold.is_local:
        message = "The gateway has lost its store, and what it may spend of your limits by itself is spent. Please try again."
        return Refusal("rate_limit", message, status=429, side="store", retry_after_ms=SHARE_RETRY_MS, reason="store_share")
    return refusal(quote.budgets, quote.lines, hold.reserved.standings, model=ask.model, tenant=caller.tenant)


async def standings(
    policy: Snapshot, ledger: Ledger, caller: Caller, model: str | None, end_user: str, now_us: int
) -> tuple[int, list[tuple[Line, Limit]]]:
    """How a caller's budgets stand, and the store's clock (us). Without a model: those that count every model.

    `now_us`: the store's clock as known here; where a calendar window has just passed, its own word is taken.
    """
    admission = policy.admission(caller, model or "")
    kept = [budget for budget in admission.effective.budgets if model or "model" not in budget.scope]
    plan = plan_lines(kept, caller, model or "", secret=policy.secret)

    def at(now_us: int) -> tuple[Line, ...]:
        return lines(plan, input_tokens=0, output_tokens=0, terms=admission.terms, now_us=now_us, end_user=end_user)

    made = at(now_us)
    try:
        reserved = await ledger.standings(plan.tag, made)
    except WindowPassed as passed:
        made = at(passed.now_us)
        reserved = await ledger.standings(plan.tag, made)
    return reserved.now_us, list(zip(made, budget_limits.limit_views(kept, made, reserved.standings)))
