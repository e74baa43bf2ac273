"""What a gateway remembers of one tenant's requests: how often pieces of text came, and which words. About 10 KB, always.

Two rows of counters (count-min, halved every 64 requests) say how large a share of recent requests held a piece; a piece is
a line, a sentence or a label. Two bitmaps of words, an older and a newer one, say which were met in the last few thousand
distinct ones. Nothing of a text can be read out of it: cells are chosen by Python's own hash, keyed anew in every process.
Nothing grows, whatever is sent; a tenant that floods its own counters blinds only what is said of itself.
"""

from __future__ import annotations

CELLS = 4_096
HALVE_AFTER = 64
WORD_BITS = 16_384
WORDS_MAX = WORD_BITS // 3
"""Distinct words at which the newer bitmap becomes the older one: below it one new word in four or fewer looks known."""

_HALF = bytes(value >> 1 for value in range(256))


class Past:
    """Bounded state of one tenant in one process."""

    __slots__ = ("low", "high", "requests", "recent", "words", "words_before", "words_count")

    def __init__(self) -> None:
        self.low = bytearray(CELLS)
        self.high = bytearray(CELLS)
        self.requests = 0
        self.recent = 0
        """Requests that the counters stand for: halved with them."""
        self.words = bytearray(WORD_BITS // 8)
        self.words_before = bytearray(WORD_BITS // 8)
        self.words_count = 0

    def shares(self, pieces: list[int]) -> list[int]:
        """Count these pieces (distinct hashes) as one more request's. Returns how many recent requests held each before it."""
        low, high = self.low, self.high
        counts = []
        for piece in pieces:
            a, b = piece & 4095, piece >> 16 & 4095
            x, y = low[a], high[b]
            counts.append(x if x < y else y)
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

    def news(self, words: set[bytes]) -> int:
        """How many of these words are new to it; they are known from now on."""
        now, before, new = self.words, self.words_before, 0
        for word in words:
            bit = hash(word) & 16383
            cell, mask = bit >> 3, 1 << (bit & 7)
            if not now[cell] & mask:
                now[cell] |= mask
                self.words_count += 1
                if not before[cell] & mask:
                    new += 1
        if self.words_count > WORDS_MAX:
            self.words_before, self.words, self.words_count = now, bytearray(WORD_BITS // 8), 0
        return new
