"""Scores that have to be fitted, each fitted without what it is tested on: by family, and, beside it, by a random split.

Fitting is scikit-learn's logistic regression over a row of numbers for each window. For each pair of an honest and an attacking
family, both are left out, the rest is fitted, the threshold is set on the honest windows that were fitted on, and the two that
were left out are the test.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from gateway.errors import SettingsError
from gateway.evaluation.held_out import Fold

Rows = dict[str, list[tuple[float, ...]]]
"""By family: one row a window."""


def pair_folds(honest: Rows, attack: Rows) -> list[Fold]:
    """One for each pair of families that has others to be fitted on."""
    made = []
    for honest_name in honest:
        for attack_name in attack:
            rest = _others(honest, honest_name), _others(attack, attack_name)
            if all(rest):
                score = _fit(*rest)
                made.append(
                    Fold(
                        f"{honest_name}, {attack_name}",
                        sorted(score(rest[0])),
                        score(honest[honest_name]),
                        {attack_name: score(attack[attack_name])},
                    )
                )
    return made


def random_pairs(honest: Rows, attack: Rows, *, seed: int, times: int = 5) -> list[Fold]:
    """What flatters: halves of all windows, drawn with no regard to where they come from."""
    rng = Random(f"pairs/{seed}")
    made = []
    honest_rows, attack_rows = _others(honest, ""), _others(attack, "")
    for number in range(times):
        rng.shuffle(honest_rows)
        rng.shuffle(attack_rows)
        halves = len(honest_rows) // 2, len(attack_rows) // 2
        if all(halves):
            score = _fit(honest_rows[: halves[0]], attack_rows[: halves[1]])
            tested = score(attack_rows[halves[1] :])
            made.append(
                Fold(str(number), sorted(score(honest_rows[: halves[0]])), score(honest_rows[halves[0] :]), {"all": tested})
            )
    return made


def _others(rows: Rows, but: str) -> list[tuple[float, ...]]:
    return [row for name, each in rows.items() if name != but for row in each]


def _fit(honest: Sequence[tuple[float, ...]], attack: Sequence[tuple[float, ...]]) -> Any:
    """A function from rows to scores."""
    model = estimator()
    model.fit([*honest, *attack], [0] * len(honest) + [1] * len(attack))

    def score(rows: Sequence[tuple[float, ...]]) -> list[float]:
        return [float(each) for each in model.decision_function(list(rows))] if rows else []

    return score


def estimator() -> Any:
    """Not yet fitted. Raises SettingsError where scikit-learn is missing."""
    try:
        from sklearn import linear_model, pipeline, preprocessing  # optional: only the evaluation needs it
    except ImportError:
        raise SettingsError("evaluate: needs scikit-learn: pip install 'gauger[evaluate]'") from None
    logistic = linear_model.LogisticRegression(C=1.0, class_weight="balanced", max_iter=1000)
    return pipeline.make_pipeline(preprocessing.StandardScaler(), logistic)
