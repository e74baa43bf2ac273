"""Rewriting the texts of chat completion chunks as they stream, and of text completion chunks. See `edit` for the rules.

What spells a changed text token by token (`logprobs`, vLLM's `token_ids`) is taken off with it.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

from gateway.wires.base import Edits
from gateway.wires.edit import StreamEditor
from gateway.wires.lenient import dumps
from gateway.wires.openai_chat_texts import TOKENS, delta, says_more, slots, text_slots
from gateway.wires.sse import Event, with_data

_ENVELOPE_NOT = ("choices", "usage", "obfuscation", "error")


class _Seen(NamedTuple):
    """What came of one choice."""

    is_changed: bool
    says: bool
    """It says something beside texts: a role that is new, the head of a call, an end."""
    has_text: bool
    """Text of it is left."""
    alone: tuple[Hashable, str, str] | None
    """The channel, key and text of the one text that is all it said; None: it said more, or nothing."""


class ChatEditor(StreamEditor):
    """An `Editor` of chunks."""

    __slots__ = ("_choices", "_is_text", "_envelope", "_told", "_ended", "_has_usage", "_is_over")

    def __init__(self, edits: Edits, *, choices: int, is_text: bool = False) -> None:
        """`is_text`: of text completions, whose choices have a `text` and no delta."""
        super().__init__(edits)
        self._choices = choices
        self._is_text = is_text
        self._envelope: dict[str, Any] = {}
        """Of the last chunk that was decoded."""
        self._told: set[int] = set()
        """Choices whose role has been told."""
        self._ended: set[int] = set()
        """Choices that the client has seen end."""
        self._has_usage = False
        """Usage has been told since the cut."""
        self._is_over = False

    def _edit(self, piece: bytes, event: Event, value: dict[str, Any] | None) -> bytes:
        if value is None:
            if event.data.startswith(b"[DONE]"):  # as SDKs do
                held = self.flush()
                self._is_over = not self.is_cut
                return held + piece if self._is_over else held
            return piece if event.name == "error" else b""
        choices = value.get("choices")
        if type(choices) is not list or not choices:
            return piece
        self._envelope = {name: item for name, item in value.items() if name not in _ENVELOPE_NOT}
        held_back: list[bytes] = []
        seen = [self._choice(choice, held_back) for choice in choices if type(choice) is dict]
        says = bool(value.get("usage") or value.get("error")) or any(each.says for each in seen)
        if len(seen) == 1 and not says and (alone := seen[0].alone) is not None:
            self._learn(alone[0], piece, alone[1], alone[2])
        if any(each.is_changed for each in seen):
            keeps = says or any(each.has_text for each in seen)
            piece = with_data(piece, dumps(value)) if keeps else b""
        return b"".join([*held_back, piece])

    def _choice(self, choice: dict[str, Any], held_back: list[bytes]) -> _Seen:
        """Edit one choice in place. What its end lets go is added to `held_back`."""
        index = _index(choice)
        said = choice if self._is_text else choice.get("delta")
        if type(said) is not dict:
            said = {}
        found = list(text_slots(said) if self._is_text else slots(said))
        alone = None
        if len(found) == 1 and found[0].holder is said and not any(choice.get(name) for name in TOKENS):
            alone = ((index, *found[0].name), found[0].key, found[0].text)
        is_changed = has_text = False
        for slot in found:
            slot.holder[slot.key] = new = self._through((index, *slot.name), slot.kind, slot.text)
            is_changed, has_text = is_changed or new != slot.text, has_text or bool(new)
        says = not self._is_text and says_more(said)
        if said.get("role") and index not in self._told:
            says = True
            _note(self._told, index, most=self._choices)
        if choice.get("finish_reason"):
            says = True
            is_changed = self._finish(index, choice, said, held_back) or is_changed
        if is_changed:
            for name in TOKENS:
                if choice.get(name):
                    choice[name] = None
        return _Seen(is_changed, says, has_text, alone)

    def _finish(self, index: int, choice: dict[str, Any], said: dict[str, Any], held_back: list[bytes]) -> bool:
        """The choice ends: its channels are flushed. False: nothing changed."""
        ends = [channel for channel in self._stages if type(channel) is tuple and channel[0] == index]
        rests = [(channel, rest) for channel in ends if (rest := self._flushed(channel))]
        is_changed = self.is_cut
        if rests and said and (self._is_text or any(slots(said))):
            # What is said together with the end comes before what was held back, so it leaves by an event of its own.
            held_back.append(self._chunk(index, {"text": said["text"]} if self._is_text else {"delta": dict(said)}))
            choice |= self._nothing()
            is_changed = True
        held_back += [self._held(channel, rest) for channel, rest in rests]
        if self.is_cut:
            choice["finish_reason"] = "content_filter"
        _note(self._ended, index, most=self._choices)
        return is_changed

    def _end(self, piece: bytes, event: Event, value: dict[str, Any] | None) -> bytes:
        # An upstream may end its stream without having ended its choices: then its end is not the client's.
        is_ended = len(self._ended) >= self._choices
        if value is None:
            if self._is_over or not is_ended or not event.data.startswith(b"[DONE]"):
                return b""
            self._is_over = True
            return piece
        choices = value.get("choices")
        if type(choices) is not list or value.get("error") or self._is_over:
            return b""
        ends: list[dict[str, Any]] = []
        for choice in choices:
            if type(choice) is dict and choice.get("finish_reason") and (index := _index(choice)) not in self._ended:
                _note(self._ended, index, most=self._choices)
                nulls = {"logprobs": None} if "logprobs" in choice else {}
                ends.append({"index": index, **self._nothing(), **nulls, "finish_reason": "content_filter"})
        tells_usage = bool(value.get("usage")) and not self._has_usage and (is_ended or bool(ends))
        if not ends and (choices or not tells_usage):
            return b""
        self._has_usage = self._has_usage or tells_usage
        value["choices"] = ends
        return with_data(piece, dumps(value))

    def _held(self, channel: Hashable, text: str) -> bytes:
        if not text or type(channel) is not tuple:
            return b""
        index, field, place = channel
        return self._chunk(index, {"text": text} if self._is_text else {"delta": delta((field, place), text)})

    def _chunk(self, index: int, says: dict[str, Any]) -> bytes:
        choice = {"index": index, **says, "logprobs": None, "finish_reason": None}
        return b"data: %b\n\n" % dumps({**self._envelope, "choices": [choice]})

    def _nothing(self) -> dict[str, Any]:
        return {"text": ""} if self._is_text else {"delta": {}}


def _index(choice: dict[str, Any]) -> int:
    index = choice.get("index")
    return index if type(index) is int else 0


def _note(indexes: set[int], index: int, *, most: int) -> None:
    """Bounded: the upstream names them."""
    if len(indexes) < most:
        indexes.add(index)
