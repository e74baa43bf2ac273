"""Thresholds chosen without what they are tested on: one fold for each family (or source) that is held out.

In a fold the threshold is set on the honest windows of all others, at a nominal share; then the honest windows of the one held
out tell what share is really flagged, and the attacks what share is caught at that very threshold. Over all folds, the curve of
both by the nominal share is the ROC with families held out: its point at 1% *really* flagged is what the report calls caught.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import NamedTuple

from gateway.evaluation.measures import Scores, pooled

NOMINAL = (
    *(n / 20 for n in range(-20, 0)),
    *(n / 2000 for n in range(41)),  # up to 2% in steps of .05%
    *(n / 400 for n in range(9, 41)),  # up to 10% in steps of .25%
    *(n / 50 for n in range(6, 51)),
)


class Fold(NamedTuple):
    """One threshold's making and testing. `chosen_on` is sorted."""

    held_out: str
    chosen_on: list[float]
    honest: Sequence[float]
    attack: Scores


class Point(NamedTuple):
    nominal: float
    """The share of honest windows that the threshold was to flag. Below zero: none, and a margin beside: the threshold is above
    the highest of them by so much of the way from their median to it."""
    flagged: float
    """The share of held-out honest windows that it flags."""
    caught: float


def folds(honest: Scores, attack: Scores) -> list[Fold]:
    """One for each honest unit. Names up to a # are one unit: a bootstrap may have drawn it twice."""
    made = []
    for name in honest:
        unit = name.partition("#")[0]
        others = [score for other, each in honest.items() if other.partition("#")[0] != unit for score in each]
        if others:
            made.append(Fold(unit, sorted(others), honest[name], attack))
    return made


def random_folds(honest: Scores, attack: Scores, *, seed: int, times: int = 10) -> list[Fold]:
    """What flatters: halves of all windows, drawn with no regard to where they come from."""
    rng = Random(f"split/{seed}")
    windows = pooled(honest)
    made = []
    for number in range(times):
        rng.shuffle(windows)
        half = len(windows) // 2
        if half:
            made.append(Fold(str(number), sorted(windows[:half]), windows[half:], attack))
    return made


def curve(made: Sequence[Fold], nominal: Sequence[float] = NOMINAL) -> list[Point]:
    """Flagged and caught at each nominal share; honest windows weigh the same each, and so do attacking units."""
    points = []
    honest_total = sum(len(fold.honest) for fold in made)
    honest = [sorted(fold.honest) for fold in made]
    attacks: dict[int, list[list[float]]] = {}
    for fold in made:  # folds mostly share their attacks: sorted once
        if id(fold.attack) not in attacks:
            attacks[id(fold.attack)] = [sorted(each) for each in fold.attack.values() if each]
    for share in nominal:
        hits = 0.0
        caught = 0.0
        for fold, tested in zip(made, honest):
            above = _threshold(fold.chosen_on, share)
            hits += _above(tested, above)
            units = attacks[id(fold.attack)]
            caught += sum(_above(unit, above) / len(unit) for unit in units) / max(1, len(units))
        points.append(Point(share, hits / max(1, honest_total), caught / max(1, len(made))))
    return points


def at_flagged(points: Sequence[Point], share: float) -> Point:
    """The point that catches most while it really flags at most this share."""
    allowed = [point for point in points if point.flagged <= share + 1e-9]
    return max(allowed, key=lambda point: (point.caught, -point.flagged), default=Point(0.0, 0.0, 0.0))


def at_nominal(points: Sequence[Point], share: float) -> Point:
    """The point of the threshold that was to flag this share."""
    return min(points, key=lambda point: abs(point.nominal - share))


def area(points: Sequence[Point]) -> float:
    """Under the curve, from (0, 0) to (1, 1)."""
    path = sorted({(0.0, 0.0), (1.0, 1.0), *((point.flagged, point.caught) for point in points)})
    return sum((right[0] - left[0]) * (left[1] + right[1]) / 2 for left, right in pairwise(path))


def _threshold(ordered: list[float], share: float) -> float:
    """As `measures.threshold`, of windows in ascending order; with a margin where the share is below zero."""
    if share < 0:
        return ordered[-1] - share * (ordered[-1] - ordered[len(ordered) // 2])
    allowed = int(share * len(ordered) + 1e-9)
    return ordered[-1 - allowed] if allowed < len(ordered) else float("-inf")


def _above(ordered: list[float], above: float) -> int:
    return len(ordered) - bisect_right(ordered, above)
