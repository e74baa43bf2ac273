"""An analyst that takes over with what another has left, or what it had left itself long ago; what a pardon forgets."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from gateway.policy.model import Policy
from gateway.store.watch import Batch, Stated
from gateway.values import Sighting
from gateway.watch import seen as written
from gateway.watch.cases import CLUSTER
from gateway.watch.groups import LINK_EVERY_US
from tests.watch.make import NOW_US, US, generator, policy_of
from tests.watch.test_analyst import POLICY, Desk, Found, Told


class Noted(Told):
    """Links that say what they have been told, and forget."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: dict[str, int] = {}

    def note(self, tenant: str, sighting: Sighting, at_us: int) -> None:
        self.notes[tenant] = self.notes.get(tenant, 0) + 1

    def forget(self, tenant: str) -> None:
        self.notes.pop(tenant, None)
        self.known.pop(tenant, None)


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    return policy_of(tmp_path / "policy", POLICY)


def pardon_of(at_us: int, reason: str = "a class", *, seconds: int = 60) -> bytes:
    return orjson.dumps({"at_us": at_us, "until_us": at_us + seconds * US, "by": "ann", "reason": reason})


def test_a_pardon_holds_over_an_archive_that_lay_aside(tmp_path: Path, policy: Policy) -> None:
    """One machine's analyst saw an attack and was stopped. Days later another's pardoned the tenant, and its cluster. The first
    takes over again: its windows and links are from before the pardon, and a step would follow from them at once."""
    old = Noted()
    first = Desk(tmp_path / "first", policy, old)
    old.found = (Found("c1", ("bad", "worse")),)
    for subject in ("bad", "worse"):
        first.send(subject, generator, 40)
    first.walk(2 * LINK_EVERY_US // US)
    first.analyst.checkpoint("80-0", with_links=True)
    first.archive.close()

    second = Desk(tmp_path / "second", policy, Noted())
    second.analyst.recall(first.dossiers, first.written)
    second.now_us = first.now_us + 3 * 86_400 * US
    for name in ("bad", f"{CLUSTER}c1"):
        second.analyst.pardon(name, pardon_of(second.now_us), second.now_us)
    second.walk(30)
    second.archive.close()

    third = Desk(tmp_path / "first", policy, old)
    assert third.archive.window("bad").requests == 40
    third.analyst.recall({**first.dossiers, **second.dossiers}, {**first.written, **second.written})
    assert [third.archive.window(name).requests for name in ("bad", f"{CLUSTER}c1", "worse")] == [0, 0, 40]
    assert old.notes == {"worse": 40}
    third.now_us, third.entry, third.number = second.now_us + 3_600 * US, 80, 80
    third.send("bad", generator, 10)
    third.walk(300)
    assert third.step_of("bad") == ""
    third.analyst.checkpoint("90-0", with_links=True)
    third.archive.close()

    fourth = Desk(tmp_path / "first", policy, old)
    fourth.analyst.recall({**first.dossiers, **second.dossiers, **third.dossiers}, third.written)
    assert fourth.archive.window("bad").requests == 10  # once is enough
    assert old.notes["bad"] == 10
    fourth.archive.close()


def test_links_that_were_kept_before_a_pardon_forget_it_after_a_crash(tmp_path: Path, policy: Policy) -> None:
    """Windows are kept at once when a pardon is answered, links every ten minutes: killed in between, they come back."""
    links = Noted()
    desk = Desk(tmp_path, policy, links)
    desk.send("bad", generator, 40)
    desk.tick()
    desk.analyst.checkpoint("40-0", with_links=True)
    desk.analyst.pardon("bad", pardon_of(desk.now_us), desk.now_us)
    desk.tick()
    desk.analyst.checkpoint("40-0")
    desk.archive.close()
    links.notes = {"bad": 40}  # as they were kept
    again = Desk(tmp_path, policy, links)
    again.analyst.recall(desk.dossiers, desk.written)
    assert links.notes == {}
    again.archive.close()


def test_a_pardon_forgets_what_linked_and_not_what_the_operator_knows(tmp_path: Path, policy: Policy) -> None:
    """A pardoned cluster's members would be linked again within a minute by what they had sent before. Facts stay: they are the
    operator's own word."""
    links = Noted()
    desk = Desk(tmp_path, policy, links)
    links.found = (Found("c1", ("bad", "worse")),)
    for subject in ("bad", "worse", "good"):
        desk.send(subject, generator, 12)
    desk.walk(LINK_EVERY_US // US + 1)
    desk.analyst.facts({"bad": Stated(1, b'{"payment": "00ff", "by": "ann"}')}, 1, desk.now_us)
    desk.analyst.pardon(f"{CLUSTER}c1", pardon_of(desk.now_us), desk.now_us)
    assert links.notes == {"good": 12}
    assert links.known == {"bad": {"payment": "00ff"}}
    desk.archive.close()


def test_a_pardon_of_a_cluster_that_nobody_knows_is_on_record(desk_of: Desk) -> None:
    """It had dissolved since the operator saw it: that it was pardoned, by whom and why, and that nothing came of it."""
    name = f"{CLUSTER}cluster-0badcafe"
    desk_of.analyst.pardon(name, pardon_of(desk_of.now_us, "one school"), desk_of.now_us)
    (placement,) = desk_of.tick()
    assert (placement.subject, placement.rung, placement.dossier) == (name, b"", b"")
    (told,) = desk_of.sink.decisions
    assert (told.kind, told.subject, told.by) == ("pardon", name, "ann")
    assert told.reason == "one school (no cluster of this id was known)"


@pytest.fixture
def desk_of(tmp_path: Path, policy: Policy) -> Desk:
    return Desk(tmp_path, policy, Noted())


def test_links_learn_again_what_they_had_not_kept(tmp_path: Path, policy: Policy) -> None:
    """Killed nine minutes after links were kept, the analyst lost nine minutes of them: windows had been kept, so the stream
    was read on from there. Now links read it again from where they were, each request once, and without those that a pardon
    has forgiven since; what the stream no longer holds is counted."""
    links = Noted()
    desk = Desk(tmp_path, policy, links)
    desk.send("bad", generator, 10)
    desk.analyst.checkpoint("10-0", with_links=True)
    desk.archive.close()

    links.notes = {"bad": 10}
    again = Desk(tmp_path, policy, links)
    assert again.archive.mark("links_position") == b"10-0"

    def entry(number: int, count: int = 5, subject: str = "bad") -> Batch:
        several = [again.eye.seen(subject, generator(number + at), NOW_US + number + at) for at in range(count)]
        return Batch("run", number, count, written.encode(several))

    missing = [again.analyst.relink(batch, NOW_US) for batch in (entry(10), entry(10), entry(15), entry(30))]
    assert (missing, links.notes) == ([0, 0, 0, 10], {"bad": 25})
    again.analyst.pardon("worse", pardon_of(NOW_US + 37), NOW_US + 37)
    assert again.analyst.relink(entry(35, subject="worse"), NOW_US) == 0
    assert links.notes == {"bad": 25, "worse": 2}
    assert again.sink.entries == []
    assert again.archive.window("bad").requests == 10
    again.archive.close()


def test_a_clock_that_leapt_ahead_and_is_back(tmp_path: Path, policy: Policy) -> None:
    """What was judged, told and pardoned in the future froze its subject until the clock had caught up, a year later."""
    desk = Desk(tmp_path, policy)
    ahead_us = 365 * 86_400 * US
    desk.now_us += ahead_us
    desk.send("bad", generator, 40)
    desk.walk(15)
    assert desk.step_of("bad") == "notice"
    desk.analyst.pardon("worse", pardon_of(desk.now_us, seconds=300), desk.now_us)
    desk.tick()

    desk.now_us -= ahead_us
    desk.tick()
    assert desk.rungs["bad"].until_us <= desk.now_us + 3_600 * US  # gateways would have obeyed it for a year
    desk.send("worse", generator, 40)
    desk.walk(60)
    assert (desk.step_of("bad"), desk.step_of("worse")) == ("refuse", "")
    assert desk.archive.window("worse").requests == 40
    desk.walk(300)
    assert desk.step_of("worse") == "refuse"
    for _ in range(100):
        desk.tick(300)
    assert (desk.step_of("bad"), desk.step_of("worse")) == ("", "")
    desk.archive.close()
