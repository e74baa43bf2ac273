"""One strand of a tenant's traffic in numbers: how much, since when, and a sample of the words in its slots. Pure, bounded.

A tenant has one strand for everything it sends, and one for each of the few templates it uses most: an account that carries a
campaign beside other customers' requests shows the campaign in a strand of its own.

The words are a sample by hash: of all words that were seen, the WORDS_MAX with the lowest hash are kept, each with the number
of requests it was in. Two strands that draw from one text so keep the same words, and what they keep can be compared without
having agreed on anything but the key.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence

WORDS_MAX = 128
SETTLED_AFTER = 8
"""Requests after which a strand counts as settled: whatever begins later elsewhere may be a copy of it, and not the reverse."""
HALVE_AT = 512
"""Requests after which all counts are halved, so that about the last thousand count."""
DAY_US = 86_400_000_000
_ALL = 2**32 - 1


class Strand:
    """Counts of one strand. Every field is a plain number or an array of numbers; nothing grows beyond WORDS_MAX."""

    __slots__ = ("seen", "first_us", "settled_us", "last_us", "day", "this_day", "day_before", "top", "words", "counts")

    def __init__(self, at_us: int) -> None:
        self.seen = 0
        """Requests, halved with the counts: the base that `counts` are shares of."""
        self.first_us = at_us
        self.settled_us = 0
        """When the SETTLED_AFTER-th request came; 0: not yet."""
        self.last_us = at_us
        self.day = at_us // DAY_US
        self.this_day = 0
        """Requests of `day` (UTC), and of the one before it."""
        self.day_before = 0
        self.top = _ALL
        """Words up to this hash are all kept."""
        self.words = array("I")
        """Ascending."""
        self.counts = array("H")

    def add(self, sketch: Sequence[int], at_us: int) -> None:
        """One request. Time that runs backward (gateways' clocks differ) counts as no time passed."""
        day = at_us // DAY_US
        if day > self.day:
            self.day_before = self.this_day if day == self.day + 1 else 0
            self.this_day = 0
            self.day = day
        self.this_day += 1
        self.seen += 1
        if at_us > self.last_us:
            self.last_us = at_us
        elif at_us < self.first_us:
            self.first_us = at_us
        if self.seen == SETTLED_AFTER and not self.settled_us:
            self.settled_us = self.last_us
        words, counts, top = self.words, self.counts, self.top
        for word in sketch:
            if word > top:
                continue
            index = bisect_left(words, word)
            if index < len(words) and words[index] == word:
                counts[index] += 1
                continue
            words.insert(index, word)
            counts.insert(index, 1)
            if len(words) > WORDS_MAX:
                words.pop()
                counts.pop()
                top = self.top = words[-1]
        if self.seen >= HALVE_AT:
            self._halve()

    def rate(self, day: int) -> tuple[int, int]:
        """Requests of `day` and of the day before it; of one that has been silent longer, those of its last two days."""
        return (0, self.this_day) if day == self.day + 1 else (self.this_day, self.day_before)

    def _halve(self) -> None:
        kept = [(word, count // 2) for word, count in zip(self.words, self.counts) if count > 1]
        self.words = array("I", [word for word, _ in kept])
        self.counts = array("H", [count for _, count in kept])
        self.seen //= 2
        if len(kept) < WORDS_MAX // 2:
            self.top = _ALL
