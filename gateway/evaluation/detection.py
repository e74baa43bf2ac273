"""What share of attacks is caught, at what price to the honest, and after how much: from judged streams to figures.

A tenant is caught within N requests when its score is above the threshold at any look up to N; an honest one is flagged by the
same rule. Thresholds come from `held_out`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from gateway.evaluation import held_out, measures
from gateway.evaluation.corpus import Corpus
from gateway.evaluation.held_out import Point
from gateway.evaluation.measures import Scores
from gateway.evaluation.watching import Look, Seen

WITHIN = (26, 50, 100, 200, 500)
TARGET_WITHIN = 200
SHARE = 0.01
"""Of honest windows that may be flagged."""
Score = Callable[[Look], float]
SCORES: dict[str, Score] = {
    "watch": lambda look: look.score,
    "declared": lambda look: look.declared,
    "volume": lambda look: look.volume,
    "phrases": lambda look: look.phrases,
}


class Table(NamedTuple):
    """Streams by role and attacker, with what is known of their sources."""

    honest: tuple[Seen, ...]
    attacks: dict[str, tuple[Seen, ...]]
    """By attacker."""
    family_of: dict[str, str]


def table(seen: Iterable[Seen], corpus: Corpus) -> Table:
    """Streams in order; those without a single look (a source with too little that can be sent) are left out."""
    usable = [each for each in seen if each.looks]
    attackers = dict.fromkeys(each.attacker for each in usable if each.attacker)
    return Table(
        tuple(each for each in usable if not each.attacker),
        {name: tuple(each for each in usable if each.attacker == name) for name in attackers},
        {source.name: source.family for source in corpus.sources},
    )


def highest(seen: Seen, within: int, score: Score) -> float:
    """The highest score up to so many requests; of the first look where there is none before."""
    return max((score(look) for look in seen.looks if look.requests <= within), default=score(seen.looks[0]))


def by_unit(streams: Sequence[Seen], unit_of: Callable[[Seen], str], within: int, score: Score) -> Scores:
    found: dict[str, list[float]] = {}
    for seen in streams:
        found.setdefault(unit_of(seen), []).append(highest(seen, within, score))
    return found


class Curves(NamedTuple):
    """One score, three ways of choosing its threshold."""

    family: list[Point]
    source: list[Point]
    random: list[Point]


def curves(tabled: Table, attacker: str, within: int, score: Score, seed: int) -> Curves:
    """The three curves; attacking sources weigh the same each in the second and third, attacking families in the first."""

    def family(seen: Seen) -> str:
        return tabled.family_of[seen.spec.source]

    def source(seen: Seen) -> str:
        return seen.spec.source

    attacks = tabled.attacks.get(attacker, ())
    by_family = by_unit(tabled.honest, family, within, score), by_unit(attacks, family, within, score)
    by_source = by_unit(tabled.honest, source, within, score), by_unit(attacks, source, within, score)
    return Curves(
        held_out.curve(held_out.folds(*by_family)),
        held_out.curve(held_out.folds(*by_source)),
        held_out.curve(held_out.random_folds(*by_source, seed=seed)),
    )


def caught(tabled: Table, attacker: str, within: int, score: Score, *, times: int, seed: int) -> dict[str, Any]:
    """Caught at 1% really flagged with families held out, with its interval; and what the nominal 1% really does."""

    def family(seen: Seen) -> str:
        return tabled.family_of[seen.spec.source]

    honest = by_unit(tabled.honest, family, within, score)
    attack = by_unit(tabled.attacks.get(attacker, ()), family, within, score)

    def figure(groups: Sequence[Scores]) -> float:
        return held_out.at_flagged(held_out.curve(held_out.folds(*groups), _NEAR), SHARE).caught

    chance = f"{seed}/{attacker}/{within}"
    interval = measures.bootstrap((honest, attack), figure, times=times, seed=chance)
    narrow = measures.bootstrap((honest, attack), figure, times=times, seed=chance, draws_units=False)
    nominal = held_out.at_nominal(held_out.curve(held_out.folds(honest, attack)), SHARE)
    return {
        "within": within,
        "caught": interval.value,
        "low": interval.low,
        "high": interval.high,
        "windows_low": narrow.low,
        "windows_high": narrow.high,
        "nominal_caught": nominal.caught,
        "nominal_flagged": nominal.flagged,
        "pooled": measures.mean([measures.caught_at(measures.pooled(honest), each, SHARE) for each in attack.values()]),
        "windows": sum(map(len, attack.values())),
        "by_family": _by_family(honest, attack),
    }


_NEAR = tuple(share for share in held_out.NOMINAL if share <= 0.1)
"""Where the point of 1% flagged is looked for in every bootstrap."""


def _by_family(honest: Scores, attack: Scores) -> dict[str, float]:
    """Caught of each attacking family at 1% of all held-out honest windows flagged."""
    found = {}
    for name, scores in attack.items():
        folds = held_out.folds(honest, {name: scores})
        point = held_out.at_flagged(held_out.curve(held_out.folds(honest, attack)), SHARE)
        found[name] = held_out.at_nominal(held_out.curve(folds, (point.nominal,)), point.nominal).caught
    return found


def flagged_by_source(tabled: Table, within: int, score: Score) -> dict[str, float]:
    """The share of each honest source's windows that is flagged where 1% of all held-out ones are."""

    def family(seen: Seen) -> str:
        return tabled.family_of[seen.spec.source]

    honest = by_unit(tabled.honest, family, within, score)
    attack = by_unit(tabled.attacks.get("plain", ()), family, within, score)
    nominal = held_out.at_flagged(held_out.curve(held_out.folds(honest, attack)), SHARE).nominal
    found: dict[str, list[bool]] = {}
    for seen in tabled.honest:
        above = measures.threshold(measures.pooled(honest, but=family(seen)), nominal)
        found.setdefault(seen.spec.source, []).append(highest(seen, within, score) > above)
    return {name: measures.mean([float(each) for each in flags]) for name, flags in sorted(found.items())}


def threshold(tabled: Table, within: int) -> int:
    """The score that 1% of all honest windows are above: for what comes after detection (accounts, budgets)."""
    above = measures.threshold([highest(seen, within, SCORES["watch"]) for seen in tabled.honest], SHARE)
    return 1000 if math.isinf(above) else int(above)


def reaching(tabled: Table, within: int, bars: Sequence[int]) -> list[dict[str, Any]]:
    """For each score: the share of honest windows, and of attacking ones by family, that reach it within so many requests."""

    def family(seen: Seen) -> str:
        return tabled.family_of[seen.spec.source]

    honest = measures.pooled(by_unit(tabled.honest, family, within, SCORES["declared"]))
    attack = by_unit(tabled.attacks.get("plain", ()), family, within, SCORES["watch"])
    return [
        {
            "score_milli": bar,
            "honest": measures.flagged(honest, bar - 1),
            "attack": {name: measures.flagged(scores, bar - 1) for name, scores in attack.items()},
        }
        for bar in bars
    ]


class Delay(NamedTuple):
    """How long attacks went on before they were caught; those never caught count as going on beyond all."""

    family: str
    streams: int
    caught: int
    requests: tuple[int, ...]
    """Until caught, of each that was, ascending."""
    leaked: tuple[int, ...]
    """Output tokens that were delivered until then, ascending."""


def delays(tabled: Table, attacker: str, within: int) -> list[Delay]:
    """By family, at the threshold that flags 1% of the honest windows of *other* families... of which an attack has none: so it
    is the threshold of all honest windows."""
    above = measures.threshold([highest(seen, within, SCORES["watch"]) for seen in tabled.honest], SHARE)
    found: dict[str, list[Look | None]] = {}
    for seen in tabled.attacks.get(attacker, ()):
        first = next((look for look in seen.looks if look.requests <= within and look.score > above), None)
        found.setdefault(tabled.family_of[seen.spec.source], []).append(first)
    return [
        Delay(
            family,
            len(firsts),
            sum(first is not None for first in firsts),
            tuple(sorted(first.requests for first in firsts if first)),
            tuple(sorted(first.leaked for first in firsts if first)),
        )
        for family, firsts in sorted(found.items())
    ]
