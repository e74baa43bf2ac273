"""Why tenants are held to be one operator, in numbers that can be read out. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from statistics import median

from gateway.detectors.link_crowd import Crowd
from gateway.detectors.link_evidence import KIND_MIN, KINDS
from gateway.detectors.link_strand import DAY_US
from gateway.detectors.link_tenant import Edge, Tenant
from gateway.values import Reason

HOMOGENEITY_USUAL = 50
"""Median between tenants of different workloads, as measured (docs)."""
SENTENCES = {
    "linked_accounts": "accounts that are held to be one operator's",
    "linked_template": "members that fill in the same template, against all other tenants",
    "linked_words": "how far what the members fill in comes from one text (1000: as alike as each is to itself)",
    "linked_rates": "members that send the same number of requests a day, against all other tenants",
    "linked_parameters": "members with the same parameters, against all other tenants",
    "linked_hours": "members active in the same ten minutes as another, more often than the time of day explains",
    "linked_prompts": "members that sent the very same prompts as another",
    "linked_signatures": "members that sent back thinking signatures which another had sent",
    "linked_payment": "members that pay by the same means as another",
    "linked_network": "members that come from the same network as another",
    "linked_signup": "members that signed up on the same day as another",
}
_BY_ACCOUNT = ("hours", "prompts", "signatures", "payment", "network", "signup")


def reasons_of(
    members: AbstractSet[int], edges: Sequence[Edge], tenants: Mapping[int, Tenant], crowd: Crowd, at_us: int
) -> tuple[Reason, ...]:
    """What holds the members together, what weighs most first; the number of accounts before all."""
    if not members:
        return ()
    found: list[tuple[float, Reason]] = []
    weight = {kind: sum(edge.weights[at] for edge in edges) for at, kind in enumerate(KINDS)}
    template, filled = _commonest([tenants[number].main_template() for number in sorted(members)])
    if template:
        found.append((weight["made_alike"], Reason("linked_template", _mille(filled, len(members)), 0, "per mille")))
    habits, same = _commonest([tenants[number].main_habits() for number in sorted(members)])
    usual = _mille(crowd.habits.get(habits, 0), max(len(crowd.speakers), 1))
    if _mille(same, len(members)) > usual:
        found.append((weight["made_alike"] / 2, Reason("linked_parameters", _mille(same, len(members)), usual, "per mille")))
    alike = [edge.homogeneity for edge in edges if edge.weights[KINDS.index("words")] >= KIND_MIN]
    if alike:
        found.append((weight["words"], Reason("linked_words", round(1000 * median(alike)), HOMOGENEITY_USUAL, "per mille")))
    if weight["rates"] > 0:
        day = at_us // DAY_US
        middle = round(median(sum(tenants[number].everything.rate(day)) for number in members))
        spread = round(1.2 * (2 * middle) ** 0.5) + 1
        near = sum(abs(sum(tenants[number].everything.rate(day)) - middle) <= spread for number in members)
        found.append(
            (weight["rates"], Reason("linked_rates", _mille(near, len(members)), crowd.near_rate(middle, spread), "per mille"))
        )
    for kind in _BY_ACCOUNT:
        at = KINDS.index(kind)
        having = {number for edge in edges if edge.weights[at] >= KIND_MIN for number in (edge.mine[0], edge.theirs[0])}
        if having:
            found.append((weight[kind], Reason(f"linked_{kind}", len(having), 0, "accounts")))
    found.sort(key=lambda item: (-item[0], item[1]))
    return (Reason("linked_accounts", len(members), 1, "accounts"), *(reason for _, reason in found))


def _commonest(values: Sequence[int]) -> tuple[int, int]:
    return Counter(values).most_common(1)[0]


def _mille(part: int, whole: int) -> int:
    return round(1000 * part / whole)
