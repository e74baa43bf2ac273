"""The analyst: what becomes of sightings, with a real archive, real detectors, and time as an argument."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from gateway.errors import SettingsError
from gateway.policy.model import Policy
from gateway.store.watch import Batch, Placement, Stated
from gateway.values import Rung, Sighting
from gateway.watch import seen as written
from gateway.watch.analyst import Analyst
from gateway.watch.archive import Archive
from gateway.watch.cases import CLUSTER
from gateway.watch.groups import LINK_EVERY_US, SILENT_US, Linker, NoLinks
from gateway.watch.runs import Gap
from gateway.watch.seen import Seen
from gateway.watch.sinks import Decision
from gateway.watch.watcher import read_rung
from tests.watch.make import NOW_US, US, Eye, generator, honest, policy_of

LADDER = """
  fast:
    mode: %s
    climb_every: 10s
    delay: 5s
    jitter: 4s
    calm_after: 1h
    requests_min: 20
    steps:
      - {name: notice, score: 50%%}
      - {name: tighten, score: 60%%, budgets: 50%%}
      - {name: refuse, score: 70%%, refuse: true}
    cluster:
      budgets: [{name: shared, meter: requests, limit: 10, per: hour}]
"""
POLICY = f"""
version: 1
watch: {{ladder: fast}}
ladders: {LADDER % "enforce"}
organisations: {{acme: {{}}, other: {{}}}}
plans: {{p: {{}}}}
tenants:
  bad: {{organisation: acme, plan: p}}
  worse: {{organisation: other, plan: p}}
  good: {{organisation: other, plan: p}}
  lab:
    organisation: acme
    plan: p
    purposes: [{{purpose: synthetic_data, until: "2099-01-01", reason: agreed}}]
  free: {{organisation: acme, plan: p, ladder: none}}
"""


class Kept:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.entries: list[str] = []
        self.decisions: list[Decision] = []
        self.gaps: list[Gap] = []
        self.checkpoints = 0

    def seen(self, entry: str, one: Seen) -> None:
        self.entries.append(entry)

    def anew(self, last: str) -> None:
        """Nothing."""

    def decided(self, decision: Decision) -> None:
        self.decisions.append(decision)

    def missing(self, gap: Gap) -> None:
        self.gaps.append(gap)

    def tick(self) -> None:
        """Nothing."""

    def checkpoint(self) -> None:
        self.checkpoints += 1

    def adopt(self, policy: Policy) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Found(NamedTuple):
    id: str
    tenants: tuple[str, ...]
    reasons: tuple[str, ...] = ("they are one",)


class Told(NoLinks):
    """Links as somebody has told them."""

    def __init__(self) -> None:
        self.found: tuple[Found, ...] = ()
        self.known: dict[str, Any] = {}

    def clusters(self, at_us: int, *, judge: Any) -> tuple[Found, ...]:
        return self.found

    def facts(self, tenant: str, facts: Any, at_us: int) -> None:
        self.known[tenant] = facts


class Desk:
    """An analyst, and what it has placed."""

    def __init__(self, folder: Path, policy: Policy, links: Linker | None = None) -> None:
        self.archive = Archive(folder / "analyst.db", windows_max=2)
        self.sink = Kept()
        self.analyst = Analyst(policy, self.archive, links or NoLinks(), self.sink, chance=lambda: 0.5)
        self.rungs: dict[str, Rung] = {}
        self.dossiers: dict[str, bytes] = {}
        self.written: dict[str, bytes] = {}
        self.now_us = NOW_US
        self.entry = 0
        self.number = 0
        self.eye = Eye()

    def send(self, subject: str, make: Any, count: int, *, first: int = 0) -> None:
        """So many requests, a second apart."""
        for number in range(first, first + count):
            self.now_us += US
            one = self.eye.seen(subject, make(number), self.now_us)
            self.entry += 1
            batch = Batch("run", self.number, 1, written.encode([one]))
            self.number += 1
            self.analyst.take(f"{self.entry}-0", batch, self.now_us)

    def tick(self, seconds: int = 0) -> list[Placement]:
        self.now_us += seconds * US
        placements = self.analyst.tick(self.now_us)
        for placement in placements:
            if placement.rung:
                rung = read_rung(placement.rung)
                assert rung is not None
                self.rungs[placement.subject] = rung
                self.written[placement.subject] = placement.rung
            if placement.dossier:
                self.dossiers[placement.subject] = placement.dossier
        return placements

    def walk(self, seconds: int, step: int = 1) -> None:
        for _ in range(0, seconds, step):
            self.tick(step)

    def step_of(self, subject: str) -> str:
        rung = self.rungs.get(subject)
        return "" if rung is None else rung.step


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    return policy_of(tmp_path / "policy", POLICY)


@pytest.fixture
def desk(tmp_path: Path, policy: Policy) -> Iterator[Desk]:
    made = Desk(tmp_path, policy)
    yield made
    made.archive.close()


def test_an_attack_climbs_and_the_honest_do_not(desk: Desk) -> None:
    """A generator goes up step by step, late and one at a time; beside it nobody moves: not the honest, not those whose purpose
    was agreed, not those without a ladder."""
    for subject in ("bad", "lab", "free"):
        desk.send(subject, generator, 40)
    desk.send("good", honest, 40)
    desk.tick()
    assert desk.rungs == {}
    climbed = []
    for second in range(60):
        desk.tick(1)
        if not climbed or climbed[-1][1] != desk.step_of("bad"):
            climbed.append((second, desk.step_of("bad")))
    assert [step for _, step in climbed] == ["", "notice", "tighten", "refuse"]
    assert climbed[1][0] >= 6  # the delay, and half of the jitter
    assert all(later[0] - earlier[0] >= 10 for earlier, later in pairwise(climbed[1:]))
    assert desk.rungs.keys() == {"bad"}
    scores = {name: orjson.loads(data)["score"] for name, data in desk.dossiers.items()}
    assert scores["bad"] > 900 > 500 > scores["good"]
    assert scores["free"] > 900
    assert scores["lab"] < 500
    decisions = [(each.kind, each.subject, each.before, each.after) for each in desk.sink.decisions]
    assert decisions == [
        ("step", "bad", "", "notice"),
        ("step", "bad", "notice", "tighten"),
        ("step", "bad", "tighten", "refuse"),
    ]
    assert all(each.profile == "generator" and each.reasons for each in desk.sink.decisions)


def test_with_few_requests_nobody_climbs(desk: Desk) -> None:
    """Nineteen of the twenty that the ladder wants."""
    desk.send("bad", generator, 19)
    desk.walk(60)
    assert desk.rungs == {}
    desk.send("bad", generator, 1, first=19)
    desk.walk(60)
    assert desk.step_of("bad") == "refuse"


def test_a_score_that_stands_still_does_not_stop_the_count(desk: Desk) -> None:
    """An operator read "14 requests" of a tenant that had sent twenty: its score had not moved, so nothing was told."""
    desk.send("good", honest, 14)
    desk.tick(20)
    before = orjson.loads(desk.dossiers["good"])
    desk.send("good", honest, 26, first=14)
    desk.tick(20)
    after = orjson.loads(desk.dossiers["good"])
    assert (before["requests"], before["score"] // 10) == (14, after["score"] // 10)
    assert 37 <= after["requests"] <= 40


def test_silence_is_calm(desk: Desk) -> None:
    """Whoever sends nothing more comes down, a step for each calm hour, and in the end nothing is left of it."""
    desk.send("bad", generator, 40)
    desk.walk(60)
    steps = []
    for _ in range(100):
        desk.tick(300)
        if not steps or steps[-1] != desk.step_of("bad"):
            steps.append(desk.step_of("bad"))
    assert steps == ["refuse", "tighten", "notice", ""]
    assert desk.now_us - NOW_US > SILENT_US


def test_rungs_are_said_again(desk: Desk) -> None:
    """Before one lapses, and not at every tick."""
    desk.send("bad", generator, 40)
    desk.walk(60)
    before = desk.rungs["bad"].until_us
    desk.tick(60)
    assert desk.rungs["bad"].until_us == before
    for minute in range(40):
        desk.send("bad", generator, 1, first=minute)
        desk.tick(60)
    assert desk.rungs["bad"].until_us > desk.now_us + 1_500 * US


def test_a_pardon(desk: Desk) -> None:
    """At once on the ground; what was seen is forgotten; and it does not climb for as long as was said."""
    desk.send("bad", generator, 40)
    desk.walk(60)
    pardon = orjson.dumps({"until_us": desk.now_us + 500 * US, "by": "ann", "reason": "a school class"})
    desk.analyst.pardon("bad", pardon, desk.now_us)
    (placement,) = [each for each in desk.tick() if each.subject == "bad"]
    assert (placement.answers, desk.step_of("bad")) == (pardon, "")
    desk.send("bad", generator, 40)
    desk.walk(300)
    assert desk.step_of("bad") == ""
    desk.send("bad", generator, 10)
    desk.walk(300)
    assert desk.step_of("bad") == "refuse"
    (decision,) = [each for each in desk.sink.decisions if each.kind == "pardon"]
    assert (decision.subject, decision.before, decision.by, decision.reason) == ("bad", "refuse", "ann", "a school class")


def test_shadow_climbs_and_says_so(tmp_path: Path) -> None:
    """The same steps; what is decided is marked as shadow."""
    shadow = policy_of(tmp_path / "shadow", POLICY.replace("mode: enforce", "mode: shadow"))
    desk = Desk(tmp_path, shadow)
    desk.send("bad", generator, 40)
    desk.walk(60)
    assert desk.step_of("bad") == "refuse"
    assert all(each.is_shadow for each in desk.sink.decisions)
    assert orjson.loads(desk.dossiers["bad"])["mode"] == "shadow"
    desk.archive.close()


def test_killed_and_begun_again(tmp_path: Path, policy: Policy) -> None:
    """What was checkpointed is known, what came later is read again, and nobody has moved by it."""
    first = Desk(tmp_path, policy)
    first.send("bad", generator, 30)
    first.walk(60)
    first.analyst.checkpoint(f"{first.entry}-0")
    first.send("bad", generator, 10, first=30)  # read, and not kept
    first.archive.close()

    second = Desk(tmp_path, policy)
    assert second.archive.mark("position") == b"30-0"
    second.analyst.recall(first.dossiers, first.written)
    second.now_us, second.entry, second.number, second.eye = first.now_us - 10 * US, 30, 30, first.eye
    assert second.archive.window("bad").requests == 30
    second.tick()
    assert second.rungs.get("bad", first.rungs["bad"]).step == "refuse"
    second.send("bad", generator, 10, first=30)
    second.walk(5)
    assert second.archive.window("bad").requests == 40
    assert second.sink.gaps == []
    assert second.sink.decisions == []
    second.archive.close()


def test_a_damaged_archive_is_put_aside(tmp_path: Path, policy: Policy) -> None:
    """The analyst begins afresh, and keeps what it found for whoever wants to look."""
    (tmp_path / "analyst.db").write_bytes(b"this is no database" * 100)
    desk = Desk(tmp_path, policy)
    assert desk.archive.mark("position") is None
    assert (tmp_path / "analyst.damaged").read_bytes().startswith(b"this is no")
    desk.archive.close()


def test_an_archive_that_cannot_be_opened_is_left_alone(tmp_path: Path) -> None:
    """A directory in its place is no damage: it is told, and nothing is moved. One that was only tried leaves no file."""
    (tmp_path / "taken.db").mkdir()
    with pytest.raises(SettingsError, match="cannot be opened"):
        Archive(tmp_path / "taken.db")
    assert (tmp_path / "taken.db").is_dir()
    Archive(tmp_path / "tried.db").discard()
    assert [path.name for path in tmp_path.iterdir()] == ["taken.db"]


def test_windows_go_to_the_archive_and_come_back(desk: Desk) -> None:
    """With room for two windows in memory, five subjects keep theirs."""
    for round_ in range(3):
        for subject in ("bad", "worse", "good", "lab", "free"):
            desk.send(subject, honest, 3, first=3 * round_)
    assert [desk.archive.window(name).requests for name in ("bad", "worse", "good", "lab", "free")] == [9] * 5


def test_strangers_and_strange_versions_are_left_out(desk: Desk) -> None:
    """A tenant that the policy no longer has, and a sighting of other features, are counted and nothing more."""
    desk.send("gone", generator, 2)
    one = desk.eye.seen("bad", generator(1), desk.now_us)
    strange = one._replace(sighting=one.sighting._replace(features=(1, 2, 3)))
    desk.analyst.take("9-0", Batch("other", 0, 1, written.encode([strange])), desk.now_us)
    assert desk.analyst.unread == 3
    desk.tick()
    assert desk.dossiers == {}


def test_a_policy_without_the_ladder_lets_go(desk: Desk, tmp_path: Path) -> None:
    """Whose ladder is gone stands on none, and gateways are told."""
    desk.send("bad", generator, 40)
    desk.walk(60)
    desk.analyst.adopt(policy_of(tmp_path / "policy", POLICY.replace("watch: {ladder: fast}", "watch: {ladder: none}")))
    desk.tick(1)
    assert desk.step_of("bad") == ""


def test_a_cluster_has_a_step_of_its_own(tmp_path: Path, policy: Policy) -> None:
    """Members that send little each are scored together, and stand on the cluster's step; a pardoned one does not."""
    links = Told()
    desk = Desk(tmp_path, policy, links)
    for subject in ("bad", "worse"):
        desk.send(subject, generator, 12, first=100 * len(subject))
    desk.walk(60)
    assert desk.rungs == {}
    links.found = (Found("c1", ("bad", "worse")),)
    desk.walk(2 * LINK_EVERY_US // US)
    assert {name: (rung.step, rung.cluster, rung.cluster_step) for name, rung in desk.rungs.items()} == {
        "bad": ("", "c1", "refuse"),
        "worse": ("", "c1", "refuse"),
    }
    dossier = orjson.loads(desk.dossiers[f"{CLUSTER}c1"])
    assert (dossier["members"], dossier["steps"]) == (["bad", "worse"], {"fast": "refuse"})
    desk.analyst.pardon("worse", orjson.dumps({"until_us": desk.now_us + 900 * US}), desk.now_us)
    desk.tick()
    assert (desk.rungs["worse"].cluster_step, desk.rungs["bad"].cluster_step) == ("", "refuse")
    links.found = ()
    desk.walk(LINK_EVERY_US // US + 1)
    assert (desk.rungs["bad"].cluster, desk.rungs["bad"].cluster_step) == ("", "")
    kinds = [(each.kind, each.subject) for each in desk.sink.decisions if each.kind in ("joined", "left")]
    assert sorted(kinds) == [("joined", "bad"), ("joined", "worse"), ("left", "bad"), ("left", "worse")]
    desk.archive.close()


def test_facts_reach_the_links(tmp_path: Path, policy: Policy) -> None:
    """What the operator states is told to whoever links; what cannot be used is counted."""
    links = Told()
    desk = Desk(tmp_path, policy, links)
    facts = {"bad": Stated(1, b'{"payment": "00ff", "by": "ann", "at_us": 1}'), "worse": Stated(1, b"no json")}
    assert desk.analyst.facts(facts, 1, NOW_US) == 1
    assert links.known == {"bad": {"payment": "00ff"}}
    (told,) = desk.sink.decisions
    assert (told.kind, told.subject, told.organisation, told.by, told.reason) == ("facts", "bad", "acme", "ann", "payment")
    desk.analyst.checkpoint("0")
    desk.archive.close()


def test_facts_are_on_record_once(tmp_path: Path, policy: Policy) -> None:
    """After a restart they are told to links again, and nothing is on record but what is new."""
    links, first = Told(), Stated(1, b'{"payment": "00ff", "by": "ann"}')
    desk = Desk(tmp_path, policy, links)
    desk.analyst.facts({"bad": first}, 1, NOW_US)
    desk.analyst.checkpoint("0")
    desk.archive.close()
    again = Desk(tmp_path, policy, links)
    links.known = {}
    again.analyst.facts({"bad": first}, 1, NOW_US)
    assert (links.known, again.sink.decisions) == ({"bad": {"payment": "00ff"}}, [])
    again.analyst.facts({"bad": Stated(2, b'{"by": "bob"}')}, 2, NOW_US)
    assert links.known == {"bad": {}}
    assert [(told.by, told.reason) for told in again.sink.decisions] == [("bob", "none")]
    again.archive.close()


def test_a_bug_in_judging_costs_one_subject_its_score(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are judged."""
    real = desk.archive.window

    def window(name: str) -> Any:
        if name == "bad" and desk.now_us > NOW_US + 100 * US:
            raise RuntimeError
        return real(name)

    desk.send("bad", generator, 40)
    desk.send("worse", generator, 70)
    monkeypatch.setattr(desk.archive, "window", window)
    desk.walk(60)
    assert (desk.step_of("bad"), desk.step_of("worse")) == ("", "refuse")


def test_poisoning(desk: Desk) -> None:
    """One tenant that sends another's requests raises nobody's score but its own."""
    desk.send("good", honest, 40)
    desk.tick()
    before = orjson.loads(desk.dossiers["good"])["score"]
    desk.send("bad", generator, 40)
    desk.send("bad", honest, 40)
    desk.walk(60)
    assert orjson.loads(desk.dossiers["good"])["score"] == before


def test_sighting_fields_are_all_written() -> None:
    """A field that is added to a sighting has a default: older gateways do not send it."""
    assert Sighting._fields[: len(Sighting._fields) - len(Sighting._field_defaults)][-1] == "phrases"


@pytest.mark.parametrize(
    ("cut", "after"),
    [
        ("      - {name: notice, score: 50%}\n", "tighten"),  # a rank alone would make the second of two steps of it: refused
        ("      - {name: tighten, score: 60%, budgets: 50%}\n", "notice"),
    ],
)
def test_a_ladder_that_loses_a_step_takes_nobody_up(tmp_path: Path, policy: Policy, cut: str, after: str) -> None:
    """Who stood on the second step stands on the step of that name, or on the one below it that is left, and climbs on
    in its own time; so after a restart, too, and so does a cluster."""
    links = Told()
    desk = Desk(tmp_path, policy, links)
    links.found = (Found("c1", ("worse", "good")),)
    desk.send("worse", generator, 40)
    desk.send("bad", generator, 40)
    while desk.step_of("bad") != "tighten":
        desk.tick(1)
    dossiers, rungs = dict(desk.dossiers), dict(desk.written)
    assert orjson.loads(dossiers[f"{CLUSTER}c1"])["steps"] == {"fast": "tighten"}
    changed = policy_of(tmp_path / "policy", POLICY.replace(cut, ""))
    desk.analyst.adopt(changed)
    desk.tick(1)
    assert desk.step_of("bad") == after
    assert desk.rungs["worse"].cluster_step == after
    desk.archive.close()

    later = Desk(tmp_path, changed, links)
    later.analyst.recall(dossiers, rungs)
    later.now_us = desk.now_us
    later.tick(1)
    said = {name: (rung.step, rung.cluster_step) for name, rung in desk.rungs.items() if name != "good"}
    expected = {} if after == "tighten" else said  # what is as it was is not said again
    assert {name: (rung.step, rung.cluster_step) for name, rung in later.rungs.items() if name != "good"} == expected
    assert {(each.subject, each.before, each.after) for each in later.sink.decisions if each.kind == "step"} == {
        (subject, "tighten", after) for subject in (f"{CLUSTER}c1", "bad", "worse") if after != "tighten"
    }
    later.archive.close()


def test_another_ladder_is_to_be_earned(tmp_path: Path, policy: Policy) -> None:
    """A tenant that is put on another ladder stands no higher there than its score reaches."""
    desk = Desk(tmp_path, policy)
    desk.send("bad", generator, 40)
    desk.walk(60)
    assert desk.step_of("bad") == "refuse"
    other = "  strict:\n    mode: enforce\n    steps: [{name: notice, score: 50%}, {name: refuse, score: 100%, refuse: true}]\n"
    text = POLICY.replace("watch: {ladder: fast}", "watch: {ladder: strict}").replace("ladders: ", f"ladders:\n{other}", 1)
    desk.analyst.adopt(policy_of(tmp_path / "policy", text))
    desk.tick(1)
    assert (desk.rungs["bad"].ladder, desk.step_of("bad")) == ("strict", "notice")
    desk.archive.close()


def test_a_pardon_forgives_what_has_not_been_read(desk: Desk, tmp_path: Path, policy: Policy) -> None:
    """What was sent before the operator's word, and is read after it (a backlog), does not count; nor is a pardon lost when
    its ladder is gone for a while."""
    word_us = desk.now_us + 100 * US
    pardon = orjson.dumps({"at_us": word_us, "until_us": word_us + 3_600 * US, "by": "ann", "reason": "a class"})
    desk.analyst.pardon("bad", pardon, word_us + 50 * US)
    desk.send("bad", generator, 100)
    assert desk.archive.window("bad").requests == 0
    desk.send("bad", generator, 40)
    assert desk.archive.window("bad").requests == 40
    desk.tick()
    desk.analyst.adopt(policy_of(tmp_path / "policy", POLICY.replace("watch: {ladder: fast}", "watch: {ladder: none}")))
    desk.walk(5)
    desk.analyst.adopt(policy)
    desk.walk(60)
    assert desk.step_of("bad") == ""


@pytest.mark.parametrize("strange", [None, True, -1, 2**63, 1e308, "x", [], ["a"], {"a": 1}])
def test_nothing_that_stands_in_the_stream_stops_the_analyst(desk: Desk, strange: Any) -> None:
    """One entry that could not be taken would be met again after every start. Whatever stands in any field is taken or left."""
    (row,) = orjson.loads(written.encode([desk.eye.seen("bad", generator(1), desk.now_us)]))
    rows = [[*row[:index], strange, *row[index + 1 :]] for index in range(len(row))]
    at = next(index for index, field in enumerate(row) if type(field) is list)
    for index in range(len(row[at])):
        rows.append([*row[:at], [*row[at][:index], strange, *row[at][index + 1 :]], *row[at + 1 :]])
    for number, each in enumerate(rows):
        desk.analyst.take(f"{number}-1", Batch("strange", number, 1, orjson.dumps([each])), desk.now_us)
    desk.send("worse", generator, 40)
    desk.walk(60)
    assert desk.step_of("worse") == "refuse"
    desk.analyst.checkpoint("9-9")


@pytest.mark.parametrize(
    "strange", [b"[]", b"5", b"null", b"{", b'{"score": "x", "pardon": 5}', b'{"score": 1, "footing": [9]}']
)
def test_dossiers_and_pardons_of_nonsense_stop_nothing(desk: Desk, strange: bytes) -> None:
    """They are the store's, and who has damaged them has damaged those subjects alone."""
    desk.analyst.recall({"bad": strange, f"{CLUSTER}c": strange}, {"bad": b"[1]"})
    desk.analyst.pardon("good", strange, desk.now_us)
    desk.send("worse", generator, 40)
    desk.walk(60)
    assert desk.step_of("worse") == "refuse"
