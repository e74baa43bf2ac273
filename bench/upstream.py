"""CPU of the upstream client alone: microseconds a request and a chunk.

By default it starts a small raw server in a process of its own; `--url` measures against another one that answers
`POST` with about 600 bytes, or with chunked events when the body has `"stream": true`.
The figure is this process's CPU (user and system), best and median of several rounds: it does not count the server.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import resource
import socket
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from gateway.upstream.base import Timeouts
from gateway.upstream.headers import forward_headers, return_headers
from gateway.upstream.pool import HttpUpstream

CHUNKS = 200
ANSWER = b'{"id":"chatcmpl-1","choices":[{"message":{"content":"' + b"x" * 560 + b'"}}]}'
HEAD = (
    b"HTTP/1.1 200 OK\r\ndate: Mon, 01 Jan 2026 00:00:00 GMT\r\nserver: bench\r\ncontent-type: application/json\r\n"
    b"x-request-id: req_0123456789abcdef\r\nopenai-processing-ms: 12\r\n"
)
PLAIN = HEAD + b"content-length: %d\r\n\r\n" % len(ANSWER) + ANSWER
EVENT = b'data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}\n\n'
STREAM = HEAD + b"transfer-encoding: chunked\r\n\r\n" + (b"%x\r\n" % len(EVENT) + EVENT + b"\r\n") * CHUNKS + b"0\r\n\r\n"
BODY = b'{"model":"bench","messages":[{"role":"user","content":"' + b"y" * 940 + b'"}]}'
STREAM_BODY = b'{"model":"bench-s%d","stream":  true,"messages":[{"role":"user","content":"z"}]}' % CHUNKS
CLIENT = [
    (b"Host", b"gateway:8080"), (b"Accept", b"application/json"), (b"Accept-Encoding", b"gzip, deflate"),
    (b"Connection", b"keep-alive"), (b"User-Agent", b"OpenAI/Python 2.0"), (b"Authorization", b"Bearer sk-tenant"),
    (b"Content-Type", b"application/json"), (b"X-Stainless-Lang", b"python"), (b"X-Stainless-OS", b"Linux"),
    (b"X-Stainless-Arch", b"x64"), (b"X-Stainless-Runtime", b"CPython"), (b"Content-Length", b"1024"),
]  # fmt: skip


class Server(asyncio.Protocol):
    """Answers one canned message for each request it has read whole (requests here fit one read, or two)."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.seen = b""

    def data_received(self, data: bytes) -> None:
        self.seen += data
        head, mark, body = self.seen.partition(b"\r\n\r\n")
        if mark and len(body) >= int(head.rpartition(b"content-length: ")[2].split(b"\r\n")[0]):
            self.seen = b""
            self.transport.write(STREAM if b'"stream"' in body else PLAIN)


def serve(listener: socket.socket) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Server, sock=listener)
        await server.serve_forever()

    uvloop.run(main())


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def rounds(count: int, each: int, clients: int, once: Callable[[], Awaitable[None]]) -> list[float]:
    """CPU microseconds of one call, for each round."""

    async def client() -> None:
        for _ in range(each // clients):
            await once()

    figures = []
    for _ in range(count + 1):
        start = cpu_s()
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(client())
        figures.append((cpu_s() - start) / (each // clients * clients) * 1e6)
    return figures[1:]  # the first one warms up


def show(name: str, figures: list[float], unit: str, divisor: float = 1) -> None:
    median, best = statistics.median(figures) / divisor, min(figures) / divisor
    print(f"{name:<34} {median:8.2f} {unit} median {best:8.2f} best")


async def main(url: str, requests: int, clients: int) -> None:
    credentials = [(b"authorization", b"Bearer upstream-secret")]
    upstream = HttpUpstream(url, credentials=credentials, timeouts=Timeouts())
    headers = forward_headers(CLIENT)

    async def plain() -> None:
        reply = await upstream.send(b"POST", b"/v1/chat/completions", headers, BODY)
        await reply.read(1 << 20)
        reply.close()

    blocks = 0

    async def stream() -> None:
        nonlocal blocks
        reply = await upstream.send(b"POST", b"/v1/chat/completions", headers, STREAM_BODY)
        while await reply.next_block():
            blocks += 1
        reply.close()

    plain_us = await rounds(5, requests, clients, plain)
    show(f"request, {clients} at once", plain_us, "us")
    show("request, 1 at once", await rounds(5, requests // 4, 1, plain), "us")
    streams = max(requests // 50, clients)
    stream_us = await rounds(5, streams, clients, stream)
    blocks_each = blocks / 6 / (streams // clients * clients)
    show(f"stream of {CHUNKS} chunks in {blocks_each:.1f} blocks", stream_us, "us")
    floor = min(plain_us)
    show("chunk, less the cost of a request", [max(0.0, us - floor) for us in stream_us], "us", CHUNKS)
    answer = await upstream.send(b"POST", b"/v1/chat/completions", headers, BODY)
    answer_headers = answer.headers
    answer.close()
    for name, call in (
        ("forward_headers of 12", lambda: forward_headers(CLIENT)),
        (f"return_headers of {len(answer_headers)}", lambda: return_headers(answer_headers)),
        ("head written", lambda: upstream._write_head(b"POST", b"/v1/chat/completions", headers, len(BODY))),
    ):
        start = time.process_time()
        for _ in range(50_000):
            call()
        show(name, [(time.process_time() - start) / 50_000 * 1e6], "us")
    await upstream.close()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--url", help="base URL of the server to measure against (default: one of its own)")
    arguments.add_argument("--requests", type=int, default=20_000, help="requests a round")
    arguments.add_argument("--clients", type=int, default=16, help="requests at once")
    options = arguments.parse_args()
    if options.url:
        uvloop.run(main(options.url, options.requests, options.clients))
    else:
        listener = socket.create_server(("127.0.0.1", 0))
        server = multiprocessing.get_context("fork").Process(target=serve, args=(listener,), daemon=True)
        server.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.close()
        uvloop.run(main(url, options.requests, options.clients))
        server.terminate()
