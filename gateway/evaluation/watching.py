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
    score: float
    """Per mille, unrounded, of the most suspicious profile that no declared purpose explains."""
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
    score: float
    profile: str
    declared: float
    """The score under the purpose that this tenant would declare; `score` where it would declare none."""
    volume: float
    """Requests an hour so far."""
    phrases: float
    """Share of requests in which a phrase stood."""


class Seen(NamedTuple):
    """All that is known of a tenant after its stream."""

    spec: Spec
    attacker: str
    """"": an honest tenant."""
    looks: tuple[Look, ...]
    recycled: int
    """Requests whose text it had sent before."""
    naive: tuple[float, ...]
    """`naive.NAMES` after MEASURED_AT requests, or at the end; () where it was not measured."""
    kept: bytes
    """What the watch kept of it then; b"" where it was not measured."""


MEASURED_AT = 200
"""Requests after which a stream is measured for what has to be fitted."""


def watch(
    spec: Spec,
    attacker: str,
    stream: Iterable[Request],
    watcher: Watcher,
    *,
    purposes: frozenset[str] = frozenset(),
    looks: tuple[int, ...] = LOOKS,
    is_measured: bool = False,
) -> Seen:
    """Send a tenant's requests past the watch, up to the last look; a stream that ends before has fewer looks."""
    found: list[Look] = []
    diversity = Diversity()
    naive: tuple[float, ...] = ()
    kept = b""
    tokens = leaked = fired = recycled = count = 0
    first_us = 0
    for request in stream:
        count += 1
        first_us = request.at_us if count == 1 else first_us
        fired += bool(watcher.see(request.ask, request.at_us, request.output_tokens).phrases)
        tokens += request.output_tokens
        leaked += request.output_tokens if request.is_extraction else 0
        recycled += request.is_recycled
        if is_measured and count <= MEASURED_AT:
            diversity.add(request.ask)
        if count in looks:
            score, profile = watcher.judge(frozenset())
            declared = watcher.judge(purposes).score if purposes else score
            hours = max(1, request.at_us - first_us) / HOUR_US
            found.append(Look(count, request.at_us, tokens, leaked, score, profile, declared, count / hours, fired / count))
        if is_measured and count == MEASURED_AT:
            kept = watcher.kept()
        if count >= looks[-1]:
            break
    if is_measured and count:
        naive = diversity.measures()
        kept = kept or watcher.kept()
    return Seen(spec, attacker, tuple(found), recycled, naive, kept)
