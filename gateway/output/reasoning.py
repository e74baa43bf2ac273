"""What is left of reasoning where a policy hides it: nothing, or its first characters. Stages, as in `wires.base`.

Rule: filters come before the shortening. A secret that straddles the last character shown is masked, not shown by half.
"""

from __future__ import annotations

from gateway.output.filters import Filters, FilterStage

ELLIPSIS = "…"


class Blanked:
    """Nothing leaves."""

    __slots__ = ("is_cut",)

    def __init__(self) -> None:
        self.is_cut = False

    def passes(self, text: str) -> bool:
        return not text

    def feed(self, text: str) -> str:
        return ""

    def flush(self) -> str:
        return ""


class Shortened:
    """The first characters of one piece of reasoning, and an ellipsis where there was more."""

    __slots__ = ("is_cut", "_left", "_is_over", "_filter")

    def __init__(self, chars: int, filters: Filters | None) -> None:
        self.is_cut = False
        self._left = chars
        self._is_over = False
        """There was more: nothing leaves any more, so nothing has to be filtered."""
        self._filter = None if filters is None else FilterStage(filters)

    def passes(self, text: str) -> bool:
        if self._is_over or self.is_cut or len(text) > self._left:
            return not text
        if self._filter is not None and not self._filter.passes(text):
            return False
        self._left -= len(text)
        return True

    def feed(self, text: str) -> str:
        if self._is_over or self.is_cut:
            return ""
        if self._filter is not None:
            text = self._filter.feed(text)
        return self._short(text)

    def flush(self) -> str:
        if self._is_over or self.is_cut or self._filter is None:
            return ""
        return self._short(self._filter.flush())

    def _short(self, text: str) -> str:
        shown = text[: self._left]
        self._left -= len(shown)
        if len(shown) < len(text):
            self._is_over = True
            return shown + ELLIPSIS
        self.is_cut = self._filter is not None and self._filter.is_cut
        return shown
