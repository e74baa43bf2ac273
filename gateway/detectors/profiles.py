"""Profiles: what a window looks like, one finding each, with the numbers that speak for it.

A profile is a sum of few numbers with fixed weights, passed through a logistic curve: `weights` is a plain table, and each
term of the sum is a reason with its own code. A profile looks at one stream of a window (the requests that could be its own at
all), so honest requests beside them do not thin them out; how large a share of the window they are is itself a term.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gateway.detectors import stream
from gateway.detectors.features import FEATURES
from gateway.detectors.kinds import KINDS
from gateway.detectors.weights import PROFILES, Profile
from gateway.detectors.window import Window
from gateway.policy.model import Purpose
from gateway.values import Finding, Reason

REQUESTS_MIN = 8
"""A stream of fewer says nothing: the first requests of a tenant, when nothing is known of its templates, are among them."""
SHARE_MIN = 130
"""Per mille of the window that a stream must be: no honest corpus has so many requests of a generator's kind, and few of a
collector's. An attack that is less of a tenant's traffic is not seen, and says so in docs/watch.md."""
REASONS_MAX = 5

EXPLAINS: Mapping[Purpose, frozenset[str]] = {
    "evaluation": frozenset(("collector", "harvest")),
    "batch": frozenset(("collector",)),
    "synthetic_data": frozenset(("generator", "collector", "harvest")),
}
"""What a declared purpose explains: these customers' content is an attacker's; only what was agreed tells them apart."""


class Candidate(NamedTuple):
    name: str
    sums: array[int]


def judge(window: Window, purposes: frozenset[Purpose], profiles: Sequence[Profile] = PROFILES) -> tuple[Finding, ...]:
    """One finding a profile, the most suspicious first. Pure: equal windows give equal findings.

    `profiles` are the gateway's own; an evaluation gives others, fitted without what it tests.
    """
    explained = frozenset().union(*(EXPLAINS[purpose] for purpose in purposes))
    findings = [_finding(profile, window, explained=profile.name in explained) for profile in profiles]
    return tuple(sorted(findings, key=lambda finding: (-finding.exact, finding.profile)))


def candidates(window: Window) -> list[Candidate]:
    """The streams that are large enough to be judged; all requests together are always among them."""
    least = max(REQUESTS_MIN, window.weight * SHARE_MIN // 1000)
    streams = [Candidate(name, sums) for name, sums in zip(KINDS, window.kinds)]
    streams += [Candidate(f"{key:016x}", sums) for key, sums in window.templates.items() if key]
    return [each for index, each in enumerate(streams) if index == 0 or each.sums[0] >= least]


def measures(window: Window, sums: array[int]) -> dict[str, int]:
    """What is measured of a stream, per mille, by name."""
    count = sums[0] or 1
    found = {feature.name: sums[stream.FEATURES_AT + index] // count for index, feature in enumerate(FEATURES)}
    for index, group in enumerate(window.groups):
        found[f"says_{group}"] = 1000 * sums[stream.PHRASES_AT + index] // count
    at = stream.AT
    found["fresh"] = 1000 * sums[at["fresh"]] // (sums[at["sketched"]] or 1)
    found["repeats"] = 1000 * sums[at["repeats"]] // count
    found["near"] = 1000 * sums[at["near"]] // count
    found["foreign"] = 1000 * sums[at["foreign"]] // count
    found["problems"] = 1000 * sums[at["problems"]] // count
    found["answers"] = sums[at["output"]] // (sums[at["outputs"]] or 1)
    variance = sums[at["size_squares"]] / count - found["size"] ** 2
    found["uneven"] = min(1000, int(5 * math.sqrt(max(variance, 0.0))))
    found["share"] = 1000 * count // (window.weight or 1)
    found["presence"] = min(1000, 2 * found["share"])  # half of somebody's traffic says as much as all of it
    found["few"] = 1000 * REQUESTS_MIN // max(count, REQUESTS_MIN)
    found["regular"] = regular(window)
    found["programs"] = min(1000, 125 * len(window.habits))
    return found


def regular(window: Window) -> int:
    """How even the gaps between requests are: 1000 at a metronome, 0 at a coefficient of variation of 1 and above."""
    if window.gaps < REQUESTS_MIN or not window.gap_sum:
        return 0
    mean = window.gap_sum / window.gaps
    variation = math.sqrt(max(window.gap_squares / window.gaps - mean * mean, 0.0)) / mean
    return int(1000 * max(0.0, 1.0 - variation))


def is_judged(window: Window, sums: array[int]) -> bool:
    """Whether a stream is large enough to say something of its tenant."""
    return sums[0] >= REQUESTS_MIN and 1000 * sums[0] >= SHARE_MIN * window.weight


def _finding(profile: Profile, window: Window, *, explained: bool) -> Finding:
    sums = window.kinds[KINDS.index(profile.stream)]
    if not is_judged(window, sums):
        return Finding(profile.name, 0, (), 0, explained)
    found = measures(window, sums)
    parts = [(term.weight * (found.get(term.name, 0) - term.usual) / 1000, term) for term in profile.terms]
    total = profile.bias + sum(part for part, _ in parts)
    exact = 1000 / (1 + math.exp(-max(-30.0, min(30.0, total))))
    parts.sort(key=lambda pair: -pair[0])
    told = [term for part, term in parts[:REASONS_MAX] if part > 0.1]
    reasons = tuple([Reason(term.name, found.get(term.name, 0), term.usual, term.unit) for term in told])
    return Finding(profile.name, int(exact), reasons, sums[0], explained, exact)
