"""The profiles' weights, fitted: a logistic regression for each profile, over the measures of the stream that it looks at.

What is known beforehand goes in twice: a weight has the sign that its meaning gives it or is nothing, and it is drawn towards
a value set by hand (`PRIOR`), so that what the examples say nothing of stays as it was thought. Every family weighs the same,
however many windows it has. The logit is then moved and scaled so that scores of all profiles mean the same: 100 per mille is
what one honest window in a hundred reaches (or the floor where honest windows have no such requests at all), 900 what seven
attacking windows of ten do.

Whoever tests what comes out must not have fitted on it: the examples are given, and nothing else is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from gateway.detectors.kinds import KINDS
from gateway.detectors.profiles import is_judged, measures
from gateway.detectors.weights import PROFILES, Profile, Term
from gateway.detectors.window import Window
from gateway.errors import SettingsError

PRIOR: dict[str, tuple[str, dict[str, float]]] = {
    "generator": ("inventing", {
        "presence": 4, "says_invention": 2, "says_rewriting": 2, "says_training": 2,
        "makes": 2, "changes": 1, "varies": 1, "models": 1, "hard": 0.5, "inputs": 1, "room": 0.5,
        "personal": -1, "turns": -2, "tools": -2,
    }),
    "collector": ("orders", {
        "presence": 5, "tasks": 0.5, "warm": 2,
        "personal": -2, "code": -1, "uneven": -1.5, "digits": -1, "options": -1, "shots": -1, "system": -1,
    }),
    "harvest": ("reasoning", {
        "presence": 2, "says_hidden": 3, "says_steps": 1, "says_grading": 2, "grades": 1, "problems": 4, "samples": 2.5,
        "warm": 2, "room": 0.5,
        "shots": -3, "options": -2, "personal": -2, "turns": -2, "tools": -2, "uneven": -0.5,
    }),
}  # fmt: skip
"""By profile: the stream, and its terms as they are thought before any example is seen."""

TOWARDS_PRIOR = 0.1
STEPS = 1_200
HONEST_TAIL = 0.99
ATTACK_TAIL = 0.3
FLOOR = -2.0
"""The honest tail is taken to be at least here: examples are few, and none of a kind is no proof that there is none."""
TAIL_LOGIT = 2.2
"""900 per mille."""


class Example(NamedTuple):
    """One window of somebody known."""

    family: str
    profile: str
    """"": honest."""
    streams: dict[str, dict[str, int]]
    """The measures of each stream that is large enough to be judged, by kind."""
    whole: dict[str, int]
    """The measures of all requests."""


def example(window: Window, family: str, profile: str) -> Example:
    streams = {kind: measures(window, sums) for kind, sums in zip(KINDS, window.kinds) if is_judged(window, sums)}
    return Example(family, profile, streams, measures(window, window.kinds[0]))


def fit(examples: Sequence[Example]) -> tuple[Profile, ...]:
    """Profiles as the gateway's own, made of these examples; what cannot be fitted (relay) is the gateway's own.

    Raises SettingsError where numpy is missing, ValueError where there are no honest examples.
    """
    if not any(not each.profile for each in examples):
        raise ValueError("nothing can be fitted without honest examples")
    fitted = [_fit(name, stream, prior, examples) for name, (stream, prior) in PRIOR.items()]
    return (*fitted, *[profile for profile in PROFILES if profile.name not in PRIOR])


def _fit(name: str, stream: str, prior: dict[str, float], examples: Sequence[Example]) -> Profile:
    np = _numpy()
    chosen = [each for each in examples if each.profile in ("", name)]
    judged = [each for each in chosen if stream in each.streams]
    names = list(prior)
    x = np.array([[each.streams[stream].get(term, 0) / 1000 for term in names] for each in judged]).reshape(-1, len(names))
    y = np.array([1.0 if each.profile else 0.0 for each in judged])
    weights, bias = _descend(np, x, y, _masses(np, judged), np.array(list(prior.values())))
    logits = dict(zip(map(id, judged), x @ weights + bias))
    honest = [(float(logits.get(id(each), -10.0)), mass) for each, mass in _with_masses(np, chosen, attack=False)]
    attack = [(float(logits.get(id(each), -10.0)), mass) for each, mass in _with_masses(np, chosen, attack=True)]
    low = max(_quantile(honest, HONEST_TAIL), FLOOR)
    high = max(_quantile(attack, ATTACK_TAIL), low + 1.0) if attack else low + 1.0
    middle, scale = (low + high) / 2, 2 * TAIL_LOGIT / (high - low)
    usual = {term: _median([each.whole.get(term, 0) for each in chosen if not each.profile]) for term in names}
    usual["presence"] = 0  # of most honest tenants there is no such stream
    terms = tuple(Term(term, round(scale * float(weight), 2), usual[term]) for term, weight in zip(names, weights))
    offset = sum(term.weight * term.usual / 1000 for term in terms)
    return Profile(name, stream, round(scale * (float(bias) - middle) + offset, 2), terms)


def _descend(np: Any, x: Any, y: Any, mass: Any, prior: Any) -> tuple[Any, float]:
    """Adam on the weighted logistic loss; a weight that would change its sign is 0."""
    weights, bias = prior.astype(float), -2.0
    slope, square = np.zeros(len(prior) + 1), np.zeros(len(prior) + 1)
    for step in range(1, STEPS + 1):
        error = mass * (1 / (1 + np.exp(-(x @ weights + bias))) - y)
        gradient = np.append(x.T @ error + TOWARDS_PRIOR * (weights - prior), error.sum())
        slope = 0.9 * slope + 0.1 * gradient
        square = 0.99 * square + 0.01 * gradient * gradient
        move = 0.05 * (slope / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
        weights, bias = weights - move[:-1], bias - float(move[-1])
        weights = np.where(weights * prior < 0, 0.0, weights)
    return weights, bias


def _masses(np: Any, examples: Sequence[Example]) -> Any:
    """Half for the honest, half for the others, and in each half the same for every family."""
    counts = Counter((each.profile != "", each.family) for each in examples)
    families = Counter(is_attack for is_attack, _ in counts)
    return np.array([0.5 / (counts[e.profile != "", e.family] * families[e.profile != ""]) for e in examples])


def _with_masses(np: Any, examples: Sequence[Example], *, attack: bool) -> list[tuple[Example, float]]:
    ours = [each for each in examples if bool(each.profile) == attack]
    return list(zip(ours, map(float, _masses(np, ours))))


def _quantile(values: list[tuple[float, float]], share: float) -> float:
    """The value below which this share of the mass lies."""
    total, seen = sum(mass for _, mass in values), 0.0
    for value, mass in sorted(values):
        seen += mass
        if seen >= share * total - 1e-12:
            return value
    return values[-1][0]


def _median(values: list[int]) -> int:
    return sorted(values)[len(values) // 2]


def _numpy() -> Any:
    try:
        import numpy  # optional: only the evaluation needs it
    except ImportError:
        raise SettingsError("fitting needs numpy: pip install 'gauger[evaluate]'") from None
    return numpy
