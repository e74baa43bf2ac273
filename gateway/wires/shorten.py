"""Where a text is cut that has more tokens than it may have, without its tokenizer.

A text is taken apart as tokenizers first do: words with the blank before them, runs of marks, white space. Where it has as many
words, or as many such pieces, as tokens were reported, the cut is at the very token; else each piece is taken to have as many
tokens as the others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_WORD = re.compile(r"\S+")
_PIECE = re.compile(r"\s?\w+|\s?[^\w\s]+|\s+")


class Allowance:
    """So much of an answer's texts may be kept; they are cut in the order in which they were written."""

    __slots__ = ("_unit", "_units", "_reported", "_most", "_left")

    def __init__(self, texts: Sequence[str], reported: int, limit: int) -> None:
        """`reported`: tokens of all these texts, as the upstream counted them; `limit`: how many may stay."""
        words = _count(_WORD, texts)
        self._unit = _WORD if words == reported else _PIECE
        self._units = words if words == reported else _count(_PIECE, texts)
        self._reported = reported
        self._most = self._left = self._units * limit // reported if reported > 0 else self._units

    def again(self) -> Allowance:
        """As much once more, for another choice of the same answer."""
        other = Allowance((), 0, 0)
        other._unit, other._units, other._reported = self._unit, self._units, self._reported
        other._most = other._left = self._most
        return other

    @property
    def is_spent(self) -> bool:
        """Nothing more may be kept."""
        return self._left <= 0

    @property
    def kept_tokens(self) -> int:
        """Of what was cut so far; rounded up."""
        return -(-(self._most - self._left) * self._reported // self._units) if self._units else 0

    def cut(self, text: str) -> str:
        """The text, or its beginning."""
        end = 0
        for match in self._unit.finditer(text):
            if self._left <= 0:
                return text[:end]
            self._left -= 1
            end = match.end()
        return text


def _count(unit: re.Pattern[str], texts: Sequence[str]) -> int:
    return sum(sum(1 for _ in unit.finditer(text)) for text in texts)
