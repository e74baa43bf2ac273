"""Which tenants are likely one operator: clusters, found from numbers and keyed fingerprints alone. Pure, bounded.

Nobody is compared with everybody. Whoever has sent half as much again as at its last comparison (or nothing new for a day) is
compared with at most CANDIDATES_MAX others that an index suggests (`link_index`: templates, rare words, and what is shared
outright). `link_pairs` weighs a pair by `link_evidence`, `link_graph` makes groups of pairs, `link_clusters` gives them names
that last and reasons that can be read.

Time is an argument, nothing is drawn by chance, and nothing here raises on what a tenant sends: what is over a bound is
forgotten. The same calls in the same order give the same clusters. The order of notes between two calls of `clusters` matters
only where a bound is reached, or who was first.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import orjson

from gateway.detectors import link_evidence as evidence
from gateway.detectors.link_clusters import Cluster, Registry
from gateway.detectors.link_crowd import Crowd
from gateway.detectors.link_dump import tenant_in, tenant_out
from gateway.detectors.link_evidence import View
from gateway.detectors.link_groups import SILENT_US, standing_edges
from gateway.detectors.link_index import Index
from gateway.detectors.link_kept import HEAD, Changes, Touched, sent_of, tenants_of
from gateway.detectors.link_pairs import SEEN_MIN, Scene, compare
from gateway.detectors.link_seats import sit_down, speak, survey
from gateway.detectors.link_strand import DAY_US, Strand
from gateway.detectors.link_suspects import Judge, Suspects, unjudged
from gateway.detectors.link_tenant import HABITS_MAX, Tenant, tally, template_of
from gateway.values import Sighting

VERSION = 2
TENANTS_MAX = 50_000
COMPARISONS = 500
"""Tenants compared in one call of `clusters`, about a millisecond each."""
GROUP_US = 600_000_000
"""Groups are looked for anew no more often."""
NODES = 1_000
"""Nodes held against others in one call of `clusters`, about a quarter of a millisecond each; a group is not cut in two."""
SURVEY_US = 600_000_000
PROMPT_BYTES_MIN = 24
"""Shorter slots ("yes", "thank you") are sent by everybody."""


class Links:
    """All tenants, and what links them."""

    def __init__(self, *, tenants_max: int = TENANTS_MAX) -> None:
        self._tenants_max = tenants_max
        self._tenants: dict[str, Tenant] = {}
        """By name, the one that sent least lately first."""
        self._numbers: dict[int, Tenant] = {}
        self._next = 0
        self._crowd = Crowd()
        self._index = Index()
        self._registry = Registry()
        self._waiting: dict[int, None] = {}
        self._surveyed_us = 0
        self._grouped_us = 0
        self._grouping: Generator[int, None, tuple[Cluster, ...]] | None = None
        self._held = 0
        self._clusters: tuple[Cluster, ...] = ()
        self._touched = Touched()

    def __len__(self) -> int:
        return len(self._tenants)

    def note(self, tenant: str, sighting: Sighting, at_us: int) -> None:
        """One request of a tenant."""
        known = self._tenants.pop(tenant, None)
        if known is None:
            known = self._enter(tenant, at_us)
        self._tenants[tenant] = known
        self._touched.tenant(tenant)
        known.noted += 1
        known.tick(at_us)
        known.everything.add(sighting.sketch, at_us)
        template = template_of(sighting)
        if template:
            strand, lost = known.strand_of(template, at_us)
            if strand is not None:
                if not strand.seen:
                    self._index.hold(template, known)
                    if lost:
                        self._index.release(lost, known)
                strand.add(sighting.sketch, at_us)
        tally(known.habits, sighting.habits, HABITS_MAX)
        if sighting.content and sighting.slot_bytes >= PROMPT_BYTES_MIN:
            self._share("prompts", sighting.content, known)
        if sighting.signature:
            self._share("signatures", sighting.signature, known)
        if known.noted >= known.due or at_us >= known.due_us:
            self._waiting[known.number] = None

    def facts(self, tenant: str, facts: Mapping[str, str], at_us: int) -> None:
        """What the operator knows of a tenant: `payment`, `network`, `signup`, each as a text of its own choosing. They replace
        what was known before; a name that is none of these raises ValueError."""
        if unknown := sorted(facts.keys() - evidence.FACTS.keys()):
            raise ValueError(f"{tenant}: no such fact: {', '.join(unknown)} (there are {', '.join(evidence.FACTS)})")
        known = self._tenants.get(tenant)
        if known is None:
            known = self._tenants[tenant] = self._enter(tenant, at_us)
        self._index.unstate(known)
        known.facts = {fact: _digest(value) for fact, value in facts.items() if value}
        self._touched.tenant(tenant)
        self._index.state(known)
        self._waiting[known.number] = None

    def forget(self, tenant: str) -> None:
        """What it sent, whom that linked it to and what it was first in: from now on it stands in no cluster, and what it sends
        next is a newcomer's. What the operator stated of it stays: that is no sign, and it would not be told again."""
        known = self._tenants.get(tenant)
        if known is None:
            return
        self._drop(known)
        if self._grouping is not None:  # it knows of it: begin again
            self._grouping, self._held, self._grouped_us = None, 0, 0
        left = ([name for name in cluster.tenants if name != tenant] for cluster in self._clusters)
        clusters = [cluster._replace(tenants=tuple(names)) for cluster, names in zip(self._clusters, left)]
        self._clusters = tuple(cluster for cluster in clusters if len(cluster.tenants) > 1)
        self._registry.forget(tenant)
        if known.facts:
            blank = self._tenants[tenant] = self._enter(tenant, known.everything.last_us)
            blank.facts = known.facts
            self._index.state(blank)

    def _drop(self, known: Tenant) -> None:
        """As if it had never been."""
        self._touched.tenant(known.name)
        del self._tenants[known.name], self._numbers[known.number]
        self._waiting.pop(known.number, None)
        self._index.remove(known)
        if known.seat is not None:
            self._crowd.leave(known.seat, known.seat_habits, known.spoken)

    def clusters(self, at_us: int, *, comparisons: int | None = COMPARISONS, judge: Judge = unjudged) -> tuple[Cluster, ...]:
        """The clusters as they stand, largest first; looked for anew every ten minutes, and the same in between.

        `judge` is asked what tenants look like together (see `link_suspects`); without it groups stand by their rhythm alone.
        At most `comparisons` tenants that are due are compared before (None: all); the others stay due, and `waiting` tells how
        many: call it again, at the same time or later.
        """
        views: dict[int, View] = {}

        def look(strand: Strand) -> View:
            found = views.get(id(strand))
            if found is None:
                found = views[id(strand)] = evidence.view(strand, self._crowd)
            return found

        scene = Scene(self._crowd, look, self._index, at_us, Suspects(judge, self._numbers))
        due = sorted(list(self._waiting)[:comparisons], key=lambda number: self._numbers[number].place)
        for number in due:
            del self._waiting[number]
            speak(self._numbers[number], self._crowd)
        self._survey(at_us)
        for number in due:
            self._index.post(self._numbers[number], look)
        for number in due:
            self._compare(self._numbers[number], scene)
        if self._grouping is None and not 0 <= at_us - self._grouped_us < GROUP_US:
            self._grouped_us = at_us
            self._grouping = self._registry.name(standing_edges(self._numbers, at_us), dict(self._numbers), scene)
        self._group(NODES if comparisons is not None else None)
        return self._clusters

    @property
    def is_grouping(self) -> bool:
        """Whether groups are being looked for: the next call of `clusters` goes on."""
        return self._grouping is not None

    def _group(self, nodes: int | None) -> None:
        """Look for groups until so many nodes have been held against others (None: to the end)."""
        try:
            while self._grouping is not None:
                self._held, before = next(self._grouping), self._held
                if nodes is not None:
                    nodes -= max(self._held - before, 1)
                    if nodes <= 0:
                        return
        except StopIteration as found:
            self._grouping, self._held = None, 0
            self._clusters = found.value

    def dump(self) -> bytes:
        """Everything that cannot be worked out again, as JSON: about 2 KB a tenant. `changes` is cheaper to call often."""
        tenants = [tenant_out(tenant) for tenant in self._tenants.values()]
        sent = {kind: list(sent.items()) for kind, sent in self._index.sent.items()}
        return orjson.dumps({**self._head(), "tenants": tenants, "sent": sent})

    @classmethod
    def load(cls, data: bytes, *, tenants_max: int = TENANTS_MAX) -> Links:
        """What `dump` made. Raises ValueError on anything else; an older version's dump is "anything else" too: start anew."""
        links = cls(tenants_max=tenants_max)
        try:
            parsed = orjson.loads(data)
            links._put_back(parsed, map(tenant_in, parsed["tenants"]), parsed["sent"])
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as fault:
            raise ValueError(f"not a dump of links: {type(fault).__name__}: {fault}") from fault
        return links

    def _head(self) -> dict[str, Any]:
        clusters = {id_: sorted(members) for id_, members in self._registry.members.items()}
        return {"links": VERSION, "next": self._next, "waiting": list(self._waiting), "clusters": clusters}

    def _put_back(
        self, head: Mapping[str, Any], tenants: Iterable[Tenant], sent: Mapping[str, Iterable[tuple[int, Sequence[int]]]]
    ) -> None:
        """Tenants in the order in which they are kept: who sent least lately first."""
        if head["links"] != VERSION:
            raise ValueError(f"version {head['links']}, not {VERSION}")
        self._next = int(head["next"])
        for tenant in list(tenants)[-self._tenants_max :]:
            self._tenants[tenant.name] = self._numbers[tenant.number] = tenant
            self._index.put_back(tenant)
            sit_down(tenant, self._crowd)
        self._waiting = {int(number): None for number in head["waiting"] if number in self._numbers}
        for kind, entries in self._index.sent.items():
            entries.update({int(key): (int(first), int(last), int(count)) for key, (first, last, count) in sent[kind]})
        self._registry.members = {id_: frozenset(names) for id_, names in head["clusters"].items()}

    def changes(self) -> Changes:
        """What is not as it was when this was last called (or `of` read it): to be kept, beside what was kept before."""
        return self._touched.changes(self._tenants, self._index.sent, self._head())

    @classmethod
    def of(cls, rows: Mapping[str, bytes], *, tenants_max: int = TENANTS_MAX) -> Links:
        """What `changes` gave, kept together. Raises ValueError on anything else, which an older version's rows are too."""
        links = cls(tenants_max=tenants_max)
        try:
            sent = {kind: sent_of(rows, kind) for kind in links._index.sent}
            links._put_back(orjson.loads(rows[HEAD]), tenants_of(rows), sent)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as fault:
            raise ValueError(f"not rows of links: {type(fault).__name__}: {fault}") from fault
        links._touched.begin()
        return links

    @property
    def waiting(self) -> int:
        """Tenants that are due for a comparison."""
        return len(self._waiting)

    def _enter(self, name: str, at_us: int) -> Tenant:
        if len(self._tenants) >= self._tenants_max:
            self._drop(next(iter(self._tenants.values())))
        tenant = Tenant(name, self._next, at_us)
        tenant.due, tenant.due_us = SEEN_MIN, at_us + DAY_US
        self._next += 1
        self._numbers[tenant.number] = tenant
        return tenant

    def _share(self, kind: str, fingerprint: int, tenant: Tenant) -> None:
        for number in self._index.earlier(kind, fingerprint, tenant.number, self._touched.sent):
            other = self._numbers.get(number)
            if other is not None:
                tenant.shares(kind, number, is_theirs=True)
                other.shares(kind, tenant.number, is_theirs=False)
                self._touched.tenant(other.name)

    def _compare(self, tenant: Tenant, scene: Scene) -> None:
        tenant.due, tenant.due_us = max(SEEN_MIN, tenant.noted + tenant.noted // 2), scene.now_us + DAY_US
        self._touched.tenant(tenant.name)
        for key in [key for key in tenant.peers if key[1] not in self._numbers]:
            del tenant.peers[key]
        if tenant.noted < SEEN_MIN:
            return
        edges = []
        for number in self._index.candidates(tenant):
            other = self._numbers.get(number)
            if other is not None and scene.now_us - other.everything.last_us < SILENT_US:
                edge = compare(tenant, other, scene)
                if edge is not None:
                    edges.append(edge)
        tenant.edges = edges

    def _survey(self, at_us: int) -> None:
        if 0 <= at_us - self._surveyed_us < SURVEY_US:
            return
        self._surveyed_us = at_us
        survey(self._crowd, self._numbers, at_us)


def _digest(value: str) -> int:
    return int.from_bytes(blake2b(value.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
