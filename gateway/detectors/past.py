"""What a gateway remembers of one tenant's requests: how often pieces of text came. About 8 KB, always.

Two rows of counters (count-min, halved every 64 requests) say how large a share of recent requests held a piece; a piece is
a line, a sentence or a label. Nothing of a text can be read out of it: cells are chosen by Python's own hash, which is keyed
anew in every process.
Nothing grows, whatever is sent; a tenant that floods its own counters blinds only what is said of itself.
"""

from __future__ import annotations

CELLS = 4_096
HALVE_AFTER = 64

_HALF = bytes(value >> 1 for value in range(256))


class Past:
    """Bounded state of one tenant in one process."""

    __slots__ = ("low", "high", "requests", "recent")

    def __init__(self) -> None:
        self.low = bytearray(CELLS)
        self.high = bytearray(CELLS)
        self.requests = 0
        self.recent = 0
        """Requests that the counters stand for: halved with them."""

    def copy(self) -> Past:
        """One that goes its own way from here."""
        made = Past()
        made.low, made.high = self.low.copy(), self.high.copy()
        made.requests, made.recent = self.requests, self.recent
        return made

    def counted(self, pieces: list[int]) -> dict[int, int]:
        """Count these pieces (hashes) as one more request's. Returns how many recent requests held each of them before."""
        low, high = self.low, self.high
        counts = dict.fromkeys(pieces, 0)
        for piece in counts:
            a, b = piece & 4095, piece >> 16 & 4095
            x, y = low[a], high[b]
            counts[piece] = x if x < y else y
            # Conservative update: a cell that is already higher belongs to somebody else.
            if x <= y and x < 255:
                low[a] = x + 1
            if y <= x and y < 255:
                high[b] = y + 1
        self.requests += 1
        self.recent += 1
        if self.recent >= 2 * HALVE_AFTER:
            self.low, self.high = low.translate(_HALF), high.translate(_HALF)
            self.recent //= 2
        return counts
