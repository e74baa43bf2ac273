"""Answers as OpenAI's completions writes them. Pure: a `Plan` in, bytes out. Every piece is text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from gateway.demo import openai
from gateway.demo.openai import CREATED, error, error_event
from gateway.demo.plan import Plan

__all__ = ["error", "error_event", "stream", "whole"]


def whole(plan: Plan, request_id: str) -> bytes:
    """The answer that is not streamed."""
    text = "".join(piece.text for piece in plan.pieces)
    answer = _envelope(plan, request_id) | {
        "choices": [_choice(i, _echo(plan, i) + text, openai.finish(plan)) for i in range(plan.choices)]
    }
    if plan.script.usage:
        answer["usage"] = openai.usage(plan)
    return orjson.dumps(answer)


def stream(plan: Plan, request_id: str) -> Iterator[tuple[bytes, int]]:
    """The events of a stream, each with the tokens it carries: 1 for content, 0 for what surrounds it."""
    every = range(plan.choices)
    for i in every if plan.echoes else ():
        yield _chunk(plan, request_id, [_choice(i, _echo(plan, i))]), 0
    for piece in plan.pieces:
        for i in every:
            yield _chunk(plan, request_id, [_choice(i, piece.text)]), 1
    if not plan.script.done:
        return
    for i in every:
        yield _chunk(plan, request_id, [_choice(i, "", openai.finish(plan))]), 0
    if plan.wants_usage and plan.script.usage:
        yield _chunk(plan, request_id, [], openai.usage(plan)), 0
    yield b"data: [DONE]\n\n", 0


def _echo(plan: Plan, index: int) -> str:
    """The prompt that choice `index` answers, where it is to be repeated."""
    return plan.echoes[index * len(plan.echoes) // plan.choices] if plan.echoes else ""


def _choice(index: int, text: str, finish: str | None = None) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": "stop" if finish == "tool_calls" else finish}


def _envelope(plan: Plan, request_id: str) -> dict[str, Any]:
    return {"id": f"cmpl-{request_id}", "object": "text_completion", "created": CREATED, "model": plan.model}


def _chunk(plan: Plan, request_id: str, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
    event = _envelope(plan, request_id) | {"choices": choices}
    if plan.wants_usage and plan.script.usage:
        event["usage"] = usage
    return b"data: " + orjson.dumps(event) + b"\n\n"
