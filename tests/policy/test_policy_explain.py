"""What holds and from which line; what changes for whom; a directory to begin with. As their commands print it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli.main import main
from gateway.errors import PolicyErrors
from gateway.policy.differ import changes
from gateway.policy.explain import Row, explain
from gateway.policy.load import load_dir
from gateway.policy.model import Policy

POLICY = """version: 1
models:
  - {match: small, max_output_tokens: 100, price: {input: 1 USD / 1M tokens, output: 2 USD / 1M tokens}}
  - {match: "*", output: {max_tokens: 50}}
organisations:
  solo:
    output: {drop: [logprobs]}
    purposes: [{purpose: batch, until: "2027-06-30", reason: agreed}]
plans:
  base:
    budgets: [{name: minute, meter: requests, limit: 10, per: minute}]
    output: {max_tokens: 80, reasoning: blank}
  wide:
    extends: base
    models: [small, large]
    budgets:
      - {name: night, meter: requests, limit: 5, per: hour, when: {hours: "22:00-06:00"}}
      - {name: large, meter: cost, limit: 1 USD, per: day, window: calendar, models: [small], on_exceed: downgrade small}
tenants:
  acme:
    organisation: solo
    plan: wide
    output: {max_tokens: 60}
    budgets: [{name: minute, meter: requests, limit: 20, per: minute, override: true}]
    keys: [{id: acme-1, hash: "hmac-sha256:0000000000000000000000000000000000000000000000000000000000000000", models: [small]}]
"""
RULE = "at most 100 output tokens; input 1 USD, cached 1 USD, cache write 1 USD, output "
NOON_US = 1_798_804_800_000_000


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "p.yaml").write_text(POLICY)
    return tmp_path


def rows(directory: Path, model: str = "small", key: str = "acme-1") -> list[Row]:
    return explain(load_dir(directory), tenant="acme", key=key, model=model, endpoint="chat/completions", now_us=NOON_US)


def lines(rows: list[Row], part: str) -> list[tuple[str, str, str, int, str]]:
    return [
        (row.word, row.value, row.level, row.place.line if row.place else 0, row.note.partition(" at ")[0])
        for row in rows
        if row.part == part
    ]


def test_each_thing_has_its_line(directory: Path) -> None:
    """Budgets with what they replace and why others don't count; words about answers from whichever level says them."""
    found = rows(directory)
    assert lines(found, "budgets") == [
        (
            *("large", "1 USD of cost in a calendar day (UTC), for each tenant, of the models small, else ask small"),
            *("plan wide", 18, ""),
        ),
        ("minute", "20 requests per minute, for each tenant", "tenant acme", 24, "in place of plan wide"),
        ("minute", "10 requests per minute, for each tenant", "plan wide", 11, "overridden"),
        ("night", "5 requests per hour, for each tenant, 22:00-06:00 UTC", "plan wide", 17, "is not in force"),
    ]  # fmt: skip
    assert lines(found, "output") == [
        ("max_tokens", "60", "tenant acme", 23, ""),
        ("drop", "logprobs", "organisation solo", 7, ""),
        ("reasoning", "blank", "plan wide", 12, ""),
    ]
    assert lines(found, "purposes") == [("batch", "batch, until 2027-07-01 00:00 UTC: agreed", "organisation solo", 8, "")]


def test_what_is_refused_says_by_whom(directory: Path) -> None:
    """The key allows one model only, and the rule for any other model lowers its answers further."""
    found = rows(directory, "large")
    assert lines(found, "access")[0] == ("models", "large is refused: small", "key acme-1", 25, "")
    assert lines(found, "output")[0][:4] == ("max_tokens", "50", "model rule *", 4)
    assert lines(rows(directory, "large", key=""), "access")[0][1] == "large is allowed: small, large"


def test_the_command(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a table or as JSON; names that are none are told with the nearest."""
    args = ["explain", str(directory), "--tenant", "acme", "--model", "small", "--at", str(NOON_US // 10**6)]
    assert main(args) == 0
    assert "20 requests per minute" in " ".join(capsys.readouterr().out.split())
    assert main([*args, "--json"]) == 0
    (row,) = [row for row in json.loads(capsys.readouterr().out) if row["value"].startswith("20 requests")]
    assert (row["word"], row["from"]["line"]) == ("minute", 24)
    assert main(["explain", str(directory), "--tenant", "acne", "--model", "small"]) == 2
    assert "did you mean `acme`?" in capsys.readouterr().err
    assert main(["explain", str(directory)]) == 2


def test_a_refusal_is_found_in_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By its id; another id is not there."""
    line = {
        "event": "request",
        "id": "req_1",
        "status": 429,
        "tenant": "acme",
        "reason": "budget:minute",
        "message": "Rate limit",
    }
    (tmp_path / "log").write_text("started\n" + json.dumps(line) + "\n")
    assert main(["explain", "--request", "req_1", "--log", str(tmp_path / "log")]) == 0
    assert "refused: budget:minute" in capsys.readouterr().out
    assert main(["explain", "--request", "req_2", "--log", str(tmp_path / "log")]) == 1


def said(directory: Path, tmp_path: Path, old: str, new: str) -> list[tuple[str, str, tuple[str, ...]]]:
    other = tmp_path / "new"
    other.mkdir()
    (other / "p.yaml").write_text(POLICY.replace(old, new))
    assert POLICY.replace(old, new) != POLICY
    return [tuple(change) for change in changes(load_dir(directory), load_dir(other))]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "limit: 10, per: minute", "limit: 15, per: minute",
            ("plan wide", "`minute` allows more, and keeps what was used: was 10 requests per minute, for each tenant; "
             "is 15 requests per minute, for each tenant", ("acme",)),
        ),
        ("{max_tokens: 60}", "{max_tokens: 70}", ("tenant acme", "answers: `max_tokens` was 60; is 70", ("acme",))),
        ("id: acme-1", "id: two", ("tenant acme", "the key acme-1 is gone: it is refused", ("acme",))),
        ("[small, large]", "[small]", ("plan wide", "`models` was small, large; is small", ("acme",))),
        ("output: 2 USD", "output: 3 USD", ("model rule small", f"was {RULE}2 USD for 1M tokens; is {RULE}3 USD for 1M tokens",
         ("acme",))),
        ("limit: 20, per: minute", "limit: 20, per: hour", ("tenant acme", "`minute` counts anew, in another way: was 20 "
         "requests per minute, for each tenant; is 20 requests per hour, for each tenant", ("acme",))),
        ("version: 1", "version: 1\ndefaults: {max_output_tokens: 8k}", ("models without a rule",
         "was at most 4,096 output tokens; no price; is at most 8,000 output tokens; no price", ("acme",))),
        ("version: 1", "version: 1\nwatch: {sample_prompts: 1%}", ("watch", "`sample_prompts` was 0%; is 1%", ("acme",))),
        ("{max_tokens: 60}", "{max_tokens: 60, tokens_per_second: 9}", ("tenant acme",
         "answers: `tokens_per_second` was not said; is 9", ("acme",))),
        ("reason: agreed", "reason: renewed", ("organisation solo",
         "no longer declares batch, until 2027-07-01 00:00 UTC: agreed", ("acme",))),
    ],
)  # fmt: skip
def test_what_changes_for_whom(
    directory: Path, tmp_path: Path, old: str, new: str, expected: tuple[str, str, tuple[str, ...]]
) -> None:
    """In words, and whether what was used is kept."""
    assert expected in said(directory, tmp_path, old, new)


def read(directory: Path, text: str) -> Policy:
    directory.mkdir()
    (directory / "p.yaml").write_text(text)
    return load_dir(directory)


def test_the_order_of_upstreams_and_their_keys_are_told(tmp_path: Path) -> None:
    """The first that names a model serves it: two that change places are a change, and once were none."""
    pools = ['  big: {urls: ["http://a:1"], models: [big-*]}\n', '  rest: {urls: ["http://b:1"], models: ["*-1"]}\n']
    texts = [f"{POLICY}upstreams:\n{one}{other}" for one, other in (pools, pools[::-1])]
    texts.append(texts[0].replace("models: [big-*]", "models: [big-*], key_env: BIG_KEY"))
    old, moved, keyed = (read(tmp_path / str(number), text) for number, text in enumerate(texts))
    assert [change.what for change in changes(old, moved)] == [
        "are asked in another order: the first that names a model serves it"
    ]
    assert [change.what for change in changes(old, keyed)] == ["big: its key was of the gateway's own key; is of BIG_KEY"]


def test_a_ladder_that_moves_to_another_line_says_the_same(tmp_path: Path) -> None:
    """Where it is written is no part of what it says; what a filter puts in the place of a match is."""
    ladder = (
        "ladders:\n  gentle: {mode: shadow, steps: [{name: slow, score: 80%, output: {filters: [{name: f, literal: x}]}}]}\n"
    )
    old = read(tmp_path / "old", POLICY + ladder)
    assert changes(old, read(tmp_path / "new", f"{POLICY}# about ladders\n\n{ladder}")) == []
    steep = changes(old, read(tmp_path / "steep", POLICY + ladder.replace("80%", "85%")))
    assert [change.what for change in steep] == ["the ladder gentle, step slow: `score` was 80%; is 85%"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("delay: 10m", "delay: 5m", ["the ladder gentle: `delay` was 10m; is 5m"]),
        ("mode: shadow", "mode: enforce", ["the ladder gentle now does what it says"]),
        ("budgets: 50%", "budgets: 25%, review: true", ["the ladder gentle, step slow: `budgets` was 50%; is 25%",
                                                       "the ladder gentle, step slow: `review` was false; is true"]),
        ("max_tokens: 9", "max_tokens: 8", ["the ladder gentle, step slow: `output.max_tokens` was 9; is 8"]),
        ("output: {max_tokens: 9}", "refuse: true", ["the ladder gentle, step slow: `refuse` was false; is true",
                                                     "the ladder gentle, step slow: `output.max_tokens` was 9; is not said"]),
        ("{name: look, score: 50%}, ", "", ["the ladder gentle: `cluster.from` was look; is slow",
                                           "the ladder gentle, step look: is gone: whoever stands on it stands on the highest "
                                           "below it that is left"]),
        ("{name: look, score: 50%}", "{name: look, score: 50%}, {name: strip, score: 60%, output: {drop: [logprobs]}}", [
            "the ladder gentle, step strip: is new: score 60%, output.drop logprobs"]),
        ("limit: 7", "limit: 6", ["the ladder gentle, its clusters' budget `shared` allows less, and keeps what was used: "
                                  "was 7 requests per hour; is 6 requests per hour"]),
        ("name: look", "name: see", ["the ladder gentle: `cluster.from` was look; is see",
                                    "the ladder gentle, step look: is gone: whoever stands on it stands on the highest "
                                    "below it that is left",
                                    "the ladder gentle, step see: is new: score 50%"]),
    ],
)  # fmt: skip
def test_a_ladder_tells_which_step_and_what(tmp_path: Path, before: str, after: str, expected: list[str]) -> None:
    """It said that a ladder changes, and whoever was to agree to it had to look into both files."""
    ladder = (
        "ladders:\n  gentle:\n    mode: shadow\n    delay: 10m\n"
        "    steps: [{name: look, score: 50%}, {name: slow, score: 80%, budgets: 50%, output: {max_tokens: 9}}]\n"
        "    cluster: {budgets: [{name: shared, meter: requests, limit: 7, per: hour}]}\n"
    )
    assert before in ladder
    old, new = read(tmp_path / "old", POLICY + ladder), read(tmp_path / "new", POLICY + ladder.replace(before, after))
    assert [change.what for change in changes(old, new)] == expected


def test_writing_it_in_another_way_changes_nothing(directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan that says what it took over before says the same; the exit codes tell scripts."""
    old = "    extends: base\n    models: [small, large]\n    budgets:\n"
    new = "    models: [small, large]\n    output: {max_tokens: 80, reasoning: blank}\n    budgets:\n"
    new += "      - {name: minute, meter: requests, limit: 10, per: minute}\n"
    assert said(directory, tmp_path, old, new) == []
    assert main(["diff", str(directory), str(tmp_path / "new")]) == 0
    (tmp_path / "new" / "p.yaml").write_text(POLICY.replace("limit: 10,", "limit: 9,"))
    assert main(["diff", str(directory), str(tmp_path / "new")]) == 1
    assert "plan base (concerns nobody)" in capsys.readouterr().out


def test_a_directory_to_begin_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It loads, it passes its own tests, and nothing that is there is overwritten."""
    assert main(["init", str(tmp_path / "new")]) == 0
    assert len(load_dir(tmp_path / "new").plans) == 2
    assert main(["test", str(tmp_path / "new")]) == 0
    assert json.loads((tmp_path / "new" / ".schema.json").read_text())["$schema"]
    capsys.readouterr()
    assert main(["init", str(tmp_path / "new")]) == 2
    assert "is not empty" in capsys.readouterr().err
    with pytest.raises(PolicyErrors):
        load_dir(tmp_path / "nothing")
