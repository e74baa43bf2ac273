"""Rewriting the texts of chat completions and completions, as they stream and whole, and cutting whole ones short."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from typing import Any

import orjson

from gateway.values import Usage
from gateway.wires.base import Edits, Stage
from gateway.wires.edit import StreamEditor, one_text
from gateway.wires.openai_chat_stream import Counts
from gateway.wires.shorten import Allowance
from gateway.wires.sse import Event

TEXTS = ("content", "refusal")
THOUGHTS = ("reasoning_content", "reasoning")
_KNOWN = (*TEXTS, *THOUGHTS, "tool_calls", "function_call", "reasoning_details")
_CONTENT = re.compile(rb'"(?:content|text)": ?"((?:[^"\\]|\\.)*)"')
_UNUSUAL = (b'"reasoning', b'"refusal":"', b'"tool_calls"', b'"function_call"', b'"finish_reason":"', b'"finish_reason": "')


def _one(value: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


class ChatEditor(StreamEditor):
    """An `Editor` of chunks. `is_text`: of completions, whose choices have a `text` and no delta."""

    def __init__(self, edits: Edits, *, choices: int, is_text: bool = False) -> None:
        super().__init__(edits)
        self._is_single = choices == 1
        self._is_text = is_text
        self._chunk: dict[str, Any] = {}
        """The envelope of the last chunk that was decoded."""

    def _passes(self, events: bytes) -> bool:
        # A name with its quotes can't stand in a JSON string unescaped: what is not found is not there.
        if not self._is_single or any(mark in events for mark in _UNUSUAL):
            return False
        found: list[bytes] = _CONTENT.findall(events)
        if not found or len(found) != events.count(b'"choices"') or not self._chunk:
            return False
        channel = (0, "content")
        if channel not in self._stages:
            self._stages[channel] = self._edits.text()
        stage = self._stages[channel]
        if stage is None:
            return True
        text = one_text(b"".join(found))
        return text is not None and stage.passes(text)

    def _rewrite(self, piece: bytes, event: Event, value: dict[str, Any]) -> bytes:
        choices = value.get("choices")
        if type(choices) is not list or not choices or value.get("error"):
            return piece
        self._chunk = {name: item for name, item in value.items() if name not in ("choices", "usage")}
        before: list[bytes] = []
        is_changed = is_said = False
        for choice in choices:
            if type(choice) is not dict:
                continue
            index = choice.get("index", 0)
            written = choice if self._is_text else choice.get("delta")
            if type(written) is dict:
                changed, said = self._delta(index, written)
                is_changed, is_said = is_changed or changed, is_said or said
            if choice.get("finish_reason") is not None:
                is_said = True
                if self.is_cut:
                    choice["finish_reason"] = None  # it is ended otherwise
                    is_changed = True
                else:
                    before += [self._closing(channel) for channel in self._of(index)]
                    if self.is_cut:
                        return b"".join(before)
        if not is_changed:
            return b"".join([*before, piece]) if any(before) else piece
        if not is_said and value.get("usage") is None:
            return b"".join(before)
        return b"".join([*before, _one(value)])

    def _of(self, index: Any) -> list[Hashable]:
        return [channel for channel in self._stages if type(channel) is tuple and channel[0] == index]

    def _delta(self, index: Any, delta: dict[str, Any]) -> tuple[bool, bool]:
        """(something changed, something is said)."""
        is_changed = False
        is_said = not self._is_text and any(
            value not in (None, "", [], {}) for name, value in delta.items() if name not in _KNOWN
        )
        for name in ("text",) if self._is_text else (*TEXTS, *THOUGHTS):
            text = delta.get(name)
            if type(text) is str and text:
                make = self._edits.reasoning if name in THOUGHTS else self._edits.text
                made = self._through((index, "content" if name == "text" else name), make, text)
                delta[name] = made
                is_changed, is_said = is_changed or made != text, is_said or bool(made)
        for key, call in _functions(delta):
            is_said = is_said or bool(call.get("name"))
            text = call.get("arguments")
            if type(text) is str and text:
                made = self._through((index, key), self._edits.arguments, text)
                call["arguments"] = made
                is_changed, is_said = is_changed or made != text, is_said or bool(made)
        if is_changed and isinstance(delta.get("reasoning_details"), list):
            del delta["reasoning_details"]  # some servers say the same once more
        return is_changed, is_said

    def _closing(self, channel: Hashable) -> bytes:
        text = self._flushed(channel)
        if not text or type(channel) is not tuple:
            return b""
        index, kind = channel
        choice: dict[str, Any] = {"index": index, "logprobs": None, "finish_reason": None}
        if self._is_text:
            choice["text"] = text
        elif type(kind) is int:
            choice["delta"] = {"tool_calls": [{"index": kind, "function": {"arguments": text}}]}
        elif kind == "function":
            choice["delta"] = {"function_call": {"arguments": text}}
        else:
            choice["delta"] = {kind: text}
        return _one({**self._chunk, "choices": [choice]})


def _functions(message: dict[str, Any]) -> list[tuple[Hashable, dict[str, Any]]]:
    """The calls of tools in a message or a delta: (index or "function", its function)."""
    found: list[tuple[Hashable, dict[str, Any]]] = []
    calls = message.get("tool_calls")
    for place, call in enumerate(calls if type(calls) is list else ()):
        if type(call) is dict and type(call.get("function")) is dict:
            found.append((call.get("index", place), call["function"]))
    if type(message.get("function_call")) is dict:
        found.append(("function", message["function_call"]))
    return found


def edited(answer: bytes, edits: Edits) -> tuple[bytes, bool]:
    """A whole answer with its texts edited, and whether a filter cut it."""
    value = _answer(answer)
    if value is None:
        return answer, False
    is_changed = is_cut = False
    for choice in value["choices"]:
        for holder, name, make in _texts(choice, edits):
            stage = make()
            if stage is None:
                continue
            text = holder[name]
            holder[name] = edits.whole(stage, text)
            is_changed = is_changed or holder[name] != text
            if stage.is_cut:
                is_cut = True
                choice["finish_reason"] = "content_filter"
    return (orjson.dumps(value), is_cut) if is_changed or is_cut else (answer, False)


def shortened(answer: bytes, limit: int) -> tuple[bytes, Usage] | None:
    """A whole answer that reports more than `limit` output tokens a choice, cut to them."""
    value = _answer(answer)
    counts = Counts()
    if value is None or not counts.take(value.get("usage")) or counts.output is None:
        return None
    choices = value["choices"]
    most = limit * len(choices)
    if counts.output <= most:
        return None
    for choice in choices:
        holders = [(holder, name) for holder, name, _ in _texts(choice, None)]
        holders.sort(key=lambda one: one[1] not in THOUGHTS)  # it was written first
        allowance = Allowance([holder[name] for holder, name in holders], counts.output // len(choices), limit)
        for holder, name in holders:
            holder[name] = allowance.cut(holder[name])
        choice["finish_reason"] = "length"
    usage = value["usage"]
    usage["completion_tokens"] = counts.output = most
    usage["total_tokens"] = most + (counts.input or 0)
    details = usage.get("completion_tokens_details")
    if type(details) is dict and type(reasoning := details.get("reasoning_tokens")) is int:
        details["reasoning_tokens"] = min(reasoning, most)
    return orjson.dumps(value), counts.usage(is_final=True)


def _answer(answer: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None
    if type(value) is not dict or type(value.get("choices")) is not list or not value["choices"]:
        return None
    return value if all(type(choice) is dict for choice in value["choices"]) else None


Make = Callable[[], Stage | None]


def _no_stage() -> Stage | None:
    return None


def _texts(choice: dict[str, Any], edits: Edits | None) -> list[tuple[dict[str, Any], str, Make]]:
    """Each text of a choice: what holds it, its name there, and what makes its stage."""
    shown: Make = _no_stage if edits is None else edits.text
    thought: Make = _no_stage if edits is None else edits.reasoning
    called: Make = _no_stage if edits is None else edits.arguments
    found: list[tuple[dict[str, Any], str, Make]] = []
    if type(choice.get("text")) is str:
        found.append((choice, "text", shown))
    message = choice.get("message")
    if type(message) is not dict:
        return found
    found += [(message, name, thought) for name in THOUGHTS if type(message.get(name)) is str]
    found += [(message, name, shown) for name in TEXTS if type(message.get(name)) is str]
    parts = message.get("content")
    for part in parts if type(parts) is list else ():
        if type(part) is dict and type(part.get("text")) is str:
            found.append((part, "text", shown))
    found += [(call, "arguments", called) for _, call in _functions(message) if type(call.get("arguments")) is str]
    return found
