"""A whole answer on the wire: head and body in one write.

aiohttp's server asks four things of what a handler returns: `prepare`, `write_eof`, `status` and `keep_alive`. Its own
`web.Response` builds a multidict, defaults, a cookie jar and a second serialisation to get there, which costs as much as
parsing the request did; what a proxy answers is known already.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any

from aiohttp import HttpVersion11, web

SERVER = "gauger"
"""Instead of the versions that aiohttp would tell everybody."""
UNREAD_S = 120.0
"""How long an answer may lie unread where nobody says otherwise."""

Headers = list[tuple[str, str]]
_REASONS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
_date = (0, "")


class Whole(web.StreamResponse):
    """A status, headers and a body that are all there. Content-Length, Date, Server and Connection are added here."""

    def __init__(  # the base's state is for streams: it is not made
        self, status: int, headers: Headers, body: bytes, *, unread_s: float = UNREAD_S
    ) -> None:
        self._unread_s = unread_s
        self._whole_status = status
        self._head = headers
        self._whole_body = body
        self._request: web.BaseRequest | None = None
        self._closes = False

    @property
    def status(self) -> int:
        return self._whole_status

    @property
    def keep_alive(self) -> bool | None:
        return not self._closes and self._request is not None and self._request.keep_alive

    def force_close(self) -> None:
        """Close the connection after this answer."""
        self._closes = True

    async def prepare(self, request: web.BaseRequest) -> None:
        self._request = request

    async def write_eof(self, data: bytes = b"") -> None:
        """Write it all. Raises ConnectionResetError when the client has gone, or reads nothing for `unread_s`."""
        request = self._request
        transport = None if request is None else request.transport
        if request is None or transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        body = self._whole_body
        lines = [_REASONS.get(self._whole_status) or f"HTTP/1.1 {self._whole_status} Unknown\r\n"]
        lines += [f"{name}: {value}\r\n" for name, value in self._head]
        if self._whole_status != 204:  # which has no body, and no length of one (RFC 9110 section 8.6)
            lines.append(f"Content-Length: {len(body)}\r\n")
        lines.append(f"Date: {http_date()}\r\nServer: {SERVER}\r\n")
        if not self.keep_alive:
            lines.append("Connection: close\r\n")
        elif request.version < HttpVersion11:
            lines.append("Connection: keep-alive\r\n")
        lines.append("\r\n")
        head = "".join(lines)
        ends = len(lines) + 1  # the line of two has two
        if head.count("\n") != ends or head.count("\r") != ends:
            raise ValueError("a header value holds a line break")
        data = head.encode("latin-1", "replace")
        transport.write(data if request.method == "HEAD" or self._whole_status == 204 else data + body)
        if transport.get_write_buffer_size():
            # It reads slower than we write. A client that pipelines requests and reads no answer must not fill our memory.
            await in_time(request.writer.drain(), transport, self._unread_s)


async def in_time(waiting: Coroutine[Any, Any, None], client: asyncio.Transport, unread_s: float) -> None:
    """Wait for a client to read on; cut it off after `unread_s`. Raises ConnectionResetError then."""
    try:
        async with asyncio.timeout(unread_s):
            await waiting
    except TimeoutError:
        client.abort()
        raise ConnectionResetError(f"the client read nothing for {unread_s:g} s") from None


def http_date() -> str:
    """The Date header's value (RFC 9110 section 5.6.7), made once a second."""
    global _date  # noqa: PLW0603  # a cache of one line
    now = int(time.time())  # noqa: TID251  # the wall clock is what this header tells
    if _date[0] != now:
        _date = (now, time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now)))
    return _date[1]
