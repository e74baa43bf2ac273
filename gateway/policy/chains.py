"""The ways a request can go through a policy: plan, organisation, tenant, key, each combination of them that differs once.

Of ten thousand tenants on three plans that say nothing of their own there are three: what looks at every way must not look at
every tenant.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gateway.policy.globs import overlap
from gateway.policy.model import EVERYTHING, NO_OUTPUT, Budget, Key, Organisation, Output, Plan, Policy, Tenant
from gateway.policy.outputs import effective_output

Level = Plan | Organisation | Tenant | Key


class Standing(NamedTuple):
    budget: Budget
    is_whole: bool
    """Nothing replaces it on this way, not even for some hours, models or endpoints."""


class Chain(NamedTuple):
    levels: tuple[Level, ...]
    """From general to special."""
    budgets: tuple[Standing, ...]
    """Those that count at some time; what is replaced altogether is left out."""
    output: Output

    def may_meet(self, glob: str) -> bool:
        """Whether every level allows some of the models that match a glob."""
        return all(any(overlap(glob, allowed) for allowed in level.models) for level in self.levels)


def chains(policy: Policy) -> Iterator[Chain]:
    """Every way, also those of plans and organisations that have no tenant yet."""
    found: set[tuple[int, ...]] = set()
    used: set[int] = set()
    for tenant in policy.tenants.values():
        general: tuple[Level, ...] = (policy.plans[tenant.plan], policy.organisations[tenant.organisation])
        if _says_something(tenant):
            general = (*general, tenant)
        own_keys = [key for key in tenant.keys if _says_something(key)]
        ways = [(*general, key) for key in own_keys]
        if len(own_keys) < len(tenant.keys) or not tenant.keys:
            ways.append(general)
        for levels in ways:
            ids = tuple(map(id, levels))
            used.update(ids)
            if ids not in found:
                found.add(ids)
                yield _chain(levels)
    for section in (policy.plans, policy.organisations):
        for level in section.values():
            if id(level) not in used:
                yield _chain((level,))


def _says_something(level: Tenant | Key) -> bool:
    return bool(level.budgets) or level.output is not NO_OUTPUT or level.models != EVERYTHING


def _chain(levels: tuple[Level, ...]) -> Chain:
    by_name: dict[str, list[Budget]] = {}
    for level in levels:
        for budget in level.budgets:
            kept = by_name.setdefault(budget.name, [])
            if budget.models == EVERYTHING and budget.endpoints == EVERYTHING and budget.when is None:
                kept.clear()
            kept.append(budget)
    budgets = [Standing(budget, budget is kept[-1]) for kept in by_name.values() for budget in kept]
    layers = [level.output for level in levels if not isinstance(level, Organisation)]
    tops = [level.output for level in levels if isinstance(level, Organisation)]
    return Chain(levels, tuple(budgets), effective_output(layers, tops))
