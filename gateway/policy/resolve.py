"""What holds for one caller, one model and one endpoint at one moment: the policy's levels put together.

The one rule: whatever is written at any level holds, and where two budgets meet, the tighter one is the first to refuse.
Only two things replace. A budget that says `override: true` takes the place of the one of its name on a more general level
(plan, organisation, tenant, key: from general to special), for the requests that it counts itself. And of what plan, tenant
and key say of answers the most special is obeyed, word by word; what organisation and model rule say is put on top of it
(`outputs`). What `defaults` and extended plans say is part of a plan already.

Pure, some microseconds a call; a caller that caches the result must bound its cache, because a model's name is whatever a
tenant sends, and make it anew at `changes_at_us`.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.policy.globs import matcher
from gateway.policy.model import (
    EVERYTHING,
    NO_OUTPUT,
    Budget,
    Declared,
    Key,
    ModelRule,
    Organisation,
    Output,
    Plan,
    Policy,
    Purpose,
    Tenant,
)
from gateway.policy.outputs import effective_output
from gateway.policy.times import FOR_EVER_US, changes_at_us, is_in_force


class Effective(NamedTuple):
    rule: ModelRule
    """The first that matches the model; the policy's default rule when none does."""
    budgets: tuple[Budget, ...]
    """Every budget that counts such a request now, in a stable order: plan, organisation, tenant, key, model rule; one that
    overrides another stands in its place."""
    allowed: bool
    """False: some level does not let this model be asked for."""
    counts_cached_input: bool
    output: Output
    """What answers may be; NO_OUTPUT itself where no level says anything."""
    purposes: tuple[Purpose, ...]
    """What the caller's traffic has been declared to be for, where that still holds."""
    changes_at_us: int
    """When this may no longer be so, microseconds since the epoch."""


class Levels(NamedTuple):
    """Where a caller stands in a policy, from general to special."""

    plan: Plan
    organisation: Organisation
    tenant: Tenant
    key: Key | None
    """None: whatever the key."""


def levels_of(policy: Policy, *, organisation: str, tenant: str, key_id: str) -> Levels:
    """The caller's levels; key_id "": whatever the key. Raises KeyError for a caller that is not of this policy."""
    who = policy.tenants[tenant]
    key = next((key for key in who.keys if key.id == key_id), None) if key_id else None
    if who.organisation != organisation or (key_id and key is None):
        raise KeyError(f"key {key_id!r} of tenant {tenant!r} in organisation {organisation!r}")
    return Levels(policy.plans[who.plan], policy.organisations[organisation], who, key)


def rule_of(policy: Policy, model: str) -> ModelRule:
    """What is known of a model."""
    for candidate in policy.models:
        if matcher((candidate.match,))(model):
            return candidate
    return policy.default_rule


def resolve(
    policy: Policy, *, organisation: str, tenant: str, key_id: str, model: str, now_us: int, endpoint: str | None = None
) -> Effective:
    """What holds when this key asks for this model; key_id "": whatever the key. `endpoint` None: whatever the endpoint.

    `now_us`: microseconds since the epoch. Raises KeyError for a caller that is not of this policy.
    """
    levels = levels_of(policy, organisation=organisation, tenant=tenant, key_id=key_id)
    plan, group, who, key = levels
    rule = rule_of(policy, model)
    special: list[Organisation | Tenant | Key] = [group, who] if key is None else [group, who, key]

    # A name that comes again says `override`, on whatever level: the loader sees to it. It takes the place of the first.
    budgets = {budget.name: budget for budget in plan.budgets if _counts(budget, model, endpoint, now_us)}
    whens = [budget.when for level in (plan, *special, rule) for budget in level.budgets if budget.when is not None]
    for level in special:
        budgets.update([(budget.name, budget) for budget in level.budgets if _counts(budget, model, endpoint, now_us)])
    purposes = [declared for level in special for declared in level.purposes if now_us < declared.until_us]
    until_us = min([declared.until_us for declared in purposes], default=FOR_EVER_US)
    return Effective(
        rule=rule,
        budgets=(*budgets.values(), *[budget for budget in rule.budgets if _counts(budget, model, endpoint, now_us)]),
        allowed=allows_model(levels, model),
        counts_cached_input=plan.counts_cached_input,
        output=effective_output(
            (plan.output, who.output, NO_OUTPUT if key is None else key.output), (rule.output, group.output)
        ),
        purposes=_purposes(purposes),
        changes_at_us=min(changes_at_us(whens, now_us), until_us) if whens else until_us,
    )


def allows_model(levels: Levels, model: str) -> bool:
    """Whether every level lets a model be asked for."""
    return all(level is None or level.models == EVERYTHING or matcher(level.models)(model) for level in levels)


def allows_endpoint(levels: Levels, endpoint: str) -> bool:
    """Whether every level lets an endpoint be used."""
    return all(level is None or level.endpoints == EVERYTHING or matcher(level.endpoints)(endpoint) for level in levels)


def upstream_of(policy: Policy, model: str) -> str | None:
    """The name of the upstream that serves a model; "": the one that the settings name. None: none does."""
    if not policy.upstreams:
        return ""
    return next((upstream.name for upstream in policy.upstreams if matcher(upstream.models)(model)), None)


def _counts(budget: Budget, model: str, endpoint: str | None, now_us: int) -> bool:
    if budget.when is not None and not is_in_force(budget.when, now_us):
        return False
    if budget.models != EVERYTHING and not matcher(budget.models)(model):
        return False
    return endpoint is None or budget.endpoints == EVERYTHING or bool(matcher(budget.endpoints)(endpoint))


def _purposes(declared: list[Declared]) -> tuple[Purpose, ...]:
    return tuple(dict.fromkeys(each.purpose for each in declared)) if declared else ()
