"""A request as marks in few named cells, and sums of them: what a tenant's own history is made of. Fixed size.

Two samples of traffic are compared by a kernel two-sample test (MMD) whose kernel counts, with weights, the cells that two
requests have in common. Its feature map is finite and written out here, so that means are exact sums, and every part of a
distance has a name that can be told. What is not in a cell is not compared: times, volume, templates (their slots are).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

from gateway.detectors.features import FEATURES
from gateway.values import Sighting

BINS = 5
"""Of a feature: nothing, and quarters of the scale."""
GROUPS_MAX = 12
"""Tripwire groups that are told apart; of a longer list the first met."""
GROUP_BYTES_MAX = 24
PROGRAMS = 24
WORDS = 48

ORDER_AT = BINS * len(FEATURES)
GROUPS_AT = ORDER_AT + 1
PROGRAMS_AT = GROUPS_AT + GROUPS_MAX
WORDS_AT = PROGRAMS_AT + PROGRAMS
WIDTH = WORDS_AT + WORDS

WEIGHTS = (
    *(1.0,) * ORDER_AT,
    2.0,
    *(2.0,) * GROUPS_MAX,
    *(1.0,) * PROGRAMS,
    *(0.25,) * WORDS,
)
"""Of each cell: a request has 20 marks in bins, one of its program, up to 8 of words."""
REQUESTS_MAX = 240
"""Of one sum: a cell is one byte, and a mean over so many is known well enough."""

_BIN = bytes(0 if value == 0 else 1 + (value - 1) * (BINS - 1) // 1_000 for value in range(1_001))


def cells_of(sighting: Sighting, groups: Iterable[int], *, is_order: bool) -> list[int]:
    """The cells that a request has a mark in, each once. Raises IndexError for a feature that is out of its bounds."""
    cells = [BINS * index + _BIN[value] for index, value in enumerate(sighting.features)]
    if is_order:
        cells.append(ORDER_AT)
    cells += [GROUPS_AT + group for group in groups]
    cells.append(PROGRAMS_AT + sighting.habits % PROGRAMS)
    cells += {WORDS_AT + (mark >> 1) % WORDS for mark in sighting.sketch}
    return cells


class Sums:
    """Marks of up to REQUESTS_MAX requests, and the sums of their features."""

    __slots__ = ("requests", "last_us", "cells", "features")

    def __init__(self) -> None:
        self.requests = 0
        self.last_us = 0
        """When something like it was last met."""
        self.cells = array("B", bytes(WIDTH))
        self.features = array("I", bytes(4 * len(FEATURES)))

    def add(self, cells: Sequence[int], features: Sequence[int]) -> None:
        """One request. Raises OverflowError where there are REQUESTS_MAX."""
        if self.requests >= REQUESTS_MAX:
            raise OverflowError("a sum is full")
        mine, sums = self.cells, self.features
        for cell in cells:
            mine[cell] += 1
        for index, value in enumerate(features):
            sums[index] += value
        self.requests += 1

    def plus(self, other: Sums) -> bool:
        """All requests of another, if they fit."""
        if self.requests + other.requests > REQUESTS_MAX:
            return False
        for index, count in enumerate(other.cells):
            self.cells[index] += count
        for index, value in enumerate(other.features):
            self.features[index] += value
        self.requests += other.requests
        return True

    def shares(self) -> list[float]:
        """Of its requests, by cell."""
        count = self.requests or 1
        return [value / count for value in self.cells]

    def dump(self) -> bytes:
        return b"".join((
            self.requests.to_bytes(2, "little"),
            self.last_us.to_bytes(8, "little"),
            self.cells.tobytes(),
            b"".join([value.to_bytes(4, "little") for value in self.features]),
        ))  # fmt: skip

    @classmethod
    def load(cls, data: bytes) -> Sums:
        """Raises ValueError for what is no dump of this width."""
        if len(data) != DUMP_BYTES:
            raise ValueError(f"{len(data)} bytes of sums: this version has {DUMP_BYTES}")
        sums = cls()
        sums.requests, sums.last_us = int.from_bytes(data[:2], "little"), int.from_bytes(data[2:10], "little")
        sums.cells = array("B", data[10 : 10 + WIDTH])
        tail = data[10 + WIDTH :]
        sums.features = array("I", [int.from_bytes(tail[at : at + 4], "little") for at in range(0, len(tail), 4)])
        if sums.requests > REQUESTS_MAX or max(sums.cells) > sums.requests or max(sums.features) > 1_000 * sums.requests:
            raise ValueError("sums of more than their requests")
        return sums


DUMP_BYTES = 10 + WIDTH + 4 * len(FEATURES)
