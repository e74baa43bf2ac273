"""Whole messages: their texts edited, or cut to fewer tokens."""

from __future__ import annotations

from typing import Any

from gateway.values import Usage
from gateway.wires.anthropic_messages_edit import DELTAS, edit_call
from gateway.wires.anthropic_messages_stream import CALLS, Counts
from gateway.wires.base import Edits
from gateway.wires.edit import Through
from gateway.wires.lenient import dumps, loads
from gateway.wires.shorten import Allowance


def edited(answer: bytes, edits: Edits) -> tuple[bytes, bool]:
    """A whole answer with its texts edited, and whether a filter cut it: then the blocks after that are taken off.

    The very same bytes where nothing changed.
    """
    value = _answer(answer)
    if value is None:
        return answer, False
    through = Through(edits)
    is_changed = False
    blocks = value["content"]
    for place, block in enumerate(blocks):
        if type(block) is not dict:
            continue
        for name, kind in DELTAS.values():
            text = block.get(name)
            if type(text) is str and text:
                block[name] = through(kind, text)
                is_changed = is_changed or block[name] != text
        if _is_call(block):
            is_changed = edit_call(block, through) or is_changed
        if through.is_cut:
            del blocks[place + 1 :]
            value |= {"stop_reason": "refusal", "stop_sequence": None}
            return dumps(value), True
    return (dumps(value) if is_changed else answer), False


def shortened(answer: bytes, limit: int) -> tuple[bytes, Usage] | None:
    """A whole answer cut to `limit` output tokens, and its usage; None: it is not longer, or reports no usage.

    A tool call that is cut has no input, as the vendor writes it; blocks that had not been begun are taken off.
    """
    value = _answer(answer)
    counts = Counts()
    if value is None or not counts.take(value.get("usage")) or counts.output is None or counts.output <= limit:
        return None
    blocks = [block for block in value["content"] if type(block) is dict]
    allowance = Allowance([_text(block) for block in blocks], counts.output, limit)
    kept: list[dict[str, Any]] = []
    for block in blocks:
        if allowance.is_spent:
            break
        text = _text(block)
        part = allowance.cut(text)
        if part != text:
            _put(block, part)
        kept.append(block)
    value |= {"content": kept, "stop_reason": "max_tokens", "stop_sequence": None}
    counts.output = value["usage"]["output_tokens"] = limit
    return dumps(value), counts.usage(is_final=True)


def _text(block: dict[str, Any]) -> str:
    if _is_call(block):
        return dumps(block["input"]).decode()
    return next((block[name] for name, _ in DELTAS.values() if type(block.get(name)) is str), "")


def _put(block: dict[str, Any], text: str) -> None:
    if _is_call(block):
        block["input"] = {}
        return
    for name, _ in DELTAS.values():
        if type(block.get(name)) is str:
            block[name] = text


def _is_call(block: dict[str, Any]) -> bool:
    return block.get("type") in CALLS and type(block.get("input")) is dict


def _answer(answer: bytes) -> dict[str, Any] | None:
    """An answer with content; None: it is none."""
    value = loads(answer)
    return value if value is not None and type(value.get("content")) is list else None
