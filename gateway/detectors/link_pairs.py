"""Two tenants compared: all kinds of evidence, and which of the two it speaks about. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gateway.detectors import link_evidence as evidence
from gateway.detectors.link_crowd import Crowd
from gateway.detectors.link_evidence import View
from gateway.detectors.link_graph import Node
from gateway.detectors.link_index import Index
from gateway.detectors.link_strand import DAY_US, Strand
from gateway.detectors.link_suspects import Suspects
from gateway.detectors.link_tenant import DOMINANT, ORDERS, Edge, Tenant

SHARE_MIN = 0.2
"""Share below which a strand is not compared."""
SEEN_MIN = 8
SHARED_MIN, FIRST_SHARE = 3, 0.8
"""Who was first with so large a share of the prompts that two have in common, of at least so many, may have been copied."""


class Scene(NamedTuple):
    """What a comparison needs beside the two."""

    crowd: Crowd
    look: Callable[[Strand], View]
    lists: Index
    now_us: int
    suspects: Suspects


def compare(a: Tenant, b: Tenant, scene: Scene) -> Edge | None:
    """The strongest link between two tenants, by one shared template or by all they send; None: there is none."""
    common = [t for t in a.strands if t in b.strands and min(a.share_of(t), b.share_of(t)) >= SHARE_MIN]
    known = max((template for template in common if template != ORDERS), default=0)
    best: Edge | None = None
    for template in (*common, 0):
        edge = _by_strand(a, b, template, known, scene)
        if edge is not None and (best is None or sum(edge.weights) > sum(best.weights)):
            best = edge
    return best


def _by_strand(a: Tenant, b: Tenant, template: int, known: int, scene: Scene) -> Edge | None:
    mine, theirs = (tenant.strands[template] if template else tenant.everything for tenant in (a, b))
    if mine.seen < SEEN_MIN or theirs.seen < SEEN_MIN:
        return None
    found = evidence.likeness(scene.look(mine), scene.look(theirs))
    words = evidence.of_words(found)
    rates = evidence.of_rates(mine, theirs, scene.now_us // DAY_US, scene.crowd)
    hours = evidence.of_hours(a.beat_at(scene.now_us), b.beat_at(scene.now_us), scene.crowd)
    prompts, prompts_first = a.peers.get(("prompts", b.number), (0, 0))
    signatures, signatures_first = a.peers.get(("signatures", b.number), (0, 0))
    payment, network, signup = (_fact(a, b, fact, scene) for fact in evidence.FACTS)
    weights = (
        _made_alike(a, b, is_template_shared=bool(known), crowd=scene.crowd),
        words,
        rates,
        min(hours, evidence.RHYTHM_MAX - max(rates, 0.0)),
        min(evidence.PROMPTS_MAX, evidence.PROMPT * prompts, evidence.TEXT_MAX - max(words, 0.0)),
        evidence.SIGNATURE if signatures else 0.0,
        payment,
        network,
        signup,
    )
    if sum(weights) < evidence.WEAK_MIN or sum(weight >= evidence.KIND_MIN for weight in weights) < 2:
        return None
    i_own, they_own = _owners(a, b, template or known, (prompts, prompts_first), (signatures, signatures_first))
    is_certain = payment + network >= evidence.HARD_MIN
    return Edge(
        mine=node_of(a, template),
        theirs=node_of(b, template),
        weights=weights,
        homogeneity=found.homogeneity,
        at_us=scene.now_us,
        i_own=i_own or is_certain,
        they_own=they_own or is_certain,
        is_hard=is_certain or signatures > 0,
    )


def node_of(tenant: Tenant, template: int) -> Node:
    """What stands for a tenant where it fills in this template (0: any)."""
    return (tenant.number, template if 0 < tenant.share_of(template) < DOMINANT else 0)


def _made_alike(a: Tenant, b: Tenant, *, is_template_shared: bool, crowd: Crowd) -> float:
    habits = a.main_habits()
    is_same = habits == b.main_habits()
    if is_template_shared:
        return evidence.TEMPLATE + (evidence.SAME_HABITS if is_same else evidence.OTHER_HABITS)
    if not is_same or (a.main_template() and b.main_template()):
        return evidence.OTHER_HABITS
    return min(evidence.HABITS_MAX, crowd.rarity_of_habits(habits))


def _fact(a: Tenant, b: Tenant, fact: str, scene: Scene) -> float:
    value = a.facts.get(fact)
    if value is None or value != b.facts.get(fact):
        return 0.0
    return evidence.of_fact(fact, scene.lists.holders.get((fact, value), 2))


def _owners(a: Tenant, b: Tenant, template: int, prompts: tuple[int, int], signatures: tuple[int, int]) -> tuple[bool, bool]:
    """Of whom the likeness speaks. Whoever was settled before the other began, or sent first nearly all that both sent, may
    have been copied: of it the likeness says nothing."""
    mine, theirs = (tenant.strands.get(template, tenant.everything) for tenant in (a, b))
    i_own = not (mine.settled_us and mine.settled_us < theirs.first_us)
    they_own = not (theirs.settled_us and theirs.settled_us < mine.first_us)
    for (shared, theirs_first), enough in ((prompts, SHARED_MIN), (signatures, 1)):
        if shared >= enough:
            they_own = they_own and theirs_first < FIRST_SHARE * shared
            i_own = i_own and shared - theirs_first < FIRST_SHARE * shared
    return i_own, they_own
