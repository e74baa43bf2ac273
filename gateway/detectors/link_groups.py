"""Edges of every strength become groups that stand. Pure.

The strongest links propose first, weaker ones after them among those who are in no group yet: so a tight group is not lost in a
loose crowd around it. A group of SIZE_MIN or more stands if its members convince as a whole (`link_verify`); a smaller one only
by links that are strong in themselves.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from statistics import median

from gateway.detectors.link_cohorts import cohorts
from gateway.detectors.link_evidence import EDGE_MIN
from gateway.detectors.link_graph import DEGREE, Graph, Link, Node, groups_of
from gateway.detectors.link_pairs import Scene
from gateway.detectors.link_strand import DAY_US
from gateway.detectors.link_tenant import Edge, Tenant
from gateway.detectors.link_tried import Tried
from gateway.detectors.link_verify import SIZE_MIN
from gateway.detectors.link_whole import Whole

SILENT_US = 7 * DAY_US
"""A tenant that sent nothing for so long is in no cluster."""
EDGE_US = 4 * DAY_US
"""A link that was not found again for so long is none."""
EDGES_A_NODE = 48
"""Edges that cost as much to go through as a node to be held against others."""
NEARLY = 0.9
"""Share of two groups that must stay when they become one."""
LEVELS = (EDGE_MIN, 5.0, 3.0)
FEW_MIN = 8.5
"""Weight of the links of a small group that stands by them."""


def standing_edges(tenants: Mapping[int, Tenant], at_us: int) -> list[Edge]:
    """All links that hold now, oldest first."""
    alive = {n for n, tenant in tenants.items() if at_us - tenant.everything.last_us < SILENT_US}
    edges = [
        edge
        for tenant in tenants.values()
        if tenant.edges and tenant.number in alive
        for edge in tenant.edges
        if edge.theirs[0] in alive and at_us - edge.at_us < EDGE_US
    ]
    return sorted(edges, key=lambda edge: (edge.at_us, edge.mine, edge.theirs))


def graph_of(edges: Iterable[Edge]) -> Graph:
    """Edges seen from both ends. Of two for one pair the last counts."""
    graph: Graph = {}
    for edge in edges:
        graph.setdefault(edge.mine, {})[edge.theirs] = Link(edge.theirs, edge.i_own, edge.is_hard)
        graph.setdefault(edge.theirs, {})[edge.mine] = Link(edge.mine, edge.they_own, edge.is_hard)
    return graph


def find_groups(
    edges: Iterable[Edge],
    tenants: Mapping[int, Tenant],
    scene: Scene,
    before: Iterable[frozenset[Node]],
    tried: Tried,
) -> Generator[int, None, list[frozenset[Node]]]:
    """The groups that stand; no node is in two. Those that stood `before` are looked at first: what was one operator's stays so
    while it convinces, however the links between its members come and go.

    It stops after each group that was looked at, and yields how many nodes have been held against others so far.
    """
    pairs = {frozenset((edge.mine, edge.theirs)): edge for edge in edges}
    mine: dict[Node, list[Edge]] = {}
    for edge in pairs.values():
        mine.setdefault(edge.mine, []).append(edge)
        mine.setdefault(edge.theirs, []).append(edge)
    whole = Whole(mine, tenants, scene)
    whole.held += len(pairs) // EDGES_A_NODE
    yield whole.held
    found = yield from _by_template(whole, tenants, scene, before, tried)
    taken = set().union(*found)
    placed = {number for number, _ in taken}
    for level in LEVELS:
        strong = [
            edge
            for edge in pairs.values()
            if sum(edge.weights) >= level and edge.mine[0] not in placed and edge.theirs[0] not in placed
        ]
        placed_here: set[int] = set()
        groups = groups_of(graph_of(strong))
        whole.held += len(pairs) // EDGES_A_NODE
        yield whole.held
        for group in groups:
            numbers = {number for number, _ in group}
            if not tried.is_worth(group, numbers, tenants, scene.now_us):
                continue
            stands = whole.standing(group)
            if stands:
                stands = whole.grown(stands, taken)
            elif level >= EDGE_MIN and len(group) < SIZE_MIN and _is_strong(group, mine, scene):
                stands = group
            if stands:
                found.append(stands)
                taken |= stands
                placed_here |= {number for number, _ in stands}
            elif len(group) >= SIZE_MIN:
                tried.failed(group, numbers, tenants, scene.now_us)
            yield whole.held
        placed |= placed_here
    return _met(found, mine, whole)


def _by_template(
    whole: Whole, tenants: Mapping[int, Tenant], scene: Scene, before: Iterable[frozenset[Node]], tried: Tried
) -> Generator[int, None, list[frozenset[Node]]]:
    """Groups that stood before, with those who fill in the same template now, and such as a template alone proposes; a tenant
    may be in one for each template that it fills in."""
    stood: list[tuple[frozenset[Node], frozenset[Node]]] = []
    taken: set[Node] = set()
    alone = list(before)
    for by, cohort, holders in cohorts(scene.lists.rings, tenants, scene.now_us):
        numbers = {number for number, _ in cohort}
        same = [group for group in alone if 2 * sum(number in numbers for number, _ in group) >= len(group)]
        if not same and not tried.is_worth(by, numbers, tenants, scene.now_us):
            continue
        more = (node for group in same for node in group if node[0] not in numbers)
        stands = whole.standing(cohort.union(more) - taken)
        if stands:
            stood.append((stands, holders))
            taken |= stands
            alone = [group for group in alone if group not in same]
        else:
            tried.failed(by, numbers, tenants, scene.now_us)
        yield whole.held
    for group in alone:
        stands = whole.standing(group - taken)
        if stands:
            stood.append((stands, frozenset()))
            taken |= stands
    found = []
    for group, holders in stood:
        grown = whole.grown(group, taken, holders)
        if grown:
            found.append(grown)
            taken |= grown
        yield whole.held
    return found


def _is_strong(group: frozenset[Node], mine: Mapping[Node, list[Edge]], scene: Scene) -> bool:
    """Whether a group too small to be looked at as a whole stands by its pairs: by facts or signatures, whatever it sends; by
    strong likeness where what it sends does not look honest."""
    inside = [edge for node in group for edge in mine[node] if edge.mine in group and edge.theirs in group]
    if all(edge.is_hard for edge in inside):
        return True
    is_alike = median(sum(edge.weights) for edge in inside) >= FEW_MIN
    return is_alike and not scene.suspects.looks_honest({number for number, _ in group})


def _met(groups: Sequence[frozenset[Node]], mine: Mapping[Node, list[Edge]], whole: Whole) -> list[frozenset[Node]]:
    """Groups that convince as one become one: where DEGREE or more of each have links across, and nearly all would stay."""
    left = sorted(groups, key=lambda group: (-len(group), min(group)))
    done: list[frozenset[Node]] = []
    while left:
        group = left.pop(0)
        for other in [other for other in left if len(other) >= SIZE_MIN and _bridges(group, other, mine) >= DEGREE]:
            both = whole.standing(group | other)
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
        for edge in mine.get(node, ())
        if edge.i_own and edge.they_own and (edge.theirs if edge.mine == node else edge.mine) in group
    ]
    ends = [{node for edge in across for node in (edge.mine, edge.theirs) if node in side} for side in (group, other)]
    return min(len(end) for end in ends)
