"""What is known of one tenant for linking: 1 to 5 KB, whatever it sends. Pure."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from gateway.detectors.features import FEATURES
from gateway.detectors.kinds import is_order
from gateway.detectors.link_crowd import HOURS, Seat
from gateway.detectors.link_graph import Node
from gateway.detectors.link_strand import Strand
from gateway.values import Sighting

ORDERS = 1
"""Stands in for a template: whole tasks that are written for anybody and fill in nothing, as `Window` tells them."""
STRANDS_MAX = 3
"""Templates that have a strand of their own."""
PENDING_MAX, HABITS_MAX, PEERS_MAX = 8, 4, 12
DOMINANT = 0.6
"""Share of a template from which it stands for all that a tenant sends."""
SLOT_US = 600_000_000
_BEAT = (1 << HOURS) - 1


class Edge(NamedTuple):
    """A link to another tenant, as the last comparison found it."""

    mine: Node
    theirs: Node
    weights: tuple[float, ...]
    """Nats, in the order of `link_evidence.KINDS`."""
    homogeneity: float
    at_us: int
    i_own: bool
    they_own: bool
    is_hard: bool


class Tenant:
    """Strands, habits, hours, and whom it shares things with."""

    __slots__ = (
        *("name", "number", "place", "noted", "everything", "strands", "pending", "habits", "beat", "slot", "peers", "facts"),
        *("due", "due_us", "edges", "seat", "seat_habits", "spoken", "posted"),
    )

    def __init__(self, name: str, number: int, at_us: int) -> None:
        self.name = name
        self.number = number
        self.place = int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=6).digest(), "big")
        """Where it stands in the rings."""
        self.noted = 0
        """Requests ever."""
        self.everything = Strand(at_us)
        self.strands: dict[int, Strand] = {}
        self.pending: dict[int, int] = {}
        """Templates without a strand yet -> requests."""
        self.habits: dict[int, int] = {}
        self.beat = 0
        """Ten-minute slots with a request: bit 0 is `slot`, bit 143 a day before."""
        self.slot = at_us // SLOT_US
        self.peers: dict[tuple[str, int], tuple[int, int]] = {}
        """(kind of evidence, tenant) -> (things shared, how many of them the other sent first)."""
        self.facts: dict[str, int] = {}
        self.due = 0
        self.due_us = 0
        self.edges: list[Edge] = []
        self.seat: Seat | None = None
        self.seat_habits = 0
        self.spoken: frozenset[int] = frozenset()
        """Words it speaks in the crowd."""
        self.posted: tuple[int, ...] = ()
        """Words under which it can be found."""

    def strand_of(self, template: int, at_us: int) -> tuple[Strand | None, int]:
        """The template's strand, and the template that lost its own to it (0: none did). None: it has none yet."""
        strand = self.strands.get(template)
        if strand is not None:
            return strand, 0
        lost = 0
        if len(self.strands) >= STRANDS_MAX:
            weakest = min(self.strands, key=lambda known: (self._recent(known), known))
            if tally(self.pending, template, PENDING_MAX) <= self._recent(weakest):
                return None, 0
            del self.strands[weakest], self.pending[template]
            lost = weakest
        strand = self.strands[template] = Strand(at_us)
        return strand, lost

    def _recent(self, template: int) -> int:
        strand = self.strands[template]
        return sum(strand.rate(self.everything.day))

    def tick(self, at_us: int) -> None:
        """It was active now."""
        slot = at_us // SLOT_US
        if slot > self.slot:
            self.beat = self.beat << min(slot - self.slot, HOURS) & _BEAT
            self.slot = slot
        if self.slot - slot < HOURS:
            self.beat |= 1 << self.slot - slot

    def beat_at(self, at_us: int) -> int:
        """`beat` as it is seen from a later time."""
        return self.beat << min(max(at_us // SLOT_US - self.slot, 0), HOURS) & _BEAT

    def share_of(self, template: int) -> float:
        """The template's share of all it sent lately."""
        recent = sum(self.everything.rate(self.everything.day))
        return min(1.0, self._recent(template) / recent) if recent and template in self.strands else 0.0

    def main_template(self) -> int:
        """The template of more than half of what it sends; 0: none is."""
        return next((template for template in self.strands if template != ORDERS and self.share_of(template) > 0.5), 0)

    def dominant(self) -> Strand | None:
        """The strand of the template that stands for all it sends; None: there is none."""
        return next((strand for template, strand in self.strands.items() if self.share_of(template) >= DOMINANT), None)

    def main_habits(self) -> int:
        """The parameter habits it has most."""
        return max(self.habits, key=lambda habits: (self.habits[habits], habits), default=0)

    def shares(self, kind: str, other: int, *, is_theirs: bool) -> None:
        """One more thing in common; `is_theirs`: the other sent it first."""
        key = (kind, other)
        shared, theirs = self.peers.get(key, (0, 0))
        if not shared and len(self.peers) >= PEERS_MAX:
            least = min(self.peers, key=lambda known: (self.peers[known][0], known))
            if self.peers[least][0] > 1:
                self.peers[least] = (self.peers[least][0] - 1, min(self.peers[least][1], self.peers[least][0] - 1))
                return
            del self.peers[least]
        self.peers[key] = (shared + 1, theirs + is_theirs)


def template_of(sighting: Sighting) -> int:
    """The template under which a request is counted; 0: under none."""
    can_tell = len(sighting.features) == len(FEATURES)
    return sighting.template or (ORDERS if can_tell and is_order(sighting) else 0)


def tally(counts: dict[int, int], key: int, most: int) -> int:
    """Count within `most` keys (Misra and Gries 1982): what is frequent stays. Returns the key's count."""
    if key in counts:
        counts[key] += 1
    elif len(counts) < most:
        counts[key] = 1
    else:
        for known in list(counts):
            counts[known] -= 1
            if not counts[known]:
                del counts[known]
        return 0
    return counts[key]
