"""What changes for whom from one policy to another, in words. Pure.

Rule: what is compared is what holds, not how it is written: a plan that now extends another and says the same changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, NamedTuple, TypeVar

from gateway.policy.model import Budget, Key, Ladder, ModelRule, Organisation, Output, Plan, Policy, Tenant
from gateway.policy.sentences import (
    budget_sentence,
    declared_sentence,
    ladder_words,
    output_words,
    rule_sentence,
    step_words,
    watch_words,
)

Level = TypeVar("Level")
_Level = Plan | Organisation | Tenant | Key


class Change(NamedTuple):
    """One thing that changes."""

    whose: str
    """"plan free", "tenant acme", ..."""
    what: str
    """A sentence without its subject: "`requests-a-minute` allows more: ..."."""
    tenants: tuple[str, ...]
    """Whom it concerns, by the newer policy; of those that go, by the older."""


def changes(old: Policy, new: Policy) -> list[Change]:
    """Everything that changes, from the general to the special."""
    found: list[Change] = []
    everybody = tuple(new.tenants)
    for name, rules in _pairs({rule.match: rule for rule in old.models}, {rule.match: rule for rule in new.models}):
        found += [Change(f"model rule {name}", what, everybody) for what in _rule(*rules)]
    if _is_reordered([rule.match for rule in old.models], [rule.match for rule in new.models]):
        found.append(Change("model rules", "are asked in another order", everybody))
    found += [Change("models without a rule", what, everybody) for what in _rule(old.default_rule, new.default_rule)]
    for name, organisations in _pairs(old.organisations, new.organisations):
        who = _of(old, new, lambda tenant, organisation=name: tenant.organisation == organisation)  # type: ignore[misc]
        found += [Change(f"organisation {name}", what, who) for what in _level(*organisations)]
    for name, plans in _pairs(old.plans, new.plans):
        who = _of(old, new, lambda tenant, plan=name: tenant.plan == plan)  # type: ignore[misc]  # bound now
        found += [Change(f"plan {name}", what, who) for what in _level(*plans)]
    for name, tenants in _pairs(old.tenants, new.tenants):
        found += [Change(f"tenant {name}", what, (name,)) for what in _tenant(*tenants)]
    found += [Change("watch", what, everybody) for what in _watch(old, new)]
    found += [Change("upstreams", what, everybody) for what in _upstreams(old, new)]
    return found


def _pairs(old: Mapping[str, Level], new: Mapping[str, Level]) -> list[tuple[str, tuple[Level | None, Level | None]]]:
    return [(name, (old.get(name), new.get(name))) for name in dict.fromkeys([*old, *new])]


def _is_reordered(old: list[str], new: list[str]) -> bool:
    """Whether those that both have stand in another order: the first that matches applies."""
    return [name for name in old if name in new] != [name for name in new if name in old]


def _of(old: Policy, new: Policy, is_meant: Callable[[Tenant], bool]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for policy in (new, old) for name, tenant in policy.tenants.items() if is_meant(tenant)))


def _rule(old: ModelRule | None, new: ModelRule | None) -> list[str]:
    if old is None or new is None:
        return ["is gone"] if new is None else [f"is new: {rule_sentence(new)}"]
    said = []
    if rule_sentence(old) != rule_sentence(new):
        said.append(f"was {rule_sentence(old)}; is {rule_sentence(new)}")
    return [*said, *_budgets(old.budgets, new.budgets), *_output(old.output, new.output)]


def _level(old: _Level | None, new: _Level | None) -> list[str]:
    if old is None or new is None:
        return ["is gone"] if new is None else ["is new"]
    return _common(old, new)


def _common(old: _Level, new: _Level) -> list[str]:
    said = []
    for word, before, after in (("models", old.models, new.models), ("endpoints", old.endpoints, new.endpoints)):
        if before != after:
            said.append(f"`{word}` was {', '.join(before)}; is {', '.join(after)}")
    if isinstance(old, Plan) and isinstance(new, Plan) and old.counts_cached_input != new.counts_cached_input:
        said.append(f"input read from a cache {'counts' if new.counts_cached_input else 'no longer counts'}")
    if old.ladder != new.ladder:
        said.append(f"`ladder` was {old.ladder or 'not said'}; is {new.ladder or 'not said'}")
    said += _budgets(old.budgets, new.budgets)
    said += _output(old.output, new.output)
    declared, declares = _purposes(old), _purposes(new)
    said += [f"no longer declares {each}" for each in declared if each not in declares]
    said += [f"declares {each}" for each in declares if each not in declared]
    return said


def _purposes(level: _Level) -> list[str]:
    return [] if isinstance(level, Plan) else [declared_sentence(each) for each in level.purposes]


def _tenant(old: Tenant | None, new: Tenant | None) -> list[str]:
    if old is None or new is None:
        if new is None:
            return ["is gone: its keys are refused"]
        return [f"is new, on the plan {new.plan} in the organisation {new.organisation}"]
    said = []
    if old.plan != new.plan:
        said.append(f"moves from the plan {old.plan} to {new.plan}")
    if old.organisation != new.organisation:
        said.append(f"moves from the organisation {old.organisation} to {new.organisation}: its counters start anew")
    said += _common(old, new)
    before = {key.id: key for key in old.keys}
    after = {key.id: key for key in new.keys}
    said += [f"the key {name} is gone: it is refused" for name in before if name not in after]
    said += [f"the key {name} is new" for name in after if name not in before]
    for name in [name for name in before if name in after]:
        if before[name].digest != after[name].digest:
            said.append(f"the key {name} is another one: the one before is refused")
        said += [f"the key {name}: {what}" for what in _common(before[name], after[name])]
    return said


def _budgets(old: tuple[Budget, ...], new: tuple[Budget, ...]) -> list[str]:
    said = []
    for name, (before, after) in _pairs({each.name: each for each in old}, {each.name: each for each in new}):
        if before is None or after is None:
            if after is None:
                said.append(f"`{name}` is gone: {budget_sentence(before) if before else ''}")
            else:
                said.append(f"`{name}` is new: {budget_sentence(after)}")
            continue
        if budget_sentence(before) == budget_sentence(after):
            continue
        said.append(f"`{name}` {_direction(before, after)}: was {budget_sentence(before)}; is {budget_sentence(after)}")
    return said


def _direction(old: Budget, new: Budget) -> str:
    if (old.meter, old.kind, old.period_s, old.timezone, old.calendar, old.scope) != (
        *(new.meter, new.kind, new.period_s, new.timezone, new.calendar, new.scope),
    ):
        return "counts anew, in another way"
    if old.enforce != new.enforce:
        return "now refuses" if new.enforce else "no longer refuses"
    if (old.limit, old.burst) == (new.limit, new.burst):
        return "changes"
    if new.limit >= old.limit and new.burst >= old.burst:
        return "allows more, and keeps what was used"
    if new.limit <= old.limit and new.burst <= old.burst:
        return "allows less, and keeps what was used"
    return "changes, and keeps what was used"


def _output(old: Output, new: Output) -> list[str]:
    return [f"answers: {what}" for what in _words(output_words(old), output_words(new))]


def _words(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Each word that is another: "`delay` was 10m; is 5m"."""
    return [
        f"`{word}` was {before.get(word, 'not said')}; is {after.get(word, 'not said')}"
        for word in dict.fromkeys([*before, *after])
        if before.get(word) != after.get(word)
    ]


def _watch(old: Policy, new: Policy) -> list[str]:
    said = []
    if old.watch.ladder != new.watch.ladder:
        said.append(f"the ladder of whoever names none was {old.watch.ladder}; is {new.watch.ladder}")
    said += _words(watch_words(old.watch), watch_words(new.watch))
    for name, (was, now) in _pairs(old.ladders, new.ladders):
        if was is None or now is None:
            said.append(f"the ladder {name} is {'gone' if now is None else 'new'}")
            continue
        if was.enforce != now.enforce:
            said.append(f"the ladder {name} now {'does what it says' if now.enforce else 'only says what it would do'}")
        changed = _ladder(was, now)
        if not changed and _bare(replace(was, enforce=now.enforce)) != _bare(now):
            changed = [" changes"]  # in a word that nobody has a sentence for
        said += [f"the ladder {name}{what}" for what in changed]
    return said


def _ladder(old: Ladder, new: Ladder) -> list[str]:
    """Step by step, from below."""
    said = [f": {what}" for what in _words(ladder_words(old), ladder_words(new))]
    for name, (before, after) in _pairs({each.name: each for each in old.steps}, {each.name: each for each in new.steps}):
        if after is None:
            said.append(f", step {name}: is gone: whoever stands on it stands on the highest below it that is left")
        elif before is None:
            words = [f"{word} {value}" for word, value in step_words(after).items() if value not in ("false", "100%")]
            said.append(f", step {name}: is new: {', '.join(words)}")
        else:
            said += [f", step {name}: {what}" for what in _words(step_words(before), step_words(after))]
    shared = (tuple(replace(each, scope=()) for each in ladder.cluster_budgets) for ladder in (old, new))
    return [*said, *(f", its clusters' budget {what}" for what in _budgets(*shared))]


def _bare(value: Any) -> Any:
    """A value without the places where it is written."""
    if is_dataclass(value):
        return tuple(_bare(getattr(value, each.name)) for each in fields(value) if each.compare and each.type != "Place")
    return tuple(map(_bare, value)) if isinstance(value, tuple) else value


def _upstreams(old: Policy, new: Policy) -> list[str]:
    said = []
    if _is_reordered([each.name for each in old.upstreams], [each.name for each in new.upstreams]):
        said.append("are asked in another order: the first that names a model serves it")
    pairs = _pairs({each.name: each for each in old.upstreams}, {each.name: each for each in new.upstreams})
    for name, (before, after) in pairs:
        if before is None or after is None:
            said.append(f"{name} is {'gone' if after is None else 'new'}")
            continue
        if (before.urls, before.models) != (after.urls, after.models):
            said.append(f"{name}: {', '.join(before.urls)} for {', '.join(before.models)}; is {', '.join(after.urls)} for "
                        f"{', '.join(after.models)}")  # fmt: skip
        if before.key_env != after.key_env:
            own = "the gateway's own key"
            said.append(f"{name}: its key was of {before.key_env or own}; is of {after.key_env or own}")
    return said
