"""Answers as Anthropic's messages writes them. Pure: a `Plan` in, bytes out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from gateway.demo.plan import Kind, Piece, Plan

SIGNATURE = "c2lnbmVkIGJ5IHRoZSBkZW1v"
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def whole(plan: Plan, request_id: str) -> bytes:
    """The answer that is not streamed."""
    content: list[dict[str, Any]] = []
    for kind in _kinds(plan):
        block = _block(plan, kind)
        if kind == "reasoning":
            block |= {"thinking": plan.said(kind), "signature": SIGNATURE}
        elif kind == "tool":
            block["input"] = {} if plan.is_cut else orjson.loads(plan.said(kind))
        else:
            block["text"] = plan.said(kind)
        content.append(block)
    message = _message(plan, request_id) | {"content": content, "stop_reason": _stop(plan)}
    if plan.script.usage:
        message["usage"] = _usage(plan, plan.output_tokens)
    return orjson.dumps(message)


def stream(plan: Plan, request_id: str) -> Iterator[tuple[bytes, int]]:
    """The events of a stream, each with the tokens it carries: 1 for content, 0 for what surrounds it."""
    message = _message(plan, request_id)
    if plan.script.usage:
        message["usage"] = _usage(plan, 1)
    yield _event({"type": "message_start", "message": message}), 0
    for index, kind in enumerate(_kinds(plan)):
        yield _event({"type": "content_block_start", "index": index, "content_block": _block(plan, kind)}), 0
        if not index:
            yield _event({"type": "ping"}), 0
        for piece in plan.pieces:
            if piece.kind == kind:
                yield _event({"type": "content_block_delta", "index": index, "delta": _delta(piece)}), 1
        if not plan.script.done and index == len(_kinds(plan)) - 1:
            return
        if kind == "reasoning":
            delta = {"type": "signature_delta", "signature": SIGNATURE}
            yield _event({"type": "content_block_delta", "index": index, "delta": delta}), 0
        yield _event({"type": "content_block_stop", "index": index}), 0
    if not plan.script.done:
        return
    last: dict[str, Any] = {"type": "message_delta", "delta": {"stop_reason": _stop(plan), "stop_sequence": None}}
    if plan.script.usage:
        last["usage"] = {"output_tokens": plan.output_tokens}
    yield _event(last), 0
    yield _event({"type": "message_stop"}), 0


def error(status: int, message: str, request_id: str = "") -> bytes:
    """The body of an error."""
    kind = TYPES.get(status, "api_error")
    return orjson.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id})


def error_event(request_id: str) -> bytes:
    """An error in mid-stream."""
    return b"event: error\ndata: " + error(529, "Overloaded", request_id) + b"\n\n"


def _event(event: dict[str, Any]) -> bytes:
    return b"event: " + str(event["type"]).encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n"


def _kinds(plan: Plan) -> tuple[Kind, ...]:
    """The content blocks of the answer in order: each kind of piece has one."""
    return tuple(dict.fromkeys(piece.kind for piece in plan.pieces))


def _block(plan: Plan, kind: Kind) -> dict[str, Any]:
    if kind == "reasoning":
        return {"type": "thinking", "thinking": "", "signature": ""}
    if kind == "tool":
        return {"type": "tool_use", "id": "toolu_demo", "name": plan.tool, "input": {}}
    return {"type": "text", "text": ""}


def _delta(piece: Piece) -> dict[str, Any]:
    if piece.kind == "reasoning":
        return {"type": "thinking_delta", "thinking": piece.text}
    if piece.kind == "tool":
        return {"type": "input_json_delta", "partial_json": piece.text}
    return {"type": "text_delta", "text": piece.text}


def _message(plan: Plan, request_id: str) -> dict[str, Any]:
    return {
        "id": f"msg_{request_id}",
        "type": "message",
        "role": "assistant",
        "model": plan.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _stop(plan: Plan) -> str:
    if plan.is_cut:
        return "max_tokens"
    return "tool_use" if plan.tool else "end_turn"


def _usage(plan: Plan, output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": plan.input_tokens - plan.cached - plan.cache_write,  # this wire reports what the cache did not touch
        "cache_creation_input_tokens": plan.cache_write,
        "cache_read_input_tokens": plan.cached,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }
