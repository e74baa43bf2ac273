"""Which of many requests are looked at: at most so many, each as likely as any other, and nobody who sends them knows which.

What comes is ranked by a keyed hash of its place alone, and the lowest ranks are kept. So how many will come need not be known
beforehand, no request's words make it likelier to be drawn, and who has the key can draw the same lot again.
"""

from __future__ import annotations

from heapq import heappush, heapreplace
from typing import Generic, TypeVar

from xxhash import xxh3_64_intdigest

T = TypeVar("T")


class Lot(Generic[T]):
    """Ask `wants` of each in turn, and `keep` what was made of it where the answer is yes; a later one may take its place."""

    __slots__ = ("came", "_heap", "_rank", "_seed", "_size")

    def __init__(self, seed: int, size: int) -> None:
        """`seed`: 64 bits that no sender knows."""
        self.came = 0
        self._seed = seed
        self._size = size
        self._rank = 0
        self._heap: list[tuple[int, int, T]] = []
        """The highest rank of those that are kept first; ranks are negative."""

    def wants(self) -> bool:
        """Whether the one that comes is drawn, as far as can be known by now."""
        self.came += 1
        heap = self._heap
        self._rank = -xxh3_64_intdigest(self.came.to_bytes(8, "little"), self._seed)
        return len(heap) < self._size or self._rank > heap[0][0]

    def keep(self, item: T) -> None:
        """What was made of the last one that was wanted. At most once for each; it need not be."""
        entry = (self._rank, self.came, item)
        if len(self._heap) < self._size:
            heappush(self._heap, entry)
        else:
            heapreplace(self._heap, entry)

    def drawn(self) -> list[tuple[int, T]]:
        """All that were drawn, each with its place (the first is 1), in the order in which they came."""
        return sorted([(place, item) for _, place, item in self._heap], key=lambda pair: pair[0])
