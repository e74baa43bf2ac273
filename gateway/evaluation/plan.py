"""How much is simulated: by default what a machine of two cores does in some minutes, with --quick what it does in one."""

from __future__ import annotations

from typing import NamedTuple

from gateway.evaluation.attackers import ATTACKERS, PLAIN
from gateway.evaluation.campaigns import WAYS
from gateway.evaluation.corpus import Corpus, Source
from gateway.evaluation.own_history import TURNS
from gateway.evaluation.publics import KINDS
from gateway.evaluation.tenants import Spec, specs
from gateway.evaluation.watching import LOOKS
from gateway.evaluation.workshop import Day, Job, Past, Split, Stream, Template, Toll
from gateway.policy.model import Ladder

LOOKS_ADAPTIVE = tuple(look for look in LOOKS if look <= 200)


class Plan(NamedTuple):
    honest: int
    """Honest tenants in all, about; spread evenly over sources."""
    attack: int
    """Attacking tenants that do nothing to be overlooked, in all."""
    adaptive: int
    """Tenants of each other attacker, in all."""
    least: int
    """Tenants of a source, at least."""
    tolls: int
    """Honest tenants of a source whose day is walked on the ladder."""
    days: int
    """Days of a campaign, for each way of splitting it and each crowd, in all."""
    accounts: int
    crowds: tuple[int, ...]
    """Honest tenants of each source in the crowds that it hides among; the first is the one for all else."""
    publics: int
    """Days of tenants on one public template, for each kind of data."""
    splits: tuple[int, ...]
    """Numbers of accounts that a campaign is split over."""
    split_sources: int
    volume: int
    bootstraps: int
    looks: tuple[int, ...] = LOOKS
    looks_adaptive: tuple[int, ...] = LOOKS_ADAPTIVE


FULL = Plan(900, 300, 120, 20, 20, 12, 100, (6, 2), 8, (1, 3, 10, 30, 100, 300, 1000), 2, 26_000, 500)
QUICK = Plan(340, 100, 40, 8, 4, 4, 100, (6, 2), 4, (1, 10, 100, 1000), 1, 26_000, 200)
SMALLEST = Plan(20, 16, 4, 2, 1, 2, 10, (2,), 1, (1, 10), 1, 520, 50, (26, 50), (26, 50))
"""For the tests: figures that mean nothing, from every part of the machinery."""


def _each(total: int, sources: tuple[Source, ...], plan: Plan) -> int:
    return max(plan.least, round(total / max(1, len(sources))))


def streams(plan: Plan, corpus: Corpus) -> list[Job]:
    """Every tenant that is watched alone."""
    honest, attacks = corpus.of("benign"), corpus.of("attack")
    jobs: list[Job] = []
    for source in honest:
        jobs += [Stream(spec, "", plan.looks, True) for spec in specs(source, _each(plan.honest, honest, plan))]
    for attacker in ATTACKERS:
        is_plain = attacker == PLAIN
        count = _each(plan.attack if is_plain else plan.adaptive, attacks, plan)
        looks = plan.looks if is_plain else plan.looks_adaptive
        for source in attacks:
            jobs += [Stream(spec, attacker.name, looks, is_plain) for spec in specs(source, count)]
    return jobs


def days(plan: Plan, corpus: Corpus) -> list[Job]:
    """Every day of a campaign whose accounts are to be linked: the sources in turn."""
    attacks = corpus.of("attack")
    return [
        Day(attacks[number % len(attacks)].name, way.name, number, plan.accounts, each)
        for each in plan.crowds
        for way in WAYS
        for number in range(max(plan.days, len(attacks)))
    ]


def templates(plan: Plan) -> list[Job]:
    """Every day of honest tenants on one public template."""
    return [Template(kind, number, plan.crowds[0]) for kind in KINDS for number in range(plan.publics)]


def pasts(corpus: Corpus) -> list[Job]:
    """One tenant of each honest source for each thing that it may turn to; the second program and the attack in turn."""
    honest, attacks = corpus.of("benign"), corpus.of("attack")
    return [
        Past(spec, honest[(place + 1 + number) % len(honest)].name, attacks[(place + number) % len(attacks)].name, turn)
        for place, source in enumerate(honest)
        for number, (turn, spec) in enumerate(zip(TURNS, specs(source, len(TURNS))))
    ]


def splits(plan: Plan, corpus: Corpus, above: int) -> list[Job]:
    """Every campaign that is split; the largest first, so that no process waits for it at the end."""
    return [
        Split(source.name, accounts, above, plan.volume, plan.crowds[0])
        for accounts in sorted(plan.splits, reverse=True)
        for source in corpus.of("attack")[: plan.split_sources]
    ]


def tolls(plan: Plan, corpus: Corpus, ladder: Ladder, workload_declared: str) -> list[Job]:
    """Every honest day on the ladder; tenants of the workload that would declare itself do so, and once more do not."""
    jobs: list[Job] = []
    for source in corpus.of("benign"):
        for spec in specs(source, plan.tolls):
            tolled = Spec(f"{spec.name}/toll", spec.source, spec.group, spec.number)
            jobs.append(Toll(tolled, source.workload == workload_declared, ladder))
            if source.workload == workload_declared:
                jobs.append(Toll(tolled, False, ladder))
    return jobs
