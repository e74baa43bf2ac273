"""Honest tenants of one day, the same for every campaign that hides among them; and what watches and links them is made by.

Some are two by two on one public template, with texts of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random
from typing import NamedTuple, Protocol

import orjson

from gateway.evaluation.corpus import Corpus, Source
from gateway.evaluation.own_history import Historian
from gateway.evaluation.tenants import Request, Spec, Text, requests, texts
from gateway.evaluation.traces import DAY_S, Traces, arrivals
from gateway.evaluation.watching import Watcher
from gateway.values import Sighting

HONEST_REQUESTS = 200
"""Of an honest tenant's day that are looked at: its first ones."""
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
            said = half_of(source, group, number % 2, own)
            start_us = round(own.random() * DAY_US / 2)
            times = (start_us + at_us for at_us in arrivals(client, own))
            stream = islice(requests(said, times, traces, own, client), HONEST_REQUESTS)
            watchers[name] = makes.watcher(Spec(name, source.name, group, number))
            notes += noted(name, (request for request in stream if request.at_us < DAY_US), watchers[name])
    return Crowd(seed, honest, sorted(notes, key=when), watchers)


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


def half_of(source: Source, group: str, half: int, rng: Random) -> Iterator[Text]:
    places = source.groups[group] if group else tuple(range(len(source.records)))
    mine = tuple(place for place in places if place % 2 == half) or places
    return texts(source._replace(groups={"half": mine}), "half", rng)


def noted(tenant: str, stream: Iterator[Request], watcher: Watcher) -> Iterator[Note]:
    """A tenant's requests through its watcher."""
    for request in stream:
        sighting = watcher.see(request.ask, request.at_us, request.output_tokens)
        yield Note(request.at_us, tenant, sighting, request.output_tokens)


def when(note: Note) -> tuple[int, str]:
    return note.at_us, note.tenant
