"""A server of a few lines that does to its client exactly what a test says: bytes in, bytes out."""

from __future__ import annotations

import asyncio
import ssl as tls
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any

import uvloop

from gateway.upstream.base import Timeouts
from gateway.upstream.pool import HttpUpstream

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
PATIENT = Timeouts(connect_s=10.0, first_byte_s=20.0, between_chunks_s=20.0, total_s=20.0)


def run(main: Coroutine[Any, Any, Any], loop: str = "asyncio") -> None:
    """Run a test's coroutine; nothing may take longer than 20 s, and no exception may be left to the loop's handler."""
    unhandled: list[dict[str, Any]] = []

    async def guarded() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        async with asyncio.timeout(20):
            await main

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(guarded())
    assert unhandled == []


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of the next request."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length: "):
            length = int(line[16:])
    return head, await reader.readexactly(length)


async def turns(condition: Callable[[], bool], at_most: int = 2000) -> int:
    """Let the loop turn until the condition holds; returns after how many turns."""
    for turn in range(at_most):
        if condition():
            return turn
        await asyncio.sleep(0 if turn < 50 else 0.002)
    raise AssertionError("it never came to hold")


class Scripted:
    """Runs `script` for each connection. `accepted` and `open` count them; what a script raises is raised at the end."""

    def __init__(self, script: Script, *, ssl: tls.SSLContext | None = None) -> None:
        self._script = script
        self._ssl = ssl
        self._tasks: set[asyncio.Task[None]] = set()
        self.accepted = 0
        self.open = 0

    async def __aenter__(self) -> Scripted:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._ssl)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, Exception) and not isinstance(outcome, ConnectionError | EOFError) and error is None:
                raise outcome

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.open += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._script(reader, writer)
        except (ConnectionError, EOFError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            writer.close()


def upstream(url: str, timeouts: Timeouts = PATIENT, **options: Any) -> HttpUpstream:
    options.setdefault("credentials", [(b"authorization", b"Bearer upstream-secret")])
    return HttpUpstream(url, timeouts=timeouts, **options)


def answering(*answers: bytes) -> Script:
    """Each request of a connection gets the next answer; after the last one the connection is closed."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await read_request(reader)
            writer.write(answer)
            await writer.drain()

    return script


def always(answer: bytes = OK) -> Script:
    """Each request of a connection gets this answer."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(answer)
            await writer.drain()

    return script
