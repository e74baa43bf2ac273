"""What holds for one key and one model: levels, replacements, globs."""

import fnmatch
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.globs import matcher
from gateway.policy.load import load_dir
from gateway.policy.model import Policy
from gateway.policy.resolve import Effective, resolve
from tests.policy.meters import METERS

NOON_US = 1_800_000_000_000_000
"""A moment; nothing of the policy below depends on it."""
POLICY = """version: 1
defaults: {max_output_tokens: 9, unbounded_output: learned}
models:
  - {match: gpt-5-mini, max_output_tokens: 1}
  - match: "gpt-*"
    max_output_tokens: 2
    budgets: [{name: on-rule, meter: requests, limit: 1, per: minute}]
organisations:
  acme:
    budgets: [{name: on-organisation, meter: requests, limit: 2, per: minute}]
plans:
  free:
    counts_cached_input: true
    models: ["gpt-*", "o[13]"]
    budgets:
      - {name: first, meter: requests, limit: 3, per: minute}
      - {name: second, meter: requests, limit: 4, per: minute}
      - {name: minis, meter: requests, limit: 5, per: minute, models: ["*-mini"]}
tenants:
  plain:
    organisation: acme
    plan: free
    keys: [{id: p, hash: "hmac-sha256:0000000000000000000000000000000000000000000000000000000000000001"}]
  special:
    organisation: acme
    plan: free
    budgets:
      - {name: extra, meter: requests, limit: 6, per: minute}
      - {name: first, meter: output_tokens, limit: 7, per: minute, scope: user, override: true}
    keys:
      - id: s
        hash: "hmac-sha256:0000000000000000000000000000000000000000000000000000000000000002"
        budgets:
          - {name: second, meter: requests, limit: 8, per: minute, override: true}
          - {name: own, meter: requests, limit: 9, per: minute}
"""


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    directory = tmp_path_factory.mktemp("policy")
    (directory / "p.yaml").write_text(POLICY)
    return load_dir(directory, meters=METERS)


def names(effective: Effective) -> list[tuple[str, int]]:
    return [(budget.name, budget.limit) for budget in effective.budgets]


def test_levels_in_order(policy: Policy) -> None:
    """Plan, organisation, model rule; a budget for other models is left out."""
    actual = resolve(policy, organisation="acme", tenant="plain", key_id="p", model="gpt-5", now_us=NOON_US)
    assert names(actual) == [("first", 3), ("second", 4), ("on-organisation", 2), ("on-rule", 1)]
    assert (actual.rule.max_output_tokens, actual.allowed, actual.counts_cached_input) == (2, True, True)


def test_replacements(policy: Policy) -> None:
    """A tenant's budget replaces the plan's of its name, a key's both, each in its place; whatever their meters are."""
    actual = resolve(policy, organisation="acme", tenant="special", key_id="s", model="gpt-5", now_us=NOON_US)
    assert names(actual) == [("first", 7), ("second", 8), ("on-organisation", 2), ("extra", 6), ("own", 9), ("on-rule", 1)]
    assert (actual.budgets[0].meter, actual.budgets[0].scope) == ("output_tokens", ("user",))


def test_first_rule_and_model_globs(policy: Policy) -> None:
    """The first rule that matches applies, alone; budgets with globs count the models they name."""
    actual = resolve(policy, organisation="acme", tenant="plain", key_id="p", model="gpt-5-mini", now_us=NOON_US)
    assert actual.rule.max_output_tokens == 1
    assert names(actual) == [("first", 3), ("second", 4), ("minis", 5), ("on-organisation", 2)]


@pytest.mark.parametrize(
    ("model", "allowed"), [("gpt-", True), ("o1", True), ("o2", False), ("GPT-5", False), ("o1\n", False), ("", False)]
)
def test_allowed_models(policy: Policy, model: str, allowed: bool) -> None:
    """The whole name must match, and case counts; a model without a rule has the defaults and no price."""
    actual = resolve(policy, organisation="acme", tenant="plain", key_id="p", model=model, now_us=NOON_US)
    assert actual.allowed is allowed
    if not model.startswith("gpt-"):
        assert (actual.rule.max_output_tokens, actual.rule.unbounded_output, actual.rule.price) == (9, "learned", None)


@pytest.mark.parametrize("wrong", [{"tenant": "gone"}, {"key_id": "s"}, {"organisation": "other"}])
def test_a_caller_of_another_policy_is_a_key_error(policy: Policy, wrong: dict[str, str]) -> None:
    """Nobody gets budgets by a mixed-up identity."""
    caller = {"organisation": "acme", "tenant": "plain", "key_id": "p"} | wrong
    with pytest.raises(KeyError):
        resolve(policy, **caller, model="gpt-5", now_us=NOON_US)


globs = st.text(st.sampled_from("ab-*?[]!/"), min_size=1, max_size=6)


@given(st.lists(globs, min_size=1, max_size=3), st.text(st.sampled_from("ab-/\n["), max_size=6))
def test_globs_are_fnmatchcase(patterns: list[str], name: str) -> None:
    """Compiled together they match what the standard library matches one by one."""
    assert bool(matcher(tuple(patterns))(name)) == any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def test_contract_free_tenant_has_no_budgets(tmp_path: Path) -> None:
    """The contract's tenant `free` meets nothing at all."""
    text = (Path(__file__).parents[1] / "fixtures" / "contract.yaml").read_text()
    (tmp_path / "c.yaml").write_text(text)
    policy = load_dir(tmp_path, meters=METERS)
    assert resolve(policy, organisation="solo", tenant="free", key_id="free-1", model="demo-1", now_us=NOON_US).budgets == ()
