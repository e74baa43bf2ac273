"""What the default ladder does to honest tenants: a day of each, and the share of its tokens that a step delays or cuts.

A day of a real client is thinned evenly to DAY_REQUESTS requests, each of which stands for its part of the day; the ladder is
asked at every tick of the analyst between them. Every token of a request that is answered while its tenant stands on a step
that does anything (budgets, output, refusal) counts as delayed or cut: this is more than a step really takes, and never less.
A ladder in shadow is taken as if it were enforced.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from gateway.evaluation.corpus import Source
from gateway.evaluation.families import EVALUATION
from gateway.evaluation.tenants import Spec, requests, rng_of, texts
from gateway.evaluation.traces import DAY_S, Client, Traces, arrivals
from gateway.evaluation.watching import Watcher
from gateway.policy.model import NO_OUTPUT, Ladder
from gateway.watch.ladder import GROUND, Footing, step

DAY_REQUESTS = 500
TICK_S = 60
JUDGE_EVERY = 10
"""Requests between two judgements, once there are enough."""
THINNED_MAX = 200_000
"""Requests of a day that are drawn before they are thinned."""


class Toll(NamedTuple):
    """One honest tenant's day."""

    source: str
    workload: str
    tokens: int
    touched: int
    """Tokens answered while it stood on a step that delays or cuts."""
    highest: int
    """The highest step it reached: 0 is none."""
    is_declared: bool


def acts(ladder: Ladder, rank: int) -> bool:
    """Whether whoever stands there meets anything that is done to requests (notify and review are not). Rank 0: the ground."""
    return any(each.budgets_milli < 1000 or each.output != NO_OUTPUT or each.refuse for each in ladder.steps[:rank])


def day_times(client: Client, rng: Random) -> list[int]:
    """A day of a client's arrivals, thinned evenly to DAY_REQUESTS; all of them where there are fewer."""
    times: list[int] = []
    for at_us in arrivals(client, rng):
        if at_us >= DAY_S * 1_000_000 or len(times) >= THINNED_MAX:
            break
        times.append(at_us)
    stride = max(1, len(times) // DAY_REQUESTS)
    return times[::stride][:DAY_REQUESTS]


def toll(source: Source, spec: Spec, traces: Traces, watcher: Watcher, ladder: Ladder, *, seed: int, is_declared: bool) -> Toll:
    """One tenant's day on the ladder."""
    rng = rng_of(spec, seed, "toll")
    client = traces.client(rng)
    purposes = frozenset((EVALUATION,)) if is_declared else frozenset()
    said = texts(source, spec.group, rng)
    footing = GROUND
    score = tokens = touched = highest = now_us = 0
    stream = requests(said, day_times(client, rng), traces, rng, client)
    for count, request in enumerate(stream, 1):
        for tick_us in _ticks(now_us, request.at_us):
            footing = _stepped(footing, ladder, score, count - 1, tick_us, rng)
        now_us = request.at_us
        highest = max(highest, footing.rank)
        tokens += request.output_tokens
        touched += request.output_tokens if acts(ladder, footing.rank) else 0
        watcher.see(request.ask, request.at_us, request.output_tokens)
        if count >= ladder.requests_min and count % JUDGE_EVERY == 0:
            score = int(watcher.judge(purposes).score)
    return Toll(source.name, source.workload, tokens, touched, highest, is_declared)


def _ticks(from_us: int, to_us: int) -> Iterator[int]:
    tick_us = TICK_S * 1_000_000
    yield from range((from_us // tick_us + 1) * tick_us, to_us + 1, tick_us)


def _stepped(footing: Footing, ladder: Ladder, score: int, count: int, now_us: int, rng: Random) -> Footing:
    return step(footing, ladder, score_milli=score, requests=count, now_us=now_us, chance=rng.random())


def by_workload(tolls: Sequence[Toll]) -> dict[str, tuple[int, int, int]]:
    """Tenants, tokens, and tokens touched of each workload."""
    found: dict[str, tuple[int, int, int]] = {}
    for each in tolls:
        tenants, tokens, touched = found.get(each.workload, (0, 0, 0))
        found[each.workload] = (tenants + 1, tokens + each.tokens, touched + each.touched)
    return dict(sorted(found.items()))
