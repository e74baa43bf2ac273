"""The effective policy of one caller, model and endpoint at one moment: what holds, and the lines it came from. Pure."""

from __future__ import annotations

from typing import NamedTuple

from gateway.policy.globs import matcher
from gateway.policy.model import NO_LADDER, Budget, Key, ModelRule, Organisation, Output, Place, Plan, Policy, Tenant
from gateway.policy.resolve import Levels, levels_of, resolve, upstream_of
from gateway.policy.sentences import budget_sentence, declared_sentence, output_words, rule_sentence

Level = Plan | Organisation | Tenant | Key | ModelRule


class Row(NamedTuple):
    """One thing that holds."""

    part: str
    """caller, model, budgets, output, ..."""
    word: str
    value: str
    level: str
    """Who says so: "plan free", "tenant acme", ...; "default" where nobody does."""
    place: Place | None
    """None: nobody wrote it."""
    note: str = ""
    """What else is to be known: what it takes the place of, or why it does not count."""


def explain(policy: Policy, *, tenant: str, key: str, model: str, endpoint: str, now_us: int) -> list[Row]:
    """Everything that decides about such a request. Raises KeyError for a tenant or key that the policy does not have."""
    organisation = policy.tenants[tenant].organisation
    levels = levels_of(policy, organisation=organisation, tenant=tenant, key_id=key)
    effective = resolve(
        policy, organisation=organisation, tenant=tenant, key_id=key, model=model, endpoint=endpoint, now_us=now_us
    )
    named = _named(levels, effective.rule)
    rows = [Row("caller", name.partition(" ")[0], name.partition(" ")[2], "", level.place) for name, level in named[:-1]]
    rows += _access(policy, levels, named, model, endpoint)
    rule = effective.rule
    rows.append(Row("model", rule.match, rule_sentence(rule), "model rule", _written(rule.place)))
    if effective.counts_cached_input:
        place = levels.plan.places.get("counts_cached_input", levels.plan.place)
        rows.append(Row("model", "counts_cached_input", "true", f"plan {levels.plan.name}", place))
    rows += _budgets(named, effective.budgets, model, endpoint)
    rows += _output(named, effective.output)
    rows += [
        Row("purposes", each.purpose, declared_sentence(each), name, each.place, "" if now_us < each.until_us else "expired")
        for name, level in named
        if isinstance(level, Organisation | Tenant | Key)
        for each in level.purposes
    ]
    rows.append(_ladder(policy, named))
    return rows


def _named(levels: Levels, rule: ModelRule) -> list[tuple[str, Level]]:
    """From general to special, and the model rule last."""
    named: list[tuple[str, Level]] = [
        (f"plan {levels.plan.name}", levels.plan),
        (f"organisation {levels.organisation.name}", levels.organisation),
        (f"tenant {levels.tenant.name}", levels.tenant),
    ]
    if levels.key is not None:
        named.append((f"key {levels.key.id}", levels.key))
    return [*named, (f"model rule {rule.match}", rule)]


def _access(policy: Policy, levels: Levels, named: list[tuple[str, Level]], model: str, endpoint: str) -> list[Row]:
    rows = []
    for word, asked in (("models", model), ("endpoints", endpoint)):
        lists = [(name, level) for name, level in named if not isinstance(level, ModelRule)]
        refusing = [(name, level) for name, level in lists if not matcher(getattr(level, word))(asked)]
        verdict = f"{asked} is {'refused' if refusing else 'allowed'}"
        saying = refusing or [(name, level) for name, level in lists if word in level.places]
        for name, level in saying:
            globs = ", ".join(getattr(level, word))
            rows.append(Row("access", word, f"{verdict}: {globs}", name, level.places.get(word, level.place)))
        if not saying:
            rows.append(Row("access", word, f"{verdict}: {', '.join(getattr(levels.plan, word))}", "default", None))
    upstream = upstream_of(policy, model)
    if upstream is None:
        rows.append(Row("access", "upstream", f"no upstream serves {model}: it is refused", "", None))
    elif upstream:
        (found,) = [each for each in policy.upstreams if each.name == upstream]
        rows.append(Row("access", "upstream", ", ".join(found.urls), f"upstream {upstream}", found.place))
    return rows


def _budgets(named: list[tuple[str, Level]], effective: tuple[Budget, ...], model: str, endpoint: str) -> list[Row]:
    """Those that count such a request, each with what it takes the place of; then those that do not, and why."""
    rows = []
    others = []
    for name, level in named:
        for budget in level.budgets:
            row = Row("budgets", budget.name, budget_sentence(budget), name, budget.place)
            if any(budget is each for each in effective):
                replaced = [
                    f"in place of {general} at {each.place.file}:{each.place.line}"
                    for general, where in named[: [place for place, _ in named].index(name)]
                    for each in where.budgets
                    if budget.is_override and each.name == budget.name
                ]
                rows.append(row._replace(note="; ".join(replaced)))
            else:
                others.append(row._replace(note=_why_not(budget, effective, model, endpoint)))
    return rows + others


def _why_not(budget: Budget, effective: tuple[Budget, ...], model: str, endpoint: str) -> str:
    if not matcher(budget.models)(model):
        return "does not count this model"
    if not matcher(budget.endpoints)(endpoint):
        return "does not count this endpoint"
    for other in effective:
        if other.name == budget.name and other.is_override:
            return f"overridden at {other.place.file}:{other.place.line}"
    return "is not in force at this time"


def _output(named: list[tuple[str, Level]], effective: Output) -> list[Row]:
    said = {name: (level.output, output_words(level.output)) for name, level in named}
    special = [name for name, level in reversed(named) if isinstance(level, Plan | Tenant | Key)]
    on_top = [name for name, level in named if isinstance(level, Organisation | ModelRule)]
    rows = []
    for word, value in output_words(effective).items():
        first = next((name for name in special if word in said[name][1]), None)
        sources = [*([first] if first else []), *(name for name in on_top if word in said[name][1])]
        exact = [name for name in sources if said[name][1][word] == value]
        for name in exact[:1] or sources:
            place = said[name][0].places.get(word)
            note = "" if exact else f"one of several: {said[name][1][word]}"
            rows.append(Row("output", word, value, name, place, note))
    return rows


def _ladder(policy: Policy, named: list[tuple[str, Level]]) -> Row:
    for name, level in reversed(named[:-1]):
        assert not isinstance(level, ModelRule)  # noqa: S101  # it stands last
        if level.ladder:
            return Row("watch", "ladder", level.ladder, name, level.places.get("ladder", level.place))
    if policy.watch.ladder != NO_LADDER:
        return Row("watch", "ladder", policy.watch.ladder, "watch", policy.watch.place)
    return Row("watch", "ladder", "none: it is watched, and nothing is done about it", "default", None)


def _written(place: Place) -> Place | None:
    return None if place.file.startswith("(") else place
