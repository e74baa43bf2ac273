"""What only a whole policy directory shows: names written nowhere, cost without a price, budgets that share a counter, floors
above bounds.

Call it when all files could be read: else what a broken file holds would be missing everywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gateway.policy.fields import among
from gateway.policy.model import NO_OUTPUT, Budget, Key, Organisation, Output, Plan, Scope, Tenant
from gateway.policy.read_sections import Sections, written_at
from gateway.policy.yaml_tree import Table

_SUGGESTIONS_MAX = 100
"""References to be given a suggestion: the search is slow where there are thousands of names."""


def check_whole(sections: Sections) -> None:
    """Report every such mistake to the file it stands in."""
    _check_references(sections)
    _check_cost_has_a_price(sections)
    _check_counters_are_apart(sections)
    _check_floors_are_below(sections)


def _check_references(sections: Sections) -> None:
    suggestions = 0
    known: dict[str, Collection[str]] = {"organisation": sections.organisations, "plan": sections.plans}
    for word, references in sections.references.items():
        names = known[word]
        for report, node, path, name in references:
            if name not in names:
                suggestions += 1
                hint = f"; {among(name, names)}" if names and suggestions <= _SUGGESTIONS_MAX else ""
                report.add(node, path, f"there is no {word} `{name}`{hint}")


def _check_cost_has_a_price(sections: Sections) -> None:
    """Without any price a cost budget counts nothing: surely not what its author meant."""
    for rule in sections.models:
        if rule.price is None:
            _report_cost(sections, rule.budgets, "this model has no `price`")
    if any(rule.price is not None for rule in sections.models):
        return
    owners: list[Organisation | Plan | Tenant | Key] = []
    for section in (sections.organisations, sections.plans, sections.tenants, sections.keys):
        owners.extend(section.values())
    for owner in owners:
        _report_cost(sections, owner.budgets, "no model has a `price`; add one under `models`")


def _report_cost(sections: Sections, budgets: Iterable[Budget], why: str) -> None:
    for budget in budgets:
        if budget.meter == "cost":
            report, node, path, _ = sections.written[id(budget)]
            report.add(node, f"{path}.meter", f"a cost budget counts nothing here: {why}")


def _check_counters_are_apart(sections: Sections) -> None:
    """A counter is known by its budget's name and scope: two budgets of one request must not be the same in both.

    Between plan, tenant and key the name means a replacement; so it is these together against the organisation and the rules.
    """
    rules = _counters(budget for rule in sections.models for budget in rule.budgets)
    by_organisation = {name: _counters(each.budgets) for name, each in sections.organisations.items()}
    for organisation in sections.organisations.values():
        _report_shared(sections, organisation.budgets, rules)
    for plan in sections.plans.values():
        _report_shared(sections, plan.budgets, rules)
    pairs = {(tenant.organisation, tenant.plan) for tenant in sections.tenants.values()}
    for organisation_name, plan_name in sorted(pairs):
        if plan_name in sections.plans:
            _report_shared(sections, sections.plans[plan_name].budgets, by_organisation.get(organisation_name, {}))
    for tenant in sections.tenants.values():
        others = {**rules, **by_organisation.get(tenant.organisation, {})}
        for budgets in (tenant.budgets, *(key.budgets for key in tenant.keys)):
            _report_shared(sections, budgets, others)


Counter = tuple[str, tuple[Scope, ...]]


def _counters(budgets: Iterable[Budget]) -> dict[Counter, Budget]:
    return {(budget.name, budget.scope): budget for budget in budgets}


def _report_shared(sections: Sections, budgets: Iterable[Budget], others: dict[Counter, Budget]) -> None:
    for budget in budgets:
        other = others.get((budget.name, budget.scope))
        if other is not None:
            report, node, path, name = sections.written[id(budget)]
            what = f"`{name}` with this scope is also {written_at(other.place)}, and both would share one counter: rename one"
            report.add(node, f"{path}.name", what)


def _check_floors_are_below(sections: Sections) -> None:
    """A floor above another level's bound would forbid every answer. Which rules meet which floors only requests tell."""
    for tenant in sections.tenants.values():
        plan, organisation = sections.plans.get(tenant.plan), sections.organisations.get(tenant.organisation)
        layers = (plan.output if plan else NO_OUTPUT, tenant.output)
        top = organisation.output if organisation else NO_OUTPUT
        for key_output in (NO_OUTPUT, *(key.output for key in tenant.keys)):
            _report_floor(sections, layers=(*layers, key_output), top=top)


def _report_floor(sections: Sections, *, layers: tuple[Output, ...], top: Output) -> None:
    floor = next((each for each in reversed(layers) if each.min_tokens is not None), NO_OUTPUT)
    bound = next((each for each in reversed(layers) if each.max_tokens is not None), NO_OUTPUT)
    for low, high in ((floor, bound), (floor, top), (top, bound)):
        if low is high or low.min_tokens is None or high.max_tokens is None or low.min_tokens <= high.max_tokens:
            continue
        report, node, path, _ = sections.outputs[id(low)]
        other = sections.outputs[id(high)]
        at = node.entries["min_tokens"][0] if isinstance(node, Table) else node
        where = written_at(other.report.place(other.node))
        what = f"{low.min_tokens} is above {high.max_tokens}, the `max_tokens` {where}"
        report.add(at, f"{path}.min_tokens", f"{what}: no answer is between them")
