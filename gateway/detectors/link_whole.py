"""Whether a group stands, and who else belongs to it: the more innocent it looks, the more that takes. Pure.

Members of a group of SIZE_MIN or more are each held against all the others (`link_verify`). What they fill in must come from
one text, whatever else is said; and then it depends on what all of it looks like together (`link_suspects`):

- like an extraction: that is enough. Rates and hours may be whatever the accounts make them.
- like honest work: only a pronounced rhythm will do, for customers of one public template over one public data set draw from
  one text too, and of many unrelated tenants some always send at one rate.
- or nobody can tell: a rhythm that is more than usual.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from statistics import median

from gateway.detectors.link_cohorts import began_together, was_first
from gateway.detectors.link_evidence import HARD_MIN, KINDS, TEMPLATE, WORDS_FULL
from gateway.detectors.link_graph import Node
from gateway.detectors.link_pairs import Scene, node_of
from gateway.detectors.link_suspects import SUSPECT_MIN
from gateway.detectors.link_tenant import ORDERS, Edge, Tenant
from gateway.detectors.link_verify import RHYTHM_MIN, ROUNDS, SIZE_MIN, WHOLE_MIN, Against, against_all, words_of

HONEST_RHYTHM_MIN = 2.0
"""Median rhythm that a group needs which looks honest."""
OTHERWISE_MADE = 1.6
"""A member that is made so much less like the others (it has another template) does not belong by words and rates alone."""
RHYTHM_SHARE = 0.4
"""Of the group's rhythm that each member must have, where nothing else stands in for it."""
SUSPECT_WORDS_MIN = 1.0
"""What a member's words must weigh where suspicion stands in for rhythm."""
NEAR_LINKS, NEAR_WORDS = 2, 2
"""Links to a group, or words in common with it that are telling, from which a tenant is looked at."""
_MADE = KINDS.index("made_alike")
_OUTRIGHT = tuple(KINDS.index(kind) for kind in ("signatures", "payment", "network", "signup"))
"""What stands in for a common rhythm. Prompts do not: who runs the same public data set sends the same prompts."""


class Whole:
    """Looks at groups as wholes; for one time at which groups are looked for."""

    def __init__(self, mine: Mapping[Node, list[Edge]], tenants: Mapping[int, Tenant], scene: Scene) -> None:
        self._mine = mine
        self._tenants = tenants
        self._scene = scene
        self.held = 0
        """Nodes held against others so far: what it has cost."""

    def standing(self, group: frozenset[Node]) -> frozenset[Node]:
        """Those of a group who convince against the rest of it; nobody where they are too few, or nothing beside their words
        speaks for them."""
        members = {number for number, _ in group}
        left = frozenset(node for node in group if not was_first(self._tenants[node[0]], members))
        suspicion = -1.0
        for _ in range(ROUNDS):
            if len(left) < SIZE_MIN:
                return frozenset()
            against = self._against(left)
            if suspicion < 0:
                suspicion = self._suspicion(left, against)
                if suspicion and any(self._scene.suspects.clears(number) for number, _ in left):
                    left = frozenset(node for node in left if not self._scene.suspects.clears(node[0]))
                    continue
            said = {node: self._said(node, left) for node in left}
            made, outright = (median(values) for values in zip(*said.values()))
            rhythm = median(found.rhythm for found in against.values())
            if not suspicion and outright < HARD_MIN / 2 and rhythm < self._rhythm_min(left):
                return frozenset()
            kept = frozenset(
                node
                for node, (node_made, node_outright) in said.items()
                if suspicion
                or node_outright >= HARD_MIN / 2
                or (node_made > made - OTHERWISE_MADE and against[node].rhythm >= RHYTHM_SHARE * rhythm)
                if against[node].words >= (SUSPECT_WORDS_MIN if suspicion else 0)
                and _sum(against[node], suspicion) + node_made + node_outright >= WHOLE_MIN
            )
            if len(kept) == len(left):
                return left
            left = kept
        return left if len(left) >= SIZE_MIN else frozenset()

    def grown(self, group: frozenset[Node], taken: AbstractSet[Node], around: Iterable[Node] = ()) -> frozenset[Node]:
        """The group and those near it who convince against it; nobody where nothing but a common rhythm speaks for it, and most
        of those who draw from the same text (`around` and those near) do not share that."""
        near = self._near(group, taken)
        fresh = near | frozenset(node for node in around if node not in group)
        if not fresh:
            return group
        against = self._against(group | fresh)
        alike = frozenset(node for node in group | fresh if against[node].words >= WORDS_FULL / 2)
        outright = median(self._said(node, group)[1] for node in group)
        needs_rhythm = alike and not self._suspicion(group, against) and outright < HARD_MIN / 2
        if needs_rhythm and median(against[node].rhythm for node in alike) < self._rhythm_min(group):
            return frozenset()
        more = alike & near
        return (self.standing(group | more) or group) if more else group

    def _against(self, group: Collection[Node]) -> dict[Node, Against]:
        self.held += len(group)
        return against_all(sorted(group), self._tenants, self._scene)

    def _suspicion(self, group: Collection[Node], against: Mapping[Node, Against]) -> float:
        """What the group's traffic taken together says for it; 0: it is not suspect, or does not draw from one text."""
        if median(against[node].words for node in group) < SUSPECT_WORDS_MIN:
            return 0.0
        weight = self._scene.suspects.weight({number for number, _ in group})
        return weight if weight >= SUSPECT_MIN else 0.0

    def _rhythm_min(self, group: Collection[Node]) -> float:
        looks_honest = self._scene.suspects.looks_honest({number for number, _ in group})
        return HONEST_RHYTHM_MIN if looks_honest else RHYTHM_MIN

    def _near(self, group: frozenset[Node], taken: AbstractSet[Node]) -> frozenset[Node]:
        """Who is in no group, has links to this one or telling words in common with it, and may not have been copied."""
        links: dict[Node, int] = {}
        for node in group:
            for edge in self._mine.get(node, ()):
                other = edge.theirs if edge.mine == node else edge.mine
                if edge.i_own and edge.they_own:
                    links[other] = links.get(other, 0) + 1
        placed = {number for number, _ in taken} | {number for number, _ in group}
        linked = {node for node, count in links.items() if count >= NEAR_LINKS and node not in taken and node not in group}
        known = placed | {number for number, _ in linked}
        votes: dict[int, int] = {}
        for word in words_of(group, self._tenants, self._scene):
            for number in self._scene.lists.posts.get(word, ()):
                if number not in known:
                    votes[number] = votes.get(number, 0) + 1
        called = [node_of(self._tenants[number], ORDERS) for number, count in votes.items() if count >= NEAR_WORDS]
        return frozenset(linked) | began_together(group, called, self._tenants, self._scene.now_us)

    def _said(self, node: Node, group: Collection[Node]) -> tuple[float, float]:
        """What a node says beside words and rhythm: how it is made, and what it shares outright, by its links within the group;
        of one that has none, that it fills in the template which proposed it."""
        inside = [edge.weights for edge in self._mine.get(node, ()) if edge.mine in group and edge.theirs in group]
        if not inside:
            return (TEMPLATE if node[1] not in (0, ORDERS) or self._tenants[node[0]].main_template() else 0.0), 0.0
        return median(weights[_MADE] for weights in inside), max(sum(weights[at] for at in _OUTRIGHT) for weights in inside)


def _sum(against: Against, suspicion: float) -> float:
    """A rhythm of its own does not speak against a member of a suspect group."""
    return against.words + suspicion + (max(against.rhythm, 0.0) if suspicion else against.rhythm)
