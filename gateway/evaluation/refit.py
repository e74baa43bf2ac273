"""The watch, fitted again without what it is tested on.

The weights as shipped were made once; families that they were made on are no test of them. So the same numbers (`measures` of
each stream of a window, those that the profiles use) are weighed anew, by a logistic regression that has seen neither the
honest family nor the attacking one that it is tested on. As in the profiles, every stream of a window is judged alone and the
most suspicious one counts: the fit begins with all requests as one stream, then takes from each window the stream that scores
most, and is fitted again, ROUNDS times. What is fitted is one profile instead of several, so this is no replica of the shipped
weights: it tells what these numbers are worth on a kind of traffic that nobody has looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.detectors import PROFILES, Window
from gateway.detectors.profiles import candidates, measures
from gateway.evaluation.fitted import estimator
from gateway.evaluation.held_out import Fold

ROUNDS = 3
NAMES = tuple(sorted({term.name for profile in PROFILES for term in profile.terms}))

Row = tuple[float, ...]
Bag = list[Row]
"""The streams of one window; the first is all of its requests."""
Bags = dict[str, list[Bag]]
"""By family."""


def bag_of(kept: bytes) -> Bag:
    """From a window as `TheWatch.kept` dumped it."""
    window = Window.load(kept)
    rows = []
    for candidate in candidates(window):
        found = measures(window, candidate.sums)
        rows.append(tuple(found.get(name, 0) / 1000 for name in NAMES))
    return rows


def pair_folds(honest: Bags, attack: Bags) -> list[Fold]:
    """One for each pair of an honest and an attacking family that has others to be fitted on."""
    made = []
    for honest_name in honest:
        for attack_name in attack:
            rest = _others(honest, honest_name), _others(attack, attack_name)
            if all(rest):
                model = _fit(*rest)
                made.append(
                    Fold(
                        f"{honest_name}, {attack_name}",
                        sorted(_scores(model, rest[0])),
                        _scores(model, honest[honest_name]),
                        {attack_name: _scores(model, attack[attack_name])},
                    )
                )
    return made


def _others(bags: Bags, but: str) -> list[Bag]:
    return [bag for name, each in bags.items() if name != but for bag in each]


def _fit(honest: Sequence[Bag], attack: Sequence[Bag]) -> Any:
    bags = [*honest, *attack]
    labels = [0] * len(honest) + [1] * len(attack)
    model = estimator()
    model.fit([bag[0] for bag in bags], labels)
    for _ in range(ROUNDS):
        worst = [bag[place] for bag, (place, _) in zip(bags, _worst(model, bags))]
        model.fit(worst, labels)
    return model


def _worst(model: Any, bags: Sequence[Bag]) -> list[tuple[int, float]]:
    """The most suspicious stream of each window, and its score."""
    scores = model.decision_function([row for bag in bags for row in bag]).tolist() if bags else []
    found, at = [], 0
    for bag in bags:
        mine = scores[at : at + len(bag)]
        place = max(range(len(bag)), key=mine.__getitem__)
        found.append((place, mine[place]))
        at += len(bag)
    return found


def _scores(model: Any, bags: Sequence[Bag]) -> list[float]:
    return [score for _, score in _worst(model, bags)]
