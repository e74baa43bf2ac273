"""Batches are seen like the same requests sent one by one, whichever way they come in, however many they are."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.detectors import Past, judge, look
from gateway.detectors.window import DUMP_BYTES_MAX, KINDS, Window
from gateway.errors import Refusal
from gateway.phases.read import JUDGED
from gateway.phases.record import Entry, Timings
from gateway.sieve import LINE_BYTES_MAX, LINES_MAX, REQUESTS_MAX, Sieve
from gateway.sighted import look_at_each, tell
from gateway.snapshot import Admission, Snapshot
from gateway.trial.asks import caller_of
from gateway.values import Ask, Caller, Sighting
from gateway.watch.many import LOOKED_AT_MAX, Many, One
from gateway.watch.seen import Seen
from gateway.wires import WIRES
from gateway.wires.base import asked
from gateway.wires.strict_json import parse
from tests.watch.make import NOW_US, SECRET, US, Eye, generator, honest, policy_of


class Told:
    """A watcher, as far as it is told things."""

    def note_many(self, many: list[Seen]) -> None:
        self.many = many


LENS = Eye().lens
POLICY = """
version: 1
models: [{match: "*", max_output_tokens: 100}]
organisations: {acme: {}}
plans: {p: {endpoints: [files, batches, chat/completions, embeddings]}}
tenants: {one: {organisation: acme, plan: p, keys: []}}
"""


@pytest.fixture
def admitted(tmp_path: Path) -> Callable[[str], Admission]:
    policy = policy_of(tmp_path / "policies", POLICY)
    snapshot, caller = Snapshot(policy, SECRET), caller_of(policy, "one")
    return lambda model: snapshot.admission(caller, model, "batches", NOW_US)


def many_of(size: int = LOOKED_AT_MAX, seal: Callable[[Ask, str], str] = lambda _ask, _id: "") -> Many:
    failures: list[Exception] = []
    many = Many(LENS, Past(), "req_1", NOW_US, seal=seal, failed=failures.append, size=size)
    assert not failures
    return many


def alone(wire: str, bodies: list[dict[str, Any]]) -> list[Sighting]:
    """As requests that come one by one, read from bytes."""
    past, found = Past(), []
    for body in bodies:
        raw = orjson.dumps(body)
        ask = asked(WIRES[wire], parse(raw, JUDGED), WIRES[wire].judge(body), text_bytes=len(raw))
        found.append(look(ask, past, LENS, NOW_US))
    return found


def in_a_batch(bodies: list[dict[str, Any]], many: Many) -> list[One]:
    """As a batch of messages."""
    body = {"requests": [{"custom_id": str(at), "params": each} for at, each in enumerate(bodies)]}
    wire = WIRES["anthropic.batches"]
    look_at_each(asked(wire, body, wire.judge(body), text_bytes=0), many)
    return many.seen()


def jsonl(bodies: list[dict[str, Any]], url: str = "/v1/chat/completions") -> bytes:
    lines = [{"custom_id": str(at), "method": "POST", "url": url, "body": each} for at, each in enumerate(bodies)]
    return b"\n".join(map(orjson.dumps, lines))


def sieve_of(admitted: Callable[[str], Admission], many: Many) -> Sieve:
    return Sieve(admitted, frozenset(("/v1/chat/completions", "/v1/embeddings")), many)


def scores(sightings: list[Sighting], every_us: int) -> dict[str, int]:
    window = Window()
    for at, sighting in enumerate(sightings):
        window.add(sighting, NOW_US + at * every_us, 0)
    return {finding.profile: finding.score for finding in judge(window, frozenset())}


def traffic(kind: str, count: int = 200) -> list[dict[str, Any]]:
    draw = random.Random(7)
    if kind == "attack":
        return [generator(at) for at in range(count)]
    if kind == "half":
        return [generator(at) if draw.random() < 0.5 else honest(at) for at in range(count)]
    return [honest(at) for at in range(count)]


@pytest.mark.parametrize(("kind", "least", "most"), [("attack", 900, 1000), ("half", 500, 1000), ("honest", 0, 100)])
def test_a_batch_is_seen_like_its_requests(kind: str, least: int, most: int, admitted: Callable[[str], Admission]) -> None:
    """Sighting for sighting and score for score: one by one, as a batch of messages, as a file in two blocks."""
    bodies = traffic(kind)
    messages, chats = alone("anthropic.messages", bodies), alone("openai.chat", bodies)
    assert [one.sighting for one in in_a_batch(bodies, many_of())] == messages

    many = many_of()
    sieve, lines = sieve_of(admitted, many), jsonl(bodies)
    cut = lines.index(b"\n", len(lines) // 2) + 1
    sieve.take(lines[:cut])
    sieve.take(lines[cut:])
    assert [one.sighting for one in many.seen()] == chats

    expected = scores(chats, every_us=US)
    assert least <= max(expected.values()) <= most
    for found in (messages, chats):
        assert scores(found, every_us=0) == expected


def test_a_sample_of_a_large_batch_is_seen_like_all_of_it() -> None:
    """Of three thousand requests, a third of an attack, a thousand are looked at: shares and scores are those of all."""
    draw = random.Random(3)
    bodies = [generator(at) if draw.random() < 0.3 else honest(at) for at in range(3_000)]
    many = many_of()
    seen = in_a_batch(bodies, many)
    assert (len(seen), many.came) == (LOOKED_AT_MAX, 3_000)
    assert [one.place for one in seen] == sorted({one.place for one in seen})
    share = sum("invention" in one.sighting.phrases for one in seen) / len(seen)
    assert abs(share - 0.3) < 0.05
    whole, sample = scores(alone("anthropic.messages", bodies), US), scores([one.sighting for one in seen], 0)
    assert all(abs(whole[profile] - sample[profile]) <= 60 for profile in whole)


def test_a_large_batch_is_not_hidden_behind_a_few_requests() -> None:
    """Twenty thousand requests of an attack, of which a thousand were looked at, and a thousand honest ones after them: still
    more than nine of ten that were sent are the attack's, and the window knows. Unweighed it would be half."""
    attack, decent = alone("openai.chat", traffic("attack", 1_000)), alone("openai.chat", traffic("honest", 1_000))
    window = Window()
    for sighting in attack:
        window.add(sighting, NOW_US, 0, 20)
    for sighting in decent:
        window.add(sighting, NOW_US + US, 0)
    inventing = window.kinds[KINDS.index("inventing")]
    assert 0.85 < inventing[0] / window.weight < 0.96
    assert (window.requests < 1_000, len(window.dump()) <= DUMP_BYTES_MAX) == (True, True)
    assert Window.load(window.dump()).requests == window.requests


def test_what_was_looked_at_stands_for_all() -> None:
    """As many requests are accounted for as came, whatever of them was looked at."""
    for came, size in ((1, 1_000), (1_000, 1_000), (1_001, 1_000), (2_500, 1_000), (7, 3), (50_000, 1_000)):
        many = many_of(size)
        body = honest(1)
        ask = asked(WIRES["openai.chat"], body, WIRES["openai.chat"].judge(body), text_bytes=100)
        for _ in range(came):
            if many.wants():
                many.show(lambda ask=ask: ask)
        entry = Entry("req_1", Timings())
        entry.caller, entry.many = Caller("acme", "one", "one-1", "p"), many
        told = Told()
        tell(told, entry)  # type: ignore[arg-type]
        assert sum(one.stands_for for one in told.many) == came
        assert {one.batch_requests for one in told.many} == {came}
        assert len({one.request_id for one in told.many}) == len(told.many) == min(came, size)
        assert {one.stands_for for one in told.many} <= {came // min(came, size), came // min(came, size) + 1}


def test_a_batch_says_nothing_of_when_requests_come() -> None:
    """A thousand requests of one moment are one arrival: what was measured of the gaps before stays as it was."""
    window = Window()
    for at, sighting in enumerate(alone("openai.chat", traffic("honest", 20))):
        window.add(sighting, NOW_US + at * 60 * US, 0)
    before = (window.gaps, window.gap_sum, window.gap_squares)
    batch = NOW_US + 21 * 60 * US
    for sighting in alone("openai.chat", traffic("attack", 100)):
        window.add(sighting, batch, 0)
    assert (window.gaps, window.gap_sum) == (before[0] + 1, before[1] + 120)


def test_nothing_is_shared_with_the_loop() -> None:
    """The copy that a batch is looked at against goes its own way."""
    past = Past()
    copy = past.copy()
    Many(LENS, copy, "r", NOW_US, seal=lambda _ask, _id: "", failed=lambda _: None)
    in_a_batch(traffic("attack", 5), Many(LENS, copy, "r", NOW_US, seal=lambda _a, _b: "", failed=lambda _: None))
    assert (past.requests, copy.requests) == (0, 5)
    assert not any(past.low)


def test_a_failure_costs_the_sighting() -> None:
    """What cannot be made or looked at is left out and told of; the others are seen."""
    failures: list[Exception] = []

    def made(ask: Ask) -> Ask:
        raise ValueError("a bug")

    many = Many(LENS, Past(), "r", NOW_US, seal=lambda _ask, _id: "", failed=failures.append)
    body = honest(1)
    ask = asked(WIRES["openai.chat"], body, WIRES["openai.chat"].judge(body), text_bytes=100)
    for make in (partial(made, ask), lambda: ask):
        assert many.wants()
        many.show(make)
    assert ([one.place for one in many.seen()], len(failures)) == ([2], 1)


def test_samples_are_sealed_each_under_its_own_id() -> None:
    """Each request's sample is bound to its place in the batch."""
    many = many_of(seal=lambda _ask, request_id: request_id)
    assert [one.sealed for one in in_a_batch(traffic("honest", 3), many)] == ["req_1/1", "req_1/2", "req_1/3"]


def test_embeddings_are_not_looked_at(admitted: Callable[[str], Admission]) -> None:
    """A file for embeddings teaches nobody a model's words."""
    many = many_of()
    sieve_of(admitted, many).take(jsonl([{"model": "m", "input": "Write a poem."}] * 3, "/v1/embeddings"))
    assert (many.came, many.seen()) == (0, [])


def test_hostile_files(admitted: Callable[[str], Admission]) -> None:
    """A hundred thousand requests, a line of ten megabytes, lines that are no JSON: refused in the line's name as before."""
    line = jsonl([{"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}])
    many = many_of()
    with pytest.raises(Refusal, match=f"Line {REQUESTS_MAX + 1} of the file: A file holds at most {REQUESTS_MAX} requests"):
        sieve_of(admitted, many).take((line + b"\n") * 100_000)
    assert (many.came, len(many.seen())) == (REQUESTS_MAX, LOOKED_AT_MAX)
    with pytest.raises(Refusal, match=f"A file has at most {LINES_MAX} lines"):
        sieve_of(admitted, many_of()).take(b"\n" * (LINES_MAX + 1))
    long = jsonl([{"model": "m", "messages": [{"role": "user", "content": "x" * 10_000_000}]}])
    with pytest.raises(Refusal, match=f"must have at most {LINE_BYTES_MAX} bytes"):
        sieve_of(admitted, many_of()).take(long)
    many = many_of()
    with pytest.raises(Refusal, match="Line 2 of the file"):
        sieve_of(admitted, many).take(line + b"\nnot JSON\n" + line)
    assert many.came == 1
