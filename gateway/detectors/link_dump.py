"""Tenants as bytes and back: plain JSON, so that a dump can be looked into, and holds no more than it shows. Pure.

What can be worked out again (indices, what is usual in the crowd) is not in it.
"""

from __future__ import annotations

from array import array
from base64 import b64decode, b64encode
from typing import Any

from gateway.detectors.link_strand import WORDS_MAX, Strand
from gateway.detectors.link_tenant import Edge, Tenant

_NUMBERS = ("seen", "first_us", "settled_us", "last_us", "day", "this_day", "day_before", "top")


def strand_out(strand: Strand) -> list[Any]:
    """One strand."""
    return [
        *(getattr(strand, name) for name in _NUMBERS),
        b64encode(strand.words.tobytes()).decode(),
        b64encode(strand.counts.tobytes()).decode(),
    ]


def strand_in(data: list[Any]) -> Strand:
    """The strand again. Raises ValueError, TypeError or IndexError on what is none."""
    strand = Strand(int(data[1]))
    *numbers, words, counts = data
    for name, number in zip(_NUMBERS, numbers, strict=True):
        setattr(strand, name, int(number))
    strand.words = array("I", b64decode(words))
    strand.counts = array("H", b64decode(counts))
    if not len(strand.words) == len(strand.counts) <= WORDS_MAX:
        raise ValueError("words and counts do not match")
    return strand


def tenant_out(tenant: Tenant) -> dict[str, Any]:
    """One tenant."""
    return {
        "name": tenant.name,
        "number": tenant.number,
        "noted": tenant.noted,
        "due": [tenant.due, tenant.due_us],
        "beat": [f"{tenant.beat:x}", tenant.slot],
        "everything": strand_out(tenant.everything),
        "strands": [[template, strand_out(strand)] for template, strand in tenant.strands.items()],
        "pending": list(tenant.pending.items()),
        "habits": list(tenant.habits.items()),
        "peers": [[kind, other, *counts] for (kind, other), counts in tenant.peers.items()],
        "facts": tenant.facts,
        "edges": [list(edge) for edge in tenant.edges],
        "seat": tenant.seat,
        "seat_habits": tenant.seat_habits,
        "posted": tenant.posted,
    }


def tenant_in(data: dict[str, Any]) -> Tenant:
    """The tenant again. Raises KeyError, ValueError, TypeError or IndexError on what is none."""
    tenant = Tenant(str(data["name"]), int(data["number"]), 0)
    tenant.noted = int(data["noted"])
    tenant.due, tenant.due_us = (int(value) for value in data["due"])
    tenant.beat, tenant.slot = int(data["beat"][0], 16), int(data["beat"][1])
    tenant.everything = strand_in(data["everything"])
    tenant.strands = {int(template): strand_in(strand) for template, strand in data["strands"]}
    tenant.pending = {int(template): int(count) for template, count in data["pending"]}
    tenant.habits = {int(habits): int(count) for habits, count in data["habits"]}
    tenant.peers = {(str(kind), int(other)): (int(shared), int(theirs)) for kind, other, shared, theirs in data["peers"]}
    tenant.facts = {str(fact): int(value) for fact, value in data["facts"].items()}
    tenant.edges = [
        Edge(_node(mine), _node(theirs), tuple(float(weight) for weight in weights), *rest)
        for mine, theirs, weights, *rest in data["edges"]
    ]
    if data["seat"] is not None:
        template, habits, part = data["seat"]
        tenant.seat = (int(template), int(habits), int(part))
    tenant.seat_habits = int(data["seat_habits"])
    tenant.posted = tuple(int(word) for word in data["posted"])
    return tenant


def _node(data: list[Any]) -> tuple[int, int]:
    number, template = data
    return int(number), int(template)
