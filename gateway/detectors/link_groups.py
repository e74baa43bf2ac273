"""Edges of every strength become groups that stand. Pure.

The strongest links propose first, weaker ones after them among those who are in no group yet: so a tight group is not lost in a
loose crowd around it. A group of SIZE_MIN or more stands if its members convince as a whole (`link_verify`); a smaller one only
by links that are strong in themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from statistics import median

from gateway.detectors.link_evidence import EDGE_MIN, HARD_MIN, KINDS, WORDS_FULL
from gateway.detectors.link_graph import DEGREE, Graph, Link, Node, groups_of
from gateway.detectors.link_pairs import Scene
from gateway.detectors.link_tenant import Edge, Tenant
from gateway.detectors.link_verify import RHYTHM_MIN, ROUNDS, SIZE_MIN, WHOLE_MIN, against_all

NEARLY = 0.9
"""Share of two groups that must stay when they become one."""
LEVELS = (EDGE_MIN, 5.0, 3.0)
FEW_MIN = 8.5
"""Weight of the links of a small group that stands by them."""
OTHERWISE_MADE = 1.6
"""A member that is made so much less like the others (it has another template) does not belong by words and rates alone."""
RHYTHM_SHARE = 0.4
"""Of the group's rhythm that each member must have, where nothing is shared outright."""
NEAR_LINKS = 2
_MADE = KINDS.index("made_alike")
_OUTRIGHT = tuple(KINDS.index(kind) for kind in ("signatures", "payment", "network", "signup"))
"""What stands in for a common rhythm. Prompts do not: who runs the same public data set sends the same prompts."""


def graph_of(edges: Iterable[Edge]) -> Graph:
    """Edges seen from both ends. Of two for one pair the last counts."""
    graph: Graph = {}
    for edge in edges:
        graph.setdefault(edge.mine, {})[edge.theirs] = Link(edge.theirs, edge.i_own, edge.is_hard)
        graph.setdefault(edge.theirs, {})[edge.mine] = Link(edge.mine, edge.they_own, edge.is_hard)
    return graph


def find_groups(edges: Iterable[Edge], tenants: Mapping[int, Tenant], scene: Scene) -> list[frozenset[Node]]:
    """The groups that stand; no node is in two."""
    pairs = {frozenset((edge.mine, edge.theirs)): edge for edge in edges}
    mine: dict[Node, list[Edge]] = {}
    for edge in pairs.values():
        mine.setdefault(edge.mine, []).append(edge)
        mine.setdefault(edge.theirs, []).append(edge)
    taken: set[Node] = set()
    placed: set[int] = set()
    found: list[frozenset[Node]] = []
    for level in LEVELS:
        strong = [
            edge
            for edge in pairs.values()
            if sum(edge.weights) >= level and edge.mine[0] not in placed and edge.theirs[0] not in placed
        ]
        placed_here: set[int] = set()
        for group in groups_of(graph_of(strong)):
            stands = _standing(group, mine, tenants, scene)
            if stands:
                stands = _grown(stands, mine, taken, tenants, scene)
            elif level >= EDGE_MIN and len(group) < SIZE_MIN and _is_strong(group, mine):
                stands = group
            if stands:
                found.append(stands)
                taken |= stands
                placed_here |= {number for number, _ in stands}
        placed |= placed_here
    return _met(found, mine, tenants, scene)


def _standing(
    group: frozenset[Node], mine: Mapping[Node, list[Edge]], tenants: Mapping[int, Tenant], scene: Scene
) -> frozenset[Node]:
    """Those of a group who convince against the rest of it; nobody where they are too few, or have no rhythm in common."""
    left = group
    for _ in range(ROUNDS):
        if len(left) < SIZE_MIN:
            return frozenset()
        against = against_all(sorted(left), tenants, scene)
        said = {node: _said(node, left, mine) for node in left}
        rhythm = median(found.rhythm for found in against.values())
        made, outright = (median(values) for values in zip(*said.values()))
        if rhythm < RHYTHM_MIN and outright < HARD_MIN / 2:
            return frozenset()
        kept = frozenset(
            node
            for node, (node_made, node_outright) in said.items()
            if against[node].words >= 0
            and (against[node].rhythm >= RHYTHM_SHARE * rhythm or node_outright >= HARD_MIN / 2)
            and (node_made > made - OTHERWISE_MADE or node_outright >= HARD_MIN / 2)
            and against[node].words + against[node].rhythm + node_made + node_outright >= WHOLE_MIN
        )
        if len(kept) == len(left):
            return left
        left = kept
    return left if len(left) >= SIZE_MIN else frozenset()


def _grown(
    group: frozenset[Node],
    mine: Mapping[Node, list[Edge]],
    taken: AbstractSet[Node],
    tenants: Mapping[int, Tenant],
    scene: Scene,
) -> frozenset[Node]:
    """The group and those around it who convince against it; nobody where, among all that draw from the same text, most do not
    share its rhythm: of many unrelated tenants some always send at one rate."""
    near: dict[Node, int] = {}
    for node in group:
        for edge in mine[node]:
            other = edge.theirs if edge.mine == node else edge.mine
            if other not in taken and other not in group and edge.i_own and edge.they_own:
                near[other] = near.get(other, 0) + 1
    fresh = frozenset(node for node, links in near.items() if links >= NEAR_LINKS)
    if not fresh:
        return group
    against = against_all(sorted(group | fresh), tenants, scene)
    alike = frozenset(node for node in group | fresh if against[node].words >= WORDS_FULL / 2)
    outright = median(_said(node, group, mine)[1] for node in group)
    if alike and median(against[node].rhythm for node in alike) < RHYTHM_MIN and outright < HARD_MIN / 2:
        return frozenset()
    return _standing(group | alike, mine, tenants, scene) or group


def _is_strong(group: frozenset[Node], mine: Mapping[Node, list[Edge]]) -> bool:
    """Whether a group too small to be looked at as a whole stands by its pairs."""
    inside = [edge for node in group for edge in mine[node] if edge.mine in group and edge.theirs in group]
    return all(edge.is_hard for edge in inside) or median(sum(edge.weights) for edge in inside) >= FEW_MIN


def _said(node: Node, group: frozenset[Node], mine: Mapping[Node, list[Edge]]) -> tuple[float, float]:
    """What a node's links within the group say beside words and rhythm: how it is made, and what it shares outright."""
    inside = [edge.weights for edge in mine.get(node, ()) if edge.mine in group and edge.theirs in group]
    if not inside:
        return 0.0, 0.0
    return median(weights[_MADE] for weights in inside), max(sum(weights[at] for at in _OUTRIGHT) for weights in inside)


def _met(
    groups: Sequence[frozenset[Node]], mine: Mapping[Node, list[Edge]], tenants: Mapping[int, Tenant], scene: Scene
) -> list[frozenset[Node]]:
    """Groups that convince as one become one: where DEGREE or more of each have links across, and nearly all would stay."""
    left = sorted(groups, key=lambda group: (-len(group), min(group)))
    done: list[frozenset[Node]] = []
    while left:
        group = left.pop(0)
        for other in [other for other in left if len(other) >= SIZE_MIN and _bridges(group, other, mine) >= DEGREE]:
            both = _standing(group | other, mine, tenants, scene)
            if len(both & group) >= NEARLY * len(group) and len(both & other) >= NEARLY * len(other):
                group = both
                left.remove(other)
        done.append(group)
    return done


def _bridges(group: frozenset[Node], other: frozenset[Node], mine: Mapping[Node, list[Edge]]) -> int:
    """How many of the one and of the other, whichever are fewer, have a link across that speaks of both its ends."""
    across = [
        edge
        for node in other
        for edge in mine[node]
        if edge.i_own and edge.they_own and (edge.theirs if edge.mine == node else edge.mine) in group
    ]
    ends = [{node for edge in across for node in (edge.mine, edge.theirs) if node in side} for side in (group, other)]
    return min(len(end) for end in ends)
