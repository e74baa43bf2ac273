"""How many words a tenant's slots hold, how that grows, and how much two of its requests have in common. Pure, fixed size.

A sketch holds the eight least hashes of a slot's longer words. Those of them whose hash is in the lowest sixteenth (the last
bit of a mark says so: `Lens.sketch`) are there whenever their word is, but for slots of very many words: a consistent sample of
the vocabulary, from which three numbers follow.

- `words`: distinct words; the 64 least marks of the sample are counted as in Bar-Yossef et al., "Counting distinct elements in
  a data stream" (RANDOM 2002), and multiplied by 16. Good to about 12%.
- `growth`: the exponent of Heaps' law, from the count at each doubling of what had been read: 1000 where every word is new,
  0 where none is.
- `common`: of a request's words, how many another one shares: the second moment of the sample's counts by tug of war (Alon,
  Matias, Szegedy, 1996), in 64 cells. Good to about a fifth. Many requests about little are many of the same words.

Old requests go by epochs: at EPOCH requests everything begins anew, and the numbers of the last epoch stand until the new one
has a fifth of it.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Sequence
from typing import NamedTuple

LEAST = 64
CELLS = 64
SAMPLED = 16
EPOCH = 1_000
MARKS_MIN = 40
"""Of the sample; with fewer nothing is said."""
DOUBLINGS = 16
_MARK_MAX = 2**31


class Spread(NamedTuple):
    """What is known of a vocabulary. -1: too little has been read."""

    words: int = -1
    growth: int = -1
    """Per mille."""
    common: int = -1
    """Per mille."""


UNKNOWN = Spread()


class Vocabulary:
    """Bounded state, whatever is added."""

    __slots__ = ("requests", "marks", "least", "cells", "steps", "last")

    def __init__(self) -> None:
        self.requests = 0
        self.marks = 0
        """Of the sample, with those that came before."""
        self.least: list[int] = []
        """The distinct marks of the sample that are least, ascending."""
        self.cells = array("i", bytes(4 * CELLS))
        self.steps = array("I")
        """Distinct marks when so many had come: 1, 2, 4, ..."""
        self.last = UNKNOWN
        """Of the epoch before."""

    def add(self, sketch: Sequence[int]) -> None:
        """One request's sketch."""
        self.requests += 1
        for mark in sketch:
            if not mark & 1:
                continue
            value = mark >> 1
            self.cells[value % CELLS] += 1 if value >> 8 & 1 else -1
            self._count(value)
            self.marks += 1
            if not self.marks & self.marks - 1 and len(self.steps) < DOUBLINGS:
                self.steps.append(self.distinct)
        if self.requests >= EPOCH:
            last = self.spread()
            self.__init__()  # type: ignore[misc]  # everything begins anew
            self.last = last

    def _count(self, value: int) -> None:
        least = self.least
        if len(least) == LEAST and value >= least[-1]:
            return
        if value not in least:
            least.append(value)
            least.sort()
            del least[LEAST:]

    @property
    def distinct(self) -> int:
        """About how many marks of the sample are distinct."""
        if len(self.least) < LEAST:
            return len(self.least)
        return (LEAST - 1) * _MARK_MAX // max(1, self.least[-1])

    def spread(self) -> Spread:
        """Of this epoch; of the one before where this has hardly begun."""
        if self.marks < MARKS_MIN or (self.requests < EPOCH // 5 and self.last != UNKNOWN):
            return self.last
        squares = sum([count * count for count in self.cells]) - self.marks
        common = 1000 * max(0, squares) // (self.marks * max(1, self.requests - 1))
        return Spread(SAMPLED * self.distinct, self._growth(), min(1000, common))

    def _growth(self) -> int:
        """The slope over the last two doublings."""
        if len(self.steps) < 4:
            return -1
        slope = math.log(max(1, self.steps[-1]) / max(1, self.steps[-3])) / math.log(4)
        return max(0, min(1000, round(1000 * slope)))

    def dump(self) -> bytes:
        """At most DUMP_BYTES_MAX bytes."""
        head = _HEAD.pack(self.requests, self.marks, *self.last, len(self.least), len(self.steps))
        return head + struct.pack(f"<{CELLS}h{len(self.least)}I{len(self.steps)}I", *self.cells, *self.least, *self.steps)

    @classmethod
    def load(cls, data: bytes) -> Vocabulary:
        """Raises ValueError for what is no dump of this version."""
        made = cls()
        try:
            made.requests, made.marks, *last, least, steps = _HEAD.unpack_from(data)
            found = struct.unpack(f"<{CELLS}h{least}I{steps}I", data[_HEAD.size :])
        except struct.error as error:
            raise ValueError(f"no dump of a vocabulary: {error}") from None
        if least > LEAST or steps > DOUBLINGS or made.requests >= EPOCH:
            raise ValueError("no dump of a vocabulary: its parts have other sizes")
        made.last = Spread(*last)
        made.cells = array("i", found[:CELLS])
        made.least = sorted(set(found[CELLS : CELLS + least]))
        made.steps = array("I", found[CELLS + least :])
        return made


_HEAD = struct.Struct("<HIiiiBB")
DUMP_BYTES_MAX = _HEAD.size + 2 * CELLS + 4 * LEAST + 4 * DOUBLINGS
