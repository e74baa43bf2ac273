"""The events of a responses stream and the items of its output: which of them hold text of the model's, and where.

Events: https://platform.openai.com/docs/api-reference/responses-streaming. Names follow one rule, by which kinds that nobody
knows yet are read too: `STEM.delta` brings a piece of a text, `STEM.done` repeats the whole of it, `*_part.added` and
`*_part.done` surround the part that holds it, `response.output_item.added` and `.done` the item, and the event that ends the
stream repeats all items.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import orjson

from gateway.wires.sse import parse

Kind = Literal["text", "reasoning", "arguments"]
Rewrite = Callable[[Kind, str], str]

ENDS = frozenset(("response.completed", "response.incomplete", "response.failed", "response.cancelled"))
"""Events that end a stream."""
ITEM_ADDED, ITEM_DONE = "response.output_item.added", "response.output_item.done"
DEPTH_MAX = 32
"""Kept of what cannot be written whole; texts of an answer lie five levels deep."""
_AUDIO = "response.audio.delta"
"""Base64 of sound: no text."""


class Place(NamedTuple):
    """Where the text that a stem's deltas bring stands at last."""

    field: str
    """Of the item, or of its part; the stem's `.done` event repeats the text under this name too."""
    at: str = ""
    """Which field of an event tells the part; "" where the text is the item's own."""
    parts: str = ""
    """Which list of the item holds the part."""
    part: str = ""
    """The part's type."""


PLACES = {
    "response.output_text": Place("text", "content_index", "content", "output_text"),
    "response.refusal": Place("refusal", "content_index", "content", "refusal"),
    "response.reasoning_text": Place("text", "content_index", "content", "reasoning_text"),
    "response.reasoning_summary_text": Place("text", "summary_index", "summary", "summary_text"),
    "response.function_call_arguments": Place("arguments"),
    "response.mcp_call_arguments": Place("arguments"),
    "response.custom_tool_call_input": Place("input"),
    "response.code_interpreter_call_code": Place("code"),
}
REPEATS = ("text", "refusal", "arguments", "input", "code", "command")
"""Where a `.done` event may repeat its text."""
INDICES = ("content_index", "summary_index", "command_index")


class Channel(NamedTuple):
    """What a client joins: one part of an item, or its arguments."""

    stem: str
    output: int
    part: int
    """-1: the text is the item's own."""


def decoded(piece: bytes) -> dict[str, Any] | None:
    """What an event says; None for a comment, and for what is no JSON object with a type (it is relayed for the client)."""
    data = parse(piece).data
    if not data:
        return None
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return value if type(value) is dict and type(value.get("type")) is str else None


def encoded(value: dict[str, Any]) -> bytes:
    """An event as the vendor writes it; without its name where that would not fit on a line."""
    name: str = value["type"]
    line = b"event: " + name.encode() + b"\n" if name.isprintable() else b""
    return line + b"data: " + written(value) + b"\n\n"


def written(value: dict[str, Any]) -> bytes:
    """JSON. What is nested too deeply to be written (a schema of the request's that the upstream repeats) is left out."""
    try:
        data: bytes = orjson.dumps(value)
    except orjson.JSONEncodeError:
        data = orjson.dumps(_shallow(value, DEPTH_MAX))
    return data


def _shallow(value: Any, depth: int) -> Any:
    if type(value) is dict:
        return {name: _shallow(inner, depth - 1) for name, inner in value.items()} if depth else None
    if type(value) is list:
        return [_shallow(inner, depth - 1) for inner in value] if depth else None
    return value


def delta_of(value: dict[str, Any]) -> str | None:
    """The piece of the model's text that an event brings; None: it brings none."""
    delta, name = value.get("delta"), value["type"]
    return delta if type(delta) is str and name.endswith(".delta") and name != _AUDIO else None


def index_of(value: dict[str, Any], name: str = "output_index") -> int:
    """An index of an event; -1: it has none."""
    index = value.get(name)
    return index if type(index) is int else -1


def channel_of(value: dict[str, Any]) -> Channel:
    """Of a `.delta` or a `.done`."""
    return Channel(value["type"].rpartition(".")[0], index_of(value), part_index(value))


def part_index(value: dict[str, Any]) -> int:
    """Which part of its item an event is about; -1: the item itself."""
    for name in INDICES:
        if name in value:
            return index_of(value, name)
    return -1


def kind_of(stem: str) -> Kind:
    """What kind of text a stem's deltas bring."""
    if "reasoning" in stem:
        return "reasoning"
    return "arguments" if "_call" in stem or "arguments" in stem else "text"


def rewrite_item(item: Any, rewrite: Rewrite) -> bool:
    """Rewrite in place every text that the model wrote in an item, in the order of its writing. False: nothing changed.

    What tools gave back (results, logs, outputs) is no text of the model's; what is encrypted is nobody's.
    """
    if type(item) is not dict:
        return False
    is_changed = False
    for name in ("summary", "content"):
        parts = item.get(name)
        if type(parts) is list:
            kind: Kind = "reasoning" if item.get("type") == "reasoning" else "text"
            for part in parts:
                is_changed = rewrite_part(part, kind, rewrite) or is_changed
    for name in ("arguments", "input", "code"):
        is_changed = _rewrite(item, name, "arguments", rewrite) or is_changed
    for name, field in (("operation", "diff"), ("action", "text"), ("action", "query")):
        if type(inner := item.get(name)) is dict:
            is_changed = _rewrite(inner, field, "arguments", rewrite) or is_changed
    action = item.get("action")
    commands = action.get("commands") if type(action) is dict else None
    if type(commands) is list:
        for index, command in enumerate(commands):
            if type(command) is str and (text := rewrite("arguments", command)) != command:
                commands[index] = text
                is_changed = True
    return is_changed


def rewrite_part(part: Any, kind: Kind, rewrite: Rewrite) -> bool:
    """Rewrite in place the text of one part. False: nothing changed."""
    if type(part) is not dict:
        return False
    is_changed = _rewrite(part, "text", kind, rewrite)
    is_changed = _rewrite(part, "refusal", kind, rewrite) or is_changed
    if is_changed:
        forget_tokens(part)
    return is_changed


def forget_tokens(holder: dict[str, Any]) -> None:
    """Take off what spells a text that was changed token by token."""
    if holder.get("logprobs"):
        holder["logprobs"] = []


def _rewrite(holder: dict[str, Any], field: str, kind: Kind, rewrite: Rewrite) -> bool:
    text = holder.get(field)
    if type(text) is not str or (new := rewrite(kind, text)) == text:
        return False
    holder[field] = new
    return True
