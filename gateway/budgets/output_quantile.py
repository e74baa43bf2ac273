"""How long answers get: a 99th percentile that forgets. Integers only.

Counts in buckets of a quarter octave (so the answer is at most a quarter too high), halved every 1,024 answers: about the
last two thousand count. The percentile is read again every eighth answer, and at once when an answer passes it.
"""

from __future__ import annotations

from array import array

SEEN_MIN = 30
"""Answers before the percentile means anything."""
_ABOVE_ONE_IN = 100
_HALVE_AT = 1024
_READ_EVERY = 8
_TOKENS_MAX = 2**26 - 1


class OutputQuantile:
    """The 99th percentile of output tokens of one tenant and model."""

    __slots__ = ("bound", "seen", "_counts", "_counted")

    def __init__(self) -> None:
        self.bound = 0
        """At most one in a hundred answers was longer; 0 until SEEN_MIN answers were seen."""
        self.seen = 0
        self._counts = array("H")
        self._counted = 0

    def learn(self, tokens: int) -> None:
        """One complete answer."""
        index = _bucket(tokens)
        counts = self._counts
        if index >= len(counts):
            counts.extend([0] * (index + 1 - len(counts)))
        counts[index] += 1
        self._counted += 1
        self.seen += 1
        if self._counted >= _HALVE_AT:
            self._counts = array("H", [count // 2 for count in counts])
            self._counted = sum(self._counts)
        if self.seen >= SEEN_MIN and (tokens > self.bound or self.seen % _READ_EVERY == 0):
            self.bound = self._read()

    def _read(self) -> int:
        allowed_above = self._counted // _ABOVE_ONE_IN
        for index in range(len(self._counts) - 1, -1, -1):
            allowed_above -= self._counts[index]
            if allowed_above < 0:
                return _top(index)
        return self.bound


def _bucket(tokens: int) -> int:
    """0 to 3 have a bucket each; from there on four buckets an octave."""
    tokens = min(max(tokens, 0), _TOKENS_MAX)
    octave = tokens.bit_length() - 3
    return tokens if octave < 0 else 4 * octave + (tokens >> octave)


def _top(bucket: int) -> int:
    """The largest number of tokens in a bucket."""
    if bucket < 4:
        return bucket
    octave = bucket // 4 - 1
    return ((bucket % 4 + 5) << octave) - 1
