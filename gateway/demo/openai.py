"""Answers as OpenAI's chat completions writes them. Pure: a `Plan` in, bytes out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from gateway.demo.plan import Piece, Plan

CREATED = 1_760_000_000
TYPES = {400: "invalid_request_error", 401: "invalid_request_error", 404: "invalid_request_error", 429: "requests"}
CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


def whole(plan: Plan, request_id: str) -> bytes:
    """The answer that is not streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": None if plan.tool else plan.said("text"), "refusal": None}
    if plan.reasoning_tokens:
        message["reasoning_content"] = plan.said("reasoning")
    if plan.tool:
        function = {"name": plan.tool, "arguments": plan.said("tool")}
        message["tool_calls"] = [{"id": "call_demo", "type": "function", "function": function}]
    answer: dict[str, Any] = {
        "id": f"chatcmpl-{request_id}",
        "object": "chat.completion",
        "created": CREATED,
        "model": plan.model,
        "choices": [
            {"index": i, "message": message, "logprobs": None, "finish_reason": finish(plan)} for i in range(plan.choices)
        ],
        "service_tier": "default",
        "system_fingerprint": "fp_demo",
    }
    if plan.script.usage:
        answer["usage"] = usage(plan)
    return orjson.dumps(answer)


def stream(plan: Plan, request_id: str) -> Iterator[tuple[bytes, int]]:
    """The events of a stream, each with the tokens it carries: 1 for content, 0 for what surrounds it."""
    every = range(plan.choices)
    for i in every:
        yield _chunk(plan, request_id, [_choice(i, {"role": "assistant", "content": "", "refusal": None})]), 0
    if plan.tool:
        call = {"index": 0, "id": "call_demo", "type": "function", "function": {"name": plan.tool, "arguments": ""}}
        for i in every:
            yield _chunk(plan, request_id, [_choice(i, {"tool_calls": [call]})]), 0
    for piece in plan.pieces:
        for i in every:
            yield _chunk(plan, request_id, [_choice(i, _delta(piece))]), 1
    if not plan.script.done:
        return
    for i in every:
        yield _chunk(plan, request_id, [_choice(i, {}, finish(plan))]), 0
    if plan.wants_usage and plan.script.usage:
        yield _chunk(plan, request_id, [], usage(plan)), 0
    yield b"data: [DONE]\n\n", 0


def error(status: int, message: str, _request_id: str = "") -> bytes:
    """The body of an error."""
    kind = TYPES.get(status, "server_error")
    return orjson.dumps({"error": {"message": message, "type": kind, "param": None, "code": CODES.get(status)}})


def error_event(_request_id: str) -> bytes:
    """An error in mid-stream."""
    return b"data: " + error(500, "The server had an error while processing your request.") + b"\n\n"


def _choice(index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def _delta(piece: Piece) -> dict[str, Any]:
    if piece.kind == "reasoning":
        return {"reasoning_content": piece.text}
    if piece.kind == "tool":
        return {"tool_calls": [{"index": 0, "function": {"arguments": piece.text}}]}
    return {"content": piece.text}


def _chunk(plan: Plan, request_id: str, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
    event: dict[str, Any] = {
        "id": f"chatcmpl-{request_id}",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": plan.model,
        "service_tier": "default",
        "system_fingerprint": "fp_demo",
        "choices": choices,
    }
    if plan.wants_usage and plan.script.usage:
        event["usage"] = usage  # null in every chunk but the last, as the vendor does
    return b"data: " + orjson.dumps(event) + b"\n\n"


def finish(plan: Plan) -> str:
    """Why the answer ends."""
    if plan.is_cut:
        return "length"
    return "tool_calls" if plan.tool else "stop"


def usage(plan: Plan) -> dict[str, Any]:
    return {
        "prompt_tokens": plan.input_tokens,
        "completion_tokens": plan.output_tokens,
        "total_tokens": plan.input_tokens + plan.output_tokens,
        "prompt_tokens_details": {"cached_tokens": plan.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": plan.reasoning_tokens, "audio_tokens": 0},
    }
