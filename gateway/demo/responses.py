"""Answers as OpenAI's responses writes them. Pure: a `Plan` in, bytes out.

The events and their order are the vendor's: https://platform.openai.com/docs/api-reference/responses-streaming.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import orjson

from gateway.demo.openai import CREATED, error
from gateway.demo.plan import Kind, Plan

__all__ = ["ENCRYPTED", "error", "error_event", "stream", "whole"]

ENCRYPTED = "gAAAAABlbmNyeXB0ZWQgYnkgdGhlIGRlbW8+/w=="
"""What a reasoning item carries for the model's next turn: a client gives it back as it got it."""
_LATER = 1_000_000
"""Number of an error's event: nobody says how far the stream has come, and it need only be larger than those before."""


def whole(plan: Plan, request_id: str) -> bytes:
    """The answer that is not streamed."""
    return orjson.dumps(_response(plan, request_id, _outcome(plan), _items(plan)))


def stream(plan: Plan, request_id: str) -> Iterator[tuple[bytes, int]]:
    """The events of a stream, each with the tokens it carries: 1 for content, 0 for what surrounds it."""
    numbers = count()

    def event(kind: str, **fields: Any) -> bytes:
        data = {"type": kind, "sequence_number": next(numbers), **fields}
        return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"

    for kind in ("response.created", "response.in_progress"):
        yield event(kind, response=_response(plan, request_id, "in_progress", [])), 0
    kinds = _kinds(plan)
    for index, kind in enumerate(kinds):
        at: dict[str, Any] = {"output_index": index}
        yield event("response.output_item.added", **at, item=_item(plan, kind, "in_progress", None)), 0
        at["item_id"] = _id(kind)
        name, part_name, part, field = _NAMES[kind]
        if kind != "tool":
            at["summary_index" if kind == "reasoning" else "content_index"] = 0
            yield event(f"{part_name}.added", **at, part={**part, "text": ""}), 0
        more: dict[str, Any] = {"logprobs": []} if kind == "text" else {}
        for piece in plan.pieces:
            if piece.kind == kind:
                yield event(f"{name}.delta", **at, delta=piece.text, **more), 1
        is_last = index == len(kinds) - 1
        if is_last and not plan.script.done:
            return
        said = plan.said(kind)
        yield event(f"{name}.done", **at, **{field: said}, **more), 0
        if kind != "tool":
            yield event(f"{part_name}.done", **at, part={**part, "text": said}), 0
        status = "incomplete" if is_last and plan.is_cut else "completed"
        yield event("response.output_item.done", output_index=index, item=_item(plan, kind, status, said)), 0
    if plan.script.done:
        outcome = _outcome(plan)
        yield event(f"response.{outcome}", response=_response(plan, request_id, outcome, _items(plan))), 0


def error_event(_request_id: str) -> bytes:
    """An error in mid-stream."""
    said = {"type": "server_error", "code": "server_error", "message": "The server had an error.", "param": None}
    return b"event: error\ndata: " + orjson.dumps({"type": "error", "sequence_number": _LATER, "error": said}) + b"\n\n"


_NAMES: dict[Kind, tuple[str, str, dict[str, Any], str]] = {
    "text": (
        "response.output_text",
        "response.content_part",
        {"type": "output_text", "annotations": [], "logprobs": []},
        "text",
    ),
    "reasoning": (
        "response.reasoning_summary_text",
        "response.reasoning_summary_part",
        {"type": "summary_text"},
        "text",
    ),
    "tool": ("response.function_call_arguments", "", {}, "arguments"),
}
"""By kind: the events of its text, the events and the shape of the part that holds it, and where its whole text stands."""


def _kinds(plan: Plan) -> tuple[Kind, ...]:
    """The items of the answer in order: each kind of piece has one."""
    return tuple(dict.fromkeys(piece.kind for piece in plan.pieces))


def _items(plan: Plan) -> list[dict[str, Any]]:
    kinds = _kinds(plan)
    cut = kinds[-1] if plan.is_cut and kinds else None
    return [_item(plan, kind, "incomplete" if kind == cut else "completed", plan.said(kind)) for kind in kinds]


def _id(kind: Kind) -> str:
    return {"text": "msg_demo", "reasoning": "rs_demo", "tool": "fc_demo"}[kind]


def _item(plan: Plan, kind: Kind, status: str, said: str | None) -> dict[str, Any]:
    """An item of the output; `said` None: it has only just begun."""
    item: dict[str, Any] = {"id": _id(kind), "status": status}
    parts = [] if said is None else [{**_NAMES[kind][2], "text": said}]
    if kind == "reasoning":
        return item | {"type": "reasoning", "summary": parts, "encrypted_content": ENCRYPTED}
    if kind == "tool":
        return item | {"type": "function_call", "call_id": "call_demo", "name": plan.tool, "arguments": said or ""}
    return item | {"type": "message", "role": "assistant", "content": parts}


def _outcome(plan: Plan) -> str:
    return "incomplete" if plan.is_cut else "completed"


def _response(plan: Plan, request_id: str, status: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    is_over = status != "in_progress"
    return {
        "id": f"resp_{request_id}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": None,
        "max_output_tokens": None,
        "model": plan.model,
        "output": items,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": _usage(plan) if is_over and plan.script.usage else None,
        "metadata": {},
    }


def _usage(plan: Plan) -> dict[str, Any]:
    return {
        "input_tokens": plan.input_tokens,
        "input_tokens_details": {"cached_tokens": plan.cached, "cache_write_tokens": plan.cache_write},
        "output_tokens": plan.output_tokens,
        "output_tokens_details": {"reasoning_tokens": plan.reasoning_tokens},
        "total_tokens": plan.input_tokens + plan.output_tokens,
    }
