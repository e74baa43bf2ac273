"""What holds for one caller and one model: the policy's levels put together.

From general to special: defaults, model rule, organisation; then plan, tenant and key, where a budget replaces the one of
the same name on the level before it. Pure, some microseconds a call; a caller that caches the result must bound its cache,
because a model's name is whatever a tenant sends.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.policy.globs import matcher
from gateway.policy.model import Budget, ModelRule, Policy


class Effective(NamedTuple):
    rule: ModelRule
    """The first that matches the model; the policy's default rule when none does."""
    budgets: tuple[Budget, ...]
    """Every budget that counts this model, in a stable order: organisation, plan/tenant/key, model rule; a replacement
    stands where the one it replaces stood."""
    allowed: bool
    """False: the plan does not let this model be asked for."""
    counts_cached_input: bool


def resolve(policy: Policy, *, organisation: str, tenant: str, key_id: str, model: str) -> Effective:
    """What holds when this key asks for this model; key_id "": whatever the key.

    Raises KeyError for a caller that is not of this policy.
    """
    who = policy.tenants[tenant]
    plan = policy.plans[who.plan]
    key_budgets: tuple[Budget, ...] | None = None if key_id else ()
    for key in who.keys:
        if key.id == key_id:
            key_budgets = key.budgets
            break
    if key_budgets is None or who.organisation != organisation:
        raise KeyError(f"key {key_id!r} of tenant {tenant!r} in organisation {organisation!r}")

    rule = policy.default_rule
    for candidate in policy.models:
        if matcher((candidate.match,))(model):
            rule = candidate
            break

    layered = _layered(plan.budgets, who.budgets, key_budgets)
    written = (*policy.organisations[organisation].budgets, *layered, *rule.budgets)
    return Effective(
        rule=rule,
        budgets=tuple([budget for budget in written if matcher(budget.models)(model)]),
        allowed=bool(matcher(plan.models)(model)),
        counts_cached_input=plan.counts_cached_input,
    )


def _layered(plan: tuple[Budget, ...], tenant: tuple[Budget, ...], key: tuple[Budget, ...]) -> tuple[Budget, ...]:
    if not tenant and not key:
        return plan
    by_name = {budget.name: budget for budget in plan}
    by_name.update((budget.name, budget) for budget in tenant)
    by_name.update((budget.name, budget) for budget in key)
    return tuple(by_name.values())
