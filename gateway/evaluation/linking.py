"""A day of traffic of many tenants, some of them accounts of one campaign, and what the watch joins.

A run is: honest tenants of every workload (some of them on one public template, with texts of their own), a campaign split
over accounts of 26 requests a day, and *mimics*: accounts that send an honest tenant's very prompts among their own, to have it
joined to them. All are noted in the order of time; clusters are asked for as the day goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import merge
from random import Random
from typing import NamedTuple

from gateway.evaluation.campaigns import ACCOUNT_REQUESTS, Way, campaign, mimics
from gateway.evaluation.corpus import Corpus, Source
from gateway.evaluation.crowd import DAY_US, Crowd, Honest, Linked, Linker, Makes, Note, noted, when
from gateway.evaluation.tenants import Spec
from gateway.evaluation.traces import DAY_S, Traces
from gateway.evaluation.watching import Watcher

LOOK_EVERY_S = 1800
LINKED_SHARE = 0.8  # a campaign is linked when one cluster has so many of its accounts
MIMICS = 3


class Day(NamedTuple):
    """What came of one run."""

    source: str
    way: str
    accounts: int
    linked_after_s: int
    """When the campaign first stood linked; -1: not within the day."""
    crowd: int
    """Honest tenants that it hid among."""
    joined: int
    """Accounts in the cluster that has most of them, at the end."""
    strangers: int
    """Honest tenants in that cluster."""
    scores: tuple[int, int]
    """Of that cluster's merged window, and the highest of any cluster that holds honest tenants alone."""
    pairs: dict[str, tuple[int, int]]
    """Pairs of honest tenants in one cluster, and all, by what they have in common: template, workload, nothing."""
    mimicked: tuple[int, int]
    """Honest tenants in one cluster with the account that sent their prompts, and all that had such."""


def run(
    source: Source,
    way: Way,
    corpus: Corpus,
    traces: Traces,
    makes: Makes,
    crowded: Crowd,
    *,
    seed: str,
    accounts: int = 100,
) -> Day:
    """One day: is the campaign linked, and who else is?"""
    rng = Random(f"{seed}/campaign/{source.name}/{way.name}")
    victims = rng.sample(crowded.honest, min(MIMICS, len(crowded.honest)))
    watchers: dict[str, Watcher] = {}
    sent: list[Note] = []
    said = campaign(source, corpus.of("benign"), traces, accounts=accounts, each=ACCOUNT_REQUESTS, rng=rng, way=way)
    for account, request in said:
        if account not in watchers:
            watchers[account] = makes.watcher(Spec(account, source.name, "", 0))
        sent += noted(account, iter((request,)), watchers[account])
    mimicking = mimics(victims, corpus, traces, makes, crowded.seed, rng)
    clusters, linked_after_s = _through_the_day(makes.linker(), merge(crowded.notes, sent, mimicking, key=when), accounts)
    joined, largest = _most(clusters)
    together = {tenant: place for place, cluster in enumerate(clusters) for tenant in cluster.tenants}
    mimicked = sum(
        together.get(f"mimic/{number}", -1) == together.get(victim.name, -2) for number, victim in enumerate(victims)
    )
    watchers |= crowded.watchers
    innocent = [cluster.tenants for cluster in clusters if all(tenant in crowded.watchers for tenant in cluster.tenants)]
    return Day(
        source.name,
        way.name,
        accounts,
        linked_after_s,
        len(crowded.honest),
        joined,
        sum(tenant in crowded.watchers for tenant in largest),
        (_score(largest, watchers, makes), max((_score(tenants, watchers, makes) for tenants in innocent), default=0)),
        _pairs(crowded.honest, together),
        (mimicked, len(victims)),
    )


def _through_the_day(linker: Linker, notes: Iterable[Note], accounts: int) -> tuple[Sequence[Linked], int]:
    """The clusters at the end of the day, and when the campaign first stood linked (-1: never)."""
    enough = LINKED_SHARE * accounts
    linked_after_s = -1
    look_us = LOOK_EVERY_S * 1_000_000
    next_us = look_us
    for note in notes:
        while note.at_us >= next_us:
            joined = _most(linker.clusters(next_us))[0]  # asked for all day: what is never looked at is forgotten
            if linked_after_s < 0 and joined >= enough:
                linked_after_s = next_us // 1_000_000
            next_us += look_us
        linker.note(note.tenant, note.sighting, note.at_us, note.output_tokens)
    clusters = linker.clusters(DAY_US)
    if linked_after_s < 0 and _most(clusters)[0] >= enough:
        linked_after_s = DAY_S
    return clusters, linked_after_s


def _score(tenants: Sequence[str], watchers: dict[str, Watcher], makes: Makes) -> int:
    """Of a cluster's merged window."""
    known = [watchers[tenant] for tenant in tenants if tenant in watchers]
    return int(makes.merged(known).judge(frozenset()).score) if known else 0


def _most(clusters: Sequence[Linked]) -> tuple[int, tuple[str, ...]]:
    """How many accounts of the campaign the cluster with most of them has, and all its tenants."""
    found: tuple[int, tuple[str, ...]] = (0, ())
    for cluster in clusters:
        count = sum(name.startswith("account/") for name in cluster.tenants)
        if count > found[0]:
            found = (count, tuple(cluster.tenants))
    return found


def _pairs(honest: Sequence[Honest], together: dict[str, int]) -> dict[str, tuple[int, int]]:
    counts = {"template": [0, 0], "workload": [0, 0], "nothing": [0, 0]}
    for place, one in enumerate(honest):
        for other in honest[place + 1 :]:
            common = "workload" if one.source == other.source else "nothing"
            if common == "workload" and one.group == other.group and one.has_template:
                common = "template"
            counts[common][1] += 1
            counts[common][0] += together.get(one.name, -1) == together.get(other.name, -2)
    return {common: (hits, of) for common, (hits, of) in counts.items()}
