"""What the analyst tells becomes entries, each in the chains of those whom it is about."""

from pathlib import Path

import orjson

from gateway.evidence.books import DEPLOYMENT, directory_of
from gateway.evidence.segments import segments
from tests.evidence.make import Clock, checked, decision, exported, open_sink, seen


def shown(root: Path, clock: Clock, tenant: str, organisation: str) -> list[dict[str, object]]:
    lines = exported(root, clock, tenant, organisation)
    assert checked(lines).problems == ()
    return [orjson.loads(line)["body"] for line in lines[1:-1] if b'"body"' in line]


def test_a_sighting_has_no_text_and_all_numbers(tmp_path: Path) -> None:
    """Everything that was seen is written: fingerprints in hex, feature values in order, the rules that made them."""
    clock = Clock()
    sink = open_sink(tmp_path, clock)
    sink.seen("5-1", seen(3))
    sink.close()
    body = next(body for body in shown(tmp_path, clock, "acme", "org") if body["kind"] == "sighting")
    assert body["sighting"] == {
        "prompt_bytes": 700, "slot_bytes": 300, "template": "8000000000000003", "content": "0000000000000003",
        "sketch": [1, 2], "habits": "0000000000000009", "features": [500, 20], "phrases": ["thinking"],
        "signature": "", "session": "0000000000000005", "system": "0000000000000006", "before": "",
    }  # fmt: skip
    assert (body["request_id"], body["policy"], body["position"], "sealed" in body) == (
        "req-3",
        "0123456789abcdef",
        ["5-1", 1],
        False,
    )
    assert body["rules"] in {path.stem for path in (tmp_path / "rules").iterdir()}


def test_a_clusters_step_is_told_to_every_member(tmp_path: Path) -> None:
    """Its members are known after a restart too; who has left is told no more."""
    clock = Clock()
    sink = open_sink(tmp_path, clock)
    for tenant, organisation in (("a", "one"), ("b", "two"), ("c", "two")):
        sink.decided(decision(clock(), "joined", tenant, organisation, cluster="77"))
    sink.tick()
    sink._books.abandon()
    clock.now_us += 2_000_000
    sink = open_sink(tmp_path, clock)
    sink.decided(decision(clock(), "left", "c", "two", cluster="77"))
    sink.decided(decision(clock(), "step", "cluster:77", "", after="refuse", cluster="77"))
    sink.close()
    for tenant, organisation, steps in (("a", "one", 1), ("b", "two", 1), ("c", "two", 0), ("cluster:77", DEPLOYMENT, 1)):
        found = [body for body in shown(tmp_path, clock, tenant, organisation) if body.get("decision") == "step"]
        assert [(body["subject"], body["after"]) for body in found] == [("cluster:77", "refuse")] * steps


def test_a_key_that_is_watched_apart_belongs_to_its_tenant(tmp_path: Path) -> None:
    """What was decided of TENANT/KEY is in the tenant's evidence."""
    clock = Clock()
    sink = open_sink(tmp_path, clock)
    sink.decided(decision(clock(), "pardon", "acme/k1", "org", by="ada", reason="agreed"))
    sink.close()
    (body,) = [body for body in shown(tmp_path, clock, "acme", "org") if body["kind"] == "decision"]
    assert (body["subject"], body["by"], body["reason"]) == ("acme/k1", "ada", "agreed")
    assert body["reasons"] == [{"code": "few_words", "value": 3, "usual": 1, "unit": "%"}]


def test_everything_is_signed_within_a_second(tmp_path: Path) -> None:
    """After a tick a second later nothing is left unsigned."""
    clock = Clock()
    sink = open_sink(tmp_path, clock)
    sink.tick()
    sink.seen("5-1", seen(3))
    clock.now_us += 1_000_000
    sink.tick()
    (segment,) = segments(directory_of(tmp_path, "org"))
    last = orjson.loads(segment.path.read_bytes().splitlines()[-1])
    assert (last["upto"], last["position"]) == (2, ["5-1", 1])
    sink.close()


def test_members_that_cannot_be_read_are_none(tmp_path: Path) -> None:
    """A damaged file costs the copies in the members' chains, not the analyst."""
    clock = Clock()
    open_sink(tmp_path, clock).close()
    (tmp_path / "members.json").write_bytes(b"[1]")
    sink = open_sink(tmp_path, clock)
    sink.decided(decision(clock(), "step", "cluster:77", "", cluster="77"))
    sink.close()
    assert len(shown(tmp_path, clock, "cluster:77", DEPLOYMENT)) == 3
