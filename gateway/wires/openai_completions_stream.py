"""Following a stream of text completion chunks: chat's, with each choice's `text` in the place of its delta.

With `echo` a stream repeats the prompt before each answer. What was sent up and comes back is no output: it is relayed and not
counted, for as far as it is the prompt's text word for word (prompts given as tokens, or an upstream that writes them another
way, count as output). While a choice may still be repeating, every event is decoded.
"""

from __future__ import annotations

from typing import Any

from gateway.wires.fields import text_bytes
from gateway.wires.openai_chat_stream import ChatReader


class CompletionsReader(ChatReader):
    """A `StreamReader` of text completion chunks. `echoes`: prompts that are repeated, each in `each` answers."""

    _object = "text_completion"

    __slots__ = ("_echoes", "_each", "_repeated")

    def __init__(self, *, hides_usage: bool, choices: int, echoes: tuple[str, ...] = (), each: int = 1) -> None:
        super().__init__(hides_usage=hides_usage, choices=choices)
        self._echoes = echoes
        self._each = each
        self._repeated = dict.fromkeys(range(len(echoes) * each), 0)
        """By choice that is still repeating: how many characters of its prompt it has. Replaced, never changed."""

    def _content_of(self, choice: dict[str, Any]) -> int:
        text = choice.get("text")
        if not self._repeated or type(text) is not str or not text:
            return text_bytes(text)
        index = choice.get("index")
        begin = self._repeated.get(index, -1) if type(index) is int else -1
        if type(index) is not int or begin < 0:
            return text_bytes(text)
        prompt = self._echoes[index // self._each]
        repeated = (
            len(text) if prompt.startswith(text, begin) else len(prompt) - begin if text.startswith(prompt[begin:]) else 0
        )
        end = begin + repeated
        is_open = repeated == len(text) and end < len(prompt)
        rest = {other: at for other, at in self._repeated.items() if other != index}
        self._repeated = {**rest, index: end} if is_open else rest
        return text_bytes(text[repeated:])

    def _note_content(self, piece: bytes, size: int) -> None:
        super()._note_content(piece, size)
        if self._repeated:
            self._exact_left = max(self._exact_left, 1)

    def _nothing(self) -> dict[str, Any]:
        return {"text": ""}

    def _mark(self) -> Any:
        return super()._mark(), self._repeated

    def _undo(self, mark: Any) -> None:
        before, self._repeated = mark
        super()._undo(before)
