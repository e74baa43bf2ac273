"""One campaign split over k accounts: what it gets in a day, by who is held to what.

The campaign wants VOLUME requests answered in a day and splits them evenly. Each account has the same daily budget, so with few
accounts the budgets alone hold it; with many each account is small, and then it matters whether accounts are judged alone or
together. Four ways of holding it are told, each on top of the one before:

1. *budgets*: each account's own budget, and no watch;
2. *alone*: an account is cut off when its own score is above the threshold;
3. *cluster budget*: accounts that stand linked share one budget between them, from then on;
4. *cluster score*: a linked cluster is judged by its merged window, and cut off together.

Cutting off at once is no ladder: it is the most that any response could do with what the watch has noticed by then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from heapq import merge
from random import Random
from typing import NamedTuple

from gateway.evaluation.campaigns import campaign
from gateway.evaluation.corpus import Corpus, Source
from gateway.evaluation.crowd import DAY_US, Crowd, Makes, Note
from gateway.evaluation.linking import LOOK_EVERY_S
from gateway.evaluation.tenants import Request, Spec
from gateway.evaluation.traces import Traces
from gateway.evaluation.watching import LOOKS, Watcher

VOLUME = 26_000
"""Requests a day: what 1,000 accounts at 26 send."""
ACCOUNT_BUDGET = 1_000
"""Requests a day of one account's plan, and of a cluster's shared budget."""
WAYS = ("budgets", "alone", "cluster budget", "cluster score")


Event = tuple[int, int, str, Note | Request]
"""When, what comes first of two at one time, whose, and what: an honest tenant's note, or a request of the campaign."""


class Split(NamedTuple):
    """What a campaign got in a day, by number of accounts: answers in output tokens, of `wanted`."""

    source: str
    accounts: int
    wanted: int
    got: dict[str, int]
    """By way of holding it."""
    linked: int
    """Accounts that stood in the campaign's clusters at the end."""


class _Campaign:
    """The state of one day."""

    def __init__(self, above: int, makes: Makes) -> None:
        self._above = above
        self._makes = makes
        self.watchers: dict[str, Watcher] = {}
        self._sent: Counter[str] = Counter()
        self._cut: set[str] = set()
        self.cluster_of: dict[str, str] = {}
        self._spent: Counter[str] = Counter()
        self._cut_clusters: set[str] = set()

    def passes(self, account: str) -> tuple[bool, ...]:
        """Whether a request of it would be answered, by way; its score is what it was before."""
        self._sent[account] += 1
        in_budget = self._sent[account] <= ACCOUNT_BUDGET
        alone = in_budget and account not in self._cut
        cluster = self.cluster_of.get(account, "")
        shared = alone and (not cluster or self._spent[cluster] < ACCOUNT_BUDGET)
        if cluster and alone:
            self._spent[cluster] += 1
        return in_budget, alone, shared, shared and cluster not in self._cut_clusters

    def judge(self, account: str) -> None:
        """After a request of it, at every look."""
        is_due = self._sent[account] in LOOKS and account not in self._cut
        if is_due and self.watchers[account].judge(frozenset()).score > self._above:
            self._cut.add(account)

    def join(self, clusters: Sequence[tuple[str, tuple[str, ...]]]) -> None:
        """Who stands in which cluster by now, and which of them are cut off by their merged window."""
        self.cluster_of = {}
        for name, members in clusters:
            known = [member for member in members if member in self.watchers]
            self.cluster_of |= dict.fromkeys(known, name)
            if len(known) > 1 and name not in self._cut_clusters:
                together = self._makes.merged([self.watchers[member] for member in known])
                if together.judge(frozenset()).score > self._above:
                    self._cut_clusters.add(name)


def split(
    source: Source,
    accounts: int,
    corpus: Corpus,
    traces: Traces,
    makes: Makes,
    crowded: Crowd,
    *,
    above: int,
    seed: str,
    volume: int = VOLUME,
) -> Split:
    """One day of a campaign over so many accounts, in a crowd of honest tenants. `above`: the threshold of a score."""
    rng = Random(f"{seed}/hydra/{source.name}/{accounts}")
    each = -(-volume // accounts)
    got = dict.fromkeys(WAYS, 0)
    state = _Campaign(above, makes)
    linker = makes.linker()
    look_us = LOOK_EVERY_S * 1_000_000
    next_us = look_us
    wanted = 0
    sent = campaign(source, corpus.of("benign"), traces, accounts=accounts, each=each, rng=rng)
    theirs: Iterator[Event] = ((request.at_us, 1, account, request) for account, request in sent)
    honest: Iterator[Event] = ((note.at_us, 0, note.tenant, note) for note in crowded.notes)
    for at_us, _, tenant, said in merge(theirs, honest, key=lambda each: each[:2]):
        while at_us >= next_us:
            state.join([(cluster.id, cluster.tenants) for cluster in linker.clusters(next_us)])
            next_us += look_us
        if isinstance(said, Note):
            linker.note(tenant, said.sighting, at_us, said.output_tokens)
            continue
        wanted += said.output_tokens
        passes = state.passes(tenant)
        for way, passed in zip(WAYS, passes):
            got[way] += said.output_tokens if passed else 0
        if passes[0]:  # what its own budget refuses is never looked at
            if tenant not in state.watchers:
                state.watchers[tenant] = makes.watcher(Spec(tenant, source.name, "", 0))
            sighting = state.watchers[tenant].see(said.ask, at_us, said.output_tokens)
            linker.note(tenant, sighting, at_us, said.output_tokens)
            state.judge(tenant)
    state.join([(cluster.id, cluster.tenants) for cluster in linker.clusters(DAY_US)])
    return Split(source.name, accounts, wanted, got, len(state.cluster_of))
