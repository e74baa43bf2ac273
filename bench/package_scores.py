"""Tenants of the written families under the watch that runs in the gateway, and what their scores come to.

Everything that decides anything is the evaluation's own: `Workshop` sends the tenants, `detection` and `held_out` set thresholds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from gateway.evaluation import corpus, detection, held_out, measures, traces
from gateway.evaluation.attackers import PLAIN, TARGETED
from gateway.evaluation.corpus import Corpus
from gateway.evaluation.detection import SHARE, Table, by_unit
from gateway.evaluation.measures import Scores
from gateway.evaluation.plan import LOOKS_ADAPTIVE
from gateway.evaluation.tenants import specs
from gateway.evaluation.the_watch import TheWatches
from gateway.evaluation.watching import Look, Seen
from gateway.evaluation.workshop import Job, Stream, Workshop, pool

TENANTS = 8
FIXED = 500
"""The score, per mille, that is called suspicious without any corpus to set it on."""
BOOTSTRAPS = 500


class Row(NamedTuple):
    """One family. Shares of its tenants whose score got so far within so many requests."""

    source: str
    package: str
    is_attack: bool
    fixed_26: float
    fixed_200: float
    held_26: float
    """At the threshold where 1% of the windows of held-out honest packages is flagged."""
    held_200: float
    median: float
    """Of the highest scores within 200."""
    profile: str
    """The most frequent of the profiles that gave them."""
    hidden: Row | None
    """Behind canned openings and 50% dilution; None for the honest."""


def score(look: Look) -> float:
    return look.score


def rows(
    corpus_dir: Path, traces_dir: Path, *, seed: int, processes: int, against: Table | None = None
) -> tuple[list[Row], Table]:
    """Every family of a corpus; its thresholds set on the honest of `against`, or of itself."""
    texts, times, maker = corpus.load(corpus_dir), traces.load(traces_dir), TheWatches()
    jobs: list[Job] = []
    for source in texts.sources:
        for attacker in (PLAIN.name, TARGETED.name) if source.is_attack else ("",):
            jobs += [Stream(spec, attacker, LOOKS_ADAPTIVE) for spec in specs(source, TENANTS)]
    with pool(Workshop(texts, times, maker, seed), corpus_dir, traces_dir, processes) as workers:
        seen = cast("list[Seen]", workers.do(jobs, lambda: None))
    tabled = detection.table(seen, texts)
    return [_row(source, texts, tabled, against or tabled) for source in texts.sources], tabled


def package_of(tabled: Table) -> Callable[[Seen], str]:
    return lambda seen: tabled.family_of[seen.spec.source]


def held(tabled: Table, attacker: str, within: int, scores: Sequence[float], *, but: str = "") -> float:
    """The share of these scores that is caught where 1% of held-out honest windows is flagged: over the thresholds of all folds,
    or of the one fold that leaves out this package."""
    honest = by_unit(tabled.honest, package_of(tabled), within, score)
    attack = by_unit(tabled.attacks.get(attacker, ()), package_of(tabled), within, score)
    nominal = held_out.at_flagged(held_out.curve(held_out.folds(honest, attack)), SHARE).nominal
    kept = {name: each for name, each in honest.items() if name != but} if but else honest
    if but:
        above = held_out.folds({but: [0.0], **kept}, {})[0].chosen_on
        return held_out.curve([held_out.Fold(but, above, list(scores), {})], (nominal,))[0].flagged
    return held_out.curve(held_out.folds(kept, {"": scores}), (nominal,))[0].caught


def _row(source: corpus.Source, texts: Corpus, tabled: Table, against: Table, attacker: str = PLAIN.name) -> Row:
    streams = tabled.attacks[attacker] if source.is_attack else tabled.honest
    mine = [seen for seen in streams if seen.spec.source == source.name]
    best = [max((look for look in seen.looks), key=score) for seen in mine]
    scores = {within: [detection.highest(seen, within, score) for seen in mine] for within in (26, 200)}
    but = "" if source.is_attack or source.family not in against.family_of.values() else source.family
    hidden = source.is_attack and attacker == PLAIN.name
    return Row(
        source.name,
        source.family,
        source.is_attack,
        *(measures.flagged(scores[within], FIXED - 1) for within in (26, 200)),
        *(held(against, attacker, within, scores[within], but=but) for within in (26, 200)),
        measures.median(scores[200]),
        Counter(look.profile for look in best).most_common(1)[0][0],
        _row(source, texts, tabled, against, TARGETED.name) if hidden else None,
    )


def totals(found: Sequence[Row], tabled: Table, *, seed: int) -> list[str]:
    """What comes of all, with intervals that draw whole packages again."""
    attack, honest = [row for row in found if row.is_attack], [row for row in found if not row.is_attack]
    packages = [len({row.package for row in each}) for each in (attack, honest)]
    said = [
        f"{len(attack)} attacking families of {packages[0]} packages, {len(honest)} honest ones of {packages[1]}, {TENANTS} tenants each.",
        "",
    ]
    for attacker in (PLAIN, TARGETED):
        for within in (26, 200):
            units = by_unit(tabled.attacks[attacker.name], package_of(tabled), within, score)
            fixed = _share(units, seed)
            at_one = detection.caught(tabled, attacker.name, within, score, times=BOOTSTRAPS, seed=seed)
            honest = by_unit(tabled.honest, package_of(tabled), within, score)
            declared = detection.caught(tabled, attacker.name, within, detection.SCORES["declared"], times=0, seed=seed)
            points = held_out.curve(held_out.folds(honest, units))
            more = ", ".join(f"{held_out.at_flagged(points, share).caught:.0%} at {share:.0%}" for share in (0.05, 0.1, 0.25))
            said.append(
                f"- caught within {within}, {attacker.label}: {_said(fixed)} of tenants at {FIXED}; "
                f"{at_one['caught']:.0%} ({at_one['low']:.0%} to {at_one['high']:.0%}) where 1% of held-out honest is flagged, "
                f"packages weighing the same, {declared['caught']:.0%} with evaluations declared; a threshold *meant* to flag 1% flags {at_one['nominal_flagged']:.1%} and catches "
                f"{at_one['nominal_caught']:.0%}; {more} flagged; area {held_out.area(points):.2f}."
            )
    for within in (26, 200):
        told = [
            f"{what} {_said(_share(by_unit(tabled.honest, package_of(tabled), within, each), seed))}"
            for what, each in (("undeclared", score), ("evaluations declared", lambda look: look.declared))
        ]
        said.append(f"- honest flagged within {within} at {FIXED}: {'; '.join(told)}.")
    return said


def _share(units: Scores, seed: int) -> measures.Interval:
    def figure(groups: Sequence[Scores]) -> float:
        return measures.flagged(measures.pooled(groups[0]), FIXED - 1)

    return measures.bootstrap((units,), figure, times=BOOTSTRAPS, seed=str(seed))


def _said(interval: measures.Interval) -> str:
    return f"{interval.value:.1%} ({interval.low:.1%} to {interval.high:.1%})"
