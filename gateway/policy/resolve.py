"""What holds for one caller and one model: the policy's levels put together.

From general to special: defaults, model rule, organisation; then plan, tenant and key, where a budget replaces the one of
the same name on the level before it. What answers may be is put together in `outputs`. Pure, some microseconds a call; a
caller that caches the result must bound its cache, because a model's name is whatever a tenant sends.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.policy.globs import matcher
from gateway.policy.model import NO_OUTPUT, Budget, ModelRule, Output, Policy
from gateway.policy.outputs import effective_output


class Effective(NamedTuple):
    rule: ModelRule
    """The first that matches the model; the policy's default rule when none does."""
    budgets: tuple[Budget, ...]
    """Every budget that counts this model, in a stable order: organisation, plan/tenant/key, model rule; a replacement
    stands where the one it replaces stood."""
    allowed: bool
    """False: the plan does not let this model be asked for."""
    counts_cached_input: bool
    output: Output
    """What answers may be; NO_OUTPUT itself where no level says anything."""
    endpoints: tuple[str, ...]
    """Globs of the endpoints that may be used: the plan's."""


def resolve(policy: Policy, *, organisation: str, tenant: str, key_id: str, model: str) -> Effective:
    """What holds when this key asks for this model; key_id "": whatever the key.

    Raises KeyError for a caller that is not of this policy.
    """
    who = policy.tenants[tenant]
    plan = policy.plans[who.plan]
    key_budgets: tuple[Budget, ...] | None = None if key_id else ()
    key_output = NO_OUTPUT
    for key in who.keys:
        if key.id == key_id:
            key_budgets, key_output = key.budgets, key.output
            break
    if key_budgets is None or who.organisation != organisation:
        raise KeyError(f"key {key_id!r} of tenant {tenant!r} in organisation {organisation!r}")

    rule = policy.default_rule
    for candidate in policy.models:
        if matcher((candidate.match,))(model):
            rule = candidate
            break

    layered = _layered(plan.budgets, who.budgets, key_budgets)
    group = policy.organisations[organisation]
    written = (*group.budgets, *layered, *rule.budgets)
    return Effective(
        rule=rule,
        budgets=tuple([budget for budget in written if matcher(budget.models)(model)]),
        allowed=bool(matcher(plan.models)(model)),
        counts_cached_input=plan.counts_cached_input,
        output=effective_output((plan.output, who.output, key_output), (rule.output, group.output)),
        endpoints=plan.endpoints,
    )


def _layered(plan: tuple[Budget, ...], tenant: tuple[Budget, ...], key: tuple[Budget, ...]) -> tuple[Budget, ...]:
    if not tenant and not key:
        return plan
    by_name = {budget.name: budget for budget in plan}
    by_name.update((budget.name, budget) for budget in tenant)
    by_name.update((budget.name, budget) for budget in key)
    return tuple(by_name.values())
