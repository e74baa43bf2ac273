"""Pass the answer on: as it comes, with backpressure, counting what it delivers.

Failure policy: an upstream that breaks off raises UpstreamFault out of here; the client's departure arrives as
CancelledError or ConnectionError. Either way the reader has counted what was delivered until then, and the spine closes the
hold with it. Nothing here ends a stream that its upstream did not end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from gateway.errors import UpstreamFault
from gateway.upstream.base import Reply
from gateway.whole import in_time
from gateway.wires.base import StreamReader
from gateway.wires.sse import EventTooLong


class Sink(Protocol):
    """The client's side: `aiohttp.web.StreamResponse`. `write` waits while the client reads slower than we send."""

    def write(self, data: bytes) -> Coroutine[Any, Any, None]: ...

    def write_eof(self) -> Coroutine[Any, Any, None]: ...


async def whole(reply: Reply, *, limit_bytes: int, is_stream: bool) -> bytes:
    """Read an answer that is no stream of events: a JSON object, or an error in whatever shape the upstream gave it.

    Raises UpstreamFault: it breaks off; it is no answer an API gives (a redirect, no JSON, no stream where one was asked
    for); or it refuses the gateway's own credentials, which is no business of a tenant's and would name them.
    """
    status = reply.status
    if status in (401, 403):
        raise UpstreamFault("credentials", f"the upstream answered {status}: see UPSTREAM_API_KEY", reached=True)
    body = await reply.read(limit_bytes)
    if status < 400 and (status >= 300 or is_stream or body.lstrip()[:1] != b"{"):
        expected = "a stream of events" if is_stream else "a JSON object"
        raise UpstreamFault("protocol", f"the upstream answered {status} without {expected}", reached=True)
    return body


AT_ONCE_BYTES = 32_768
"""With nothing waiting, so much is taken without a pause (aiohttp's own mark is 64 KB)."""


async def stream(reply: Reply, reader: StreamReader, sink: Sink, client: asyncio.Transport, *, unread_s: float) -> None:
    """Relay an event stream to its end.

    Raises UpstreamFault when it breaks off, or ends without its wire's own end; then what was whole has been relayed. Raises
    ConnectionResetError when the client leaves, or reads nothing for `unread_s`: its place and its upstream are then freed.
    """
    feed, next_block, write = reader.feed, reply.next_block, sink.write
    try:
        while block := await next_block():
            if data := feed(block):
                if len(data) <= AT_ONCE_BYTES and client.get_write_buffer_size() == 0:
                    await write(data)
                else:
                    await in_time(sink.write(data), client, unread_s)
    except EventTooLong as error:
        raise UpstreamFault("protocol", str(error), reached=True) from None
    if data := reader.flush():
        await in_time(sink.write(data), client, unread_s)
    if reader.failed:
        # Not every error event makes both SDKs raise (some servers invent their own): ours does, and the cut after it.
        raise UpstreamFault("error_event", "the upstream reported an error in mid-stream", reached=True)
    if not reader.is_finished:
        raise UpstreamFault("broken", "the upstream ended its stream without the end its protocol has", reached=True)
    await in_time(sink.write_eof(), client, unread_s)
