"""The JSON Schema and the loader agree on every fixture, and where the schema cannot see, that is said here.

A law goes further: whatever the loader takes, the schema takes; an editor never marks what is right.
"""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.cli.main import main
from gateway.errors import PolicyErrors
from gateway.policy.load import load_dir
from gateway.policy.schema import json_schema
from tests.test_docs import blocks, completed

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BAD = {path.stem: path for path in sorted((HERE / "bad").glob("*.yaml"))}
GOOD = [
    path
    for directory in (ROOT / "policies", ROOT / "bench" / "policies", HERE / "second")
    for path in sorted(directory.glob("*.yaml"))
    if not path.name.endswith(".test.yaml")
] + [ROOT / "tests" / "fixtures" / "contract.yaml"]
UNSEEN = {
    "how a value is spelled in YAML: it is gone when a file has been read": """
        yaml-True yaml-alias yaml-colon yaml-complex-key yaml-directive yaml-duplicate-key yaml-hex yaml-merge-key yaml-octal
        yaml-sexagesimal yaml-tab yaml-tag yaml-tag-str yaml-two-documents yaml-unclosed yaml-underscore yaml-unquoted-star
        yaml-unquoted-star-glob""",
    "what a word needs or forbids beside it": """
        budget-burst-rolling budget-calendar-hour budget-concurrency-per budget-cost-a-number budget-on-exceed-concurrency
        budget-on-exceed-downgrade-shadow budget-on-exceed-input budget-on-exceed-queue-calendar budget-on-exceed-requests
        budget-on-exceed-shadow budget-on-exceed-shadow-enforced budget-per-missing budget-per-month budget-since-enforced
        budget-size-of-tokens budget-timezone-bucket filter-cut-with-a-mask filter-says-both filter-says-nothing
        model-cost-without-price output-background-not-kept output-drop-and-refuse output-reasoning-chars-alone
        output-reasoning-shorten-to-what override-in-a-rule when-nothing
        ladder-cluster-override ladder-cluster-scope ladder-cluster-shorten ladder-step-output-floor""",
    "which of two values is larger": """
        budget-burst-refills-never output-min-above-max output-min-above-max-of-the-organisation
        output-min-above-max-of-the-tenant output-temperature-upside-down when-hours-empty-span when-over-before-it-begins
        ladder-scores-fall""",
    "names that are written elsewhere": """
        budget-cost-without-price budget-models-group-unknown budget-models-no-groups budget-name-twice budget-shares-a-counter
        budget-shares-a-counter-with-a-rule defaults-override filter-name-twice key-hash-twice key-id-twice model-never-used
        model-twice override-missing-in-a-key override-missing-in-a-tenant override-of-another-name override-of-nothing
        plan-budget-of-the-defaults plan-budget-of-the-extended plan-extends-in-a-circle plan-extends-itself
        plan-extends-unknown plan-models-group-unknown tenant-organisation-unknown tenant-plan-unknown upstream-never-used
        upstream-url-twice ladder-cluster-cost-without-price ladder-cluster-from-unknown ladder-none ladder-step-twice
        ladder-unknown-in-a-key ladder-unknown-in-a-plan watch-ladder-unknown""",
    "what the text of a value comes to": """
        budget-cost-huge budget-cost-too-fine budget-limit-fraction budget-on-exceed-queue-long budget-per-zero
        budget-size-fraction budget-size-huge output-temperature-too-fine output-watermark-vocabulary price-no-amount-of-tokens
        price-too-fine price-too-large purpose-reason-empty upstream-url-with-credentials upstream-url-with-v1 when-date-far
        when-date-of-no-calendar when-hours-of-no-day when-time-of-no-day ladder-delay-zero ladder-hysteresis-large
        ladder-requests-min-large ladder-score-too-fine ladder-score-too-high ladder-step-budgets-more watch-phrases-a-policy
        watch-phrases-above""",
    "what others know: zones, patterns, which endpoints a glob matches": """
        budget-timezone-directory budget-timezone-path budget-timezone-unknown endpoints-glob-of-none filter-pattern-bad
        filter-pattern-control filter-pattern-lookahead filter-pattern-matches-nothing-at-all when-timezone-unknown""",
}
"""The bad files in which the schema sees nothing, by what it is that it cannot see."""
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def said_of(text: str) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(yaml.safe_load(text))]


def test_it_is_a_schema() -> None:
    """The schema keeps to its own dialect, and refers to nothing that is not in it."""
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    names = {f"#/$defs/{name}" for name in schema["$defs"]}
    assert set(_refs(schema)) == names


def _refs(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [node["$ref"]] if "$ref" in node else [found for value in node.values() for found in _refs(value)]
    return [found for value in node for found in _refs(value)] if isinstance(node, list) else []


@pytest.mark.parametrize("path", GOOD, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_good_files(path: Path) -> None:
    """What the loader takes, the schema takes."""
    assert said_of(path.read_text()) == []


@pytest.mark.parametrize("snippet", blocks("docs/policies.md", "yaml"), ids=lambda text: text[:40].splitlines()[0])
def test_the_page(snippet: str) -> None:
    """Every example of the authors' page too."""
    assert said_of(completed(snippet)["b-snippet"]) == []


@pytest.mark.parametrize("name", BAD)
def test_bad_files(name: str) -> None:
    """What the loader refuses, the schema refuses, but for what it is said not to see."""
    unseen = name in {stem for stems in UNSEEN.values() for stem in stems.split()}
    try:
        said = said_of(BAD[name].read_text())
    except (yaml.YAMLError, TypeError):  # TypeError: a key that JSON has none of
        said = []
    assert not (said and unseen), f"the schema does see {name}: take it out of UNSEEN"
    assert said or unseen, f"the schema does not see {name}: let a shape say it, or name it in UNSEEN"


def test_what_is_unseen_is_there() -> None:
    """Each is named once, and has a file."""
    stems = [stem for each in UNSEEN.values() for stem in each.split()]
    assert len(stems) == len(set(stems))
    assert set(stems) <= BAD.keys()


EVERYTHING = """
version: 1
defaults: {max_output_tokens: 9k, unbounded_output: learned, models: ["*"], output: {choices_max: 4}}
groups: {fast: [mini, "*-mini"]}
models:
  - match: "m*"
    max_output_tokens: 5
    price: {input: 1 USD / 1M tokens, output: 0.5 USD/1k tokens}
    output: {thinks_first: true}
upstreams: {own: {urls: ["http://10.0.0.1:8000"], models: ["group:fast", "*"], key_env: KEY}}
organisations: {acme: {models: [mini], endpoints: [messages, "chat/*"], budgets: []}}
plans:
  free:
    counts_cached_input: true
    output:
      max_tokens: 500
      hold_ahead: 64
      drop: [logprobs]
      temperature: {min: 0.25, max: 1}
      reasoning: shorten
      reasoning_chars: 80
      filters: [{name: a, literal: "x", mask: ""}, {name: b, pattern: "[a-z]+x", action: cut}]
      watermark: {bias: 2.5, share: 0.5, vocabulary: 1k}
      background: charge
      stored: own
    budgets:
      - {name: a, meter: upload_bytes, limit: 20MB, per: 1h30m, window: rolling, scope: [tenant, user]}
      - {name: b, meter: cost, limit: 5 USD, per: day, window: calendar, timezone: Europe/Berlin, on_exceed: downgrade mini}
      - {name: c, meter: requests, limit: 1.5k, per: minute, burst: 7, on_exceed: queue 250ms, endpoints: [messages]}
  pro:
    extends: free
    budgets:
      - name: c
        meter: requests
        limit: 2k
        per: 90s
        override: true
        when: {from: "2027-01-01", until: "2027-01-31 18:00", days: mon-fri, hours: "09:00-18:00"}
      - {name: d, meter: concurrency, limit: 2, mode: shadow, since: "2027-01-01", models: ["group:fast"]}
watch: {ladder: none, phrases: [phrases/own.yaml], sample_prompts: 0.5%, keep_evidence: 30d}
ladders:
  standard:
    mode: shadow
    climb_every: 1h
    hysteresis: 5%
    requests_min: 50
    steps: [{name: a, score: 50%, notify: true}, {name: z, score: 90.5%, budgets: 25%, output: {max_tokens: 5}, refuse: true}]
    cluster: {budgets: [{name: together, meter: requests, limit: 5, per: day}], from: z}
tenants:
  acme:
    organisation: acme
    plan: pro
    ladder: standard
    purposes: [{purpose: batch, until: "2027-01-31", reason: agreed}]
    keys:
      - {id: k, hash: "hmac-sha256:0000000000000000000000000000000000000000000000000000000000000001", output: {min_tokens: 5}}
"""
TREE = yaml.safe_load(EVERYTHING)


def paths(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [at, *[path for key, value in below for path in paths(value, (*at, key))]]


PATHS = paths(TREE)[1:]
values = st.sampled_from(PATHS).map(lambda path: _at(TREE, path)) | st.sampled_from(
    [
        None, True, 0, 1, 16, 0.5, 2.0, "", "x", "5", "5k", "5 USD", "1GiB", "30d", "day", "month", "mon", "*", "group:fast",
        "mini", [], ["*"], ["mon", "tue-fri"], {}, "queue 5s", "shadow", "shorten", "responses", "2027-01-01", "22:00-06:00",
        "0 USD / 1 tokens",
    ]
)  # fmt: skip


def _at(node: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        node = node[key]
    return node


def test_everything_is_right(tmp_path: Path) -> None:
    """What the law below starts from loads, and is valid."""
    (tmp_path / "p.yaml").write_text(EVERYTHING)
    assert load_dir(tmp_path).plans.keys() == {"free", "pro"}
    assert said_of(EVERYTHING) == []


@given(st.lists(st.tuples(st.sampled_from(PATHS), st.none() | values.map(lambda value: (value,))), min_size=1, max_size=2))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_schema_takes_what_the_loader_takes(
    tmp_path: Path, changes: list[tuple[tuple[Any, ...], tuple[Any] | None]]
) -> None:
    """With any values put in any places, or taken out: nothing that loads is marked as wrong."""
    tree = copy.deepcopy(TREE)
    for path, value in changes:
        try:
            owner = _at(tree, path[:-1])
            if value is None:
                del owner[path[-1]]
            else:
                owner[path[-1]] = copy.deepcopy(value[0])
        except (KeyError, IndexError, TypeError):  # an earlier change took it away
            continue
    (tmp_path / "p.yaml").write_text(yaml.dump(tree, Dumper=_Plain))
    try:
        load_dir(tmp_path)
    except PolicyErrors:
        return
    assert [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(tree)] == []


class _Plain(yaml.SafeDumper):
    """Without anchors for values that come twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`gauger schema` prints it as JSON."""
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()
