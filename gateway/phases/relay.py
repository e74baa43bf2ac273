"""Pass the answer on: as it comes, with backpressure, counting what it delivers.

Failure policy: an upstream that breaks off raises UpstreamFault out of here; the client's departure arrives as
CancelledError or ConnectionError. Either way the reader has counted what was delivered until then, and the spine closes the
hold with it. Nothing here ends a stream that its upstream did not end.
"""

from __future__ import annotations

from typing import Protocol

from gateway.errors import UpstreamFault
from gateway.upstream.base import Reply
from gateway.wires.base import StreamReader
from gateway.wires.sse import EventTooLong


class Sink(Protocol):
    """The client's side: `aiohttp.web.StreamResponse`. `write` waits while the client reads slower than we send."""

    async def write(self, data: bytes) -> None: ...


async def stream(reply: Reply, reader: StreamReader, sink: Sink) -> None:
    """Relay an event stream to its end.

    Raises UpstreamFault when it breaks off, or ends without its wire's own end; then what was whole has been relayed.
    """
    feed, next_block, write = reader.feed, reply.next_block, sink.write
    try:
        while block := await next_block():
            if data := feed(block):
                await write(data)
    except EventTooLong as error:
        raise UpstreamFault("protocol", str(error), reached=True) from None
    if data := reader.flush():
        await write(data)
    if not (reader.is_finished or reader.failed):
        raise UpstreamFault("broken", "The upstream ended its stream without the end its protocol has.", reached=True)
