"""From edges to groups: who stands together closely enough to be treated as one. Pure.

A node is one strand of one tenant. An edge (a, b) says that a is like b; it is *owned* by a, and by b too unless b was settled
before a began: then a may have copied b, and the edge says nothing about b. What holds of every group:

1. Each node has DEGREE links within it (a hard link, by facts or signatures, counts as that many), all of which it owns: nobody
   is drawn in by what others send.
2. No single node holds it together: it is joined by blocks (biconnected components), so an account in two pools does not merge
   them.
3. Who merely follows a group is never added to it; followers make a group of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

Node = tuple[int, int]
"""(tenant, template; 0: all it sends)."""
DEGREE = 3


class Link(NamedTuple):
    """One link between two nodes, seen from the first."""

    peer: Node
    is_owned: bool
    is_hard: bool


Graph = dict[Node, dict[Node, Link]]


def groups_of(graph: Graph) -> list[frozenset[Node]]:
    """The groups, largest first; no node is in two."""
    core = _core(
        {node: {peer for peer, link in links.items() if _is_mutual(graph, node, link)} for node, links in graph.items()}, graph
    )
    found = _blocks(core, graph)
    taken = frozenset().union(*found)
    followers = {node for node, links in graph.items() if node not in taken and _owned(links) >= DEGREE}
    loose = _core({node: {peer for peer in graph[node] if peer in followers} for node in followers}, graph)
    return sorted([*found, *_blocks(loose, graph)], key=lambda group: (-len(group), min(group)))


def followed_by(group: AbstractSet[Node], graph: Graph, group_of: Mapping[Node, int]) -> dict[int, int]:
    """Other groups that members of this one follow -> how many members do."""
    counts: dict[int, int] = {}
    for node in group:
        others = {
            group_of[peer]
            for peer, link in graph.get(node, {}).items()
            if peer in group_of and peer not in group and link.is_owned
        }
        for other in others:
            counts[other] = counts.get(other, 0) + 1
    return counts


def _is_mutual(graph: Graph, node: Node, link: Link) -> bool:
    return link.is_owned and graph[link.peer][node].is_owned


def _owned(links: Mapping[Node, Link]) -> int:
    return sum(DEGREE if link.is_hard else 1 for link in links.values() if link.is_owned)


def _core(near: dict[Node, set[Node]], graph: Graph) -> dict[Node, set[Node]]:
    """What is left when nodes with too few links are taken away again and again (a k-core)."""
    weight = {node: sum(DEGREE if graph[node][peer].is_hard else 1 for peer in peers) for node, peers in near.items()}
    waiting = [node for node, sum_ in weight.items() if sum_ < DEGREE]
    gone = set(waiting)
    while waiting:
        node = waiting.pop()
        for peer in near[node]:
            if peer in gone:
                continue
            weight[peer] -= DEGREE if graph[peer][node].is_hard else 1
            if weight[peer] < DEGREE:
                gone.add(peer)
                waiting.append(peer)
    return {node: peers - gone for node, peers in near.items() if node not in gone}


def _blocks(near: dict[Node, set[Node]], graph: Graph) -> list[frozenset[Node]]:
    """Biconnected components (Hopcroft and Tarjan 1973, iteratively), and what hard links join."""
    order: dict[Node, int] = {}
    low: dict[Node, int] = {}
    blocks: list[set[Node]] = []
    for root in sorted(near):
        if root in order:
            continue
        order[root] = low[root] = len(order)
        edges: list[tuple[Node, Node]] = []
        path = [(root, root, iter(sorted(near[root])))]
        while path:
            node, parent, rest = path[-1]
            for peer in rest:
                if peer not in order:
                    order[peer] = low[peer] = len(order)
                    edges.append((node, peer))
                    path.append((peer, node, iter(sorted(near[peer]))))
                    break
                if peer != parent and order[peer] < order[node]:
                    low[node] = min(low[node], order[peer])
                    edges.append((node, peer))
            else:
                path.pop()
                if path:
                    low[parent] = min(low[parent], low[node])
                    if low[node] >= order[parent]:
                        block: set[Node] = set()
                        while edges:
                            a, b = edges.pop()
                            block |= {a, b}
                            if (a, b) == (parent, node):
                                break
                        blocks.append(block)
    return _kept(blocks, _hard(near, graph))


def _hard(near: Mapping[Node, AbstractSet[Node]], graph: Graph) -> list[set[Node]]:
    """Nodes that hard links hold together: by simple union, for a fact is a fact however many it joins."""
    home: dict[Node, set[Node]] = {}
    for node, peers in near.items():
        for peer in peers:
            if graph[node][peer].is_hard and home.get(node) is not home.setdefault(peer, {peer}):
                mine, theirs = sorted((home.setdefault(node, {node}), home[peer]), key=len)
                theirs |= mine
                for moved in mine:
                    home[moved] = theirs
    return list({id(held): held for held in home.values()}.values())


def _kept(blocks: Iterable[set[Node]], hard: Iterable[set[Node]]) -> list[frozenset[Node]]:
    """Each node in one group: first in what hard links join, blocks that touch it included; then in its largest block, which
    stands while it has more than DEGREE nodes left."""
    groups: list[set[Node]] = []
    sizable = [block for block in blocks if len(block) > DEGREE]
    for held in hard:
        touching = [block for block in sizable if block & held]
        sizable = [block for block in sizable if not block & held]
        sizable.append(held.union(*touching))
    taken: set[Node] = set()
    hard_nodes = set().union(*hard)
    for block in sorted(sizable, key=lambda block: (-len(block), min(block))):
        block -= taken
        if len(block) > DEGREE or (len(block) > 1 and block & hard_nodes):
            taken |= block
            groups.append(block)
    return [frozenset(group) for group in groups]
