"""Honest tenants on one public template: how many of them are joined, who should not be.

Each sends at a rate of its own (log-normal: rates of real customers span orders of magnitude). What they fill in comes from any
workload, from one kind of workload, from one data set that all of them run; or all of them run what is an extraction's tool, on
that tool's own data. The last are not told apart from one operator by anything but their rates, and a tool's traffic looks like
an extraction: only a declared purpose says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from random import Random
from typing import NamedTuple

from gateway.evaluation.campaigns import filled
from gateway.evaluation.corpus import Corpus, Source
from gateway.evaluation.crowd import DAY_US, Crowd, Makes, Note, noted, when
from gateway.evaluation.tenants import Spec, Text, requests, texts
from gateway.evaluation.traces import Traces, spread_over_day

TENANTS = 25
REQUESTS_MEDIAN, UNEVEN, REQUESTS_MAX = 60, 1.2, 300
LOOK_EVERY_US = 7_200_000_000
KINDS = {
    "any": "data of any workload",
    "workload": "data of one kind of workload",
    "data": "one data set for all",
    "tool": "an extraction's own tool and data",
}
_TEMPLATE = "Work through the following material as the guidelines of this tool say."


class Public(NamedTuple):
    """What came of one day."""

    kind: str
    source: str
    """What the data is of; "": of any."""
    tenants: int
    joined: int
    """Of them, in any cluster at the end of the day."""
    crowd_joined: int
    """Others, in any cluster."""


def run(kind: str, corpus: Corpus, traces: Traces, makes: Makes, crowded: Crowd, *, number: int, seed: str) -> Public:
    """One day of tenants of one template, among others."""
    sources = corpus.of("attack" if kind == "tool" else "benign")
    one = sources[number % len(sources)]
    notes: list[Note] = []
    for place in range(TENANTS):
        own = Random(f"{seed}/public/{kind}/{number}/{place}")
        source = own.choice(sources) if kind == "any" else one
        said = _said(kind, source, own)
        count = min(REQUESTS_MAX, max(3, round(own.lognormvariate(0, UNEVEN) * REQUESTS_MEDIAN)))
        name = f"public/{place}"
        stream = requests(said, spread_over_day(count, own), traces, own)
        notes += noted(name, stream, makes.watcher(Spec(name, source.name, "", place)))
    linker = makes.linker()
    next_us = LOOK_EVERY_US
    for note in merge(crowded.notes, sorted(notes, key=when), key=when):
        while note.at_us >= next_us:
            linker.clusters(next_us)
            next_us += LOOK_EVERY_US
        linker.note(note.tenant, note.sighting, note.at_us, note.output_tokens)
    together = [name for cluster in linker.clusters(DAY_US) for name in cluster.tenants]
    joined = sum(name.startswith("public/") for name in together)
    return Public(kind, "" if kind == "any" else one.name, TENANTS, joined, len(together) - joined)


def _said(kind: str, source: Source, own: Random) -> Iterator[Text]:
    groups = sorted(source.groups) or [""]
    if kind == "tool":
        return texts(source, "", own)
    group = groups[0] if kind == "data" else own.choice(groups)
    return (filled(text, _TEMPLATE) for text in texts(source, group, own))
