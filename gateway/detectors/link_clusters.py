"""Groups become clusters: one for each tenant, an id that lasts, reasons that can be read. Pure.

A cluster keeps its id while a group holds more than half of the members it had (those that are still there). A new id is made
from the founding members' names.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from hashlib import blake2b
from typing import NamedTuple

from gateway.detectors.link_graph import DEGREE, Graph, Node, followed_by
from gateway.detectors.link_groups import SILENT_US, find_groups, graph_of
from gateway.detectors.link_pairs import Scene
from gateway.detectors.link_reasons import reasons_of
from gateway.detectors.link_strand import DAY_US
from gateway.detectors.link_tenant import Edge, Tenant
from gateway.detectors.link_tried import Tried
from gateway.values import Reason

OVER_US = DAY_US
"""A cluster most of whose members have been silent for so long is over: those who follow it continue it."""


class Cluster(NamedTuple):
    """Tenants that are likely one operator."""

    id: str
    tenants: tuple[str, ...]
    """Sorted."""
    reasons: tuple[Reason, ...]
    after: str = ""
    """Id of the cluster whose traffic these tenants took up after it had been going on; "": of none."""


class Registry:
    """The clusters as they were last named."""

    def __init__(self) -> None:
        self.members: dict[str, frozenset[str]] = {}
        """Id -> names."""
        self._nodes: list[frozenset[Node]] = []
        """The groups as they were last found."""
        self._tried = Tried()

    def forget(self, name: str) -> None:
        """Nobody of this name was ever in a cluster."""
        for id_, members in list(self.members.items()):
            if name in members:
                self.members[id_] = members - {name}

    def name(
        self, edges: Sequence[Edge], tenants: Mapping[int, Tenant], scene: Scene
    ) -> Generator[int, None, tuple[Cluster, ...]]:
        """Clusters of these edges (the newest last), largest first. It stops now and then and yields how much was done: it
        may go on later, and nothing is changed before its end."""
        at_us = scene.now_us
        before = [frozenset(node for node in group if _is_here(node, tenants, at_us)) for group in self._nodes]
        groups = _joined((yield from find_groups(edges, tenants, scene, before, self._tried)), tenants)
        self._nodes = [frozenset(group) for group in groups if group]
        graph = graph_of(edges)
        leaders = _leaders(groups, graph)
        for follower, leader in sorted(leaders.items()):
            if _is_over(groups[leader], tenants, at_us):
                groups[leader] |= groups[follower]
                groups[follower] = set()
        numbers = _assigned(groups, tenants)
        names = [frozenset(tenants[number].name for number in group) for group in numbers]
        ids = self._ids(names)
        inside = _inside(edges, numbers)
        return tuple(
            Cluster(
                id=ids[at],
                tenants=tuple(sorted(names[at])),
                reasons=reasons_of(numbers[at], inside[at], tenants, scene.crowd, at_us),
                after=ids[leaders[at]] if names[leaders.get(at, at)] and at in leaders else "",
            )
            for at in sorted(range(len(names)), key=lambda at: (-len(names[at]), ids[at]))
            if names[at]
        )

    def _ids(self, names: Sequence[frozenset[str]]) -> list[str]:
        """The id of the cluster each of them mostly is; a new one where it is none."""
        cluster_of = {name: id_ for id_, members in self.members.items() for name in members}
        claims: list[tuple[int, int, str]] = []
        for at, group in enumerate(names):
            counts: dict[str, int] = {}
            for name in group & cluster_of.keys():
                counts[cluster_of[name]] = counts.get(cluster_of[name], 0) + 1
            claims += [(-count, at, id_) for id_, count in counts.items() if 2 * count > len(self.members[id_])]
        ids = [""] * len(names)
        used: set[str] = set()
        for _, at, id_ in sorted(claims):
            if not ids[at] and id_ not in used:
                ids[at] = id_
                used.add(id_)
        for at, group in enumerate(names):
            if group and not ids[at]:
                ids[at] = _new_id(group, used | self.members.keys())
                used.add(ids[at])
        self.members = {ids[at]: group for at, group in enumerate(names) if group}
        return ids


def _joined(groups: Sequence[frozenset[Node]], tenants: Mapping[int, Tenant]) -> list[set[Node]]:
    """Groups that are the same tenants under another template become one: where they have half of the larger in common."""
    members = [{number for number, _ in group} for group in groups]
    groups_with: dict[int, list[int]] = {}
    for at, group in enumerate(members):
        for number in group:
            groups_with.setdefault(number, []).append(at)
    common: dict[tuple[int, int], int] = {}
    for ats in groups_with.values():
        for i, a in enumerate(ats):
            for b in ats[i + 1 :]:
                common[a, b] = common.get((a, b), 0) + 1
    into = list(range(len(groups)))
    for (a, b), count in sorted(common.items()):
        if 2 * count >= max(len(members[a]), len(members[b])):
            into[b] = min(into[b], into[a])
    joined: list[set[Node]] = [set() for _ in groups]
    for nodes, target in zip(groups, into):
        joined[target] |= nodes
    return joined


def _leaders(groups: Sequence[set[Node]], graph: Graph) -> dict[int, int]:
    """Group -> the group that at least half of its members follow."""
    group_of = {node: at for at, group in enumerate(groups) for node in group}
    found = {}
    for at, group in enumerate(groups):
        counts = followed_by(group, graph, group_of)
        leader = max(counts, key=lambda other: (counts[other], -other), default=at)
        if leader != at and 2 * counts[leader] >= len(group):
            found[at] = leader
    return {at: leader for at, leader in found.items() if found.get(leader) != at}


def _is_here(node: Node, tenants: Mapping[int, Tenant], at_us: int) -> bool:
    tenant = tenants.get(node[0])
    return tenant is not None and at_us - tenant.everything.last_us < SILENT_US


def _is_over(group: Iterable[Node], tenants: Mapping[int, Tenant], at_us: int) -> bool:
    silent = [at_us - tenants[number].everything.last_us > OVER_US for number, _ in group]
    return len(silent) > 0 and sum(silent) >= 0.8 * len(silent)


def _assigned(groups: Sequence[set[Node]], tenants: Mapping[int, Tenant]) -> list[set[int]]:
    """Each tenant to one group: where the greater part of its traffic is, or the larger one."""
    home: dict[int, tuple[float, int, int]] = {}
    for at, group in enumerate(groups):
        for number, template in group:
            share = tenants[number].share_of(template) if template else 1.0
            home[number] = max(home.get(number, (0.0, 0, 0)), (share, len(group), -at))
    assigned: list[set[int]] = [set() for _ in groups]
    for number, (_, _, at) in home.items():
        assigned[-at].add(number)
    kept = [len({number for number, _ in group}) for group in groups]
    return [members if len(members) > DEGREE or len(members) == kept[at] else set() for at, members in enumerate(assigned)]


def _inside(edges: Iterable[Edge], numbers: Sequence[set[int]]) -> list[list[Edge]]:
    group_of = {number: at for at, group in enumerate(numbers) for number in group}
    inside: list[list[Edge]] = [[] for _ in numbers]
    for edge in edges:
        at = group_of.get(edge.mine[0])
        if at is not None and at == group_of.get(edge.theirs[0]):
            inside[at].append(edge)
    return inside


def _new_id(group: frozenset[str], taken: AbstractSet[str]) -> str:
    """Eight hex digits of the members' names, lengthened by one until no other has it."""
    digest = blake2b("\n".join(sorted(group)).encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()
    return next(
        (f"cluster-{digest[:size]}" for size in range(8, 64) if f"cluster-{digest[:size]}" not in taken), f"cluster-{digest}"
    )
