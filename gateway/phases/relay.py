"""Pass the answer on: as it comes, with backpressure, counting what it delivers.

Failure policy: an upstream that breaks off raises UpstreamFault out of here; the client's departure arrives as
CancelledError or ConnectionError. Either way the reader has counted what was delivered until then, and the spine closes the
hold with it. Nothing here ends a stream that its upstream did not end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from gateway.errors import UpstreamFault
from gateway.output.pace import Pace
from gateway.upstream.base import Reply
from gateway.values import Usage
from gateway.whole import in_time
from gateway.wires.base import CutReason, Editor, StreamReader
from gateway.wires.sse import EventTooLong, pieces


class Leash(Protocol):
    """How far a stream may run; see `phases.leash`."""

    def due(self) -> bool: ...

    async def lengthen(self) -> bool: ...


class Sink(Protocol):
    """The client's side: `aiohttp.web.StreamResponse`. `write` waits while the client reads slower than we send."""

    def write(self, data: bytes) -> Coroutine[Any, Any, None]: ...

    def write_eof(self) -> Coroutine[Any, Any, None]: ...


REDIRECTS = frozenset((301, 302, 303, 307, 308))


async def whole(reply: Reply, *, limit_bytes: int, is_stream: bool, may_be_empty: bool = False) -> bytes:
    """Read an answer that is no stream of events: a JSON object, or an error in whatever shape the upstream gave it.

    A redirect within the API is passed on and not followed. Where an answer `may_be_empty`, a 204 is one (of a DELETE, say).
    Raises UpstreamFault: it breaks off; it is no answer an API gives (a redirect to elsewhere, no JSON, no stream where one was
    asked for); or it refuses the gateway's own credentials, which is no business of a tenant's and would name them.
    """
    status = reply.status
    if status in (401, 403):
        raise UpstreamFault("credentials", f"the upstream answered {status}: see UPSTREAM_API_KEY", reached=True)
    body = await reply.read(limit_bytes)
    if (status == 204 and may_be_empty) or (status in REDIRECTS and location_of(reply) is not None):
        return body
    if status < 400 and (status >= 300 or is_stream or body.lstrip()[:1] != b"{"):
        expected = "a stream of events" if is_stream else "a JSON object"
        raise UpstreamFault("protocol", f"the upstream answered {status} without {expected}", reached=True)
    return body


def location_of(reply: Reply) -> str | None:
    """Where a redirect leads, if that is a path of the API. None: elsewhere, and a client that followed would take its key
    there (SDKs follow by themselves, and send `x-api-key` to whatever host they are sent to)."""
    for name, value in reply.headers:
        if name == b"location":
            target = value.strip()
            is_here = target.startswith(b"/v1/") and target.isascii() and target.decode("ascii").isprintable()
            return target.decode("ascii") if is_here and b"\\" not in target else None
    return None


AT_ONCE_BYTES = 32_768
"""With nothing waiting, so much is taken without a pause (aiohttp's own mark is 64 KB)."""


class Spout:
    """Writes to the client: with backpressure, and at a pace where the policy sets one.

    A block that came at once is given out event by event then; nothing is read of the upstream meanwhile, so what waits in
    memory is bounded by the upstream connection's own window. Raises ConnectionResetError when the client leaves, or reads
    nothing for `unread_s`.
    """

    __slots__ = ("_sink", "_client", "_unread_s", "_pace")

    def __init__(self, sink: Sink, client: asyncio.Transport, *, unread_s: float, pace: Pace | None) -> None:
        self._sink = sink
        self._client = client
        self._unread_s = unread_s
        self._pace = pace

    async def write(self, data: bytes, tokens: int) -> None:
        """Write whole events that carry about so many tokens."""
        if self._pace is not None and tokens > 0:
            await self._write_slowly(data, tokens, self._pace)
        elif len(data) <= AT_ONCE_BYTES and self._client.get_write_buffer_size() == 0:
            await self._sink.write(data)
        else:
            await in_time(self._sink.write(data), self._client, self._unread_s)

    async def _write_slowly(self, data: bytes, tokens: int, pace: Pace) -> None:
        loop = asyncio.get_running_loop()
        events = list(pieces(data))
        at_once = max(1, len(events) * pace.slice_tokens // tokens)
        for begin in range(0, len(events), at_once):
            part = events[begin : begin + at_once]
            # What is rounded here adds up to all the tokens of the block.
            share = tokens * (begin + len(part)) // len(events) - tokens * begin // len(events)
            if (wait_s := pace.wait_s(share, loop.time())) > 0:
                await asyncio.sleep(wait_s)
            await in_time(self._sink.write(b"".join(part)), self._client, self._unread_s)

    async def end(self) -> None:
        await in_time(self._sink.write_eof(), self._client, self._unread_s)


async def stream(
    reply: Reply,
    reader: StreamReader,
    spout: Spout,
    *,
    editor: Editor | None = None,
    leash: Leash | None = None,
    begun: Callable[[], Awaitable[bool]] | None = None,
) -> CutReason | None:
    """Relay an event stream to its end, or to where the gateway cuts it: then the reason, and `cut` is to be called.

    `begun` is awaited before the first events are passed on, and again until it returns True.
    Raises UpstreamFault when it breaks off, or ends without its wire's own end; then what was whole has been relayed. Raises
    ConnectionResetError as `Spout` does.
    """
    feed, next_block, write = reader.feed, reply.next_block, spout.write
    events = 0
    is_over = False
    try:
        while not is_over:
            block = await next_block()
            is_over = not block
            data = feed(block) if block else reader.flush()
            if begun is not None and data and await begun():
                begun = None
            while data or is_over or reader.is_cut:
                if editor is not None:
                    data = (editor.feed(data) if data else b"") + (editor.flush() if is_over else b"")
                if data:
                    await write(data, reader.events - events)
                    events = reader.events
                if editor is not None and editor.is_cut:
                    return "filter"
                if not reader.is_cut:
                    break
                if leash is None or not await leash.lengthen():
                    return "length"
                data = reader.resume()
            if leash is not None and leash.due():
                await leash.lengthen()
    except EventTooLong as error:
        raise UpstreamFault("protocol", str(error), reached=True) from None
    if reader.failed:
        # Not every error event makes both SDKs raise (some servers invent their own): ours does, and the cut after it.
        raise UpstreamFault("error_event", "the upstream reported an error in mid-stream", reached=True)
    if not reader.is_finished:
        raise UpstreamFault("broken", "the upstream ended its stream without the end its protocol has", reached=True)
    await spout.end()
    return None


async def cut(
    reply: Reply, reader: StreamReader, spout: Spout, reason: CutReason, usage: Usage, *, editor: Editor | None = None
) -> None:
    """End a stream in its own protocol: the upstream is cancelled at once, then the client gets the vendor's own ending."""
    reply.close()
    ending = reader.ending(reason, usage)
    if editor is not None:
        ending = editor.feed(ending) + editor.flush()
    await spout.write(ending, 0)
    await spout.end()


async def raw(reply: Reply, spout: Spout) -> int:
    """Relay a body that is not ours to read (audio) to its end, as it comes. Returns its length in bytes."""
    size = 0
    while block := await reply.next_block():
        size += len(block)
        await spout.write(block, 0)
    await spout.end()
    return size
