"""Figures from scores: what is above a threshold, how a threshold is chosen, and how sure a figure is.

A score flags a window when it is *above* the threshold; many windows may share a score, so a share may fall short of what was
asked for, and never goes beyond it where the threshold was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import NamedTuple

Scores = Mapping[str, Sequence[float]]
"""By source (or family): one score a window."""


class Interval(NamedTuple):
    """A figure and what a bootstrap says of it: 95% lie between."""

    value: float
    low: float
    high: float


def threshold(honest: Sequence[float], share: float) -> float:
    """The least threshold that flags at most this share of these windows; minus infinity where all may be flagged."""
    ordered = sorted(honest, reverse=True)
    allowed = int(share * len(ordered) + 1e-9)
    return ordered[allowed] if allowed < len(ordered) else float("-inf")


def flagged(scores: Sequence[float], above: float) -> float:
    """Share of windows with a score above; 0 of none."""
    return sum(score > above for score in scores) / len(scores) if scores else 0.0


def pooled(scores: Scores, *, but: str = "") -> list[float]:
    """All windows, less those of one."""
    return [score for name, each in scores.items() if name != but for score in each]


def auc(honest: Sequence[float], attack: Sequence[float]) -> float:
    """The chance that an attack's window scores higher than an honest one; ties count half (Mann-Whitney U)."""
    if not honest or not attack:
        return float("nan")
    ranked = sorted([*((score, 0) for score in honest), *((score, 1) for score in attack)])
    above = 0.0
    place = below = 0
    while place < len(ranked):
        end = place
        while end < len(ranked) and ranked[end][0] == ranked[place][0]:
            end += 1
        attacks = sum(is_attack for _, is_attack in ranked[place:end])
        ties = end - place - attacks
        above += attacks * (below + ties / 2)
        below += ties
        place = end
    return above / (len(honest) * len(attack))


def roc(honest: Sequence[float], attack: Sequence[float]) -> list[tuple[float, float]]:
    """(honest share flagged, attack share caught) at every threshold, from (0, 0) to (1, 1)."""
    points = [(0.0, 0.0)]
    for above in sorted({*honest, *attack}, reverse=True):
        points.append((sum(s >= above for s in honest) / len(honest), sum(s >= above for s in attack) / len(attack)))
    return points


def caught_at(honest: Sequence[float], attack: Sequence[float], share: float) -> float:
    """Share of attacks caught where at most this share of the honest is flagged."""
    return flagged(attack, threshold(honest, share))


def surprise(score: float, others: Sequence[float]) -> float:
    """How rare so high a score is among others, from 0 (all score as high) up to 1 (none does): scores of different fits
    become comparable by it. `others` is sorted."""
    low, high = 0, len(others)
    while low < high:
        middle = (low + high) // 2
        if others[middle] < score:
            low = middle + 1
        else:
            high = middle
    return low / len(others) if others else 0.0


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


def median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    if not ordered:
        return float("nan")
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def bootstrap(
    groups: Sequence[Scores], figure: Callable[[Sequence[Scores]], float], *, times: int, seed: str, draws_units: bool = True
) -> Interval:
    """A figure with its interval. Units (families) are drawn again, and then windows within each: windows of one family are
    alike, and an interval over windows alone, which `draws_units=False` makes, promises more than a handful of families can."""
    rng = Random(f"bootstrap/{seed}")
    value = figure(groups)
    drawn = []
    for _ in range(times):
        again = []
        for group in groups:
            names = list(group)
            chosen = [rng.choice(names) for _ in names] if draws_units else names
            again.append({f"{name}#{place}": rng.choices(group[name], k=len(group[name])) for place, name in enumerate(chosen)})
        drawn.append(figure(again))
    if not drawn:
        return Interval(value, value, value)
    drawn.sort()
    return Interval(value, drawn[int(0.025 * len(drawn))], drawn[min(len(drawn) - 1, int(0.975 * len(drawn)))])


def share_interval(hits: int, of: int) -> Interval:
    """A share of independent runs, with Wilson's interval (https://doi.org/10.1080/01621459.1927.10502953)."""
    if of == 0:
        return Interval(float("nan"), 0.0, 1.0)
    z = 1.96
    share = hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * (share * (1 - share) / of + z * z / (4 * of * of)) ** 0.5
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


def share_of(part: float, whole: float) -> float:
    """0 of nothing."""
    return part / whole if whole else 0.0
