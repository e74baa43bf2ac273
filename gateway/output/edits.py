"""What an output policy does to one answer's text: reasoning hidden, then filters. Has the shape of `wires.base.Edits`.

Rule 1: filters see text as it leaves, once reasoning is taken out of it: a secret cannot be smuggled around a <think> block.
Rule 2: what a policy compiles to is immutable and shared; each answer's channels have stages of their own.

Where reasoning is shortened, its blocks stand in the text as the model would have written them, tags included; where it is
blanked, the tags go with it, and the white space after a block.
"""

from __future__ import annotations

from typing import Protocol

from gateway.output.filters import Filters, FilterStage, filters_of
from gateway.output.pace import Pace
from gateway.output.reasoning import Blanked, Shortened
from gateway.output.think import Piece, ThinkSplitter
from gateway.policy.model import Output

_OPENING, _CLOSING = "<think>", "</think>"


class Stage(Protocol):
    """As in `wires.base`, which this room does not see."""

    is_cut: bool

    def feed(self, text: str) -> str: ...

    def flush(self) -> str: ...

    def passes(self, text: str) -> bool: ...


class VisibleText:
    """A channel that the client shows, with the reasoning in it blanked or shortened, and what is left filtered."""

    __slots__ = ("is_cut", "_think", "_chars", "_filters", "_filter", "_block", "_skips_space")

    def __init__(self, think: ThinkSplitter, chars: int | None, filters: Filters | None) -> None:
        """`chars`: so many characters of each block are shown; None: nothing, not even its tags."""
        self.is_cut = False
        self._think = think
        self._chars = chars
        self._filters = filters
        self._filter = None if filters is None else FilterStage(filters)
        self._block: Shortened | None = None
        """The reasoning that is being shown."""
        self._skips_space = False
        """A block was taken out, and no word has come since."""

    def passes(self, text: str) -> bool:
        if self.is_cut or self._skips_space or not self._think.is_visible(text):
            return False
        return self._filter is None or self._filter.passes(text)

    def feed(self, text: str) -> str:
        if self.is_cut or (self._chars is None and self._think.is_reasoning(text)):
            return ""
        return self._filtered(self._shown(self._think.pieces(text)), is_end=False)

    def flush(self) -> str:
        if self.is_cut:
            return ""
        text = self._shown(self._think.end())
        if self._block is not None:  # it never ended, so it has no closing tag
            text += self._block.flush()
        return self._filtered(text, is_end=True)

    def whole(self, text: str) -> str:
        """A whole text; of a new stage."""
        return self._filtered(self._shown(self._think.whole(text)), is_end=False) + self.flush()

    def _shown(self, pieces: list[Piece]) -> str:
        parts: list[str] = []
        for kind, text in pieces:
            if kind == "visible":
                if self._skips_space:
                    text = text.lstrip()
                    self._skips_space = not text
                parts.append(text)
            elif self._chars is None:
                self._skips_space = self._skips_space or kind == "close"
            elif kind == "close":
                parts.append((self._block.flush() if self._block is not None else "") + _CLOSING)
                self._block = None
            else:
                if kind == "open":
                    parts.append(_OPENING)
                if self._block is None:
                    self._block = Shortened(self._chars, self._filters)
                parts.append(self._block.feed(text))
            if self._block is not None and self._block.is_cut:
                self.is_cut = True
                break
        return "".join(parts)

    def _filtered(self, text: str, *, is_end: bool) -> str:
        stage = self._filter
        if stage is None:
            return text
        text = stage.feed(text)
        if is_end or self.is_cut:  # cut within reasoning: what came before it leaves
            text += stage.flush()
        self.is_cut = self.is_cut or stage.is_cut
        return text


class PolicyEdits:
    """What a policy does to texts; it has no state of its own."""

    __slots__ = ("_chars", "_hides", "_thinks_first", "_filters")

    def __init__(self, output: Output) -> None:
        self._hides = output.reasoning in ("blank", "shorten")
        self._chars = output.reasoning_chars if output.reasoning == "shorten" else None
        self._thinks_first = output.thinks_first
        self._filters = filters_of(output.filters) if output.filters else None

    def text(self) -> Stage | None:
        if self._hides:
            return VisibleText(ThinkSplitter(thinks_first=self._thinks_first), self._chars, self._filters)
        return self.arguments()

    def reasoning(self) -> Stage | None:
        if not self._hides:
            return self.arguments()
        return Blanked() if self._chars is None else Shortened(self._chars, self._filters)

    def arguments(self) -> Stage | None:
        return None if self._filters is None else FilterStage(self._filters)

    def whole(self, stage: Stage, text: str) -> str:
        if isinstance(stage, VisibleText):
            return stage.whole(text)
        return stage.feed(text) + stage.flush()


class Compiled:
    """An output policy ready for use: made once for each that callers and models resolve to."""

    __slots__ = ("output", "_edits")

    def __init__(self, output: Output) -> None:
        self.output = output
        edits_text = output.filters or output.reasoning in ("blank", "shorten")
        self._edits = PolicyEdits(output) if edits_text else None

    def edits(self) -> PolicyEdits | None:
        """None: the policy leaves texts as they are."""
        return self._edits

    def pace(self) -> Pace | None:
        """The pace of a new stream; None: as it comes."""
        speed = self.output.tokens_per_second
        return None if speed is None else Pace(speed)


def compile_output(output: Output) -> Compiled:
    """Make a resolved policy ready. Its filters, which cost, are compiled once for all policies that have the same."""
    return Compiled(output)
