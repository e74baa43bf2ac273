"""Levels put together: plans that extend plans, budgets that override others, and what each level allows."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.policy.load import load_dir
from gateway.policy.model import DEFAULT_ENDPOINTS, Place, Policy
from gateway.policy.resolve import Effective, allows_endpoint, levels_of, resolve, upstream_of

NOON_US = 1_798_804_800_000_000
"""2027-01-01 12:00 in UTC, a Friday."""
HOUR_US = 3_600_000_000
POLICY = """version: 1
defaults:
  max_output_tokens: 9
  counts_cached_input: true
  output: {choices_max: 4, max_tokens: 900}
  budgets:
    - {name: in-flight, meter: concurrency, limit: 7}
groups: {fast: [mini, "*-mini"]}
plans:
  basic:
    models: ["group:fast", large]
    output: {max_tokens: 500}
    budgets:
      - {name: requests, meter: requests, limit: 10, per: minute}
  plus:
    extends: basic
    endpoints: [chat/completions, embeddings]
    counts_cached_input: false
    budgets:
      - {name: requests, meter: requests, limit: 20, per: minute, override: true}
      - {name: embedded, meter: input_tokens, limit: 30, per: minute, endpoints: [embeddings]}
  top:
    extends: plus
organisations:
  acme:
    models: ["*"]
    budgets:
      - {name: pool, meter: requests, limit: 40, per: minute}
tenants:
  plain:
    organisation: acme
    plan: plus
  night:
    organisation: acme
    plan: top
    models: [mini, large]
    purposes: [{purpose: batch, until: "2026-12-31", reason: over}, {purpose: evaluation, until: "2027-01-01", reason: agreed}]
    budgets:
      - {name: requests, meter: requests, limit: 50, per: minute, override: true, when: {hours: "20:00-06:00"}}
      - {name: pool, meter: requests, limit: 60, per: minute, override: true, models: [large]}
    keys:
      - id: k
        hash: "hmac-sha256:0000000000000000000000000000000000000000000000000000000000000001"
        endpoints: [chat/completions]
        models: ["l*"]
        budgets:
          - {name: requests, meter: requests, limit: 5, per: minute, override: true, when: {days: sat}}
upstreams:
  small: {urls: ["http://10.0.0.1:8000/", "https://small.example.com"], models: ["group:fast"], key_env: SMALL_KEY}
  rest: {urls: ["http://10.0.0.2:8000"], models: ["l*", mini]}
"""


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    directory = tmp_path_factory.mktemp("policy")
    (directory / "p.yaml").write_text(POLICY)
    return load_dir(directory)


@pytest.fixture(scope="module")
def of(policy: Policy) -> Callable[..., Effective]:
    def resolved(tenant: str, key_id: str = "", *, model: str = "mini", now_us: int = NOON_US, **more: str) -> Effective:
        return resolve(policy, organisation="acme", tenant=tenant, key_id=key_id, model=model, now_us=now_us, **more)

    return resolved


def limits(effective: Effective) -> dict[str, int]:
    return {budget.name: budget.limit for budget in effective.budgets}


def test_a_plan_takes_over_what_it_extends(policy: Policy) -> None:
    """Words that it does not write come from the plan it extends, that one's from its own, and at last from `defaults`."""
    basic, plus, top = (policy.plans[name] for name in ("basic", "plus", "top"))
    assert (basic.extends, plus.extends, top.extends) == ((), ("basic",), ("plus", "basic"))
    assert basic.models == plus.models == top.models == ("mini", "*-mini", "large")
    assert (basic.endpoints, top.endpoints) == (DEFAULT_ENDPOINTS, ("chat/completions", "embeddings"))
    assert [plan.counts_cached_input for plan in (basic, plus, top)] == [True, False, False]
    assert (top.output.choices_max, top.output.max_tokens) == (4, 500)
    assert [(budget.name, budget.limit) for budget in top.budgets] == [
        ("in-flight", 7), ("requests", 10), ("requests", 20), ("embedded", 30),
    ]  # fmt: skip


def test_every_word_knows_its_line(policy: Policy) -> None:
    """What a plan took over stands where it was written, of its output as well."""
    top = policy.plans["top"]
    lines = {word: top.places[word].line for word in ("models", "endpoints", "counts_cached_input", "extends")}
    assert lines == {"models": 11, "endpoints": 17, "counts_cached_input": 18, "extends": 23}
    assert {word: place.line for word, place in top.output.places.items()} == {"choices_max": 5, "max_tokens": 12}
    assert policy.default_rule.places["max_output_tokens"].line == 3
    assert [budget.place.line for budget in top.budgets] == [7, 14, 20, 21]
    night = policy.tenants["night"]
    assert (night.places["models"].line, night.purposes[1].place.line, night.keys[0].places["endpoints"].line) == (36, 37, 44)
    place = night.purposes[1].place
    assert POLICY.splitlines()[place.line - 1][place.column - 1 :].startswith("{purpose: evaluation")


def test_places_do_not_tell_policies_apart() -> None:
    """A column is for messages: two places on one line are the same place to a reader."""
    assert Place("f", 1, 5) == Place("f", 1, 9) != Place("f", 2, 5)


def test_an_override_replaces_where_it_counts(of: Callable[..., Effective]) -> None:
    """By its hours and by its models; elsewhere the general one holds. What is not overridden holds beside it."""
    assert limits(of("plain")) == {"in-flight": 7, "requests": 20, "embedded": 30, "pool": 40}
    assert limits(of("night")) == {"in-flight": 7, "requests": 20, "embedded": 30, "pool": 40}
    assert limits(of("night", now_us=NOON_US + 9 * HOUR_US)) == {"in-flight": 7, "requests": 50, "embedded": 30, "pool": 40}
    assert limits(of("night", model="large"))["pool"] == 60
    saturday_noon_us = NOON_US + 24 * HOUR_US
    assert limits(of("night", "k", model="large", now_us=saturday_noon_us))["requests"] == 5
    assert limits(of("night", model="large", now_us=saturday_noon_us))["requests"] == 20


def test_endpoints_of_a_budget(of: Callable[..., Effective]) -> None:
    """A budget counts the endpoints it names; asked for no endpoint in particular, all budgets are told."""
    assert "embedded" in limits(of("plain"))
    assert "embedded" in limits(of("plain", endpoint="embeddings"))
    assert "embedded" not in limits(of("plain", endpoint="chat/completions"))


def test_every_level_must_allow(of: Callable[..., Effective], policy: Policy) -> None:
    """A model or an endpoint that one level does not name is not allowed, whatever the others say."""
    allowed = {
        (tenant, key, model): of(tenant, key, model=model).allowed
        for tenant, key in (("plain", ""), ("night", ""), ("night", "k"))
        for model in ("mini", "x-mini", "large")
    }
    assert {name for name, may in allowed.items() if not may} == {
        ("night", "", "x-mini"), ("night", "k", "mini"), ("night", "k", "x-mini"),
    }  # fmt: skip
    levels = levels_of(policy, organisation="acme", tenant="night", key_id="k")
    may = {endpoint: allows_endpoint(levels, endpoint) for endpoint in ("chat/completions", "embeddings", "messages")}
    assert may == {"chat/completions": True, "embeddings": False, "messages": False}


def test_purposes_end(of: Callable[..., Effective]) -> None:
    """A purpose holds up to the end of its last day, and what was resolved says when it changes."""
    today = of("night")
    assert today.purposes == ("evaluation",)
    assert today.changes_at_us == NOON_US + 8 * HOUR_US  # the night's hours begin before the purpose ends
    assert of("night", now_us=NOON_US + 12 * HOUR_US - 1).purposes == ("evaluation",)
    assert of("night", now_us=NOON_US + 12 * HOUR_US).purposes == ()


def test_what_was_resolved_holds_until_it_changes(of: Callable[..., Effective]) -> None:
    """Kept up to `changes_at_us`, an answer is never out of date: every hour of two weeks is held against what was kept."""
    kept = of("night", "k", model="large")
    for hour in range(14 * 24):
        now_us = NOON_US + hour * HOUR_US
        fresh = of("night", "k", model="large", now_us=now_us)
        if now_us >= kept.changes_at_us:
            kept = fresh
        assert (kept.budgets, kept.purposes) == (fresh.budgets, fresh.purposes)


def test_upstreams(policy: Policy) -> None:
    """The first upstream that names a model serves it; without any, the settings' one serves all."""
    small = policy.upstreams[0]
    assert (small.urls, small.key_env) == (("http://10.0.0.1:8000", "https://small.example.com"), "SMALL_KEY")
    assert [upstream_of(policy, model) for model in ("mini", "large", "other")] == ["small", "rest", None]


def test_no_upstreams(tmp_path: Path) -> None:
    """A directory that names none leaves every model to the operator's settings."""
    (tmp_path / "p.yaml").write_text("version: 1\n")
    assert upstream_of(load_dir(tmp_path), "anything") == ""


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("shorten", ("shorten", 0, "", True)),
        ("queue 5s", ("queue", 5000, "", True)),
        ("queue 250ms", ("queue", 250, "", True)),
        ("downgrade demo-small", ("downgrade", 0, "demo-small", True)),
        ("shadow", ("reject", 0, "", False)),
    ],
)
def test_on_exceed(tmp_path: Path, written: str, expected: tuple[object, ...]) -> None:
    """Each remedy as it is written; `shadow` is `mode: shadow` by another word."""
    budget_text = f"{{name: b, meter: output_tokens, limit: 5, per: day, on_exceed: {written}}}"
    (tmp_path / "p.yaml").write_text(f"version: 1\nplans: {{p: {{budgets: [{budget_text}]}}}}\n")
    (budget,) = load_dir(tmp_path).plans["p"].budgets
    assert (budget.on_exceed, budget.queue_ms, budget.downgrade_to, budget.enforce) == expected
