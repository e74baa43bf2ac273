"""Answers as OpenAI's completions writes them. Pure: a `Plan` in, bytes out. Nothing but text has a place here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from gateway.demo import openai
from gateway.demo.plan import Plan

error, error_event = openai.error, openai.error_event


def whole(plan: Plan, request_id: str) -> bytes:
    """The answer that is not streamed."""
    answer = orjson.loads(openai.whole(plan, request_id))
    answer["object"] = "text_completion"
    answer["choices"] = [_choice(choice, choice["message"]["content"] or "") for choice in answer["choices"]]
    return orjson.dumps(answer)


def stream(plan: Plan, request_id: str) -> Iterator[tuple[bytes, int]]:
    """The events of a stream, each with the tokens it carries."""
    for event, tokens in openai.stream(plan, request_id):
        if event.startswith(b"data: ["):
            yield event, tokens
            continue
        chunk = orjson.loads(event.removeprefix(b"data: "))
        chunk["object"] = "text_completion"
        chunk["choices"] = [_choice(choice, choice["delta"].get("content") or "") for choice in chunk["choices"]]
        if tokens or not chunk["choices"] or chunk["choices"][0]["finish_reason"]:
            yield b"data: " + orjson.dumps(chunk) + b"\n\n", tokens


def _choice(choice: dict[str, Any], text: str) -> dict[str, Any]:
    return {"index": choice["index"], "text": text, "logprobs": None, "finish_reason": choice["finish_reason"]}
