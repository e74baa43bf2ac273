"""Where a chat completion says its texts: in a delta of a stream and in a whole message alike.

Beside the vendor's own places: `reasoning_content` and `reasoning` (vLLM, DeepSeek, SGLang), `reasoning_details` (OpenRouter),
and lists of parts with `thinking` among them (Mistral). Text completions say theirs in the choice itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from gateway.wires.edit import Kind

Name = tuple[str, int]
"""What a channel is called in its choice: a field, and the index of what it is part of (0 where there is one alone)."""


TOKENS = ("logprobs", "token_ids")
"""Where a choice spells its texts token by token."""


class Slot(NamedTuple):
    """One text that is not empty: `holder[key]`."""

    name: Name
    kind: Kind
    holder: dict[str, Any]
    key: str
    text: str


def slots(said: dict[str, Any]) -> Iterator[Slot]:
    """The texts of a delta or message that are not empty, in the order in which models write: reasoning, answer, calls."""
    for key in ("reasoning_content", "reasoning"):
        yield from _slot((key, 0), "reasoning", said, key)
    for place, detail in _objects(said.get("reasoning_details")):
        for key in ("text", "summary"):
            yield from _slot((f"reasoning_details.{key}", _index(detail, place)), "reasoning", detail, key)
    for _, part in _objects(said.get("content")):
        yield from _slot(("content.thinking", 0), "reasoning", part, "thinking")
        for _, thought in _objects(part.get("thinking")):
            yield from _slot(("content.thinking", 0), "reasoning", thought, "text")
        yield from _slot(("content", 0), "text", part, "text")
    for key in ("content", "refusal"):
        yield from _slot((key, 0), "text", said, key)
    if type(audio := said.get("audio")) is dict:
        yield from _slot(("audio", 0), "text", audio, "transcript")
    for place, call in _objects(said.get("tool_calls")):
        for name, key in (("function", "arguments"), ("custom", "input")):
            if type(called := call.get(name)) is dict:
                yield from _slot((name, _index(call, place)), "arguments", called, key)
    if type(called := said.get("function_call")) is dict:
        yield from _slot(("function_call", 0), "arguments", called, "arguments")


def text_slots(choice: dict[str, Any]) -> Iterator[Slot]:
    """The text of a choice of a text completion."""
    yield from _slot(("content", 0), "text", choice, "text")


def delta(name: Name, text: str) -> dict[str, Any]:
    """A delta that brings more text of a channel, and nothing else."""
    field, index = name
    if field.startswith("reasoning_details."):
        key = field.partition(".")[2]
        return {"reasoning_details": [{"type": f"reasoning.{key}", "index": index, key: text}]}
    if field == "content.thinking":
        return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]}
    if field == "audio":
        return {"audio": {"transcript": text}}
    if field == "function":
        return {"tool_calls": [{"index": index, "function": {"arguments": text}}]}
    if field == "custom":
        return {"tool_calls": [{"index": index, "type": "custom", "custom": {"input": text}}]}
    return {field: {"arguments": text} if field == "function_call" else text}


def says_more(said: dict[str, Any]) -> bool:
    """Whether a delta says anything beside its role and its texts: the head of a call, a signature, what nobody knows."""
    for field, value in said.items():
        if not value or field in ("role", "content", "refusal", "reasoning_content", "reasoning"):
            continue
        if field == "tool_calls" or field == "function_call":
            calls = value if type(value) is list else [value]
            if any(_has_head(call) for call in calls):
                return True
        elif field == "reasoning_details":
            if any(detail.get("signature") or detail.get("data") for _, detail in _objects(value)):
                return True
        elif field == "audio":
            if type(value) is dict and any(item for name, item in value.items() if name not in ("transcript", "id")):
                return True
        else:
            return True
    return False


def _has_head(call: Any) -> bool:
    if type(call) is not dict:
        return False
    inner = (call, call.get("function"), call.get("custom"))
    return any(type(part) is dict and (part.get("id") or part.get("name")) for part in inner)


def _slot(name: Name, kind: Kind, holder: dict[str, Any], key: str) -> Iterator[Slot]:
    if type(text := holder.get(key)) is str and text:
        yield Slot(name, kind, holder, key, text)


def _objects(value: Any) -> list[tuple[int, dict[str, Any]]]:
    return [(place, item) for place, item in enumerate(value) if type(item) is dict] if type(value) is list else []


def _index(value: dict[str, Any], place: int) -> int:
    index = value.get("index")
    return index if type(index) is int else place
