"""A model server with nothing in it but its answers, made beforehand: it must cost less than what stands before it.

A POST with `"stream":true` gets CHUNKS server-sent events at once, each in an HTTP chunk of its own, then the usage if it
was asked for, and [DONE]; any other request gets a JSON answer of about 600 bytes. Bodies need a content-length.

    python bench/fake_upstream.py PORT
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

CHUNKS = 200
OUTPUT_TOKENS = 36
_TEXT = (
    "Rate limiting keeps one caller from taking what all share. A bucket refills at a steady pace and lets a burst "
    "through while there is something in it; what it lends, it writes down, and what was not used comes back."
)


def _usage(output_tokens: int) -> dict[str, Any]:
    return {"prompt_tokens": 212, "completion_tokens": output_tokens, "total_tokens": 212 + output_tokens}


def _whole() -> bytes:
    message = {"role": "assistant", "content": _TEXT, "refusal": None}
    choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
    usage = _usage(OUTPUT_TOKENS) | {"prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0}}
    answer: dict[str, Any] = {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1,
        "model": "bench-1",
        "choices": choices,
    }
    body = json.dumps(answer | {"usage": usage, "system_fingerprint": "fp_bench"}, separators=(",", ":")).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


def _stream(*, with_usage: bool, thinks: bool = False) -> bytes:
    """`thinks`: the first half is reasoning, in a <think> block within the content."""
    marks = {0: "<think>", CHUNKS // 2: "</think>"} if thinks else {}
    base: dict[str, Any] = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1, "model": "bench-1"}
    events: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"content": marks.get(i, f" word{i:04d}")}, "finish_reason": None}]}
        for i in range(CHUNKS)
    ]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if with_usage:
        events.append({"choices": [], "usage": _usage(CHUNKS)})
    lines = [json.dumps(base | event, separators=(",", ":")).encode() for event in events] + [b"[DONE]"]
    chunks = [b"data: " + line + b"\n\n" for line in lines]
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


WHOLE, STREAM, STREAM_WITH_USAGE = _whole(), _stream(with_usage=False), _stream(with_usage=True)
THINKING = _stream(with_usage=True, thinks=True)


class Server(asyncio.Protocol):
    """One connection; answers each request as soon as its body is whole."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.waiting = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # never a half of one
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        data = self.waiting + data if self.waiting else data
        while (head_end := data.find(b"\r\n\r\n")) >= 0:
            head = data[:head_end].lower()
            mark = head.find(b"\r\ncontent-length:")
            length = int(head[mark + 17 :].split(b"\r\n", 1)[0]) if mark >= 0 else 0
            end = head_end + 4 + length
            if len(data) < end:
                break
            self.transport.write(answer(data[head_end + 4 : end]))
            data = data[end:]
        self.waiting = data


def answer(body: bytes) -> bytes:
    """The answer to a body, by what is found in it (whichever way it was serialised)."""
    if b'"stream":true' not in body and b'"stream": true' not in body:
        return WHOLE
    if b"bench-think" in body:
        return THINKING
    asks_usage = b'"include_usage":true' in body or b'"include_usage": true' in body
    return STREAM_WITH_USAGE if asks_usage else STREAM


async def _main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        import uvloop

        uvloop.run(_main(int(sys.argv[1])))
    except KeyboardInterrupt:
        pass
