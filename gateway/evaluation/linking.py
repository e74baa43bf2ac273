"""A day of traffic of many tenants, some of them accounts of one campaign, and what the watch joins.

A run is: honest tenants of every workload (some of them on one public template, with texts of their own), a campaign split
over accounts of 26 requests a day, and *mimics*: accounts that send an honest tenant's very prompts among their own, to have it
joined to them. All are noted in the order of time; clusters are asked for as the day goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import islice
from random import Random
from typing import NamedTuple, Protocol

import orjson

from gateway.evaluation.attackers import PLAIN, Attacker
from gateway.evaluation.corpus import Corpus, Source
from gateway.evaluation.own_history import Historian
from gateway.evaluation.tenants import Request, Spec, Text, requests, texts
from gateway.evaluation.traces import DAY_S, Traces, arrivals, spread_over_day
from gateway.evaluation.watching import Watcher
from gateway.values import Sighting

ACCOUNT_REQUESTS = 26
"""A day, of one account of the largest campaign that was reported."""
HONEST_REQUESTS = 200
"""Of an honest tenant's day that are looked at: its first ones."""
LOOK_EVERY_S = 1800
LINKED_SHARE = 0.8  # a campaign is linked when one cluster has so many of its accounts
MIMICS = 3
TEMPLATE_CHARACTERS = 16
TEMPLATE_SAMPLE = 20
DAY_US = DAY_S * 1_000_000


class Note(NamedTuple):
    """One request of one tenant, as the analyst gets it."""

    at_us: int
    tenant: str
    sighting: Sighting
    output_tokens: int


class Linked(Protocol):
    """One cluster, as far as is asked here."""

    @property
    def id(self) -> str: ...

    @property
    def tenants(self) -> tuple[str, ...]: ...


class Linker(Protocol):
    def note(self, tenant: str, sighting: Sighting, at_us: int, output_tokens: int) -> None: ...

    def clusters(self, at_us: int) -> Sequence[Linked]: ...


class Honest(NamedTuple):
    """An honest tenant of the crowd, and what it has in common with others."""

    name: str
    source: str
    group: str
    has_template: bool
    """The texts of its group fill one template: others of the group fill the same with texts of their own."""


class Crowd(NamedTuple):
    """Honest tenants of a day, the same for every campaign that hides among them."""

    seed: str
    honest: list[Honest]
    notes: list[Note]
    """Of all of them, in the order of time."""
    watchers: dict[str, Watcher]


class Makes(Protocol):
    """What watches and links are made by."""

    def watcher(self, spec: Spec) -> Watcher: ...

    def merged(self, watchers: Sequence[Watcher]) -> Watcher: ...

    def linker(self) -> Linker: ...

    def historian(self, spec: Spec) -> Historian: ...


class Day(NamedTuple):
    """What came of one run."""

    source: str
    attacker: str
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


def crowd(corpus: Corpus, traces: Traces, makes: Makes, *, each: int, seed: str) -> Crowd:
    """Honest tenants: `each` of every source, two by two on one template (or on one source's texts, where it has no groups)."""
    honest: list[Honest] = []
    notes: list[Note] = []
    watchers: dict[str, Watcher] = {}
    for source in corpus.of("benign"):
        rng = Random(f"{seed}/crowd/{source.name}")
        groups = sorted(source.groups) or [""]
        rng.shuffle(groups)
        for number in range(each):
            group = groups[number // 2 % len(groups)]
            name = f"{source.name}/{number}"
            honest.append(Honest(name, source.name, group, _has_template(source, group)))
            own = Random(f"{seed}/crowd/{name}")
            client = traces.client(own)
            # Its own half of the texts: a public template is shared, what is filled in is not.
            said = _half(source, group, number % 2, own)
            start_us = round(own.random() * DAY_US / 2)
            times = (start_us + at_us for at_us in arrivals(client, own))
            stream = islice(requests(said, times, traces, own, client), HONEST_REQUESTS)
            watchers[name] = makes.watcher(Spec(name, source.name, group, number))
            notes += noted(name, (request for request in stream if request.at_us < DAY_US), watchers[name])
    return Crowd(seed, honest, sorted(notes, key=_when), watchers)


def _has_template(source: Source, group: str) -> bool:
    """Whether its prompts begin or end alike: a constant system prompt, or one text around what is filled in."""
    places = source.groups[group] if group else range(len(source.records))
    sample = [source.records[place] for place in places[:: max(1, len(places) // TEMPLATE_SAMPLE)]]
    firsts, lasts = [], []
    for line in sample:
        said = [str(message.get("content")) for message in orjson.loads(line)["messages"] if message["role"] != "assistant"]
        firsts.append(said[0])
        lasts.append(said[-1][::-1])
    return len(sample) > 1 and _alike(firsts) + _alike(lasts) >= TEMPLATE_CHARACTERS


def _alike(said: Sequence[str]) -> int:
    """How many characters all of them begin with: as many as the first and the last in order do."""
    first, last = min(said), max(said)
    return next((place for place, (one, other) in enumerate(zip(first, last)) if one != other), min(len(first), len(last)))


def _half(source: Source, group: str, half: int, rng: Random) -> Iterator[Text]:
    places = source.groups[group] if group else tuple(range(len(source.records)))
    mine = tuple(place for place in places if place % 2 == half) or places
    return texts(source._replace(groups={"half": mine}), "half", rng)


def noted(tenant: str, stream: Iterator[Request], watcher: Watcher) -> Iterator[Note]:
    """A tenant's requests through its watcher."""
    for request in stream:
        sighting = watcher.see(request.ask, request.at_us, request.output_tokens)
        yield Note(request.at_us, tenant, sighting, request.output_tokens)


def _when(note: Note) -> tuple[int, str]:
    return note.at_us, note.tenant


def campaign(
    source: Source,
    honest: Sequence[Source],
    traces: Traces,
    *,
    accounts: int,
    each: int,
    rng: Random,
    attacker: Attacker = PLAIN,
) -> Iterator[tuple[str, Request]]:
    """One queue of work, sent by accounts in the order of time: no text is sent twice before all of it was sent.

    What an attacker does to its text it does on each account alike; dilution is by requests of others on every account.
    """
    said = attacker.change(texts(source, "", rng), honest, rng)
    times = sorted((at_us, account) for account in range(accounts) for at_us in spread_over_day(each, rng))
    stream = requests(said, (at_us for at_us, _ in times), traces, rng)
    for (_, account), request in zip(times, stream):
        yield f"account/{account}", request


def mimics(victims: Sequence[Honest], corpus: Corpus, traces: Traces, makes: Makes, crowd_seed: str, rng: Random) -> list[Note]:
    """For each victim an account that sends its prompts and, every second time, an extraction's."""
    attacks = corpus.of("attack")
    notes: list[Note] = []
    for number, victim in enumerate(victims):
        source = corpus.named(victim.source)
        own = Random(f"{crowd_seed}/crowd/{victim.name}")
        traces.client(own)  # drawn as the victim's was: what follows is its very text
        theirs = _half(source, victim.group, int(victim.name.rpartition("/")[2]) % 2, own)
        mine = texts(rng.choice(attacks), "", rng)
        said = (next(theirs) if turn % 2 else next(mine) for turn in range(2 * ACCOUNT_REQUESTS))
        name = f"mimic/{number}"
        stream = requests(said, spread_over_day(2 * ACCOUNT_REQUESTS, rng), traces, rng)
        notes += noted(name, stream, makes.watcher(Spec(name, source.name, victim.group, number)))
    return sorted(notes, key=_when)


def run(
    source: Source,
    attacker: Attacker,
    corpus: Corpus,
    traces: Traces,
    makes: Makes,
    crowded: Crowd,
    *,
    seed: str,
    accounts: int = 100,
) -> Day:
    """One day: is the campaign linked, and who else is?"""
    rng = Random(f"{seed}/campaign/{source.name}/{attacker.name}")
    victims = rng.sample(crowded.honest, min(MIMICS, len(crowded.honest)))
    watchers: dict[str, Watcher] = {}
    sent: list[Note] = []
    said = campaign(source, corpus.of("benign"), traces, accounts=accounts, each=ACCOUNT_REQUESTS, rng=rng, attacker=attacker)
    for account, request in said:
        if account not in watchers:
            watchers[account] = makes.watcher(Spec(account, source.name, "", 0))
        sent += noted(account, iter((request,)), watchers[account])
    mimicking = mimics(victims, corpus, traces, makes, crowded.seed, rng)
    clusters, linked_after_s = _through_the_day(makes.linker(), merge(crowded.notes, sent, mimicking, key=_when), accounts)
    joined, largest = _most(clusters)
    together = {tenant: place for place, cluster in enumerate(clusters) for tenant in cluster.tenants}
    mimicked = sum(
        together.get(f"mimic/{number}", -1) == together.get(victim.name, -2) for number, victim in enumerate(victims)
    )
    watchers |= crowded.watchers
    innocent = [cluster.tenants for cluster in clusters if all(tenant in crowded.watchers for tenant in cluster.tenants)]
    return Day(
        source.name,
        attacker.name,
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
    return makes.merged(known).judge(frozenset()).score if known else 0


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
