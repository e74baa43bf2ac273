"""What an evaluation was made from, told beside its figures."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson

from gateway.errors import SettingsError
from gateway.evaluation.corpus import Corpus
from gateway.evaluation.detection import Table
from gateway.evaluation.traces import Traces

OVERLAP_MIN = 0.005
"""Two families that have a larger share of texts in common are told."""


def check(corpus: Corpus) -> None:
    """Raises SettingsError where nothing could be held out."""
    for role, what in (("attack", "attacking"), ("benign", "honest")):
        families = {source.family for source in corpus.sources if source.role == role}
        if len(families) < 2:
            found = ", ".join(sorted(families)) or "none"
            raise SettingsError(f"--corpus: needs at least two {what} families to hold one out; there is {found}")


def tell(corpus: Corpus, traces: Traces, fitted_on: frozenset[str]) -> dict[str, Any]:
    """Sources, families, sizes, licences; traces; what could not be used."""
    return {
        "sources": [
            {
                "source": source.name,
                "role": source.role,
                "family": source.family,
                "workload": source.workload,
                "records": len(source.records),
                "requests": source.requests,
                "groups": len(source.groups),
                "text_bytes": source.text_bytes,
                "with_params": source.params,
                "licence": corpus.licences.get(source.name, "not told"),
                "fitted_on": source.name in fitted_on,
            }
            for source in corpus.sources
        ],
        "notes": list(corpus.notes),
        "shared_texts": _shared(corpus),
        "traces": [trace._asdict() for trace in traces.files],
        "clients": len(traces.clients),
        "client_requests_a_day": _quartiles(sorted(client.requests_a_day for client in traces.clients)),
    }


def streams(table: Table) -> dict[str, Any]:
    """How many tenants were simulated, and how much of their text came twice."""
    honest_requests = sum(seen.looks[-1].requests for seen in table.honest)
    return {
        "honest": len(table.honest),
        "attack": {name: len(each) for name, each in table.attacks.items()},
        "requests": honest_requests + sum(seen.looks[-1].requests for each in table.attacks.values() for seen in each),
        "recycled_share": sum(seen.recycled for seen in table.honest) / max(1, honest_requests),
    }


def _quartiles(ordered: list[int]) -> list[int]:
    return [ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.25, 0.5, 0.75)]


def _shared(corpus: Corpus) -> list[dict[str, Any]]:
    """Pairs of families of which one holds last messages of the other: what is held out is then not quite unseen."""
    families: dict[str, set[int]] = {}
    for source in corpus.sources:
        known = families.setdefault(f"{source.role}/{source.family}", set())
        for line in source.records:
            last = next(message for message in reversed(orjson.loads(line)["messages"]) if message["role"] == "user")
            known.add(hash(str(last.get("content"))))
    owners = Counter(text for known in families.values() for text in known)
    common = {text for text, count in owners.items() if count > 1}
    found = []
    names = sorted(families)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            both = len(families[one] & families[other] & common)
            share = both / max(1, min(len(families[one]), len(families[other])))
            if share >= OVERLAP_MIN:
                found.append({"families": [one, other], "texts": both, "share": share})
    return found
