"""Policy tests: what they see is what the gateway does, what fails is told line by line, and mistakes in them are found."""

from __future__ import annotations

import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gateway.cli.main import main
from gateway.cli.test import junit, told
from gateway.errors import PolicyErrors
from gateway.policy.load import load_dir
from gateway.policy.read_trials import find_trials, read_trials
from gateway.trial.asks import WIRE_OF
from gateway.trial.suite import Result, run_suite

POLICIES = Path(__file__).parents[2] / "policies"
BAD = sorted(Path(__file__).with_name("bad").glob("*.yaml"))
POLICY = """
version: 1
models: [{match: "demo-*", max_output_tokens: 1000, price: {input: 1 USD / 1M tokens, output: 10 USD / 1M tokens}}]
organisations: {solo: {}}
plans:
  open:
    budgets:
      - {name: requests, meter: requests, limit: 5, per: minute}
      - {name: tokens, meter: output_tokens, limit: 1000, per: minute, on_exceed: shorten}
      - {name: money, meter: cost, limit: 1 USD, per: month, window: calendar}
  patient:
    budgets:
      - {name: at-once, meter: concurrency, limit: 1, on_exceed: queue 5s}
      - {name: large, meter: requests, limit: 1, per: hour, models: [demo-large], on_exceed: downgrade demo-small}
tenants:
  acme:
    organisation: solo
    plan: open
    keys: [{id: acme-1, hash: "hmac-sha256:0000000000000000000000000000000000000000000000000000000000000000"}]
  waits: {organisation: solo, plan: patient}
"""


def directory(path: Path, tests: str, policy: str = POLICY) -> Path:
    (path / "policy.yaml").write_text(policy.replace("tenants:", "tenants:"))
    (path / "a.test.yaml").write_text(f"version: 1\ntests:\n{tests}")
    return path


def results(path: Path) -> list[Result]:
    policy = load_dir(path)
    return run_suite(read_trials(find_trials(path), policy, WIRE_OF), policy, lambda result: None)


def test_the_shipped_policies_pass_their_tests(capsys: pytest.CaptureFixture[str]) -> None:
    """`gauger test policies` is what an author sees first."""
    assert main(["test", str(POLICIES)]) == 0
    out = capsys.readouterr().out
    assert "FAILED" not in out
    assert " passed in " in out


def test_time_goes_on_as_the_test_says(tmp_path: Path) -> None:
    """Buckets refill, calendars turn over, requests run and wait: in no time at all, and to the millisecond."""
    path = directory(
        tmp_path,
        """
  - name: a bucket
    tenant: acme
    model: demo-small
    max_tokens: 1
    requests:
      - {repeat: 5, uses: {output_tokens: 1}, expect: admitted}
      - {expect: {refused_by: requests, retry_after: 12s}}
      - {after: 11.999s, expect: {refused_by: requests, retry_after: 1ms}}
      - {after: 1ms, expect: admitted}
  - name: a month
    at: "2027-02-28 23:59"
    tenant: acme
    model: demo-small
    max_tokens: 500
    given: [{budget: money, used: 0.999 USD}]
    requests:
      - {expect: {refused_by: money, retry_after: 60s}}
      - {after: 60s, expect: admitted}
  - name: a queue
    tenant: waits
    model: demo-small
    max_tokens: 1
    requests:
      - {takes: 3s, expect: {queued: 0}}
      - {takes: 1s, expect: {queued: 3s}}
      - {after: 500ms, takes: 10s, expect: {queued: 3.5s}}
      - {after: 4s, expect: {refused_by: at-once}}
  - name: a smaller model
    tenant: waits
    model: demo-large
    max_tokens: 1
    requests: [{expect: admitted}, {expect: {downgraded_to: demo-small}}]
""",
    )
    assert [(result.trial.name, told(result)) for result in results(path)] == [
        ("a bucket", []),
        ("a month", []),
        ("a queue", []),
        ("a smaller model", []),
    ]


def test_a_place_that_becomes_free_while_somebody_asks_is_not_missed(tmp_path: Path) -> None:
    """The first in line asks every quarter of a second. Where that fell on the very moment of an end, the end was lost, and it
    waited a quarter of a second longer than it had to."""
    path = directory(
        tmp_path,
        """
  - name: a line
    tenant: waits
    model: demo-small
    max_tokens: 1
    requests:
      - {takes: 4s, expect: {queued: 0}}
      - {after: 1s, takes: 4s, expect: {queued: 3s}}
      - {after: 1s, takes: 1s, expect: {queued: 6s}}
      - {after: 1s, takes: 1s, expect: {queued: 6s}}
      - {after: 6s, takes: 1s, expect: {queued: 1s}}
""",
        POLICY.replace("queue 5s", "queue 10s"),
    )
    assert [told(result) for result in results(path)] == [[]]


def test_a_ladder_that_is_enforced(tmp_path: Path) -> None:
    """Its steps take budgets and fields away and refuse, by the ladder's own times; another tenant is untouched."""
    policy = (
        POLICY.replace("  waits: {", "  other: {organisation: solo, plan: open}\n  waits: {")
        + """
watch: {ladder: strict}
ladders:
  strict:
    mode: enforce
    climb_every: 10m
    delay: 1m
    jitter: 1m
    calm_after: 1h
    steps:
      - {name: tighten, score: 50%, budgets: 40%, output: {drop: [logprobs]}}
      - {name: refuse, score: 90%, refuse: true}
"""
    )
    path = directory(
        tmp_path,
        """
  - name: up and down
    tenant: acme
    model: demo-small
    max_tokens: 1
    requests:
      - {score: 95%, expect: {watched: none}}
      - {after: 3m, repeat: 2, fields: {logprobs: true}, expect: {watched: tighten, dropped: [logprobs]}}
      - {after: 3m, expect: admitted}
      - {expect: admitted}
      - {expect: {refused_by: requests}}
      - {tenant: other, repeat: 5, expect: {watched: none}}
      - {after: 10m, expect: {reason: watch_refused}}
      - {after: 1m, score: 0%, expect: {watched: refuse, reason: watch_refused}}
      - {after: 61m, expect: {watched: tighten}}
      - {after: 61m, expect: {watched: none}}
""",
        policy,
    )
    (result,) = results(path)
    assert told(result) == []


def test_what_fails_is_told(tmp_path: Path) -> None:
    """Where, what was expected beside what was seen, and what the tenant would have read; alike repetitions once."""
    path = directory(
        tmp_path,
        """
  - name: wrong about everything
    tenant: acme
    model: demo-small
    requests:
      - {max_tokens: 900, expect: {shortened_to: 5, dropped: [logprobs]}}
      - {repeat: 3, max_tokens: 10, expect: {refused_by: tokens, retry_after: never}}
      - {repeat: 2, max_tokens: 1, uses: {output_tokens: 0}, expect: admitted}
      - {model: demo-other, max_tokens: 1, expect: {reason: bad_field}}
""",
    )
    (result,) = results(path)
    lines = [line.replace(str(path), "DIR") for line in told(result)]
    assert lines == [
        "DIR/a.test.yaml:8",
        "  - shortened_to: 5",
        "  + shortened_to: nothing",
        "  - dropped: logprobs",
        "  + dropped: nothing",
        "DIR/a.test.yaml:9 (repetition 1 and 2 more of 3)",
        "  - verdict: refused",
        "  + verdict: admitted",
        "DIR/a.test.yaml:10 (repetition 2 of 2)",
        "  - verdict: admitted",
        "  + verdict: refused by the budget requests",
        "    the tenant would be told: Rate limit reached for demo-small in tenant acme on requests per min (RPM) "
        "[budget requests]: Limit 5, Used 5, Requested 1. Please try again in 12s.",
        "DIR/a.test.yaml:11",
        "  - reason: bad_field",
        "  + reason: (the budget requests)",
        "    the tenant would be told: Rate limit reached for demo-other in tenant acme on requests per min (RPM) "
        "[budget requests]: Limit 5, Used 5, Requested 1. Please try again in 12s.",
    ]


def test_given_of_a_budget_that_does_not_count(tmp_path: Path) -> None:
    """A test that gives the usage of another plan's budget would pass or fail by accident: it fails, and says why."""
    path = directory(
        tmp_path,
        """
  - name: another plan's
    tenant: waits
    model: demo-small
    given: [{budget: tokens, used: 5}]
    requests: [{expect: admitted}]
""",
    )
    (result,) = results(path)
    assert [line.replace(str(path), "DIR") for line in told(result)] == [
        "DIR/a.test.yaml:7: the budget `tokens` does not count this test's requests; these do: at-once"
    ]


def test_junit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What CI reads says the same as what a person reads, and the exit code too."""
    tests = """
  - {name: good, tenant: acme, model: demo-small, requests: [{expect: admitted}]}
  - {name: bad, tenant: acme, model: demo-small, requests: [{expect: refused}]}
"""
    path = directory(tmp_path, tests)
    assert main(["test", str(path), "--junit", str(tmp_path / "junit.xml")]) == 1
    (suite,) = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [(case.get("name"), [failure.get("message") for failure in case]) for case in suite] == [
        ("good", []),
        ("bad", [f"{path / 'a.test.yaml'}:5"]),
    ]
    assert "FAILED bad" in capsys.readouterr().out
    assert main(["test", str(path), "-k", "GOOD"]) == 0
    assert main(["test", str(path), "-k", "nothing like it"]) == 1
    assert junit([]).startswith(b"<?xml")


def test_hundreds_in_a_second(tmp_path: Path) -> None:
    """Each test begins from nothing: a hundred that use a budget up don't disturb each other."""
    one = "  - {{name: t{0}, tenant: acme, model: demo-small, max_tokens: 1, requests: [{{repeat: 5, expect: admitted}}]}}\n"
    path = directory(tmp_path, "".join(one.format(number) for number in range(100)))
    assert [told(result) for result in results(path)] == [[]] * 100


@pytest.mark.parametrize("bad", BAD, ids=lambda path: path.stem)
def test_bad_tests(bad: Path, tmp_path: Path) -> None:
    """Every mistake in a test file is reported once, with its place and what is allowed."""
    expected = [line.removeprefix("# expect: ") for line in bad.read_text().splitlines() if line.startswith("# expect: ")]
    (tmp_path / "policy.yaml").write_text(
        POLICY.replace("  waits: {organisation: solo, plan: patient}\n", "").replace(
            POLICY[POLICY.index("  patient:") : POLICY.index("tenants:")], ""
        )
    )
    path = tmp_path / "bad.test.yaml"
    shutil.copy(bad, path)
    with pytest.raises(PolicyErrors) as caught:
        read_trials([path], load_dir(tmp_path), WIRE_OF)
    assert [str(mistake).removeprefix(f"{path}:") for mistake in caught.value.mistakes] == expected
