"""Reasoning that a model writes into its visible text, between `<think>` and `</think>`.

Where reasoning ends is more than tags alone can say, because models quote the tags while they reason:

- Blocks nest: a block ends when as many tags have closed as had opened. One that never ends hides everything after its opening.
- The reasoning ends at the *last* close. After a close the text is held back until LOOKAHEAD_CHARS of it have come, or it has
  ended, or a new block opens. A further close before that, one that nothing opened, says that what lay between was reasoning.
- A later opening is a new block.
- `thinks_first`: the model's template writes the opening, so the text begins inside of the block. (An opening at the very
  beginning is then the same one, written again.)
- A close that nothing opened is taken out, and waited after like any other. What came before it has left, as an answer may be
  about tags.

`whole` knows how the text goes on: if it begins with an opening, or `thinks_first`, everything up to the last close that
nothing opened is reasoning. In that alone it differs from a stream, where what has left has left.

Tags are TAGS, in any case, with up to _SPACES_MAX white space characters at each place. What may yet become a tag is held back,
less than _TAG_MAX characters. So any chunking gives the same pieces, once they are joined.
"""

from __future__ import annotations

import re
from typing import Literal

TAGS = ("think", "thinking")
LOOKAHEAD_CHARS = 128
_SPACES_MAX = 4
_GAP = rf"\s{{0,{_SPACES_MAX}}}"
_TAG = re.compile(rf"<{_GAP}(/?){_GAP}(?:{'|'.join(TAGS)}){_GAP}>", re.IGNORECASE)
_TAG_MAX = 3 + 3 * _SPACES_MAX + max(map(len, TAGS))

Kind = Literal["visible", "reasoning", "open", "close"]
"""open: a block begins, and the model wrote its opening. close: a block has ended for good. Both have no text."""
Piece = tuple[Kind, str]


def _beginnings(name: str) -> str:
    """A pattern of every beginning of a name, each followed by white space: what a tag may look like before its end."""
    pattern = _GAP
    for letter in reversed(name):
        pattern = f"{_GAP}(?:{letter}{pattern})?"
    return pattern


_UNFINISHED = re.compile(rf"<{_GAP}/?(?:{'|'.join(_beginnings(name) for name in TAGS)})", re.IGNORECASE)


class ThinkSplitter:
    """Splits one channel's text into what is visible and what is reasoning.

    `pieces` and `end` give both in their order, with where blocks begin and end; `feed` and `flush` give them apart.
    """

    __slots__ = ("_depth", "_held", "_is_beginning", "_thinks_first", "_waits", "_waiting")

    def __init__(self, *, thinks_first: bool = False) -> None:
        self._thinks_first = thinks_first
        self._depth = int(thinks_first)
        self._held = ""
        """What may yet become a tag."""
        self._is_beginning = thinks_first
        """Nothing but white space has come: an opening is the template's, written again."""
        self._waits = False
        """A block has closed, and a further close may follow."""
        self._waiting = ""
        """The text since then, shorter than LOOKAHEAD_CHARS."""

    def is_visible(self, text: str) -> bool:
        """Whether the text is visible as it stands, with nothing held back before or after: it need not be fed."""
        return not (self._depth or self._waits or self._held or "<" in text)

    def is_reasoning(self, text: str) -> bool:
        """Whether the text is nothing but reasoning: it need not be fed."""
        return self._depth > 0 and not (self._held or self._is_beginning or "<" in text)

    def feed(self, text: str) -> tuple[str, str]:
        """(visible, reasoning) of what is known by now."""
        return _apart(self.pieces(text))

    def flush(self) -> tuple[str, str]:
        """The text has ended. Idempotent."""
        return _apart(self.end())

    def pieces(self, text: str) -> list[Piece]:
        text = self._held + text
        pieces: list[Piece] = []
        at = 0
        for tag in _TAG.finditer(text):
            self._text(text[at : tag.start()], pieces)
            if tag[1]:
                self._close(pieces)
            else:
                self._open(pieces)
            at = tag.end()
        begin = text.rfind("<", max(at, len(text) - _TAG_MAX))
        if begin < 0 or not _UNFINISHED.fullmatch(text, begin):
            begin = len(text)
        self._held = text[begin:]
        self._text(text[at:begin], pieces)
        return pieces

    def end(self) -> list[Piece]:
        """The pieces that were held back. Idempotent."""
        pieces: list[Piece] = []
        held, self._held = self._held, ""
        self._text(held, pieces)
        self._release(pieces)
        return pieces

    def whole(self, text: str) -> list[Piece]:
        """The pieces of a whole text; of a new splitter."""
        first = _TAG.match(text.lstrip())
        is_opened = first is not None and not first[1]
        end = self._last_unopened(text) if is_opened or self._thinks_first else 0
        pieces: list[Piece] = []
        if end:
            # One block, whatever else opens and closes in it.
            pieces += [("open", "")] if is_opened and not self._thinks_first else []
            pieces.append(("reasoning", _TAG.sub("", text[:end])))
            self._depth, self._is_beginning, self._waits = 0, False, True
        return pieces + self.pieces(text[end:]) + self.end()

    def _last_unopened(self, text: str) -> int:
        """Where the last close ends that nothing opened; 0: there is none."""
        depth, end = self._depth, 0
        for tag in _TAG.finditer(text):
            if not tag[1]:
                is_template = self._thinks_first and not text[: tag.start()].strip()
                depth += not is_template
            elif depth:
                depth -= 1
            else:
                end = tag.end()
        return end

    def _text(self, text: str, pieces: list[Piece]) -> None:
        if not text:
            return
        if self._depth:
            self._is_beginning = self._is_beginning and text.isspace()
            pieces.append(("reasoning", text))
        elif self._waits:
            self._waiting += text
            if len(self._waiting) >= LOOKAHEAD_CHARS:
                self._release(pieces)
        else:
            pieces.append(("visible", text))

    def _open(self, pieces: list[Piece]) -> None:
        if self._is_beginning:
            self._is_beginning = False
            return
        if not self._depth:
            self._release(pieces)
            pieces.append(("open", ""))
        self._depth += 1

    def _close(self, pieces: list[Piece]) -> None:
        self._is_beginning = False
        if self._depth > 1:
            self._depth -= 1
            return
        self._depth = 0
        waiting, self._waiting, self._waits = self._waiting, "", True
        if waiting:
            pieces.append(("reasoning", waiting))

    def _release(self, pieces: list[Piece]) -> None:
        """No further close is waited for: the block has ended."""
        if not self._waits:
            return
        waiting, self._waiting, self._waits = self._waiting, "", False
        pieces.append(("close", ""))
        if waiting:
            pieces.append(("visible", waiting))


def _apart(pieces: list[Piece]) -> tuple[str, str]:
    visible = "".join(text for kind, text in pieces if kind == "visible")
    return visible, "".join(text for kind, text in pieces if kind == "reasoning")
