"""What only a second look finds: a policy that loads, and surely does not say what its author meant.

Nothing here stops a gateway from starting. A finding is silent in doubt: it is reported only if it is so on every way that a
request can go (`chains`). Pure; the moment arrives as an argument.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gateway.policy.chains import Chain, Level, chains
from gateway.policy.globs import is_wild, matcher, overlap
from gateway.policy.model import EVERYTHING, Budget, ModelRule, Place, Plan, Policy
from gateway.policy.scalars import format_money
from gateway.policy.tighter import capacity, never_binds
from gateway.policy.times import day_of
from gateway.policy.written import written_at

SHADOW_DAYS_MAX = 30
_DAY_US = 86_400_000_000
KINDS = {
    "tenant-without-key": "a tenant that nobody can be",
    "budget-never-binds": "a budget that a tighter one covers: it can never be the one that refuses",
    "limit-below-request": "a limit that one ordinary request does not fit in: without `max_tokens` it is always refused",
    "shadow-forgotten": f"a budget in shadow `since` more than {SHADOW_DAYS_MAX} days ago",
    "rule-over": "a budget whose `when` is over for ever",
    "purpose-expired": "a purpose whose last day is past",
    "model-not-served": "a model that no upstream serves",
    "price-missing": "a model without a price that a cost budget counts: it is refused to whoever has the budget",
    "downgrade-refused": "a downgrade to a model that may not be asked for",
    "downgrade-in-vain": "a downgrade to a model that the same budget counts in the same way",
}
"""Every kind of finding, and what it is."""
_OUTPUT_METERS = ("output_tokens", "total_tokens", "cost")


class Finding(NamedTuple):
    place: Place
    path: str
    kind: str
    message: str


def second_look(policy: Policy, now_us: int) -> list[Finding]:
    """All findings, by place. `now_us`: microseconds since the epoch."""
    ways = list(chains(policy))
    owners = dict(_owners(policy))
    found = [
        *_tenants(policy),
        *_past(policy, owners, now_us),
        *_covered(policy, ways, owners),
        *_too_small(policy, ways, owners),
        *_unserved(policy, owners),
        *_unpriced(policy, ways),
        *_downgrades(ways, owners),
    ]
    return sorted(set(found), key=lambda each: (each.place.file, each.place.line, each.place.column, each.kind, each.path))


def _levels(policy: Policy) -> Iterator[tuple[str, Level]]:
    if policy.base is not None:
        yield "defaults", policy.base
    for name, plan in sorted(policy.plans.items(), key=lambda item: len(item[1].extends)):
        yield f"plans.{name}", plan
    for name, organisation in policy.organisations.items():
        yield f"organisations.{name}", organisation
    for name, tenant in policy.tenants.items():
        yield f"tenants.{name}", tenant
        for index, key in enumerate(tenant.keys):
            yield f"tenants.{name}.keys[{index}]", key


class _Owned(NamedTuple):
    budget: Budget
    path: str


def _owners(policy: Policy) -> Iterator[tuple[int, _Owned]]:
    """Every budget by its id(), with its path; one that is taken over by plans belongs to the most general."""
    known: set[int] = set()
    of_rules = [(f"models[{index}]", rule) for index, rule in enumerate(policy.models)]
    for path, level in [*_levels(policy), *of_rules]:
        own = [budget for budget in level.budgets if id(budget) not in known]
        for index, budget in enumerate(own):
            known.add(id(budget))
            yield id(budget), _Owned(budget, f"{path}.budgets[{index}]")


def _tenants(policy: Policy) -> Iterator[Finding]:
    for name, tenant in policy.tenants.items():
        if not tenant.keys:
            yield Finding(
                tenant.place, f"tenants.{name}", "tenant-without-key", f"nobody gets in: `gauger keys new {name}` makes a key"
            )


def _past(policy: Policy, owners: Mapping[int, _Owned], now_us: int) -> Iterator[Finding]:
    for budget, path in owners.values():
        if budget.since_us is not None and now_us - budget.since_us > SHADOW_DAYS_MAX * _DAY_US:
            days = (now_us - budget.since_us) // _DAY_US
            what = f"`{budget.name}` has been tried in shadow for {days} days: enforce it, or remove it"
            yield Finding(budget.place, path, "shadow-forgotten", what)
        if budget.when is not None and budget.when.until_us is not None and budget.when.until_us <= now_us:
            last = day_of(budget.when.until_us - 1, budget.when.timezone)
            yield Finding(budget.place, path, "rule-over", f"`{budget.name}` has been over since {last}: remove it")
    for path, level in _levels(policy):
        if isinstance(level, Plan):
            continue
        for index, declared in enumerate(level.purposes):
            if declared.until_us <= now_us:
                what = f"its last day was {day_of(declared.until_us - 1, 'UTC')}: agree on it again, or remove it"
                yield Finding(declared.place, f"{path}.purposes[{index}]", "purpose-expired", what)


def _covered(policy: Policy, ways: list[Chain], owners: Mapping[int, _Owned]) -> Iterator[Finding]:
    tighter: dict[int, dict[int, Budget]] = {}
    """Of each budget those that cover it on every way so far."""
    known: dict[tuple[int, int], bool] = {}

    def covers(budget: Budget, models: tuple[str, ...], other: Budget, other_models: tuple[str, ...]) -> bool:
        pair = id(budget), id(other)
        if pair not in known:
            known[pair] = never_binds(budget, models, other, other_models)
        return known[pair]

    for way in ways:
        seen = [(budget, budget.models, is_whole) for budget, is_whole in way.budgets]
        for rule in policy.models:
            if rule.budgets and way.may_meet(rule.match):
                seen += [(budget, _of_rule(rule, budget), True) for budget in rule.budgets]
        for index, (budget, models, _) in enumerate(seen):
            if id(budget) in tighter and not tighter[id(budget)]:
                continue
            found = {
                id(other): other
                for at, (other, other_models, is_whole) in enumerate(seen)
                if at != index
                and is_whole
                and covers(budget, models, other, other_models)
                and not (at > index and covers(other, other_models, budget, models))  # of two that are equal the later
            }
            before = tighter.get(id(budget), found)
            tighter[id(budget)] = {each: other for each, other in before.items() if each in found}
    for each, others in tighter.items():
        if others:
            budget, path = owners[each]
            other = min(others.values(), key=lambda one: (one.place.file, one.place.line))
            what = f"`{other.name}` {written_at(other.place)} counts the same, and is tighter"
            what = f"`{budget.name}` never refuses anything: {what}"
            yield Finding(budget.place, path, "budget-never-binds", what)


def _of_rule(rule: ModelRule, budget: Budget) -> tuple[str, ...]:
    return (rule.match,) if budget.models == EVERYTHING else budget.models


def _too_small(policy: Policy, ways: list[Chain], owners: Mapping[int, _Owned]) -> Iterator[Finding]:
    ways_of: Counter[int] = Counter()
    small: dict[int, list[tuple[int, ModelRule]]] = {}
    for way in ways:
        for budget, _ in way.budgets:
            if budget.meter not in _OUTPUT_METERS or not budget.enforce or budget.on_exceed == "shorten":
                continue
            ways_of[id(budget)] += 1
            rules = [rule for rule in policy.models if _meets(rule.match, budget.models) and way.may_meet(rule.match)]
            for rule in rules or [policy.default_rule]:
                bounds = (way.output.max_tokens, way.output.hold_ahead, rule.output.max_tokens, rule.output.hold_ahead)
                tokens = min([rule.max_output_tokens, *[bound for bound in bounds if bound is not None]])
                if rule.unbounded_output == "model" and _needs(budget, tokens, rule) > capacity(budget):
                    small.setdefault(id(budget), []).append((tokens, rule))
                    break
    for each, cases in small.items():
        if len(cases) == ways_of[each]:
            budget, path = owners[each]
            tokens, rule = cases[0]
            of_what = f"a request for `{rule.match}` that gives no `max_tokens` is held {tokens} output tokens"
            most = f"`{budget.name}` never has room for more than {_amount(budget, capacity(budget))}"
            advice = "raise the limit, lower `output: max_tokens`, or write `on_exceed: shorten`"
            yield Finding(budget.place, path, "limit-below-request", f"{of_what}, and {most}: {advice}")


def _needs(budget: Budget, tokens: int, rule: ModelRule) -> int:
    if budget.meter != "cost":
        return tokens
    return 0 if rule.price is None else tokens * rule.price.output // 1_000_000


def _amount(budget: Budget, amount: int) -> str:
    return format_money(amount) if budget.meter == "cost" else str(amount)


def _meets(glob: str, globs: tuple[str, ...]) -> bool:
    return any(overlap(glob, other) for other in globs)


def _unserved(policy: Policy, owners: Mapping[int, _Owned]) -> Iterator[Finding]:
    if not policy.upstreams:
        return
    served = tuple(glob for upstream in policy.upstreams for glob in upstream.models)
    advice = f"name it under `models` of one of {', '.join(upstream.name for upstream in policy.upstreams)}"
    for index, rule in enumerate(policy.models):
        if not _meets(rule.match, served):
            what = f"no upstream serves `{rule.match}`: {advice}"
            yield Finding(rule.places.get("match", rule.place), f"models[{index}].match", "model-not-served", what)
    for path, level in _levels(policy):
        for glob in level.models:
            place = level.places.get("models")
            if place is not None and not _meets(glob, served):
                yield Finding(place, f"{path}.models", "model-not-served", f"no upstream serves `{glob}`: {advice}")
    for budget, path in owners.values():
        if budget.downgrade_to and not matcher(served)(budget.downgrade_to):
            what = f"no upstream serves `{budget.downgrade_to}`: {advice}"
            yield Finding(budget.place, f"{path}.on_exceed", "model-not-served", what)


def _unpriced(policy: Policy, ways: list[Chain]) -> Iterator[Finding]:
    for index, rule in enumerate(policy.models):
        if rule.price is not None:
            continue
        for way in ways:
            costs = [budget for budget, _ in way.budgets if budget.meter == "cost" and budget.enforce]
            meets = [budget for budget in costs if _meets(rule.match, budget.models)]
            if meets and way.may_meet(rule.match):
                whom = f"whoever has `{meets[0].name}` {written_at(meets[0].place)}"
                what = f"`{rule.match}` has no `price`, so it is refused to {whom}"
                yield Finding(rule.place, f"models[{index}]", "price-missing", f"{what}: add one")
                break
    costs_of: dict[int, Budget] = {}
    for way in ways:
        for budget, _ in way.budgets:
            if budget.meter == "cost" and budget.enforce and budget.models == EVERYTHING:
                costs_of.update((id(level), budget) for level in way.levels)
    matches = tuple(rule.match for rule in policy.models)
    for path, level in _levels(policy):
        cost, place = costs_of.get(id(level)), level.places.get("models")
        for glob in level.models:
            if cost is not None and place is not None and not is_wild(glob) and not matcher(matches)(glob):
                what = f"no rule matches `{glob}`, so it has no price, and `{cost.name}` {written_at(cost.place)} refuses it"
                yield Finding(place, f"{path}.models", "price-missing", f"{what}: add a rule under `models`")


def _downgrades(ways: list[Chain], owners: Mapping[int, _Owned]) -> Iterator[Finding]:
    refused: dict[int, bool] = {}
    for way in ways:
        for budget, _ in way.budgets:
            if budget.downgrade_to:
                refused[id(budget)] = refused.get(id(budget), True) and not way.may_meet(budget.downgrade_to)
    for each, is_refused in refused.items():
        budget, path = owners[each]
        to = budget.downgrade_to
        if is_refused:
            what = f"`{to}` may not be asked for by whoever has this budget: add it to their `models`"
            yield Finding(budget.place, f"{path}.on_exceed", "downgrade-refused", what)
        elif budget.meter != "cost" and "model" not in budget.scope and matcher(budget.models)(to):
            what = f"`{budget.name}` counts `{to}` too, so there is no more room for it: leave it out of `models`"
            yield Finding(budget.place, f"{path}.on_exceed", "downgrade-in-vain", what)
