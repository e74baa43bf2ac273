"""What the watch is compared with: simple scores that one might think enough. All of them see the raw text, as a log would.

- *volume only*: requests an hour;
- *naive diversity*: six measures of how varied a tenant's prompts are, put together by a logistic regression.

The third of them, phrases only, comes from the watch's own tripwires.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter, deque
from typing import Any

from gateway.values import Ask

NAMES = ("novelty", "near duplicates", "distinct openings", "word entropy", "length spread", "compressibility")
TEXT_MAX = 2_000
"""Characters of a prompt that are looked at."""
NEAR = 24
"""Prompts back that a prompt is compared with."""
NEAR_SHARE = 0.7
_WORD = re.compile(r"\w+")
_COMPRESSED_MAX = 60_000


class Diversity:
    """The prompts of one tenant."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._words: Counter[str] = Counter()
        self._openings: set[str] = set()
        self._recent: deque[frozenset[str]] = deque(maxlen=NEAR)
        self._compressed: list[str] = []
        self._compressed_size = 0
        self._requests = self._near = 0
        self._novelty = self._length = self._length_squared = 0.0

    def add(self, ask: Ask) -> None:
        text = prompt_of(ask)
        words = _WORD.findall(text.lower())
        kinds = frozenset(words)
        self._requests += 1
        if kinds:
            self._novelty += len(kinds - self._seen) / len(kinds)
            self._near += any(len(kinds & other) >= NEAR_SHARE * len(kinds | other) for other in self._recent)
            self._seen |= kinds
            self._words.update(words)
            self._openings.add(" ".join(words[:5]))
            self._recent.append(kinds)
        self._length += len(text)
        self._length_squared += len(text) ** 2
        if self._compressed_size < _COMPRESSED_MAX:
            self._compressed.append(text)
            self._compressed_size += len(text)

    def measures(self) -> tuple[float, ...]:
        """In the order of NAMES."""
        count = max(1, self._requests)
        total = max(1, self._words.total())
        entropy = -sum(n / total * math.log2(n / total) for n in self._words.values())
        mean = self._length / count
        spread = math.sqrt(max(0.0, self._length_squared / count - mean * mean)) / mean if mean else 0.0
        sample = "\n".join(self._compressed).encode("utf-8", "replace")[:_COMPRESSED_MAX]
        ratio = len(zlib.compress(sample, 6)) / len(sample) if sample else 0.0
        return (self._novelty / count, self._near / count, len(self._openings) / count, entropy, spread, ratio)


def prompt_of(ask: Ask) -> str:
    """The user's last message, as far as it is looked at."""
    messages: list[dict[str, Any]] = ask.body["messages"]
    for message in reversed(messages):
        if message.get("role") == "user":
            content = message.get("content")
            if type(content) is str:
                return content[:TEXT_MAX]
            parts = content if type(content) is list else []
            said = [part["text"] for part in parts if type(part) is dict and type(part.get("text")) is str]
            return "\n".join(said)[:TEXT_MAX]
    return ""
