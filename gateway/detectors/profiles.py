"""Profiles: what a window looks like, one finding each, with the numbers that speak for it.

A profile is a sum of few numbers with fixed weights, passed through a logistic curve: `weights` is a plain table, and each
term of the sum is a reason with its own code. Every stream of a window is judged alone and the most suspicious one counts,
if it is large enough to matter.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from typing import NamedTuple

from gateway.detectors import stream
from gateway.detectors.features import FEATURES
from gateway.detectors.weights import PROFILES, Term
from gateway.detectors.window import KINDS, Window
from gateway.policy.model import Purpose
from gateway.values import Finding, Reason

REQUESTS_MIN = 12
"""A stream of fewer says nothing: the first requests of a tenant, when nothing is known of its templates, are among them."""
SHARE_MIN = 50
"""Per mille of the window that a stream must be."""
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


def judge(window: Window, purposes: frozenset[Purpose]) -> tuple[Finding, ...]:
    """One finding a profile, the most suspicious first. Pure: equal windows give equal findings."""
    explained = frozenset().union(*(EXPLAINS[purpose] for purpose in purposes))
    seen = [(each.sums[0], measures(window, each.sums)) for each in candidates(window)]
    findings = [_finding(profile.name, profile.bias, profile.terms, seen, profile.name in explained) for profile in PROFILES]
    return tuple(sorted(findings, key=lambda finding: (-finding.score, finding.profile)))


def candidates(window: Window) -> list[Candidate]:
    """The streams that are large enough to be judged; all requests together are always among them."""
    least = max(REQUESTS_MIN, window.requests * SHARE_MIN // 1000)
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
    found["answers"] = sums[at["output"]] // (sums[at["outputs"]] or 1)
    variance = sums[at["size_squares"]] / count - found["size"] ** 2
    found["uneven"] = min(1000, int(5 * math.sqrt(max(variance, 0.0))))
    found["share"] = 1000 * count // (window.requests or 1)
    found["few"] = 1000 * REQUESTS_MIN // max(count, REQUESTS_MIN)
    found["regular"] = _regular(window)
    found["programs"] = min(1000, 125 * len(window.habits))
    return found


def _regular(window: Window) -> int:
    """How even the gaps between requests are: 1000 at a metronome, 0 at a coefficient of variation of 1 and above."""
    if window.gaps < REQUESTS_MIN or not window.gap_sum:
        return 0
    mean = window.gap_sum / window.gaps
    variation = math.sqrt(max(window.gap_squares / window.gaps - mean * mean, 0.0)) / mean
    return int(1000 * max(0.0, 1.0 - variation))


def _finding(
    name: str,
    bias: float,
    terms: tuple[Term, ...],
    seen: list[tuple[int, dict[str, int]]],
    explained: bool,
) -> Finding:
    best = Finding(name, 0, (), 0, explained)
    for requests, found in seen:
        if requests < REQUESTS_MIN:
            continue
        parts = [(term.weight * (found.get(term.name, 0) - term.usual) / 1000, term) for term in terms]
        total = bias + sum(part for part, _ in parts)
        score = int(1000 / (1 + math.exp(-max(-30.0, min(30.0, total)))))
        if score >= best.score:
            parts.sort(key=lambda pair: -pair[0])
            reasons = tuple(
                Reason(term.name, found.get(term.name, 0), term.usual, term.unit)
                for part, term in parts[:REASONS_MAX]
                if part > 0.1
            )
            best = Finding(name, score, reasons, requests, explained)
    return best
