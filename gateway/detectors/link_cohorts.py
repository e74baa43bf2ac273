"""Groups that a template proposes: all who fill it in, cut into those who began at one time. Pure.

A pair tells little of accounts that send little, and nothing before each has sent some eight requests. The holders of one
template can be looked at together once each has filled it in twice: a thousand accounts are linked by a few requests of each.

Who may have been copied is not proposed: a cohort holds only tenants that began before the others were settled, and nobody who
was first with nearly all prompts that it has in common with others of it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from statistics import median_low

from gateway.detectors.link_graph import Node
from gateway.detectors.link_pairs import FIRST_SHARE, SHARE_MIN, node_of
from gateway.detectors.link_strand import DAY_US, Strand
from gateway.detectors.link_tenant import Tenant
from gateway.detectors.link_verify import SIZE_MIN, strand_of

COPIED_MIN = 2
FILLED_MIN = 2
"""Requests that must have filled in the template."""
_NEVER = 2**63


def cohorts(
    rings: Mapping[int, Sequence[tuple[int, int]]], tenants: Mapping[int, Tenant], now_us: int
) -> Iterator[tuple[tuple[int, int], frozenset[Node], frozenset[Node]]]:
    """For each template that enough tenants fill in, those of them who began together, and all of them; the largest first. What
    proposes them is (template, how manieth of its cohorts)."""
    found: list[tuple[tuple[int, int], list[Node], list[Node]]] = []
    for template, ring in rings.items():
        if len(ring) < SIZE_MIN:
            continue
        nodes = [(number, template) for _, number in ring if _is_filling(tenants.get(number), template, now_us)]
        found += [((template, at), cohort, nodes) for at, cohort in enumerate(_cut(nodes, tenants))]
    for by, cohort, nodes in sorted(found, key=lambda each: (-len(each[1]), each[0])):
        yield by, _named(cohort, tenants), _named(nodes, tenants)


def began_together(
    group: AbstractSet[Node], others: Iterable[Node], tenants: Mapping[int, Tenant], now_us: int
) -> frozenset[Node]:
    """Those of `others` who may be added to a group: they began before half of it was settled, were not settled before half of
    it began, were not first with what others of it sent, and are still there."""
    strands = [strand_of(node, tenants) for node in group]
    first_us = median_low(strand.first_us for strand in strands)
    settled_us = median_low(strand.settled_us or _NEVER for strand in strands)
    members = {number for number, _ in group}
    found = []
    for node in others:
        strand = strand_of(node, tenants)
        is_here = strand.seen >= FILLED_MIN and now_us - strand.last_us < DAY_US
        is_of_one_time = strand.first_us <= settled_us and not 0 < strand.settled_us < first_us
        if is_here and is_of_one_time and not was_first(tenants[node[0]], members):
            found.append(node)
    return frozenset(found)


def _named(nodes: Sequence[Node], tenants: Mapping[int, Tenant]) -> frozenset[Node]:
    return frozenset(node_of(tenants[number], template) for number, template in nodes)


def _is_filling(tenant: Tenant | None, template: int, now_us: int) -> bool:
    strand = None if tenant is None else tenant.strands.get(template)
    if tenant is None or strand is None:
        return False
    return strand.seen >= FILLED_MIN and now_us - strand.last_us < DAY_US and tenant.share_of(template) >= SHARE_MIN


def _cut(nodes: Sequence[Node], tenants: Mapping[int, Tenant]) -> list[list[Node]]:
    """In the order in which they began: whoever began after half of a cohort was settled begins the next one. In a cohort stays
    who was not settled before half of it began, and was not the first to send what others of it sent too."""
    strands = {node: tenants[node[0]].strands[node[1]] for node in nodes}
    found: list[list[Node]] = []
    cohort: list[Node] = []
    settled: list[int] = []
    for node in sorted(nodes, key=lambda node: (strands[node].first_us, tenants[node[0]].place)):
        first_us = strands[node].first_us
        if cohort and 2 * bisect_left(settled, first_us) >= len(settled):
            found.append(cohort)
            cohort, settled = [], []
        cohort.append(node)
        insort(settled, strands[node].settled_us or _NEVER)
    found.append(cohort)
    return [kept for kept in (_of_one_time(each, strands, tenants) for each in found) if len(kept) >= SIZE_MIN]


def _of_one_time(cohort: Sequence[Node], strands: Mapping[Node, Strand], tenants: Mapping[int, Tenant]) -> list[Node]:
    """`cohort` is in the order in which they began."""
    middle_us = strands[cohort[len(cohort) // 2]].first_us if cohort else 0
    members = {number for number, _ in cohort}
    return [
        node for node in cohort if not 0 < strands[node].settled_us < middle_us and not was_first(tenants[node[0]], members)
    ]


def was_first(tenant: Tenant, members: AbstractSet[int]) -> bool:
    """Whether nearly all prompts that it has in common with these were its own before they were theirs: then they may have been
    copied from it. Of each prompt only the first and the latest sender are known, so few are needed to tell."""
    counts = [count for (kind, other), count in tenant.peers.items() if kind == "prompts" and other in members]
    shared, theirs = sum(shared for shared, _ in counts), sum(theirs for _, theirs in counts)
    return shared >= COPIED_MIN and shared - theirs >= FIRST_SHARE * shared
