"""Answers of the endpoints that write no text: embeddings, moderations, token counts. Pure: a body in, bytes out."""

from __future__ import annotations

import base64
import struct
from typing import Any

import orjson

DIMENSIONS = 8


def embeddings(body: dict[str, Any], words: int) -> bytes:
    """A vector for each input, as floats or as base64."""
    given = body.get("input")
    count = len(given) if isinstance(given, list) and given and not isinstance(given[0], int) else 1
    vector = [0.125] * DIMENSIONS
    packed = base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *vector)).decode()
    shown = packed if body.get("encoding_format") == "base64" else vector
    data = [{"object": "embedding", "index": index, "embedding": shown} for index in range(count)]
    usage = {"prompt_tokens": words, "total_tokens": words}
    return orjson.dumps({"object": "list", "data": data, "model": body.get("model"), "usage": usage})


def moderations(body: dict[str, Any], _words: int) -> bytes:
    """Nothing is ever flagged."""
    result = {"flagged": False, "categories": {}, "category_scores": {}, "category_applied_input_types": {}}
    return orjson.dumps({"id": "modr-demo", "model": body.get("model", "omni-moderation-latest"), "results": [result]})


def anthropic_count(_body: dict[str, Any], words: int) -> bytes:
    return orjson.dumps({"input_tokens": words})


def openai_count(_body: dict[str, Any], words: int) -> bytes:
    return orjson.dumps({"object": "response.input_tokens", "input_tokens": words})


ANSWERS = {
    "/v1/embeddings": embeddings,
    "/v1/moderations": moderations,
    "/v1/messages/count_tokens": anthropic_count,
    "/v1/responses/input_tokens": openai_count,
}
