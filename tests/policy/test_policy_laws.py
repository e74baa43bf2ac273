"""Laws of `gauger explain` and `gauger diff`: for policies that are drawn, what they print is what holds."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

from gateway.errors import PolicyErrors
from gateway.policy.differ import changes
from gateway.policy.explain import explain
from gateway.policy.load import load_dir
from gateway.policy.model import Policy
from gateway.policy.resolve import allows_endpoint, allows_model, levels_of, resolve, upstream_of
from gateway.policy.sentences import budget_sentence, output_words
from gateway.policy.watched import watched

NOON_US = 1_798_804_800_000_000
MODELS = ("big-1", "small-1", "other")
ENDPOINTS = ("chat/completions", "audio/speech")
HASH = "hmac-sha256:" + "0" * 63
KEYS = {"acme": ("acme-1", "acme-2"), "lab": ("lab-1",)}

budgets = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b", "c"]),
        "meter": st.sampled_from(["requests", "output_tokens"]),
        "limit": st.sampled_from(["10", "20"]),
        "per": st.sampled_from(["minute", "hour"]),
    },
    optional={
        "window": st.just("rolling"),
        "mode": st.just("shadow"),
        "models": st.sampled_from(["[big-*]", "[small-1, other]"]),
        "endpoints": st.sampled_from(["[embeddings]", '["*completions"]']),
        "when": st.sampled_from(['{hours: "08:00-13:00"}', '{until: "2026-12-31"}', "{days: [sat, sun]}"]),
        "scope": st.sampled_from(["[tenant, user]", "[tenant, model]"]),
    },
)
outputs = st.fixed_dictionaries(
    {},
    optional={
        "max_tokens": st.sampled_from(["50", "90"]),
        "choices_max": st.sampled_from(["1", "2"]),
        "drop": st.sampled_from(["[logprobs]", "[seed, top_p]"]),
        "refuse": st.sampled_from(["[min_p]", "[echo]"]),
        "temperature": st.sampled_from(["{min: 0.2}", "{max: 1}", "{min: 0.5, max: 0.7}"]),
        "reasoning": st.sampled_from(["keep", "blank"]),
        "stored": st.sampled_from(["own", "drop", "refuse"]),
        "tokens_per_second": st.sampled_from(["10", "20"]),
        "hold_ahead": st.sampled_from(["16", "64"]),
        "filters": st.sampled_from(
            ["[{name: f, literal: x}]", "[{name: f, literal: word}, {name: g, literal: z, action: cut}]"]
        ),
    },
)


def level(*, with_access: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    access: dict[str, Any] = {
        "models": st.sampled_from(["[big-*]", '["*-1"]']),
        "endpoints": st.sampled_from(["[embeddings]", '["*"]']),
        "ladder": st.sampled_from(["none", "gentle"]),
    }
    return st.fixed_dictionaries(
        {},
        optional={"budgets": st.lists(budgets, min_size=1, max_size=2), "output": outputs, **(access if with_access else {})},
    )


purposes = st.sampled_from(
    ['[{purpose: batch, until: "2027-06-30", reason: agreed}]', '[{purpose: evaluation, until: "2020-06-30", reason: agreed}]']
)
documents = st.fixed_dictionaries(
    {
        "defaults": st.fixed_dictionaries(
            {},
            optional={
                "max_output_tokens": st.sampled_from(["100", "200"]),
                "counts_cached_input": st.just("true"),
                "output": outputs,
                "unbounded_output": st.just("learned"),
            },
        ),
        "rule": level(with_access=False),
        "rules": st.sampled_from(["big, small", "small, big", "big", ""]),
        "organisation": level(),
        "base": level(),
        "plan": level(),
        "extends": st.booleans(),
        "tenant": level(),
        "key": level(),
        "purposes": st.fixed_dictionaries({}, optional={"organisation": purposes, "tenant": purposes, "key": purposes}),
        "upstreams": st.sampled_from(["", "a, b", "b, a", "a"]),
        "watch": st.fixed_dictionaries(
            {},
            optional={
                "ladder": st.sampled_from(["gentle", "none"]),
                "sample_prompts": st.just("1%"),
                "keep_evidence": st.just("30d"),
            },
        ),
        "steep": st.sampled_from(["70%", "75%"]),
        "key_env": st.booleans(),
    }
)


def flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return str(value)


def settled(drawn: dict[str, Any]) -> dict[str, Any]:
    """With `override` wherever a name comes again, and names of their own in the model's rule."""
    seen: dict[str, set[str]] = {"plan": set(), "base": set()}
    made = dict(drawn)
    for where in ("base", "plan", "organisation", "tenant", "key", "rule"):
        before = seen["base"] if where == "base" else seen["plan"]
        if where == "plan" and drawn["extends"]:
            before |= seen["base"]
        mine: dict[str, Any] = {}
        for each in made[where].get("budgets", []):
            name = f"rule-{each['name']}" if where == "rule" else each["name"]
            mine[name] = {**each, "name": name, **({"override": "true"} if name in before else {})}
        if mine:
            made[where] = {**made[where], "budgets": list(mine.values())}
        before |= mine.keys()
    return made


def text(drawn: dict[str, Any]) -> str:
    drawn = settled(drawn)
    hashes = iter("123")
    keys = {
        name: "["
        + ", ".join(
            flow(
                {
                    "id": each,
                    "hash": f'"{HASH}{next(hashes)}"',
                    **(drawn["key"] if each == "acme-1" else {}),
                    **({"purposes": drawn["purposes"]["key"]} if each == "acme-1" and "key" in drawn["purposes"] else {}),
                }
            )
            for each in of
        )
        + "]"
        for name, of in KEYS.items()
    }
    said = {
        where: {"purposes": drawn["purposes"][where]} if where in drawn["purposes"] else {}
        for where in ("organisation", "tenant")
    }
    rules = {"big": {"match": "big-*", **drawn["rule"]}, "small": {"match": '"*-1"', "max_output_tokens": "300"}}
    lines = ["version: 1", f"defaults: {flow(drawn['defaults'])}" if drawn["defaults"] else ""]
    if drawn["rules"]:
        lines.append(f"models: {flow([rules[name] for name in drawn['rules'].split(', ')])}")
    pools = {
        "a": {"urls": '["http://a:1"]', "models": "[big-*]", **({"key_env": "A_KEY"} if drawn["key_env"] else {})},
        "b": {"urls": '["http://b:1"]', "models": '["*-1"]'},
    }
    if drawn["upstreams"]:
        lines.append(f"upstreams: {flow({name: pools[name] for name in drawn['upstreams'].split(', ')})}")
    plan = ({"extends": "base"} if drawn["extends"] else {}) | drawn["plan"]
    acme = {"organisation": "acme", "plan": "plan", **drawn["tenant"], **said["tenant"], "keys": keys["acme"]}
    lines += [
        f"organisations: {{acme: {flow(drawn['organisation'] | said['organisation'])}, lab: {{}}}}",
        f"plans: {{base: {flow(drawn['base'])}, plan: {flow(plan)}}}",
        f"tenants: {{acme: {flow(acme)}, lab: {{organisation: lab, plan: base, keys: {keys['lab']}}}}}",
        f"ladders: {{gentle: {{mode: shadow, steps: [{{name: notice, score: {drawn['steep']}, notify: true}}]}}}}",
        f"watch: {flow(drawn['watch'])}" if drawn["watch"] else "",
    ]
    return "\n".join(filter(None, lines)) + "\n"


def loaded(drawn: dict[str, Any]) -> Policy | None:
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "p.yaml").write_text(text(drawn))
        try:
            return load_dir(Path(place))
        except PolicyErrors as errors:
            note(str(errors))
            return None


LAWS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@LAWS
@given(documents)
def test_what_is_explained_is_what_holds(drawn: dict[str, Any]) -> None:
    """Budgets, answers, access, purposes: of every tenant, key, model and endpoint."""
    policy = loaded(drawn)
    assume(policy is not None)
    assert policy is not None
    for tenant, keys in KEYS.items():
        for key in ("", *keys):
            for model in MODELS:
                for endpoint in ENDPOINTS:
                    explained(policy, tenant, key, model, endpoint)


def explained(policy: Policy, tenant: str, key: str, model: str, endpoint: str) -> None:
    organisation = policy.tenants[tenant].organisation
    rows = explain(policy, tenant=tenant, key=key, model=model, endpoint=endpoint, now_us=NOON_US)
    holds = resolve(
        policy, organisation=organisation, tenant=tenant, key_id=key, model=model, endpoint=endpoint, now_us=NOON_US
    )
    counted = [row for row in rows if row.part == "budgets" and (not row.note or row.note.startswith("in place of"))]
    assert [(row.word, row.value) for row in counted] == [(budget.name, budget_sentence(budget)) for budget in holds.budgets]
    said = {row.word: row.value for row in rows if row.part == "output"}
    assert said == output_words(holds.output)
    assert all(row.level and row.place is not None for row in rows if row.part == "output")
    access = {row.word: row.value for row in rows if row.part == "access"}
    levels = levels_of(policy, organisation=organisation, tenant=tenant, key_id=key)
    assert (" is allowed" in access["models"]) == holds.allowed == allows_model(levels, model)
    assert (" is allowed" in access["endpoints"]) == allows_endpoint(levels, endpoint)
    if upstream_of(policy, model) is None:
        assert "it is refused" in access["upstream"]
    purposes = [row.word for row in rows if row.part == "purposes" and row.note != "expired"]
    assert set(purposes) == set(holds.purposes)
    (ladder,) = [row for row in rows if row.word == "ladder"]
    who = watched(policy, organisation=organisation, tenant=tenant, key_id=key, now_us=NOON_US)
    assert (who.ladder is None) == ladder.value.startswith("none")


def bare(value: Any) -> Any:
    """Without the places where it is written."""
    return re.sub(r"Place\([^)]*\)|digest='[^']*'", "", repr(value))


def effective(policy: Policy, tenant: str, key: str, model: str, endpoint: str) -> Any:
    organisation = policy.tenants[tenant].organisation
    holds = resolve(
        policy, organisation=organisation, tenant=tenant, key_id=key, model=model, endpoint=endpoint, now_us=NOON_US
    )
    levels = levels_of(policy, organisation=organisation, tenant=tenant, key_id=key)
    who = watched(policy, organisation=organisation, tenant=tenant, key_id=key, now_us=NOON_US)
    upstream = upstream_of(policy, model)
    pool = [(each.urls, each.key_env) for each in policy.upstreams if each.name == upstream]
    # Of a rule, what it is called does not hold for anybody.
    rule = (holds.rule.max_output_tokens, holds.rule.price, holds.rule.unbounded_output)
    return (
        sorted(bare(budget) for budget in holds.budgets), holds.allowed, allows_endpoint(levels, endpoint),
        holds.counts_cached_input, output_words(holds.output), holds.purposes, rule, upstream, pool, bare(who),
        bare(policy.watch),
    )  # fmt: skip


@LAWS
@given(documents, st.data())
def test_a_difference_is_told_to_whom_it_concerns(drawn: dict[str, Any], data: st.DataObject) -> None:
    """Whoever meets another policy is named by some change; nothing changes from a policy to itself."""
    part = data.draw(st.sampled_from(sorted(drawn)))
    other = {**drawn, part: data.draw(documents)[part]}
    old, new = loaded(drawn), loaded(other)
    assume(old is not None and new is not None)
    assert old is not None
    assert new is not None
    assert changes(old, old) == []
    told = changes(old, new)
    note(f"{text(drawn)}\n{text(other)}\n{told}")
    concerned = {tenant for change in told for tenant in change.tenants}
    for tenant, keys in KEYS.items():
        met = [
            [effective(policy, tenant, key, model, endpoint) for key in keys for model in MODELS for endpoint in ENDPOINTS]
            for policy in (old, new)
        ]
        if met[0] != met[1]:
            assert tenant in concerned
