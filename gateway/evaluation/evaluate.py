"""The whole evaluation, in order: data, streams, days, campaigns, ladder; then figures, as one tree that JSON can hold.

What is printed anywhere is in this tree: Markdown, HTML and plots are made from it and from nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from gateway import __version__
from gateway.evaluation import (
    accounts,
    collateral,
    corpus,
    detection,
    fitted,
    held_out,
    hydra,
    linking,
    measures,
    own_history,
    plan,
    publics,
    refit,
    targets,
)
from gateway.evaluation import data as told
from gateway.evaluation.attackers import ATTACKERS, PLAIN
from gateway.evaluation.crowd import Makes
from gateway.evaluation.families import EVALUATION
from gateway.evaluation.naive import NAMES
from gateway.evaluation.traces import load as load_traces
from gateway.evaluation.watching import Seen
from gateway.evaluation.workshop import Job, Pool, Result, Workshop, pool
from gateway.policy.model import Ladder

FORMAT = 1
"""Of the JSON: raised when a field goes or changes its meaning."""

Progress = Callable[[str, int], Callable[[], None]]
"""A stage with so many parts begins; what it returns is called after each."""


class Asked(NamedTuple):
    """What is to be evaluated."""

    corpus_dir: Path
    traces_dir: Path
    plan: plan.Plan
    processes: int
    seed: int
    ladder: Ladder
    makes: Makes
    fitted_on: frozenset[str]
    """Sources that the weights were fitted on, as their makers say."""


def evaluate(asked: Asked, progress: Progress) -> dict[str, Any]:
    """The tree. Raises SettingsError where there is too little to evaluate on."""
    tick = progress("reading", 2)
    texts = corpus.load(asked.corpus_dir)
    tick()
    times = load_traces(asked.traces_dir)
    tick()
    told.check(texts)
    workshop = Workshop(texts, times, asked.makes, asked.seed)
    with pool(workshop, asked.corpus_dir, asked.traces_dir, asked.processes) as workers:
        seen = cast("list[Seen]", _stage(workers, "tenants, alone", plan.streams(asked.plan, texts), progress))
        tabled = detection.table(seen, texts)
        above = detection.threshold(tabled, detection.TARGET_WITHIN)
        days = cast("list[linking.Day]", _stage(workers, "campaigns in a crowd", plan.days(asked.plan, texts), progress))
        templates = cast("list[publics.Public]", _stage(workers, "public templates", plan.templates(asked.plan), progress))
        splits = cast("list[hydra.Split]", _stage(workers, "accounts", plan.splits(asked.plan, texts, above), progress))
        jobs = plan.tolls(asked.plan, texts, asked.ladder, EVALUATION)
        tolls = cast("list[collateral.Toll]", _stage(workers, "honest days", jobs, progress))
        turned = cast("list[own_history.Turned]", _stage(workers, "own histories", plan.pasts(texts), progress))
    tick = progress("figures", 5)
    tree: dict[str, Any] = {
        "format": FORMAT,
        "version": __version__,
        "settings": {"seed": asked.seed, **asked.plan._asdict()},
        "data": told.tell(texts, times, asked.fitted_on),
        "streams": told.streams(tabled),
    }
    tick()
    tree["detection"] = _detection(tabled, asked)
    tick()
    tree["attackers"] = _attackers(tabled, asked)
    tick()
    tree["accounts"] = accounts.tell(days, templates, splits, above)
    tick()
    tree["honest"] = _honest(tabled, tolls, asked.ladder)
    tree["history"] = own_history.tell(turned)
    tree["targets"] = targets.tell(tree)
    tick()
    return tree


def _stage(workers: Pool, name: str, jobs: Sequence[Job], progress: Progress) -> list[Result]:
    return workers.do(jobs, progress(name, len(jobs)))


def _detection(tabled: detection.Table, asked: Asked) -> dict[str, Any]:
    """Every score, every way of choosing its threshold; the watch also by number of requests and by delay."""
    scores: dict[str, Any] = {}
    within = min(detection.TARGET_WITHIN, asked.plan.looks[-1])
    for name, score in detection.SCORES.items():
        found = detection.curves(tabled, PLAIN.name, within, score, asked.seed)
        scores[name] = {way: _curve(points) for way, points in found._asdict().items()}
    plain = tabled.attacks.get(PLAIN.name, ())
    if all(seen.kept for seen in (*tabled.honest, *plain)):
        honest_samples = refit.samples(tabled.honest, tabled.family_of, is_attack=False)
        attack_samples = refit.samples(plain, tabled.family_of, is_attack=True)
        folds = refit.pair_folds(honest_samples, attack_samples)
        alone = refit.alone(attack_samples)
        scores["refit"] = {"family": _curve(held_out.curve(folds)), "by_family": _by_family(folds), "alone": alone}
    honest, attack = _rows(tabled.honest, tabled), _rows(plain, tabled)
    scores["diversity"] = {
        "family": _curve(held_out.curve(fitted.pair_folds(honest, attack))),
        "random": _curve(held_out.curve(fitted.random_pairs(honest, attack, seed=asked.seed))),
    }
    times = asked.plan.bootstraps
    withins = [within for within in detection.WITHIN if within <= asked.plan.looks[-1]]
    return {
        "share": detection.SHARE,
        "within": within,
        "scores": scores,
        "measures": {"diversity": list(NAMES)},
        "by_requests": {
            name: [
                detection.caught(tabled, PLAIN.name, each, detection.SCORES[name], times=times, seed=asked.seed)
                for each in withins
            ]
            for name in ("watch", "declared")
        },
        "delays": [each._asdict() for each in detection.delays(tabled, PLAIN.name, asked.plan.looks[-1])],
    }


def _rows(streams: Sequence[Seen], tabled: detection.Table) -> fitted.Rows:
    rows: fitted.Rows = {}
    for seen in streams:
        rows.setdefault(tabled.family_of[seen.spec.source], []).append(seen.naive)
    return rows


def _by_family(folds: Sequence[held_out.Fold]) -> dict[str, float]:
    """Caught of each attacking family where 1% of all held-out honest windows is flagged."""
    nominal = held_out.at_flagged(held_out.curve(folds), detection.SHARE).nominal
    found: dict[str, list[held_out.Fold]] = {}
    for fold in folds:
        for name in fold.attack:
            found.setdefault(name, []).append(fold)
    return {name: held_out.curve(each, (nominal,))[0].caught for name, each in found.items()}


def _curve(points: list[held_out.Point]) -> dict[str, Any]:
    chosen = held_out.at_flagged(points, detection.SHARE)
    nominal = held_out.at_nominal(points, detection.SHARE)
    return {
        "auc": held_out.area(points),
        "caught": chosen.caught,
        "flagged": chosen.flagged,
        "nominal_caught": nominal.caught,
        "nominal_flagged": nominal.flagged,
        "points": [[point.flagged, point.caught] for point in points],
    }


def _attackers(tabled: detection.Table, asked: Asked) -> list[dict[str, Any]]:
    found = []
    within = min(detection.TARGET_WITHIN, asked.plan.looks_adaptive[-1])
    for attacker in ATTACKERS:
        if attacker.name in tabled.attacks:
            row = {"name": attacker.name, "label": attacker.label, "dilution": attacker.dilution}
            for name in ("watch", "phrases", "volume"):
                times = asked.plan.bootstraps if name == "watch" else 0
                score = detection.SCORES[name]
                row[name] = detection.caught(tabled, attacker.name, within, score, times=times, seed=asked.seed)
            found.append(row)
    return found


def _honest(tabled: detection.Table, tolls: Sequence[collateral.Toll], ladder: Ladder) -> dict[str, Any]:
    within = min(detection.TARGET_WITHIN, tabled.honest[0].looks[-1].requests)
    declared = [toll for toll in tolls if toll.workload != EVALUATION or toll.is_declared]
    undeclared = [toll for toll in tolls if toll.workload == EVALUATION and not toll.is_declared]
    return {
        "flagged_by_source": {
            name: detection.flagged_by_source(tabled, within, detection.SCORES[name]) for name in ("watch", "declared")
        },
        "ladder": {
            "name": ladder.name,
            "steps": [{"name": step.name, "score_milli": step.score_milli} for step in ladder.steps],
        },
        "reaching": detection.reaching(tabled, within, [step.score_milli for step in ladder.steps]),
        "within": within,
        "tolls": _tolls(declared),
        "tolls_undeclared": _tolls(undeclared),
        "touched": measures.share_of(sum(t.touched for t in declared), sum(t.tokens for t in declared)),
    }


def _tolls(tolls: Sequence[collateral.Toll]) -> dict[str, dict[str, Any]]:
    return {
        workload: {"tenants": tenants, "tokens": tokens, "touched": touched, "share": measures.share_of(touched, tokens)}
        for workload, (tenants, tokens, touched) in collateral.by_workload(tolls).items()
    }
