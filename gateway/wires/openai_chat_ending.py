"""How a stream of chat completions ends that the gateway cuts."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.values import Usage
from gateway.wires.base import CutReason


def closed(
    chunk: dict[str, Any],
    choices: list[int],
    nothing: dict[str, Any],
    reason: CutReason,
    usage: Usage | None,
    *,
    says_null: bool,
) -> bytes:
    """A finish reason for each of `choices`, then `usage` where the client asked for it, then `[DONE]`.

    `chunk` is the envelope of the stream's own chunks, `nothing` what a choice says that says nothing more. `says_null`: chunks
    without usage say so. A call of a tool that was cut in its middle ends like any answer, with "length", as at the vendor.
    """
    finish = "length" if reason == "length" else "content_filter"
    envelope = chunk or {"object": "chat.completion.chunk"}
    null = {"usage": None} if says_null else {}
    chunks: list[dict[str, Any]] = [
        {**envelope, "choices": [{"index": index, **nothing, "logprobs": None, "finish_reason": finish}], **null}
        for index in choices
    ]
    if usage is not None:
        counts = {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
            "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens},
        }
        chunks.append({**envelope, "choices": [], "usage": counts})
    return b"".join([*(b"data: %b\n\n" % orjson.dumps(each) for each in chunks), b"data: [DONE]\n\n"])
