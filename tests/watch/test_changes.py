"""A tenant that is not like its own past: told, on record, perhaps looked at, and never moved."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from gateway.detectors import History
from gateway.policy.model import Policy
from gateway.watch import changes
from gateway.watch.desk import Wanted, _is_meant
from gateway.watch.ladder import GROUND
from gateway.watch.telling import brief, row_of, shown
from tests.watch.make import US, WORDS, honest, policy_of
from tests.watch.test_analyst import Desk

POLICY = """
version: 1
watch: {ladder: usual}
ladders:
  usual: {mode: enforce, delay: 1s, jitter: 1s, climb_every: 1s, steps: [{name: refuse, score: 50%%, refuse: true}]%s}
  look: {mode: enforce, on_change: review, steps: [{name: refuse, score: 50%%, refuse: true}]}
  deaf: {mode: enforce, on_change: ignore, steps: [{name: refuse, score: 50%%, refuse: true}]}
organisations: {acme: {}}
plans: {p: {}}
tenants:
  usual: {organisation: acme, plan: p}
  look: {organisation: acme, plan: p, ladder: look}
  deaf: {organisation: acme, plan: p, ladder: deaf}
  free: {organisation: acme, plan: p, ladder: none}
"""
DAYS_GAP_S = 600


def tagged(number: int) -> dict[str, Any]:
    """What another program of an honest tenant sends: short texts to be labelled, with settings of its own."""
    text = " ".join(random.Random(number).sample(WORDS, 9))
    messages = [
        {"role": "system", "content": "You label mails."},
        {"role": "user", "content": f"Mail: {text}\nLabel, spam or ham:"},
    ]
    return {"model": "demo-small", "max_tokens": 3, "temperature": 0, "seed": 1, "messages": messages}


def spread(desk: Desk, subject: str, make: Any, count: int, *, first: int = 0, gap_s: int = DAYS_GAP_S) -> None:
    """So many requests, so far apart, judged as they come."""
    for number in range(first, first + count):
        desk.now_us += (gap_s - 1) * US
        desk.send(subject, make, 1, first=number)
        desk.tick()


def row(desk: Desk, subject: str) -> dict[str, Any]:
    desk.walk(40, 20)
    found: dict[str, Any] = orjson.loads(desk.dossiers[subject])
    return found


def kinds(desk: Desk, subject: str) -> list[str]:
    return [each.kind for each in desk.sink.decisions if each.subject == subject]


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    return policy_of(tmp_path / "policy", POLICY % "")


@pytest.fixture
def desk(tmp_path: Path, policy: Policy) -> Iterator[Desk]:
    made = Desk(tmp_path, policy)
    yield made
    made.archive.close()


def test_a_change_is_told_and_moves_nobody(desk: Desk, policy: Policy) -> None:
    """An honest tenant becomes another program: a decision with reasons, a warning, sentences; no step, no rung, no score."""
    spread(desk, "usual", honest, 240)
    before = row(desk, "usual")
    assert before["change"] is None
    assert kinds(desk, "usual") == []
    with capture_logs() as logs:
        spread(desk, "usual", tagged, 60)
    after = row(desk, "usual")
    (decision,) = [each for each in desk.sink.decisions if each.kind == "change"]
    assert (decision.profile, decision.before, decision.after, decision.ladder) == ("change", "", "", "usual")
    assert decision.reasons
    assert decision.score > 500
    assert [each["event"] for each in logs if each["event"].startswith("watch_")] == ["watch_change"]
    assert desk.rungs == {}
    assert (after["step"], after["footing"][0], after["score"] < 500, after["profile"] != "change") == ("", 0, True, True)
    assert (after["review"], after["change"]["young"]) == (False, False)
    said = shown(after, policy, desk.now_us)
    (line,) = [each for each in said if each.startswith("not like its own past, since 20")]
    assert line.endswith("no ground for a step:")
    assert "requests, beside 240 of the 47 hours before" in said[said.index(line) + 1]
    assert "on ladder usual: on no step" in said
    assert "  how many requests have a system prompt: from 0% to 100%" in said
    assert any(each.startswith("measured, and no part of any score") for each in said)
    assert "changed" in row_of(after, desk.now_us)[2]
    assert brief(after)["changed_since"].startswith("20")
    assert _is_meant(after, Wanted())
    assert not _is_meant(before, Wanted())


def test_a_policy_says_what_follows(desk: Desk) -> None:
    """`review` puts it in the list of whom to look at, `ignore` leaves it in the dossier; without a ladder it is recorded."""
    for subject in ("look", "deaf", "free"):
        spread(desk, subject, honest, 240)
        with capture_logs() as logs:
            spread(desk, subject, tagged, 60)
        found = row(desk, subject)
        told = [each["event"] for each in logs if each["event"] == "watch_change"]
        assert found["change"] is not None
        assert (kinds(desk, subject), bool(told), found["review"]) == {
            "look": (["change"], True, True),
            "deaf": ([], False, False),
            "free": (["change"], False, False),
        }[subject]
    assert desk.rungs == {}


class Changing(History):
    """Says that everything has changed, all the time, by all there is."""

    def change(self) -> changes.Change:
        reasons = (changes.Reason("tools", 1_000, 0, "per mille"),)
        return changes.Change(self.last_us, self.last_us, False, 192, 1, changes.Finding("change", 1_000, reasons, 48))


@pytest.mark.parametrize("word", ["notify", "review", "ignore"])
def test_a_change_alone_never_moves_a_footing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    """Whatever a history says, and however often: for a week nobody leaves the ground, on no word of `on_change`."""
    monkeypatch.setattr("gateway.watch.archive.History", Changing)
    desk = Desk(tmp_path, policy_of(tmp_path / "policy", POLICY % f", on_change: {word}"))
    spread(desk, "usual", honest, 6, first=10_000)
    for hour in range(7 * 24):
        spread(desk, "usual", honest, 2, first=2 * hour, gap_s=1_800)
        case = desk.analyst._book.cases["usual"]
        assert case.change is not None
        assert case.score < 500
        assert case.footing._replace(at_us=0) == GROUND
    assert desk.rungs == {}
    assert {each.kind for each in desk.sink.decisions} <= {"change"}
    desk.archive.close()


def test_the_first_day_calls_nobody(desk: Desk) -> None:
    """A change in the first hours is shown and on record, and no ladder's word follows."""
    spread(desk, "look", honest, 240, gap_s=60)
    with capture_logs() as logs:
        spread(desk, "look", tagged, 60, gap_s=60)
    found = row(desk, "look")
    assert (found["change"]["young"], found["review"], kinds(desk, "look")) == (True, False, ["change"])
    assert [each for each in logs if each["event"] == "watch_change"] == []
    assert any("first day" in each for each in changes.told(found))


def test_a_pardon_forgets_the_past(desk: Desk) -> None:
    """What it was is forgotten with what it did: it begins anew, and the same traffic is no change any more."""
    spread(desk, "usual", honest, 240)
    spread(desk, "usual", tagged, 60)
    assert row(desk, "usual")["change"] is not None
    desk.analyst.pardon("usual", orjson.dumps({"at_us": desk.now_us, "by": "me", "reason": "redeployed"}), desk.now_us)
    assert row(desk, "usual")["change"] is None
    spread(desk, "usual", tagged, 240, first=60)
    assert row(desk, "usual")["change"] is None
    assert kinds(desk, "usual") == ["change", "pardon"]


def test_a_history_outlives_a_restart_and_is_told_once(tmp_path: Path, policy: Policy, desk: Desk) -> None:
    """What was known is known afterwards, and a change that is on record is not put there again."""
    spread(desk, "usual", honest, 240)
    spread(desk, "usual", tagged, 72)
    row(desk, "usual")
    desk.analyst.checkpoint("1-0")
    desk.archive.close()
    again = Desk(tmp_path, policy)
    again.analyst.recall(desk.dossiers, {})
    again.now_us, again.number, again.entry, again.eye = desk.now_us, desk.number, desk.entry, desk.eye
    spread(again, "usual", tagged, 24, first=72)
    found = row(again, "usual")
    assert found["change"]["since_us"] == orjson.loads(desk.dossiers["usual"])["change"]["since_us"]
    assert found["change"]["requests"] > orjson.loads(desk.dossiers["usual"])["change"]["requests"]
    assert again.sink.decisions == []
    desk.archive = again.archive


def test_archives_and_dossiers_of_before_are_read(tmp_path: Path, policy: Policy, desk: Desk) -> None:
    """An archive that knows no histories begins them; one of another version, and a dossier without a change, are none."""
    spread(desk, "usual", honest, 30)
    row(desk, "usual")
    desk.analyst.checkpoint("1-0")
    desk.archive._db.execute("DROP TABLE histories")
    desk.archive.checkpoint()
    desk.archive.close()
    again = Desk(tmp_path, policy)
    old = {key: value for key, value in orjson.loads(desk.dossiers["usual"]).items() if key not in ("change", "measured")}
    again.analyst.recall({"usual": orjson.dumps(old)}, {})
    assert again.archive.window("usual").requests == 30
    assert again.archive.history("usual").blocks == 0
    again.archive._db.execute("INSERT INTO histories VALUES ('look', x'ff00')")
    assert again.archive.history("look").blocks == 0
    assert changes.told(old) == changes.measured(old) == []
    assert shown(old, policy, desk.now_us)
    desk.archive = again.archive


def test_histories_of_many_tenants_are_written_when_they_leave_memory(desk: Desk) -> None:
    """Of two windows that fit in memory the others come back from the file, with their histories."""
    for number in range(5):
        for at in range(number + 1):
            desk.archive.history(f"t{number}").recent.requests = at + 1
        desk.archive.changed(f"t{number}")
    assert [desk.archive.history(f"t{number}").recent.requests for number in range(5)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("said", [[], {}, {"since_us": 1}, 7, {"reasons": [["a"]]}, "x"])
def test_what_is_no_change_is_told_as_such(said: Any) -> None:
    """A dossier that somebody else wrote breaks no list."""
    assert changes.told({"change": said}) == ["what its dossier says of its own past cannot be read"]
