"""WebSockets to the upstream: opened under the gateway's own credentials, bounded, and closed with whoever used them.

Failure policy: connecting and the handshake have the time that a request has to connect and to be answered; an upstream that
answers otherwise than by the upgrade is `Declined` with its status. A redirect is no answer: credentials do not follow it. A
connection that says nothing is asked (ping) every PING_S, and gone when it does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import aiohttp
from yarl import URL

from gateway.errors import GaugerError, UpstreamFault
from gateway.upstream.base import Timeouts
from gateway.upstream.origin import Origin

PING_S = 30.0
CLOSE_S = 2.0
_NOT_SENT = frozenset((b"origin", b"content-type", b"accept-encoding", b"content-length"))
"""Of a request's headers: who embeds the client, and what describes a body that is not there."""
_NOT_SENT_PREFIX = b"sec-websocket-"
"""The client's own handshake. Its subprotocols may hold its key."""


class Declined(GaugerError):
    """The upstream answered the handshake with a status. Nothing was opened."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        super().__init__(f"the upstream declined the session with status {status}")
        self.status = status
        self.headers = headers


class Closed(NamedTuple):
    """The end of a connection. `code` as in RFC 6455; 1006: it broke off without one."""

    code: int
    reason: str


class Socket:
    """One open connection. One task receives, any may send."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse[bool], owner: WebSockets) -> None:
        self._connection = connection
        self._owner = owner

    async def receive(self) -> bytes | Closed:
        """The next text, or the end; a binary message is an end too (1003), for this protocol has none.

        Flow-controlled: what is not received stays unread.
        """
        message = await self._connection.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            data = message.data
            return data if isinstance(data, bytes) else str(data).encode()
        if message.type is aiohttp.WSMsgType.BINARY:
            return Closed(1003, "")
        code = self._connection.close_code
        reason = message.extra if message.type is aiohttp.WSMsgType.CLOSE else ""
        return Closed(1006 if code is None else int(code), reason or "")

    async def send(self, text: bytes) -> None:
        """Waits while the upstream reads slower than we write. Raises ConnectionError when it is gone."""
        try:
            await self._connection.send_frame(text, aiohttp.WSMsgType.TEXT)
        except (aiohttp.ClientError, RuntimeError) as error:  # aiohttp's own words for a closed connection
            raise ConnectionResetError(str(error)) from None

    async def close(self, code: int = 1000) -> None:
        """Idempotent; never waits for longer than CLOSE_S."""
        try:
            await self._connection.close(code=code)
        finally:
            self._owner.forget(self)


class WebSockets:
    """Opens connections to whichever server. Belongs to the loop that first uses it."""

    def __init__(self, *, timeouts: Timeouts, connections_max: int) -> None:
        self._timeouts = timeouts
        self._connections_max = connections_max
        self._session: aiohttp.ClientSession | None = None
        self._open: set[Socket] = set()
        self._opening = 0

    def __len__(self) -> int:
        return len(self._open)

    async def connect(
        self, origin: Origin, target: bytes, headers: Sequence[tuple[bytes, bytes]], *, message_bytes_max: int
    ) -> Socket:
        """Open a connection. `headers`: a request's, as forwarded, and the credentials. Raises UpstreamFault and Declined."""
        if len(self._open) + self._opening >= self._connections_max:
            message = f"{origin.where}: all connections are in use (connections_max={self._connections_max})"
            raise UpstreamFault("overloaded", message, reached=False)
        self._opening += 1
        try:
            async with asyncio.timeout(self._timeouts.connect_s + min(self._timeouts.first_byte_s, self._timeouts.total_s)):
                connection = await self._connect(origin, target, headers, message_bytes_max)
        except TimeoutError:
            where = f"{origin.where} did not answer the handshake in time"
            raise UpstreamFault("timeout_first_byte", where, reached=True) from None
        except aiohttp.WSServerHandshakeError as error:
            if error.status == 101:
                raise UpstreamFault("protocol", f"{origin.where}: {error.message}", reached=True) from None
            found = [
                (name.lower().encode(), value.encode("latin-1", "replace")) for name, value in (error.headers or {}).items()
            ]
            raise Declined(error.status, found) from None
        except aiohttp.ConnectionTimeoutError:
            raise UpstreamFault("timeout_connect", f"{origin.where} accepted no connection in time", reached=False) from None
        except (aiohttp.ClientConnectorError, OSError) as error:
            raise UpstreamFault("connect", f"cannot connect to {origin.where}: {error}", reached=False) from None
        except aiohttp.ClientError as error:
            raise UpstreamFault("broken", f"{origin.where}: {type(error).__name__}", reached=True) from None
        finally:
            self._opening -= 1
        socket = Socket(connection, self)
        self._open.add(socket)
        return socket

    async def _connect(
        self, origin: Origin, target: bytes, headers: Sequence[tuple[bytes, bytes]], message_bytes_max: int
    ) -> aiohttp.ClientWebSocketResponse[bool]:
        if self._session is None:
            self._session = _session(self._timeouts.connect_s)
        scheme = "https" if origin.is_tls else "http"
        url = URL(f"{scheme}://{(origin.authority + origin.prefix + target).decode('ascii')}", encoded=True)
        kept = [
            (name.decode("ascii"), value.decode("latin-1"))
            for name, value in headers
            if name not in _NOT_SENT and not name.startswith(_NOT_SENT_PREFIX)
        ]
        return await self._session.ws_connect(
            url,
            headers=kept,
            heartbeat=PING_S,
            timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
            max_msg_size=message_bytes_max,
            decode_text=False,
        )

    def forget(self, socket: Socket) -> None:
        self._open.discard(socket)

    async def close(self) -> None:
        """Cut what is still open. Idempotent."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _session(connect_s: float) -> aiohttp.ClientSession:
    async def refuse(*_: object) -> None:
        raise UpstreamFault("protocol", "the upstream answered the handshake with a redirect", reached=True)

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(refuse)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_s),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        trace_configs=[trace],
        trust_env=False,
    )
