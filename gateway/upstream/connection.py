"""One connection to the upstream: HTTP/1.1 by llhttp, one request at a time.

Rule 1: a connection is reused only after an answer that was complete, delimited by its own framing, allowed keep-alive and
was followed by nothing; and only if the whole request had been written by then. In doubt it is closed.
Rule 2: bytes that arrive while no request is open close the connection: they can only be meant to be taken for the answer
to somebody's next request.
Rule 3: an answer that is cut short is a fault, never an end. Only an answer with neither content-length nor chunks ends by
the close of the connection, and only by an orderly one; over TLS a missing close_notify cannot be told from one, which is
why streams are also checked for their wire's own end elsewhere.
Rule 4: one timer a connection. It fires at least every `tick` and compares deadlines, so no request, block or chunk ever
sets or cancels one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from gateway.upstream.base import CODINGS, Timeouts
from gateway.upstream.reply import HttpReply

HEAD_BYTES_MAX = 64 * 1024
"""Of all heads of one answer together, informational ones included; also of framing (chunk extensions, trailers) in a row."""
HEADERS_MAX = 128
_JOINED_BYTES_MAX = 64 * 1024
"""Bodies up to this are joined to the head and written as one; larger ones are not worth the copy."""
_FRAMING = {b"content-encoding": (b"", b"identity", *CODINGS), b"transfer-encoding": (b"chunked",)}
"""The codings that can be read."""


class Owner(Protocol):
    """The pool, as a connection sees it."""

    def release(self, connection: Connection) -> None:
        """It may carry another request."""

    def forget(self, connection: Connection) -> None:
        """It is gone, or is about to close: do not use it. May come more than once."""

    def lost(self, connection: Connection) -> None:
        """Its socket is closed. Comes once, last."""


class Connection(asyncio.Protocol):
    """`begin` a request; `HttpReply` tells the rest."""

    __slots__ = (
        "where", "idle_since", "on_body", "_loop", "_time", "_owner", "_timeouts", "_tick", "_transport", "_parser", "_timer",
        "_reply", "_headers", "_blocks", "_silent_bytes", "_complaint", "_served",
        "_is_informational", "_is_complete", "_keeps_alive", "_is_paused", "_is_uploading", "_is_sending", "_drained",
        "_asked_at", "_heard_at", "_total_at", "_upload_left",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: Owner, where: str, timeouts: Timeouts) -> None:
        self.where = where
        self.idle_since = 0.0
        self._loop = loop
        self._time = loop.time
        self._owner = owner
        self._timeouts = timeouts
        self._tick = min(timeouts.first_byte_s, timeouts.between_chunks_s, timeouts.total_s)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reply: HttpReply | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._blocks: list[bytes] = []
        self.on_body = self._blocks.append  # the parser's callback: no Python frame for a chunk
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._served = 0
        self._is_paused = self._is_uploading = self._is_sending = False
        self._drained = asyncio.Event()
        self._reset(0.0, 0.0)

    def _reset(self, now: float, total_at: float) -> None:
        self._silent_bytes = 0
        self._complaint = ""
        self._is_informational = self._is_complete = self._keeps_alive = False
        self._asked_at = self._heard_at = now
        self._total_at = total_at
        self._upload_left = -1

    # for the pool

    def begin(self, head: bytes, body: bytes, *, now: float, total_at: float) -> HttpReply | None:
        """Write a request. None: the connection was found closed before a byte of it could be written."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return None
        self._reset(now, total_at)
        reply = self._reply = HttpReply(self, self._loop)
        self._headers = []
        is_joined = len(body) <= _JOINED_BYTES_MAX
        transport.write(head + body if is_joined else head)
        if transport.is_closing():  # the first send failed, so nothing went out: a partial one is no failure
            self._reply = None
            return None
        if not is_joined:
            transport.write(body)
        if self._timer is None:
            self._arm(now, min(now + self._timeouts.first_byte_s, total_at))
        return reply

    async def send(self, reply: HttpReply, blocks: AsyncIterator[bytes]) -> None:
        """Write the body of a request that was begun with its head alone, each block once the one before is gone.

        Returns early when a refusal has begun, or the request has ended. Raises what reading the blocks raises.
        """
        self._is_sending = True
        async for block in blocks:
            if self._reply is not reply or reply.status >= 400 or self._transport is None or self._transport.is_closing():
                return
            self._drained.clear()
            self._transport.write(block)
            if self._is_uploading:
                await self._drained.wait()
        if self._reply is reply:
            self._is_sending = False
            self._asked_at = self._time()

    def is_closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def shut(self) -> None:
        """Close an idle connection, in order."""
        if self._transport is not None:
            self._transport.close()

    def drop(self) -> None:
        """Cut it off at once, whatever it carries."""
        reply, self._reply = self._reply, None
        self._owner.forget(self)
        if self._transport is not None:
            self._transport.abort()
        if reply is not None:
            reply.close()
        self._drained.set()

    # for the reply

    def resume(self) -> None:
        """Its reader has taken what was unread."""
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._heard_at = self._time()  # the silence until now was ours
            self._transport.resume_reading()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        # pause_writing means "not all is written yet" and resume_writing "now it is": the first-byte timeout starts there
        # (1 and not 0, for asyncio's TLS transport pauses at the limit, and 0 would be paused for ever)
        self._transport.set_write_buffer_limits(high=1, low=0)

    def data_received(self, data: bytes) -> None:
        reply, parser = self._reply, self._parser
        if reply is None or parser is None:
            self.drop()
            return
        self._heard_at = self._time()
        self._silent_bytes += len(data)
        fault = ""
        try:
            parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            fault = self._complaint or str(error) or "not HTTP"
        blocks = self._blocks
        if blocks:
            self._silent_bytes = 0
            must_pause = reply.feed(blocks[0] if len(blocks) == 1 else b"".join(blocks))
            blocks.clear()
            if must_pause and not self._is_complete and not self._is_paused:
                self._is_paused = True
                cast(asyncio.Transport, self._transport).pause_reading()
        elif self._silent_bytes > HEAD_BYTES_MAX and not fault:
            fault = f"more than {HEAD_BYTES_MAX} bytes of headers or framing"
        if self._is_complete:
            self._finish(reply, is_reusable=self._keeps_alive and not fault)
        elif fault:
            self._fail("protocol", f"{self.where} sent an answer that is not valid HTTP: {fault}")
        elif reply.status:
            reply.wake()
            if reply.status >= 400:
                self._drained.set()

    def eof_received(self) -> None:
        self._owner.forget(self)
        reply = self._reply
        if reply is None:
            return
        if reply.status and reply.ends_by_close:
            self._finish(reply, is_reusable=False)
        else:
            self._fail("broken", self._how_it_broke("closed the connection"))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._reply is not None:
            self._fail("broken", self._how_it_broke(f"lost the connection ({exc})" if exc else "lost the connection"))
        if self._timer is not None:
            self._timer.cancel()
        self._transport = self._parser = self._timer = None  # the parser holds methods of this object
        del self.on_body
        self._owner.forget(self)
        self._owner.lost(self)

    def pause_writing(self) -> None:
        self._is_uploading = True

    def resume_writing(self) -> None:
        self._is_uploading = False
        self._asked_at = self._time()
        self._drained.set()

    # httptools

    def on_message_begin(self) -> None:
        if self._is_complete:
            raise ValueError("bytes after the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))  # the busiest line: all judging is done once, below

    def on_headers_complete(self) -> None:
        parser, reply = self._parser, self._reply
        if parser is None or reply is None:
            return  # never: only data_received gets here, and it has both
        status = parser.get_status_code()
        if status < 200:
            if status == 101 or status < 100:
                self._complain(f"status {status} was not asked for")
            self._is_informational = True
            self._headers.clear()
            return
        headers = self._headers
        self._headers = []  # for trailers: nobody reads them, and their size is bounded with the framing
        self._is_informational = False
        if len(headers) > HEADERS_MAX:
            self._complain(f"more than {HEADERS_MAX} headers")
        may_be_long = self._silent_bytes > HEAD_BYTES_MAX  # body bytes that came together with the head count in it
        if may_be_long and sum(len(name) + len(value) + 4 for name, value in headers) > HEAD_BYTES_MAX:
            self._complain(f"more than {HEAD_BYTES_MAX} bytes of headers")
        is_framed = is_coded = False
        for name, value in headers:
            if name in _FRAMING:
                coding = value.strip().lower()
                if coding not in _FRAMING[name] or (is_coded and coding in CODINGS):
                    # the gateway asked for identity: what it cannot read it cannot count
                    self._complain(f"{name.decode()} is {value[:40].decode('latin-1')!r}")
                is_framed |= name != b"content-encoding"
                is_coded |= coding in CODINGS
            elif name == b"content-length":
                is_framed = True
        self._keeps_alive = parser.should_keep_alive()  # false once on_message_complete has returned
        reply.ends_by_close = not is_framed and not self._keeps_alive and status not in (204, 304)
        reply.headers = headers
        reply.is_coded = is_coded
        reply.status = status

    def on_message_complete(self) -> None:
        if not self._is_informational:
            self._is_complete = True

    def _complain(self, what: str) -> None:
        self._complaint = what
        raise ValueError(what)

    # ends

    def _finish(self, reply: HttpReply, *, is_reusable: bool) -> None:
        self._reply = None
        self._served += 1
        self.idle_since = self._heard_at
        transport = self._transport
        reply.end()
        self._drained.set()
        if transport is None:
            return
        is_cut_short = self._is_uploading or self._is_sending
        if is_reusable and not is_cut_short and not transport.is_closing():
            if self._is_paused:
                self._is_paused = False
                transport.resume_reading()
            self._owner.release(self)
            return
        self._owner.forget(self)
        if is_cut_short:
            transport.abort()  # an early answer: the rest of the request is of no use to anybody
        else:
            transport.close()

    def _fail(self, kind: str, message: str) -> None:
        reply, self._reply = self._reply, None
        self._owner.forget(self)
        if reply is not None:
            reply.fail(kind, message)
        self._drained.set()
        if self._transport is not None:
            self._transport.abort()

    def _how_it_broke(self, what: str) -> str:
        reply = self._reply
        if reply is not None and reply.status:
            return f"{self.where} {what} in the middle of its answer"
        if self._is_uploading or self._is_sending:
            return f"{self.where} {what} while the request was being written"
        if self._served:
            return (
                f"{self.where} {what} before it answered, on a connection that had served {self._served} requests: "
                "is its keep-alive time shorter than idle_timeout_s?"
            )
        return f"{self.where} {what} before it answered"

    # the timer

    def _arm(self, now: float, deadline: float) -> None:
        self._timer = self._loop.call_at(min(deadline, now + self._tick), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        reply = self._reply
        if reply is None:
            return  # idle: the next request arms it
        now, timeouts = self._time(), self._timeouts
        deadline = self._total_at
        if now >= deadline:
            self._time_out("timeout_total", f"did not finish within total_s={timeouts.total_s:g} seconds")
            return
        if reply.status:
            quiet_at = deadline if self._is_paused else self._heard_at + timeouts.between_chunks_s
            kind, message = "timeout_between_chunks", f"was silent for between_chunks_s={timeouts.between_chunks_s:g} seconds"
        elif self._is_uploading:
            left = cast(asyncio.Transport, self._transport).get_write_buffer_size()
            if left != self._upload_left:
                self._upload_left, self._asked_at = left, now
            quiet_at = self._asked_at + timeouts.between_chunks_s
            kind = "timeout_between_chunks"
            message = f"read nothing of the request for between_chunks_s={timeouts.between_chunks_s:g} seconds"
        else:
            quiet_at = self._asked_at + timeouts.first_byte_s
            kind, message = "timeout_first_byte", f"sent no answer within first_byte_s={timeouts.first_byte_s:g} seconds"
        if now >= quiet_at:
            self._time_out(kind, message)
        else:
            self._arm(now, min(quiet_at, deadline))

    def _time_out(self, kind: str, message: str) -> None:
        self._fail(kind, f"{self.where} {message}")
