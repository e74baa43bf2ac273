"""What only a whole policy directory shows: names written nowhere, cost without a price, budgets that share a counter, floors
above bounds.

Call it when all files could be read: else what a broken file holds would be missing everywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from gateway.policy.fields import among, key_of, value_of
from gateway.policy.model import NO_LADDER, NO_OUTPUT, Budget, Key, Organisation, Output, Tenant, Upstream
from gateway.policy.read_plans import Draft
from gateway.policy.read_sections import Sections
from gateway.policy.written import spot, written_at

_SUGGESTIONS_MAX = 100
"""References to be given a suggestion: the search is slow where there are thousands of names."""


def check_whole(sections: Sections) -> None:
    """Report every such mistake to the file it stands in."""
    _check_references(sections)
    _check_cost_has_a_price(sections)
    _check_names(sections)
    _check_counters_are_apart(sections)
    _check_upstreams_are_used(sections)
    _check_floors_are_below(sections)


def _check_references(sections: Sections) -> None:
    suggestions = 0
    known: dict[str, Collection[str]] = {
        "organisation": sections.organisations,
        "plan": sections.plans,
        "ladder": [*sections.ladders, NO_LADDER],
    }
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
    for level in _levels(sections):
        _report_cost(sections, level.budgets, "no model has a `price`; add one under `models`")
    for ladder in sections.ladders.values():
        _report_cost(sections, ladder.cluster_budgets, "no model has a `price`; add one under `models`")


def _levels(sections: Sections) -> Iterator[Organisation | Draft | Tenant | Key]:
    """Whatever may have budgets, but for model rules: plans as they are written."""
    if sections.base is not None:
        yield sections.base
    yield from sections.drafts.values()
    yield from sections.organisations.values()
    yield from sections.tenants.values()
    yield from sections.keys.values()


def _report_cost(sections: Sections, budgets: Iterable[Budget], why: str) -> None:
    for budget in budgets:
        if budget.meter == "cost":
            report, node, path, _ = sections.written[id(budget)]
            report.add(value_of(node, "meter"), f"{path}.meter", f"a cost budget counts nothing here: {why}")


def _check_names(sections: Sections) -> None:
    """Between the levels a budget's name means the same limit: again it is written only to replace it, and it says so."""
    base = _by_name(sections.base.budgets if sections.base is not None else ())
    for budget in base.values():
        _report_name(sections, budget, None, "`defaults` is the most general level")
    for name, draft in sections.drafts.items():
        general = base | _by_name(
            budget for extended in reversed(sections.plans[name].extends) for budget in sections.drafts[extended].budgets
        )
        for budget in draft.budgets:
            _report_name(sections, budget, general, f"what plan `{name}` takes over")
    of_plans = {name: _by_name(plan.budgets) for name, plan in sections.plans.items()}
    plans_of: dict[str, set[str]] = {}
    for tenant in sections.tenants.values():
        if tenant.plan in of_plans:
            plans_of.setdefault(tenant.organisation, set()).add(tenant.plan)
    for organisation in sections.organisations.values():
        general = {}
        for plan in sorted(plans_of.get(organisation.name, of_plans)):
            general |= of_plans[plan]
        for budget in organisation.budgets:
            _report_name(sections, budget, general, f"any plan of organisation `{organisation.name}`")
    for tenant in sections.tenants.values():
        if not tenant.budgets and not any(key.budgets for key in tenant.keys):
            continue
        group = sections.organisations.get(tenant.organisation)
        if group is None or tenant.plan not in of_plans:
            continue
        general = of_plans[tenant.plan] | _by_name(group.budgets)
        for budget in tenant.budgets:
            _report_name(sections, budget, general, "its plan or its organisation")
        general |= _by_name(tenant.budgets)
        for key in tenant.keys:
            for budget in key.budgets:
                _report_name(sections, budget, general, "its plan, its organisation or its tenant")
    for rule in sections.models:
        for budget in rule.budgets:
            _report_name(sections, budget, None, "a rule's budgets hold beside all others")


def _by_name(budgets: Iterable[Budget]) -> dict[str, Budget]:
    return {budget.name: budget for budget in budgets}


def _report_name(sections: Sections, budget: Budget, general: Mapping[str, Budget] | None, where: str) -> None:
    """`where`: what `general` is; for None why there can be nothing to replace."""
    other = general.get(budget.name) if general else None
    if budget.is_override == (other is not None):
        return
    report, node, path, name = sections.written[id(budget)]
    if other is not None:
        what = f"`{name}` is also {written_at(other.place)}: add `override: true` to replace that one, or rename this one"
        report.add(value_of(node, "name"), f"{path}.name", what)
        return
    if general:
        what = f"there is no budget `{name}` to replace in {where}; {among(name, general)}"
    else:
        what = (
            f"nothing to replace, because {where}: remove the word" if general is None else f"{where} has no budgets to replace"
        )
    report.add(key_of(node, "override"), f"{path}.override", what)


def _check_counters_are_apart(sections: Sections) -> None:
    """A counter is known by its budget's name and scope: a rule's budget must not be the same in both as one of a level."""
    rules = {(budget.name, budget.scope): budget for rule in sections.models for budget in rule.budgets}
    if not rules:
        return
    for level in _levels(sections):
        for budget in level.budgets:
            other = rules.get((budget.name, budget.scope))
            if other is not None:
                report, node, path, name = sections.written[id(budget)]
                what = f"`{name}` with this scope is also {written_at(other.place)}, and both would share one counter"
                report.add(value_of(node, "name"), f"{path}.name", f"{what}: rename one")


def _check_upstreams_are_used(sections: Sections) -> None:
    """The first upstream that names a model serves it: one whose globs were all named before would never be asked."""
    named: dict[str, Upstream] = {}
    for upstream in sections.upstreams:
        before = next((named.get("*") or named.get(glob) for glob in upstream.models), None)
        if before is not None and all("*" in named or glob in named for glob in upstream.models):
            report, node, path, _ = sections.written[id(upstream)]
            what = f"`{before.name}` {written_at(before.place)} is before it and serves its models"
            report.add(node, path, f"never used: the first upstream that names a model serves it, and {what}")
        for glob in upstream.models:
            named.setdefault(glob, upstream)


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
        report, _, path, _ = sections.outputs[spot(low.places["min_tokens"])]
        where = written_at(high.places["max_tokens"])
        what = f"{low.min_tokens} is above {high.max_tokens}, the `max_tokens` {where}"
        report.add_at(low.places["min_tokens"], f"{path}.min_tokens", f"{what}: no answer is between them")
