"""One simulated tenant under the watch: its requests through the code that runs in the gateway and the analyst, on a virtual
clock, judged again and again while it goes on.

`Watcher` is what is watched with. `TheWatch` is the real one; the tests have others whose figures are known beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from gateway.evaluation.naive import Diversity
from gateway.evaluation.tenants import Request, Spec
from gateway.values import Ask, Sighting

LOOKS = (26, 35, 50, 75, 100, 150, 200, 300, 400, 500)
"""After how many requests a tenant is judged; before the first nobody is (`requests_min` of the default ladder)."""
HOUR_US = 3_600_000_000


class Judgement(NamedTuple):
    score: int
    """Per mille, of the most suspicious profile that no declared purpose explains."""
    profile: str
    """Its name; "" where there is none."""


class Watcher(Protocol):
    """The watch over one tenant."""

    def see(self, ask: Ask, at_us: int, output_tokens: int) -> Sighting:
        """One request, and what was seen in it."""
        ...

    def judge(self, purposes: frozenset[str]) -> Judgement:
        """How suspicious the tenant is by now, under these declared purposes."""
        ...

    def kept(self) -> bytes:
        """What the watch keeps of it: for fitting again. b"": nothing is fitted."""
        ...


class Look(NamedTuple):
    """One judgement, and what stood beside it."""

    requests: int
    at_us: int
    tokens: int
    """Output tokens delivered so far."""
    leaked: int
    """Those of them that an extraction was after."""
    score: int
    profile: str
    declared: int
    """The score under the purpose that this tenant would declare; `score` where it would declare none."""
    volume: float
    """Requests an hour so far."""
    phrases: float
    """Share of requests in which a phrase stood."""
    kept: bytes


class Seen(NamedTuple):
    """All that is known of a tenant after its stream."""

    spec: Spec
    attacker: str
    """"": an honest tenant."""
    looks: tuple[Look, ...]
    recycled: int
    """Requests whose text it had sent before."""
    naive: tuple[float, ...]
    """`naive.NAMES` after NAIVE_AT requests, or at the end; () where it was not measured."""


NAIVE_AT = 200


def watch(
    spec: Spec,
    attacker: str,
    stream: Iterable[Request],
    watcher: Watcher,
    *,
    purposes: frozenset[str] = frozenset(),
    looks: tuple[int, ...] = LOOKS,
    measures_naive: bool = False,
) -> Seen:
    """Send a tenant's requests past the watch, up to the last look; a stream that ends before has fewer looks."""
    found: list[Look] = []
    diversity = Diversity()
    naive: tuple[float, ...] = ()
    tokens = leaked = fired = recycled = count = 0
    first_us = 0
    for request in stream:
        count += 1
        first_us = request.at_us if count == 1 else first_us
        fired += bool(watcher.see(request.ask, request.at_us, request.output_tokens).phrases)
        tokens += request.output_tokens
        leaked += request.output_tokens if request.is_extraction else 0
        recycled += request.is_recycled
        if measures_naive and count <= NAIVE_AT:
            diversity.add(request.ask)
        if count in looks:
            score, profile = watcher.judge(frozenset())
            declared = watcher.judge(purposes).score if purposes else score
            hours = max(1, request.at_us - first_us) / HOUR_US
            found.append(
                Look(
                    count, request.at_us, tokens, leaked, score, profile, declared, count / hours, fired / count, watcher.kept()
                )
            )
        if count >= looks[-1]:
            break
    if measures_naive and count:
        naive = diversity.measures()
    return Seen(spec, attacker, tuple(found), recycled, naive)
