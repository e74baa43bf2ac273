"""The deployment's eye: the key of all fingerprints, and the tripwires, compiled. One for all tenants; it holds no state.

Fingerprints are BLAKE2b under a key derived from the deployment's secret: equal for equal text in one deployment, and
without the key neither made nor matched, whatever text somebody guesses. Order inside a sketch comes from a fast hash that
never leaves the process as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import re2

from gateway.values import PhraseBook

KEY_BYTES = 32
PERSON = b"gauger-watch-1"


class Lens:
    """Made once for a policy and a secret; immutable."""

    __slots__ = ("_blank", "_groups", "_tripwires", "editions", "seed")

    def __init__(self, key: bytes, books: Iterable[PhraseBook]) -> None:
        books = tuple(books)
        self._blank: Any = blake2b(key=key, digest_size=8)
        self.seed = int.from_bytes(blake2b(b"seed", key=key, digest_size=8).digest(), "little")
        """Of hashes that stay in this process, and of where long text is sampled."""
        self.editions = tuple(f"{book.name} {book.edition}" for book in books)
        """Which lists these are, for evidence."""
        self._groups: list[str] = []
        self._tripwires: Any = None
        tripwires = re2.Set.SearchSet()
        for group in (group for book in books for group in book.groups):
            for pattern in group.patterns:
                tripwires.Add(pattern)
                self._groups.append(group.name)
        if self._groups:
            tripwires.Compile()
            self._tripwires = tripwires

    @classmethod
    def of(cls, secret: bytes, phrase_books: Iterable[PhraseBook]) -> Lens:
        """The lens of a deployment. Its key is not the secret, and tells nothing about it."""
        return cls(blake2b(secret, person=PERSON, digest_size=KEY_BYTES).digest(), phrase_books)

    def fingerprint(self, data: bytes) -> int:
        """64 bits under the key; never 0."""
        state = self._blank.copy()
        state.update(data)
        return int.from_bytes(state.digest(), "little") or 1

    def mark(self, value: int) -> int:
        """32 bits under the key, of a 64-bit value."""
        state = self._blank.copy()
        state.update(value.to_bytes(8, "little"))
        return int.from_bytes(state.digest()[:4], "little")

    def phrases(self, text: bytes) -> tuple[str, ...]:
        """Names of the groups that fire on text in lower case whose white space is single spaces; sorted."""
        if self._tripwires is None:
            return ()
        found = self._tripwires.Match(text)
        return tuple(sorted({self._groups[index] for index in found})) if found else ()
