"""The upstream behind a base URL: its connections, idle and busy.

Failure policy: nothing waits in silence. Beyond `connections_max` a request is refused at once ("overloaded"); connecting,
the first byte, silence and the whole each have a timeout with a kind of its own.

The race every keep-alive client has: the server closes an idle connection just as a request goes out on it. Idle ones are
closed here before the usual server would (4 s against 5 s), and at once when the server closes. What remains is decided so:
when the very first write fails, no byte has left, and the request goes out once more on a fresh connection. When the
connection dies after that, even without a byte of an answer, the request may have been processed; a generation costs money,
so it is never sent twice: UpstreamFault("broken", reached=True).
"""

from __future__ import annotations

import asyncio
import math
import ssl as tls

from gateway.errors import SettingsError, UpstreamFault
from gateway.upstream.base import Body, NotSent, Reply, Timeouts
from gateway.upstream.connection import Connection
from gateway.upstream.decode import DecodedReply
from gateway.upstream.dial import Dialler
from gateway.upstream.origin import Origin, parse_base_url
from gateway.upstream.reply import HttpReply
from gateway.upstream.request import HeadWriter

_PROBED_FOR_S = 2.0
_CLOSE_S = 2.0


class HttpUpstream:
    """`Upstream` of `base` over HTTP/1.1. Belongs to the first loop that uses it."""

    def __init__(
        self,
        base_url: str,
        *,
        credentials: list[tuple[bytes, bytes]],
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - immutable
        idle_timeout_s: float = 4.0,
        connections_max: int = 10_000,
        ssl: tls.SSLContext | None = None,
    ) -> None:
        """`credentials` are header items that replace the caller's of the same name. `ssl` None: the system's trust store.

        Raises SettingsError.
        """
        for name, seconds in (*timeouts._asdict().items(), ("idle_timeout_s", idle_timeout_s)):
            if not (seconds > 0 and math.isfinite(seconds)):
                raise SettingsError(f"{name} is {seconds!r}: allowed is a number of seconds above 0")
        if connections_max < 1:
            raise SettingsError(f"connections_max is {connections_max!r}: allowed is 1 or more")
        self._origin = parse_base_url(base_url)
        self.where = self._origin.where
        self._write_head = HeadWriter(self._origin, credentials)
        self._timeouts = timeouts
        self._idle_timeout_s = idle_timeout_s
        self._connections_max = connections_max
        context = (ssl or _default_context()) if self._origin.is_tls else None
        self._dialler = Dialler(self._origin, context)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: set[Connection] = set()
        """Until their socket is closed."""
        self._dialling = 0
        self._idle: dict[Connection, None] = {}
        """In the order they became idle: the last is used first, the first is reaped first."""
        self._reaper: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._emptied: asyncio.Future[None] | None = None
        self._probing = asyncio.Lock()
        self._probed_at = -math.inf
        self._probe_succeeded = False

    @property
    def origin(self) -> Origin:
        """For who makes connections of its own to the same server."""
        return self._origin

    @property
    def connections(self) -> tuple[int, int]:
        """Open ones (those being opened included), and how many of them are idle."""
        return len(self._open) + self._dialling, len(self._idle)

    async def send(self, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes | Body) -> Reply:
        """See `base.Upstream.send`. `target` is joined to the base URL's path.

        Raises UpstreamFault, and ValueError for what cannot be a request.
        """
        at_once, later = (body, None) if isinstance(body, bytes) else (b"", body)
        head = self._write_head(method, target, headers, len(at_once) if later is None else later.size)
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        now = loop.time()
        total_at = now + self._timeouts.total_s
        connection = self._take(now)
        if connection is not None:
            reply = connection.begin(head, at_once, now=now, total_at=total_at)
            if reply is not None:
                return await _answered(connection, reply, later)
        try:
            connection = await self._connect(loop)
        except asyncio.CancelledError:
            raise NotSent from None
        reply = connection.begin(head, at_once, now=loop.time(), total_at=total_at)
        if reply is None:
            raise UpstreamFault("connect", f"{self.where} closed a new connection at once", reached=False)
        return await _answered(connection, reply, later)

    async def probe(self) -> bool:
        """Whether a connection (and TLS) can be made. Asked at most once in 2 s; the connection is kept for use."""
        async with self._probing:
            loop = self._loop = self._loop or asyncio.get_running_loop()
            if self._is_closed:
                return False
            if self._idle:
                return True
            if loop.time() - self._probed_at >= _PROBED_FOR_S:
                try:
                    connection = await self._connect(loop)
                    connection.idle_since = loop.time()
                    self.release(connection)
                    self._probe_succeeded = True
                except UpstreamFault as fault:
                    self._probe_succeeded = fault.kind == "overloaded"
                self._probed_at = loop.time()
            return self._probe_succeeded

    async def close(self) -> None:
        """Close every connection, whatever it carries, and wait (2 s at most) until their sockets are. Idempotent."""
        self._is_closed = True
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None
        for connection in list(self._open):
            connection.drop()
        if self._open:
            self._emptied = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._emptied,), timeout=_CLOSE_S)

    def reap(self, now: float) -> int:
        """Close what has been idle for `idle_timeout_s` at `now` (the loop's time). Returns how many."""
        expired = []
        for connection in self._idle:
            if now - connection.idle_since < self._idle_timeout_s:
                break
            expired.append(connection)
        for connection in expired:
            del self._idle[connection]
            connection.shut()
        return len(expired)

    # Owner of connections

    def release(self, connection: Connection) -> None:
        if self._is_closed:
            connection.drop()
            return
        self._idle[connection] = None
        if self._reaper is None and self._loop is not None:
            self._reaper = self._loop.call_later(self._idle_timeout_s, self._on_reaper, self._loop)

    def forget(self, connection: Connection) -> None:
        self._idle.pop(connection, None)

    def lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if not self._open and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    def _on_reaper(self, loop: asyncio.AbstractEventLoop) -> None:
        self._reaper = None
        now = loop.time()
        self.reap(now)
        for oldest in self._idle:
            self._reaper = loop.call_later(max(0.0, oldest.idle_since + self._idle_timeout_s - now), self._on_reaper, loop)
            break

    def _take(self, now: float) -> Connection | None:
        idle = self._idle
        while idle:
            connection, _ = idle.popitem()
            # a loop that was held up may get here before the reaper does
            if now - connection.idle_since < self._idle_timeout_s and not connection.is_closing():
                return connection
            connection.shut()
        return None

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> Connection:
        """A new connection that is neither idle nor busy yet. Raises UpstreamFault(reached=False)."""
        if self._is_closed:
            raise UpstreamFault("connect", f"{self.where}: the gateway is shutting down", reached=False)
        if len(self._open) + self._dialling >= self._connections_max:
            message = f"{self.where}: all connections are in use (connections_max={self._connections_max})"
            raise UpstreamFault("overloaded", message, reached=False)
        timeouts = self._timeouts
        connect_s = min(timeouts.connect_s, timeouts.total_s)
        self._dialling += 1
        try:
            connection = await self._dialler.dial(
                lambda: Connection(loop, self, self.where, timeouts),
                connect_s=connect_s,
            )
        except TimeoutError:
            message = f"{self.where} accepted no connection within connect_s={connect_s:g} seconds"
            raise UpstreamFault("timeout_connect", message, reached=False) from None
        except OSError as error:
            raise UpstreamFault("connect", f"cannot connect to {self.where}: {_reason(error)}", reached=False) from None
        finally:
            self._dialling -= 1
        if connection.is_closing():
            raise UpstreamFault("connect", f"{self.where} closed a new connection at once", reached=False)
        self._open.add(connection)
        if self._is_closed:
            connection.drop()
            raise UpstreamFault("connect", f"{self.where}: the gateway is shutting down", reached=False)
        return connection


async def _answered(connection: Connection, reply: HttpReply, later: Body | None) -> Reply:
    """Send the rest of a request, and wait for its answer; one that is compressed is read through its decoder.

    Raises UpstreamFault, and what reading the body raises.
    """
    if later is not None:
        try:
            await connection.send(reply, later.blocks())
        except BaseException:
            reply.close()  # half a request: the connection is of no use any more
            raise
    await reply.answered()
    return DecodedReply(reply) if reply.is_coded else reply


def _default_context() -> tls.SSLContext:
    context = tls.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _reason(error: OSError) -> str:
    if isinstance(error, tls.SSLCertVerificationError):
        return f"its certificate was refused: {error.verify_message}"
    if isinstance(error, tls.SSLError):
        return f"TLS failed: {error.reason or error}"
    return error.strerror or str(error) or type(error).__name__
