"""Figures of campaigns over many accounts: what was linked, who was joined by mistake, and what the campaigns got."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.evaluation import campaigns, hydra, linking, measures, publics


def tell(
    days: Sequence[linking.Day], templates: Sequence[publics.Public], splits: Sequence[hydra.Split], above: int
) -> dict[str, Any]:
    told = dict.fromkeys((day.way, day.crowd) for day in days)
    return {
        "requests_a_day": campaigns.ACCOUNT_REQUESTS,
        "account_budget": hydra.ACCOUNT_BUDGET,
        "crowd": days[0].crowd if days else 0,
        "threshold": above,
        "linked": [_linked([day for day in days if (day.way, day.crowd) == each]) for each in told],
        "templates": _templates(templates),
        "pairs": _pairs(days),
        "mimicked": _mimicked(days),
        "splits": _splits(splits),
    }


def _linked(days: Sequence[linking.Day]) -> dict[str, Any]:
    """The days of one way in one crowd. A run is linked when one cluster has 80% of its accounts by the end of the day."""
    linked = [day for day in days if day.linked_after_s >= 0]
    interval = measures.share_interval(len(linked), len(days))
    by_source: dict[str, list[linking.Day]] = {}
    for day in days:
        by_source.setdefault(day.source, []).append(day)
    return {
        "attacker": days[0].way,
        "crowd": days[0].crowd,
        "accounts": days[0].accounts,
        "runs": len(days),
        "linked": interval.value,
        "low": interval.low,
        "high": interval.high,
        "joined": measures.mean([day.joined / day.accounts for day in days]),
        "half_joined": measures.mean([float(day.joined >= day.accounts / 2) for day in days]),
        "after_hours": measures.median([day.linked_after_s / 3600 for day in linked]) if linked else None,
        "strangers": measures.mean([float(day.strangers) for day in days]),
        "strangers_max": max(day.strangers for day in days),
        "score": measures.median([float(day.scores[0]) for day in days]),
        "innocent_score_max": max(day.scores[1] for day in days),
        "by_source": {
            source: {
                "linked": measures.mean([float(day.linked_after_s >= 0) for day in each]),
                "joined": measures.mean([day.joined / day.accounts for day in each]),
                "strangers": measures.mean([float(day.strangers) for day in each]),
                "score": measures.median([float(day.scores[0]) for day in each]),
            }
            for source, each in sorted(by_source.items())
        },
    }


def _templates(days: Sequence[publics.Public]) -> list[dict[str, Any]]:
    """By what honest tenants fill one public template with."""
    found = []
    for kind in dict.fromkeys(day.kind for day in days):
        mine = [day for day in days if day.kind == kind]
        interval = measures.share_interval(sum(day.joined for day in mine), sum(day.tenants for day in mine))
        found.append({
            "kind": kind, "days": len(mine), "tenants": sum(day.tenants for day in mine),
            "joined": interval.value, "low": interval.low, "high": interval.high,
        })  # fmt: skip
    return found


def _pairs(days: Sequence[linking.Day]) -> dict[str, dict[str, Any]]:
    """Pairs of honest tenants that stood in one cluster: a crowd is the same every day, so the pairs of the
    first are counted once, as the mean over its days."""
    days = [day for day in days if day.crowd == days[0].crowd]
    found = {}
    for common in ("template", "workload", "nothing"):
        shares = [measures.share_of(*day.pairs[common]) for day in days]
        found[common] = {"pairs": days[0].pairs[common][1] if days else 0, "joined": measures.mean(shares)}
    return found


def _mimicked(days: Sequence[linking.Day]) -> dict[str, Any]:
    joined, victims = sum(day.mimicked[0] for day in days), sum(day.mimicked[1] for day in days)
    interval = measures.share_interval(joined, victims)
    return {"victims": victims, "joined": interval.value, "low": interval.low, "high": interval.high}


def _splits(splits: Sequence[hydra.Split]) -> list[dict[str, Any]]:
    """By number of accounts: what campaigns got of what they wanted, over sources."""
    found = []
    for accounts in sorted({split.accounts for split in splits}):
        mine = [split for split in splits if split.accounts == accounts]
        shares = {way: [measures.share_of(split.got[way], split.wanted) for split in mine] for way in hydra.WAYS}
        found.append({
            "accounts": accounts,
            "sources": len(mine),
            "wanted_tokens": sum(split.wanted for split in mine),
            "got": {way: measures.mean(each) for way, each in shares.items()},
            "got_tokens": {way: sum(split.got[way] for split in mine) for way in hydra.WAYS},
            "linked": measures.mean([split.linked / accounts for split in mine]),
        })  # fmt: skip
    return found
