"""aiohttp's low-level server, set up for hostile clients: malformed HTTP gets an API's error too, and never a traceback.

Only what aiohttp itself refuses comes here (`handle_error`): a request line, header or framing that is no HTTP, or more of
them than allowed. Its text is not logged: it would be the request.
"""

from __future__ import annotations

from typing import Any

import orjson
import structlog
from aiohttp import web

from gateway.whole import Whole

log = structlog.get_logger()

LINE_BYTES_MAX = 65_536
"""A request line, and each header, may be this long (aiohttp's 8 KB is too short for beta headers, traces and long ids)."""


HEAD_BYTES_MAX = 131_072
"""Of one request's head together: with no such bound each connection could fill megabytes before it showed a key."""


class Protocol(web.RequestHandler):
    """One client's connection."""

    __slots__ = ("_has_begun", "_head_bytes")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._has_begun = False
        """A head has come whole on this connection."""
        self._head_bytes = 0

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        waiter = self._waiter  # where the base waits for the next head; not there yet when the first bytes come
        is_whole = bool(self._messages) or waiter is None or waiter.done()
        if is_whole and (self._has_begun or self._messages or self._current_request is not None):
            self._has_begun = True
            self._head_bytes = 0
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES_MAX and self.transport is not None:
            log.warning("bad_http", side="tenant", status=431, error="HeadTooLarge")
            body = orjson.dumps({"error": error_of(f"The request's headers are larger than {HEAD_BYTES_MAX} bytes together.")})
            head = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: application/json\r\n"
            self.transport.write(head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Refuse what could not be read as a request, and close: what follows it on the connection can't be trusted."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        is_ours = exc is None or status >= 500
        log.warning("bad_http", side="gateway" if is_ours else "tenant", status=status, error=type(exc).__name__)
        text = "The gateway failed on this request." if is_ours else "The request is not valid HTTP/1.1."
        response = Whole(status, [("Content-Type", "application/json")], orjson.dumps({"error": error_of(text)}))
        response.force_close()
        return response


def error_of(text: str) -> dict[str, str | None]:
    """In the format that more SDKs read: whose they are is not known yet."""
    return {"message": text, "type": "invalid_request_error", "param": None, "code": None}


class Server(web.Server):
    """`web.Server` whose connections are `Protocol`s."""

    def __call__(self) -> Protocol:
        return Protocol(self, loop=self._loop, **self._kwargs)


def server(handler: Any, *, keepalive_timeout: float) -> Server:
    """The server for `handler`. Compressed bodies stay compressed (they are refused), and a client that leaves cancels
    its handler, so that its upstream is free at once."""
    return Server(
        handler,
        handler_cancellation=True,
        auto_decompress=False,
        access_log=None,  # phases.record writes the line of every request
        keepalive_timeout=keepalive_timeout,
        max_field_size=LINE_BYTES_MAX,
        max_line_size=LINE_BYTES_MAX,
    )
