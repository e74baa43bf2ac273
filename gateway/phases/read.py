"""What is asked: the body, read within its limit, parsed so that it can mean one thing, and judged by its wire.

Failure policy: whatever is wrong with a body is the tenant's, is answered in its wire's own words, and nothing of it has
been counted. A body that breaks off (the client left) raises ConnectionError, and nobody is there to be answered.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from aiohttp import web

from gateway.errors import Refusal
from gateway.values import Ask
from gateway.wires.base import BadField, Wire, asked
from gateway.wires.strict_json import BadJson, parse

OFF_LOOP_BYTES = 262_144
"""Larger bodies are judged in a thread: what takes milliseconds must not hold up everybody's streams."""
JUDGED = frozenset(
    (
        *("model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "best_of"),
        *("user", "safety_identifier", "metadata", "thinking", "system", "tools"),
        *("input", "instructions", "max_output_tokens", "background", "store", "previous_response_id", "conversation"),
        *("n_predict", "prompt_embeds", "ignore_eos", "prompt_logprobs"),
        *("prompt", "suffix", "echo", "logprobs", "min_tokens", "requests", "stream_format", "size", "quality"),
        *("partial_images", "frame_count", "output_format", "speed", "svg"),
    )
)
"""Top-level fields that decide something here, or hold what is counted: nothing may look like one and be another."""


async def read(request: web.BaseRequest, wire: Wire, *, limit_bytes: int, timeout_s: float) -> Ask:
    """Read, parse and judge. Raises Refusal: too_large (413), unsupported_media (415), invalid_request (400, 408)."""
    check_codings(request, "send the body as plain JSON")
    if (content_type := request.content_type) not in ("application/json", "application/octet-stream"):
        # aiohttp says octet-stream where the header is missing, and SDKs always send it.
        raise Refusal(
            "unsupported_media",
            f"The content type {content_type[:60]!r} is not accepted: send 'application/json'.",
            status=415,
            reason="content_type",
        )
    if (charset := request.charset) is not None and charset.lower() not in ("utf-8", "utf8"):
        raise Refusal(
            "unsupported_media", f"The charset {charset[:20]!r} is not accepted: JSON is UTF-8.", status=415, reason="charset"
        )
    raw = await _body(request, limit_bytes, timeout_s)
    if len(raw) <= OFF_LOOP_BYTES:
        return _judge(raw, wire)
    return await asyncio.to_thread(_judge, raw, wire)


def check_codings(request: web.BaseRequest, instead: str) -> None:
    """Raises Refusal (415, 400) for a body that is compressed, or framed in a way of its own."""
    headers = request.headers
    if (encoding := headers.get("Content-Encoding", "identity")).lower() != "identity":
        raise Refusal(
            "unsupported_media",
            f"Compressed request bodies ({encoding[:20]!r}) are not accepted: {instead}.",
            status=415,
            reason="content_encoding",
        )
    if headers.get("Transfer-Encoding", "chunked").strip().lower() != "chunked":
        message = "The transfer coding is not accepted: send the body with a Content-Length, or chunked alone."
        raise Refusal("invalid_request", message, status=400, reason="transfer_encoding")


def _judge(raw: bytes, wire: Wire) -> Ask:
    try:
        body = parse(raw, JUDGED)
        judged = wire.judge(body)
    except BadJson as error:
        raise Refusal("invalid_request", str(error), status=400, reason="bad_json") from None
    except BadField as error:
        raise Refusal("invalid_request", error.message, status=400, param=error.param, reason="bad_field") from None
    text_bytes = len(raw) if raw.isascii() and b"\\u" not in raw else _canonical_bytes(body)
    return asked(wire, body, judged, text_bytes=max(0, text_bytes - judged.media_base64_bytes))


def _canonical_bytes(body: dict[str, Any]) -> int:
    """`\\u4f60` is six bytes of JSON and three of text: count what would be forwarded, not how it was written."""
    return len(orjson.dumps(body))


def expect(request: web.BaseRequest, limit_bytes: int) -> int | None:
    """The length that the body is said to have; its sender is told to go on. Raises Refusal (413)."""
    length = request.content_length
    if length is not None and length > limit_bytes:
        raise too_large(limit_bytes)
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return length


async def _body(request: web.BaseRequest, limit_bytes: int, timeout_s: float) -> bytes:
    """The raw body; memory never grows by more than a socket buffer over the limit."""
    length = expect(request, limit_bytes)
    content = request.content
    if length is not None and content.is_eof():  # it came with its head, as most do
        return content.read_nowait(-1)
    blocks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            while block := await content.readany():
                size += len(block)
                if size > limit_bytes:
                    raise too_large(limit_bytes)
                blocks.append(block)
    except TimeoutError:
        message = f"The request body did not arrive within {timeout_s:g} s."
        raise Refusal("invalid_request", message, status=408, reason="body_timeout") from None
    return blocks[0] if len(blocks) == 1 else b"".join(blocks)


def too_large(limit_bytes: int) -> Refusal:
    return Refusal(
        "too_large", f"The request body is larger than the allowed {limit_bytes} bytes.", status=413, reason="body_limit"
    )
