"""What gateways write and the analyst reads: nothing of a text, and nothing that a gap could hide behind."""

from __future__ import annotations

import json

import orjson
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.watch import Batch
from gateway.values import Rung
from gateway.watch.runs import SILENT_US, Runs
from gateway.watch.seen import Seen, decode, encode
from gateway.watch.watcher import read_rung, write_rung
from tests.watch.make import NOW_US, Eye, generator

SIGHTING = 1 + Seen._fields.index("sighting")
"""Its place in a row."""


def test_there_and_back() -> None:
    """What is written is read; what a newer gateway adds is left, and what an older one has not is as if nothing was seen."""
    seen = [Eye().seen("acme/key", generator(number))._replace(batch_requests=9, stands_for=3) for number in range(3)]
    data = encode(seen)
    assert decode(data) == (seen, 0)
    rows = orjson.loads(data)
    for row in rows:
        row[SIGHTING].append("newer")
        row.append("newer")
    assert decode(orjson.dumps(rows)) == (seen, 0)
    for row in rows:
        row[SIGHTING] = row[SIGHTING][:8]
        del row[SIGHTING + 2 :]
    older = [
        one._replace(sighting=one.sighting._replace(signature=0, session=0, system=0), batch_requests=0, stands_for=1)
        for one in seen
    ]
    assert decode(orjson.dumps(rows)) == (older, 0)


@given(st.binary(max_size=200))
def test_nothing_that_is_written_raises(data: bytes) -> None:
    """Whatever somebody put into the stream."""
    decode(data)
    read_rung(data)


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=20), max_leaves=40))
def test_nothing_that_is_json_raises(value: object) -> None:
    """Nor what is JSON, and none of ours."""
    data = json.dumps(value).encode()
    decode(data)
    rung = read_rung(data)
    assert rung is None or isinstance(rung, Rung)


def test_rungs_there_and_back() -> None:
    """A rung is read as it was written."""
    rung = Rung("acme", "standard", "slow", 1, 2, "c1", "notice")
    assert read_rung(write_rung(rung)) == rung


def test_no_text_is_written() -> None:
    """No word of a prompt is in what goes to the store."""
    body = generator(1)
    body["messages"][0]["content"] += " Xylophonist Quetzalcoatl"
    data = encode([Eye().seen("acme", body)]).lower()
    words = {word.strip(".,;:()").lower() for word in body["messages"][0]["content"].split()}
    assert {word for word in words if len(word) > 5 and word.isalpha() and word.encode() in data} == set()


def batch(run: str, first: int, numbers: int, *, data: bytes = b"[1]", is_last: bool = False) -> Batch:
    return Batch(run, first, numbers, data, is_last)


def test_the_clock_story_of_a_gap() -> None:
    """A run that tells everything has no gap; what is missing, dropped or broken off is told once, and told again is told."""
    runs = Runs()
    assert runs.take(batch("a", 0, 10), NOW_US) == (0, [])
    assert runs.take(batch("a", 0, 64), NOW_US) == (10, [])  # told again, for nobody knew whether it had arrived
    told_before, (gap,) = runs.take(batch("a", 100, 5), NOW_US)
    assert (told_before, gap.first, gap.numbers, gap.why) == (0, 64, 36, "lost")
    told_before, (gap,) = runs.take(batch("a", 105, 7, data=b"[]"), NOW_US)
    assert (gap.first, gap.numbers, gap.why) == (105, 7, "dropped")
    assert runs.take(batch("a", 112, 0, data=b"[]"), NOW_US) == (0, [])
    assert runs.take(batch("b", 0, 1), NOW_US) == (0, [])
    assert runs.take(batch("b", 1, 0, data=b"[]", is_last=True), NOW_US) == (0, [])
    assert runs.silent(NOW_US + SILENT_US) == []
    (gap,) = runs.silent(NOW_US + SILENT_US + 1)
    assert (gap.run, gap.first, gap.numbers, gap.why) == ("a", 112, 0, "broken")
    assert runs.silent(NOW_US + 2 * SILENT_US + 1) == []


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5)), max_size=40))
def test_every_number_is_told_once(steps: list[tuple[int, int]]) -> None:
    """Whatever is told again (a step back) or lost (a step forward), each number is taken or missing exactly once."""
    runs, number, taken, missing = Runs(), 0, [], []
    for jump, size in steps:
        first = max(0, number + (jump - 2))
        told_before, gaps = runs.take(batch("a", first, size), NOW_US)
        taken += range(first + told_before, first + size)
        for gap in gaps:
            missing += range(gap.first, gap.first + gap.numbers)
        number = max(number, first + size)
    assert sorted(taken + missing) == list(range(number))


def test_runs_survive_a_restart() -> None:
    """What was known of runs is known after it."""
    runs, later = Runs(), Runs()
    runs.take(batch("a", 0, 10), NOW_US)
    later.load(orjson.loads(orjson.dumps(runs.dump())))
    assert later.take(batch("a", 0, 12), NOW_US) == (10, [])
