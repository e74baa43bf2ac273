"""The deployment's eye: the key of all fingerprints, and the tripwires, compiled. One for all tenants; it holds no state but a
bounded memory of marks it made, which are the same whoever asks.

Fingerprints are BLAKE2b under a key derived from the deployment's secret: equal for equal text in one deployment, and
without the key neither made nor matched, whatever text somebody guesses. Order inside a sketch comes from a fast hash that
never leaves the process as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import re2
from xxhash import xxh3_64_hexdigest

from gateway.detectors.cues import cues
from gateway.values import PhraseBook

KEY_BYTES = 32
PERSON = b"gauger-watch-1"
AUTOMATA = 2
WORD_BYTES = 5
"""Shorter words are in every text."""
MARKS_MAX = 4_096
"""Words whose marks are remembered. The least under one hash are the same words again and again."""


class Lens:
    """Made once for a policy and a secret; what it answers never changes."""

    __slots__ = ("_blank", "_marks", "_tripwires", "cues", "editions", "known", "seed")

    def __init__(self, key: bytes, books: Iterable[PhraseBook]) -> None:
        books = tuple(books)
        self._blank: Any = blake2b(key=key, digest_size=8)
        self.seed = int.from_bytes(blake2b(b"seed", key=key, digest_size=8).digest(), "little")
        """Of hashes that stay in this process, and of where long text is sampled."""
        self.editions = tuple(f"{book.name} {book.edition}" for book in books)
        """Which lists these are, for evidence."""
        self.known: dict[int, int] = {}
        """Fingerprints of what comes again and again, by Python's own hash of it, which is keyed anew in every process."""
        self._marks: dict[str, int] = {}
        self.cues: dict[int, int] = {}
        """Of pieces that recurred, by their hash: a program says the same in every request."""
        named = [(pattern, group.name) for book in books for group in book.groups for pattern in group.patterns]
        named.sort(key=lambda each: -each[0].count("*"))
        self._tripwires: list[tuple[Any, list[str]]] = []
        """Sets of patterns, and the group of each pattern. An automaton's states are combinations of what its patterns are
        in the middle of: two automata of half the open-ended patterns each have far fewer, and fit the caches."""
        for part in filter(None, (named[at::AUTOMATA] for at in range(AUTOMATA))):
            tripwires = re2.Set.SearchSet()
            for pattern, _ in part:
                tripwires.Add(pattern)
            tripwires.Compile()
            self._tripwires.append((tripwires, [name for _, name in part]))

    @classmethod
    def of(cls, secret: bytes, phrase_books: Iterable[PhraseBook]) -> Lens:
        """The lens of a deployment. Its key is not the secret, and tells nothing about it."""
        return cls(blake2b(secret, person=PERSON, digest_size=KEY_BYTES).digest(), phrase_books)

    def fingerprint(self, data: bytes) -> int:
        """64 bits under the key; never 0."""
        state = self._blank.copy()
        state.update(data)
        return int.from_bytes(state.digest(), "little") or 1

    def familiar(self, kind: bytes, text: str) -> int:
        """The fingerprint of text that comes again and again."""
        key = hash((kind, text))
        return self.known.get(key) or self.remember(key, kind + text.encode("utf-8", "replace"))

    def remember(self, key: int, data: bytes) -> int:
        """The fingerprint of `data`, to be found under `key` in `known` from now on."""
        if len(self.known) >= MARKS_MAX:
            self.known.clear()
        found = self.known[key] = self.fingerprint(data)
        return found

    def cue(self, piece: int, low: str) -> int:
        """The cues of a piece that is not remembered, by its hash and in lower case; remembered from now on."""
        if len(self.cues) >= MARKS_MAX:
            self.cues.clear()
        found = self.cues[piece] = cues(low)
        return found

    def sketch(self, words: Iterable[bytes], size: int) -> tuple[int, ...]:
        """Marks of the `size` longer words that are least under a keyed hash, ascending.

        The order is a fast hash's, in hexadecimal because Python sorts short strings twice as fast as integers of 64 bits;
        what leaves the process is 31 bits of a cryptographic one's, and one that says whether the order's hash is in its lowest
        sixteenth: see `vocabulary`. Only hashes are remembered, never a word.
        """
        seed, marks = self.seed, self._marks
        found: list[int] = []
        for name in sorted([xxh3_64_hexdigest(word, seed) for word in words if len(word) >= WORD_BYTES])[:size]:
            mark = marks.get(name)
            if mark is None:
                state = self._blank.copy()
                state.update(int(name, 16).to_bytes(8, "little"))
                mark = int.from_bytes(state.digest()[:4], "little") & ~1 | (name[0] == "0")
                if len(marks) >= MARKS_MAX:
                    marks.clear()
                marks[name] = mark
            found.append(mark)
        found.sort()
        return tuple(found)

    def phrases(self, text: bytes) -> tuple[str, ...]:
        """Names of the groups that fire on text in lower case whose white space is single spaces; sorted."""
        fired: list[str] = []
        for tripwires, groups in self._tripwires:
            if found := tripwires.Match(text):
                fired += [groups[index] for index in found]
        return tuple(sorted(set(fired))) if fired else ()
