"""The load generator: raw requests over kept-alive connections, and the CPU of whoever serves them meanwhile.

Modes:
    sat     a closed loop: each of the connections sends its next request when its answer has come
    rate    an open loop: requests at a fixed rate; latency counts from when each was due, not from when it was sent
    stream  a closed loop of streams

Prints one JSON object: see `Report`. What happens in the warm-up is not in it.

    python bench/load.py --port 9000 --mode sat --seconds 2 --watch gateway=123,124 --watch store=125
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import threading
import time
from collections import deque
from typing import TypedDict

import proc

HEAD = (
    "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
    "Accept: application/json\r\nUser-Agent: OpenAI/Python 2.0.0\r\nX-Stainless-Lang: python\r\nX-Stainless-OS: Linux\r\n"
    "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
)
BODY_BYTES = 1024
SENTENCE = "What the gauger measured at the quay was written in a book, and the book was kept by the town for a year. "


class Report(TypedDict):
    """CPU in microseconds by the names given to --watch; latencies in microseconds."""

    seconds: float
    answers: int
    chunks: int
    bad: int
    """Answers that were no 200, and connections that broke."""
    cpu_us: dict[str, float]
    own_cpu_us: float
    p50_us: float
    p99_us: float


def request(port: int, key: str, *, is_stream: bool, model: str = "bench-1") -> bytes:
    """A chat of BODY_BYTES bytes in all, as an SDK sends it."""
    body = {"model": model, "messages": [{"role": "user", "content": ""}], "max_tokens": 400, "temperature": 0.7}
    if is_stream:
        body["stream"] = True
    room = BODY_BYTES - len(json.dumps(body))
    text = (SENTENCE * 20)[:room]
    body["messages"] = [{"role": "user", "content": text}]
    data = json.dumps(body)
    return (HEAD.format(port=port, key=key, length=len(data)) + data).encode()


class Load:
    """What the connections share: the clock, the queue of what is due, and the counts."""

    def __init__(self, wire_request: bytes, *, is_open_loop: bool) -> None:
        self.request = wire_request
        self.is_open_loop = is_open_loop
        self.due: deque[float] = deque()
        self.idle: list[Connection] = []
        self.is_measuring = False
        self.is_over = False
        self.latencies: list[float] = []
        self.chunks = 0
        self.bad = 0

    def dispatch(self) -> None:
        """Open loop: give what is due to whoever is idle; what finds nobody waits, and its latency grows."""
        while self.due and self.idle:
            self.idle.pop().send(self.due.popleft())


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    transport: asyncio.Transport

    def __init__(self, load: Load) -> None:
        self.load = load
        self.began_s = 0.0
        self.is_busy = False
        self.reset()

    def reset(self) -> None:
        self.head = b""
        self.missing = 0
        """Bytes of the body that have not come; -1: it is chunked."""
        self.tail = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # never a half of one
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.load.is_over:
            self.load.bad += 1

    def send(self, began_s: float) -> None:
        self.began_s = began_s
        self.is_busy = True
        self.transport.write(self.load.request)

    def data_received(self, data: bytes) -> None:
        if not self.missing:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            data, self.head = self.head[end + 4 :], self.head[:end].lower()
            mark = self.head.find(b"\r\ncontent-length:")
            self.missing = int(self.head[mark + 17 :].split(b"\r\n", 1)[0]) if mark >= 0 else -1
        if self.missing > 0:
            self.missing -= len(data)
            if not self.missing:
                self.finish()
            return
        seen = self.tail + data
        self.load.chunks += seen.count(b"data: {") if self.load.is_measuring else 0
        if seen.endswith(b"\r\n0\r\n\r\n"):
            self.finish()
        else:
            self.tail = seen[-6:]  # shorter than what is counted, so that nothing is counted twice

    def finish(self) -> None:
        load, now_s = self.load, time.perf_counter()
        if load.is_measuring:
            load.latencies.append(now_s - self.began_s)
            load.bad += not self.head.startswith(b"http/1.1 200")
        self.reset()
        self.is_busy = False
        if load.is_over:
            return
        if load.is_open_loop:
            load.idle.append(self)
            load.dispatch()
        else:
            self.send(now_s)


class Ticker:
    """Puts a request's due time on the queue at a fixed rate. A thread sleeps for it, as event loops round to milliseconds."""

    def __init__(self, load: Load, rate: float) -> None:
        self.load, self.period_s = load, 1 / rate
        self.wakes = os.eventfd(0, os.EFD_NONBLOCK)
        self.thread = threading.Thread(target=self._run, daemon=True)
        asyncio.get_running_loop().add_reader(self.wakes, self._woken)
        self.thread.start()

    def _run(self) -> None:
        due_s = time.perf_counter()
        while not self.load.is_over:
            due_s += self.period_s
            time.sleep(max(0.0, due_s - time.perf_counter()))
            self.load.due.append(due_s)
            os.eventfd_write(self.wakes, 1)

    def _woken(self) -> None:
        os.eventfd_read(self.wakes)
        self.load.dispatch()

    def close(self) -> None:
        self.thread.join()
        asyncio.get_running_loop().remove_reader(self.wakes)
        os.close(self.wakes)


async def run(args: argparse.Namespace) -> Report:
    """Connect, warm up, measure, stop."""
    loop = asyncio.get_running_loop()
    load = Load(
        request(args.port, args.key, is_stream=args.mode == "stream", model=args.model), is_open_loop=args.mode == "rate"
    )
    connections = [
        (await loop.create_connection(lambda: Connection(load), "127.0.0.1", args.port))[1] for _ in range(args.connections)
    ]
    ticker = None
    if args.mode == "rate":
        load.idle = list(connections)
        ticker = Ticker(load, args.rate)
    else:
        for connection in connections:
            connection.send(time.perf_counter())
    await asyncio.sleep(args.warm_up)
    watched = {name: list(map(int, pids.split(","))) for name, _, pids in (one.partition("=") for one in args.watch)}
    cpu = {name: proc.cpu_us(pids) for name, pids in watched.items()}
    own, began_s, load.is_measuring = time.process_time(), time.perf_counter(), True
    await asyncio.sleep(args.seconds)
    load.is_measuring = False
    cpu = {name: proc.cpu_us(pids) - cpu[name] for name, pids in watched.items()}
    seconds, own = time.perf_counter() - began_s, time.process_time() - own
    load.is_over = True
    if ticker is not None:
        ticker.close()
    for connection in connections:
        connection.transport.abort()
    times = sorted(load.latencies) or [0.0]
    return {
        "seconds": seconds,
        "answers": len(load.latencies),
        "chunks": load.chunks,
        "bad": load.bad,
        "cpu_us": cpu,
        "own_cpu_us": own * 1e6,
        "p50_us": times[len(times) // 2] * 1e6,
        "p99_us": times[len(times) * 99 // 100] * 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", default="sk-gauger-bench")
    parser.add_argument("--model", default="bench-1")
    parser.add_argument("--mode", choices=["sat", "rate", "stream"], default="sat")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rate", type=float, default=300, help="requests a second, for --mode rate")
    parser.add_argument("--warm-up", type=float, default=0.5, help="seconds")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--watch", action="append", default=[], metavar="NAME=PID,PID", help="processes whose CPU is read")
    args = parser.parse_args()
    import uvloop

    print(json.dumps(uvloop.run(run(args))))


if __name__ == "__main__":
    main()
