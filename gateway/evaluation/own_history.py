"""Is a tenant like its own past? Honest tenants over some days, that stay as they are, that are redeployed, and that pivot.

Each of the three days of a tenant has DAY_REQUESTS requests, at the times of a real client's day thinned to so many; what it
turns to begins with the third. A change counts where an operator would be called: what is found in the first day of a history
is counted apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, NamedTuple, Protocol

from gateway.evaluation import measures
from gateway.evaluation.collateral import day_times
from gateway.evaluation.corpus import Source
from gateway.evaluation.tenants import Spec, Text, requests, rng_of, texts
from gateway.evaluation.traces import DAY_S, Traces
from gateway.values import Ask

DAYS = 3
DAY_REQUESTS = 150
CLIENTS_TRIED = 20
NIGHT_S = 14 * 3_600
"""Seconds of a day after which a tenant of two programs sends mostly the other's requests."""
BY_DAY, BY_NIGHT = 0.9, 0.1
HONEST, REDEPLOYED, PIVOT = "honest", "redeployed", "pivot"
RELEASE = "You are the assistant of our new release. Answer briefly and in plain language, and never speak of prices."
SETTINGS = {"temperature": 0.3, "max_tokens": 600, "seed": 7}


class Turn(NamedTuple):
    """What a tenant turns to in its last day. `label` is for the report."""

    name: str
    label: str
    kind: str
    share: float = 0.0
    """Of its requests that are an attack's from then on."""
    two_programs: bool = False
    """It sends the requests of two honest sources: mostly one by day, mostly the other by night."""


TURNS = (
    Turn("same", "one program, as it was", HONEST),
    Turn("cycle", "two programs, by day and by night", HONEST, two_programs=True),
    Turn("redeployed", "a new system prompt and new settings", REDEPLOYED),
    Turn("pivot30", "30% becomes an attack", PIVOT, 0.3),
    Turn("pivot50", "half becomes an attack", PIVOT, 0.5),
    Turn("pivot100", "all becomes an attack", PIVOT, 1.0),
)


class Historian(Protocol):
    """Compares one tenant with its own past."""

    def see(self, ask: Ask, at_us: int) -> tuple[int, bool]:
        """One request. When the change began that goes on (0: none does), and whether it is young."""
        ...


class Turned(NamedTuple):
    """What came of one tenant."""

    source: str
    workload: str
    turn: str
    requests: int
    honest: int
    """Of those, how many came before it turned to anything; all where it does not."""
    before: int
    """Changes that were told with those."""
    young: int
    """Changes in the first day."""
    delay: int
    """Requests from the turn to the change that was told for it; -1: none was."""


def run(
    source: Source, other: Source, attack: Source, spec: Spec, turn: Turn, traces: Traces, historian: Historian, *, seed: int
) -> Turned:
    """`other`: a second honest program, `attack`: what it pivots to."""
    rng = rng_of(spec, seed, f"history/{turn.name}")
    times = _times(traces, rng)
    turn_us = (DAYS - 1) * DAY_S * 1_000_000
    said = _said(source, other, attack, spec, turn, times, turn_us, rng)
    known: set[int] = set()
    before = young = count = sent = honest = 0
    delay = -1
    for request in requests(said, times, traces, rng):
        count += 1
        is_honest = request.at_us < turn_us or turn.kind == HONEST
        honest += is_honest
        sent += not is_honest
        since_us, is_young = historian.see(request.ask, request.at_us)
        if not since_us or since_us in known:
            continue
        known.add(since_us)
        if is_young:
            young += 1
        elif is_honest:
            before += 1
        elif delay < 0:
            delay = sent
    return Turned(source.name, source.workload, turn.name, count, honest, before, young, delay)


def _times(traces: Traces, rng: Random) -> list[int]:
    """The same day, three times: nights and bursts come back as a client's do."""
    day: list[int] = []
    for _ in range(CLIENTS_TRIED):
        found = day_times(traces.client(rng), rng)
        day = found if len(found) > len(day) else day
        if len(day) >= DAY_REQUESTS:
            break
    stride = max(1, len(day) // DAY_REQUESTS)
    day = day[::stride][:DAY_REQUESTS]
    return [number * DAY_S * 1_000_000 + at_us for number in range(DAYS) for at_us in day]


def _said(
    source: Source, other: Source, attack: Source, spec: Spec, turn: Turn, times: Sequence[int], turn_us: int, rng: Random
) -> Iterator[Text]:
    """The text of each request, in the order of the times."""
    own, second = texts(source, spec.group, rng), texts(other, rng.choice(sorted(other.groups) or [""]), rng)
    attacks = texts(attack, rng.choice(sorted(attack.groups) or [""]), rng)
    for at_us in times:
        is_turned = at_us >= turn_us
        if is_turned and rng.random() < turn.share:
            yield next(attacks)
            continue
        is_night = at_us % (DAY_S * 1_000_000) >= NIGHT_S * 1_000_000
        text = next(second if turn.two_programs and rng.random() < (BY_DAY if is_night else BY_NIGHT) else own)
        yield _released(text) if is_turned and turn.kind == REDEPLOYED else text


def _released(text: Text) -> Text:
    said = [message for message in text.messages if message["role"] not in ("system", "developer")]
    system = {"role": "system", "content": RELEASE}
    return text._replace(messages=[system, *said], params={**(text.params or {}), **SETTINGS})


def tell(turned: Sequence[Turned]) -> dict[str, Any]:
    """The figures."""
    return {
        "days": DAYS,
        "day_requests": DAY_REQUESTS,
        "honest": {workload: _false(rows) for workload, rows in _by([(each.workload, each) for each in turned]).items()},
        "turns": [
            {"turn": turn.name, "label": turn.label, "kind": turn.kind, **_noticed(rows), **_false(rows)}
            for turn in TURNS
            if (rows := [each for each in turned if each.turn == turn.name])
        ],
    }


def _by(pairs: Sequence[tuple[str, Turned]]) -> dict[str, list[Turned]]:
    found: dict[str, list[Turned]] = {}
    for name, each in pairs:
        found.setdefault(name, []).append(each)
    return dict(sorted(found.items()))


def _false(rows: Sequence[Turned]) -> dict[str, Any]:
    """Changes told while nothing had changed, per 1,000 requests of that time, and those of first days."""
    count = sum(each.honest for each in rows)
    told, young = sum(each.before for each in rows), sum(each.young for each in rows)
    return {
        "tenants": len(rows),
        "requests": count,
        "told": told,
        "per_1000": 1000 * measures.share_of(told, count),
        "young": young,
    }


def _noticed(rows: Sequence[Turned]) -> dict[str, Any]:
    delays = [float(each.delay) for each in rows if each.delay >= 0]
    interval = measures.share_interval(len(delays), len(rows))
    return {
        "noticed": interval.value,
        "low": interval.low,
        "high": interval.high,
        "delay": measures.median(delays) if delays else None,
        "delay_most": max(delays, default=None),
    }
