"""Loading a directory: what good files mean, how files are put together, and what a directory itself can do wrong."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors import PolicyErrors
from gateway.policy.load import load_dir
from gateway.policy.model import NO_OUTPUT, Budget, Filter, ModelRule, Output, Place, Policy, Price, Watermark
from tests.policy.meters import METERS

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"


def load(directory: Path, **files: str) -> Policy:
    for name, text in files.items():
        (directory / f"{name}.yaml").write_text(text)
    return load_dir(directory, meters=METERS)


def mistakes(directory: Path, **files: str) -> list[str]:
    with pytest.raises(PolicyErrors) as caught:
        load(directory, **files)
    return [str(mistake).replace(f"{directory}{os.sep}", "") for mistake in caught.value.mistakes]


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    directory = tmp_path_factory.mktemp("contract")
    return load(directory, contract=(FIXTURES / "contract.yaml").read_text())


def budget(name: str, meter: str, limit: int, kind: str, period_s: int, **fields: object) -> Budget:
    whole = {"burst": limit, "calendar": "", "timezone": "", "scope": ("tenant",), "enforce": True, "models": ("*",)} | fields
    return Budget(name=name, meter=meter, limit=limit, kind=kind, period_s=period_s, **whole)  # type: ignore[arg-type]


def test_contract_model(contract: Policy) -> None:
    """Prices are exact nano-USD for a million tokens; the cache-write price is the input price where none is given."""
    (rule,) = contract.models
    price = Price(input=10**9, cached_input=10**8, cache_write=10**9, output=10**10)
    assert ModelRule("demo-*", 4096, price, "model", (), rule.place) == rule
    assert rule.place.line == 5


@pytest.mark.parametrize(
    ("plan", "line", "expected"),
    [
        ("burst", 19, {"name": "ten-a-minute", "meter": "requests", "limit": 10, "kind": "bucket", "period_s": 60}),
        ("tokens", 22, {"name": "output-a-minute", "meter": "output_tokens", "limit": 1000, "kind": "bucket", "period_s": 60}),
        (
            "money",
            25,
            {"name": "month", "meter": "cost", "limit": 50_000_000, "kind": "calendar", "period_s": 2_592_000}
            | {"calendar": "month", "timezone": "UTC"},
        ),
        ("parallel", 28, {"name": "in-flight", "meter": "concurrency", "limit": 5, "kind": "concurrency", "period_s": 0}),
        (
            "shadow",
            31,
            {"name": "one-a-minute", "meter": "requests", "limit": 1, "kind": "bucket", "period_s": 60, "enforce": False},
        ),
    ],
)
def test_contract_plan(contract: Policy, plan: str, line: int, expected: dict[str, object]) -> None:
    """A plan's budget is read with its unit, its window and its default burst and scope."""
    (actual,) = contract.plans[plan].budgets
    assert budget(**expected, place=Place(actual.place.file, line)) == actual  # type: ignore[arg-type]


def test_contract_tenants(contract: Policy) -> None:
    """Tenants have their organisation, plan and key; an organisation's budget counts for the organisation."""
    tenants = {name: (each.organisation, each.plan, [key.id for key in each.keys]) for name, each in contract.tenants.items()}
    solo = ("burst", "tokens", "money", "parallel", "shadow")
    expected = {name: ("solo", name, [f"{name}-1"]) for name in solo}
    expected |= {name: ("pair", "open", [f"{name}-1"]) for name in ("left", "right")} | {"free": ("solo", "open", ["free-1"])}
    assert expected == tenants
    assert contract.organisations["pair"].budgets[0].scope == ("organisation",)
    assert {key.id for key in contract.keys.values()} == {f"{name}-1" for name in tenants}
    assert all(digest == key.digest for digest, key in contract.keys.items())


def test_example_policies_load() -> None:
    """The policies of `make run` load; their free tenant meets five requests a minute and its output budget fits an answer."""
    policy = load_dir(ROOT / "policies", meters=METERS)
    free = {budget.name: budget for budget in policy.plans[policy.tenants["demo-free"].plan].budgets}
    assert (free["requests-a-minute"].limit, free["requests-a-minute"].period_s) == (5, 60)
    largest = max(rule.max_output_tokens for rule in policy.models)
    assert free["output-a-minute"].limit >= largest, "a request without max_tokens could never be admitted"


def test_full_language(tmp_path: Path) -> None:
    """Every word of a budget is read; scopes come in the order of SCOPES whatever the order they are written in."""
    text = """version: 1
defaults: {max_output_tokens: 2k, counts_cached_input: true, unbounded_output: learned}
models:
  - match: "gpt-*"
    budgets: [{name: r, meter: total_tokens, limit: 1.5M, per: 1h30m, window: rolling}]
organisations: {acme: {}}
plans:
  free:
    models: ["gpt-*", o3]
  cached:
    counts_cached_input: false
tenants:
  acme:
    organisation: acme
    plan: free
    budgets:
      - {name: a, meter: requests, limit: 500k, per: second, burst: 2, scope: [user, organisation], models: [o3]}
      - {name: b, meter: requests, limit: 7, per: day, window: calendar, timezone: Europe/Berlin, scope: user}
    keys:
      - id: k
        hash: "hmac-sha256:0000000000000000000000000000000000000000000000000000000000000000"
        budgets: [{name: c, meter: requests, limit: 1, per: 90s}]
"""
    policy = load(tmp_path, all=text)
    (rule,) = policy.models
    assert (rule.max_output_tokens, rule.unbounded_output, rule.price) == (2000, "learned", None)
    assert policy.default_rule.max_output_tokens == 2000
    place = rule.place.file
    assert (
        budget("r", "total_tokens", 1_500_000, "rolling", 5400, scope=("tenant", "model"), place=Place(place, 5))
        == rule.budgets[0]
    )
    first, second = policy.tenants["acme"].budgets
    fields = {"burst": 2, "scope": ("organisation", "user"), "models": ("o3",), "place": Place(place, 17)}
    assert budget("a", "requests", 500_000, "bucket", 1, **fields) == first
    fields = {"calendar": "day", "timezone": "Europe/Berlin", "scope": ("user",), "place": Place(place, 18)}
    assert budget("b", "requests", 7, "calendar", 86_400, **fields) == second
    assert policy.tenants["acme"].keys[0].budgets[0].scope == ("key",)
    assert [policy.plans[name].counts_cached_input for name in ("free", "cached")] == [True, False]
    assert policy.plans["free"].models == ("gpt-*", "o3")


def test_full_output_language(tmp_path: Path) -> None:
    """Every word of what answers may be is read, at each place where it may stand; lists are sorted."""
    text = """version: 1
models:
  - match: thinker
    output: {thinks_first: true}
organisations:
  acme: {output: {background: refuse, stored: own}}
plans:
  free:
    output:
      max_tokens: 2k
      min_tokens: 50
      hold_ahead: 16
      drop: [top_logprobs, logprobs]
      refuse: [prompt_logprobs, echo]
      choices_max: 2
      temperature: {min: 0.25, max: 1}
      reasoning: shorten
      reasoning_chars: 200
      tokens_per_second: 40
      filters:
        - {name: keys, pattern: "sk-[a-z]+", action: cut}
        - {name: codename, literal: Project Zeppelin, mask: ""}
      watermark: {bias: 1.5, share: 0.5, vocabulary: 16k}
tenants:
  acme:
    organisation: acme
    plan: free
    output: {temperature: {max: 0.5}, reasoning: keep}
    keys:
      - id: k
        hash: "hmac-sha256:0000000000000000000000000000000000000000000000000000000000000000"
        output: {background: charge, watermark: {}}
"""
    policy = load(tmp_path, all=text)
    assert policy.models[0].output == Output(thinks_first=True)
    assert policy.organisations["acme"].output == Output(background="refuse", stored="own")
    file = str(tmp_path / "all.yaml")
    assert policy.plans["free"].output == Output(
        max_tokens=2000,
        min_tokens=50,
        hold_ahead=16,
        drop=("logprobs", "top_logprobs"),
        refuse=("echo", "prompt_logprobs"),
        choices_max=2,
        temperature_milli=(250, 1000),
        reasoning="shorten",
        reasoning_chars=200,
        tokens_per_second=40,
        filters=(
            Filter("codename", "Project Zeppelin", "", "mask", "", Place(file, 22)),
            Filter("keys", "", "sk-[a-z]+", "cut", "[removed]", Place(file, 21)),
        ),
        watermark=Watermark(bias_milli=1500, share_milli=500, vocabulary=16_000),
    )
    tenant = policy.tenants["acme"]
    assert tenant.output == Output(temperature_milli=(0, 500), reasoning="keep")
    assert tenant.keys[0].output == Output(background="charge", watermark=Watermark(2000, 250, 4096))


def test_no_output_is_one_and_the_same(tmp_path: Path) -> None:
    """Whoever says nothing, by an empty mapping too, has NO_OUTPUT itself: what is not there is found without comparing."""
    policy = load(tmp_path, all="version: 1\nmodels: [{match: m}]\nplans: {a: {}, b: {output: {}}}\n")
    assert all(each.output is NO_OUTPUT for each in (*policy.plans.values(), *policy.models, policy.default_rule))


def test_on_exceed_and_sizes(tmp_path: Path) -> None:
    """A budget may shorten, and one of bytes may be written with a unit."""
    budgets = (
        "{name: a, meter: total_tokens, limit: 5k, per: minute, on_exceed: shorten}, "
        "{name: b, meter: output_tokens, limit: 5k, per: minute, on_exceed: reject}, "
        "{name: c, meter: upload_bytes, limit: 20MB, per: hour, burst: 1MiB}, "
        "{name: d, meter: upload_bytes, limit: 500k, per: day, window: rolling}"
    )
    policy = load(tmp_path, all=f"version: 1\nplans: {{free: {{budgets: [{budgets}]}}}}\n")
    actual = [(each.on_exceed, each.limit, each.burst) for each in policy.plans["free"].budgets]
    expected = [("shorten", 5000, 5000), ("reject", 5000, 5000), ("reject", 20_000_000, 2**20), ("reject", 500_000, 500_000)]
    assert expected == actual


def test_files_are_put_together(tmp_path: Path) -> None:
    """Sections may be spread over files in any order, defaults too; other files are not read."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "x.yaml").write_text("nonsense: [")
    for name in (".hidden.yaml", "a.test.yaml", "notes.txt", "a.yaml~"):
        (tmp_path / name).write_text("nonsense: [")
    (tmp_path / "z.yml").write_text("version: 1\ndefaults: {max_output_tokens: 7}\nmodels: [{match: b}]\n")
    policy = load(
        tmp_path,
        a="version: 1\ntenants: {t: {organisation: o, plan: p}}\nmodels: [{match: a}]\n",
        b="version: 1\norganisations: {o: {}}\nplans: {p: {}}\n",
    )
    assert [(rule.match, rule.max_output_tokens) for rule in policy.models] == [("a", 7), ("b", 7)]
    assert policy.tenants["t"].plan == "p"


def test_same_name_in_two_files(tmp_path: Path) -> None:
    """A name written in two files is one mistake that names both places; so are two sets of defaults."""
    text = "version: 1\ndefaults: {}\nplans:\n  free: {}\n"
    expected = [
        "b.yaml:2:1: defaults: already written at a.yaml:2: keep one",
        "b.yaml:4:3: plans.free: `free` is already written at a.yaml:4",
    ]
    assert expected == mistakes(tmp_path, a=text, b=text)


def test_mistakes_of_all_files_are_sorted(tmp_path: Path) -> None:
    """All files are read whatever is wrong with one; a file that is no YAML does not make its names missing elsewhere."""
    expected = [
        "a.yaml:1:8: plans: this is not YAML: did not find expected node content (while parsing a block node)",
        "b.yaml:1:1: top level: `version` is missing",
    ]
    actual = mistakes(tmp_path, a="plans: ]", b="organisations: {o: {}}\ntenants: {t: {organisation: o, plan: p}}\n")
    assert expected == actual


def test_missing_and_empty_directories(tmp_path: Path) -> None:
    """A directory that is not there, holds nothing, or holds what cannot be read says so."""
    gone = tmp_path / "gone"
    with pytest.raises(PolicyErrors, match="gone:1:1: directory: cannot be read: No such file or directory"):
        load_dir(gone, meters=METERS)
    with pytest.raises(PolicyErrors, match=r"directory: holds no policy file: put at least one `\*.yaml` file in it"):
        load_dir(tmp_path, meters=METERS)
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "dangling.yaml").symlink_to(gone)
    expected = [
        "dangling.yaml:1:1: file: cannot be read: is not a regular file",
        "pipe.yaml:1:1: file: cannot be read: is not a regular file",
    ]
    assert expected == mistakes(tmp_path)


def test_digest_names_the_version(tmp_path: Path) -> None:
    """The digest changes with any byte of any file, and with nothing else."""
    first = load(tmp_path, a="version: 1\n").digest
    again = load(tmp_path).digest
    changed = load(tmp_path, a="version: 1 # x\n").digest
    assert first == again
    assert first != changed
    assert len(first) == 16


def test_ten_thousand_tenants(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """10,000 tenants with a budget and a key each load whole; the time is reported, not judged (about 1.5 s)."""
    tenants = "".join(
        f"  t{n}:\n    organisation: o\n    plan: p\n"
        f"    budgets: [{{name: rpm, meter: requests, limit: {n + 1}, per: minute}}]\n"
        f'    keys: [{{id: t{n}-1, hash: "hmac-sha256:{hashlib.sha256(b"%d" % n).hexdigest()}"}}]\n'
        for n in range(10_000)
    )
    started_s = time.perf_counter()
    policy = load(tmp_path, a="version: 1\norganisations: {o: {}}\nplans: {p: {}}\ntenants:\n" + tenants)
    record_property("load_s", round(time.perf_counter() - started_s, 2))
    assert policy.tenants["t9999"].budgets[0].limit == 10_000
    assert len(policy.keys) == 10_000


def test_what_others_refer_to_is_found_however_it_is_spelled(tmp_path: Path) -> None:
    """A key in escapes is the same key: defaults and groups hold for files that are read before them."""
    tenants = "version: 1\nplans: {free: {models: ['group:fast'], budgets: []}}\n"
    last = 'version: 1\n"d\\u0065faults": {counts_cached_input: true}\n"gro\\u0075ps": {fast: [mini]}\n'
    policy = load(tmp_path, a=tenants, z=last)
    assert (policy.plans["free"].counts_cached_input, policy.plans["free"].models) == (True, ("mini",))
    assert mistakes(tmp_path, a=tenants + "plan: {}\n", z=last) == [
        "a.yaml:3:1: plan: unknown word; did you mean `plans`? "
        "allowed: version, defaults, groups, models, upstreams, organisations, plans, tenants, watch, ladders"
    ]
