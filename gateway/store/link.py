"""One socket to the store, shared by every request: commands out in one write a loop turn, replies back in order.

Rule 1: replies are matched by order alone, so a future never leaves `_pending` before its reply has come: a call that timed
out or was cancelled stays as a placeholder, and its late reply is dropped.
Rule 2: a link is used once. When it breaks, everything pending fails with `ConnectionLost` and `connection.py` makes a new one.
Rule 3: no task, no timer and no clock reading for each call: deadlines are kept for each write, not for each call.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, cast

import hiredis

from gateway.errors import StoreFault

PENDING_MAX = 65_536
"""Calls that may wait for a reply; one more is refused at once: a store so far behind answers nobody in time."""
Argument = bytes | int
_pack: Callable[[tuple[Argument, ...]], bytes] = hiredis.pack_command  # type: ignore[assignment]  # its stub allows one-tuples


class ConnectionLost(StoreFault):
    """The connection broke with the call's outcome unknown (or the call not yet sent): the one fault worth a repeat."""


class ReplyFault(StoreFault):
    """The store answered with an error. `code` is its first word: NOSCRIPT, LOADING, OOM, ..."""

    def __init__(self, message: str) -> None:
        super().__init__(f"the store answered {message[:200]!r}")
        self.code = message.partition(" ")[0]


class Link(asyncio.Protocol):
    """Accepts calls from the moment it is made; writes them once `begin` has let them through."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, timeout_s: float, on_lost: Callable[[Link], None]) -> None:
        self._loop = loop
        self._timeout_s = timeout_s
        self._on_lost = on_lost
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._outbox: list[bytes] = []
        self._pending: deque[asyncio.Future[Any]] = deque()
        self._marks: deque[tuple[float, int]] = deque()
        """(deadline, how many replies must have come by then), one for each loop turn that sent."""
        self._received = 0
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: tuple[int, float] | None = None
        self._is_flushing = False
        self._is_paused = False
        self.is_ready = False
        """The handshake is through: calls are written as they come."""

    def send(self, args: tuple[Argument, ...]) -> asyncio.Future[Any]:
        """The future reply: bytes, int, None or a list of these. Fails with StoreFault; see its subclasses here."""
        if len(self._pending) >= PENDING_MAX:
            raise StoreFault(f"the store is {PENDING_MAX} replies behind")
        self._outbox.append(_pack(args))
        future = self._loop.create_future()
        self._pending.append(future)
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)
        return future

    async def handshake(self, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
        """Send these ahead of every call that waits, and return their replies. Raises StoreFault."""
        assert self._transport is not None  # noqa: S101  # for the type checker: only called once connected
        replies: list[asyncio.Future[Any]] = [self._loop.create_future() for _ in commands]
        self._pending.extendleft(reversed(replies))
        self._received -= len(replies)  # marks set before now count the calls behind these
        self._transport.write(b"".join([_pack(command) for command in commands]))
        return list(await asyncio.gather(*replies))

    def begin(self) -> None:
        """Let the calls through."""
        self.is_ready = True
        self._write()

    def abort(self, fault: StoreFault) -> None:
        """Fail everything that waits and cut the connection."""
        self._outbox.clear()
        self._marks.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._pending:
            future = self._pending.popleft()
            if not future.done():
                future.set_exception(fault)
        if self._transport is not None:
            self._transport.abort()

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by descent

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                future = self._pending.popleft()
                self._received += 1
                if future.done():
                    continue
                if isinstance(reply, hiredis.ReplyError):
                    future.set_exception(ReplyFault(str(reply)))
                else:
                    future.set_result(reply)
        except (hiredis.ProtocolError, IndexError) as error:
            self.abort(ConnectionLost(f"the store sent what is no reply: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        self.abort(ConnectionLost(f"the connection to the store broke: {error or 'closed by the store'}"))
        self._transport = None
        self._on_lost(self)

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._write()

    # Writing and deadlines.

    def _flush(self) -> None:
        self._is_flushing = False
        if not self._pending:
            return
        self._marks.append((self._loop.time() + self._timeout_s, self._received + len(self._pending)))
        if self._timer is None:
            self._timer = self._loop.call_at(self._marks[0][0], self._expire)
        self._write()

    def _write(self) -> None:
        if self._outbox and self.is_ready and not self._is_paused and self._transport is not None:
            blocks = b"".join(self._outbox)
            self._outbox.clear()
            self._transport.write(blocks)

    def _expire(self) -> None:
        """Fail the calls whose deadline has passed. A store that answers nothing for three timeouts is cut off."""
        self._timer = None
        now_s = self._loop.time()
        due = self._received
        while self._marks and self._marks[0][0] <= now_s:
            due = self._marks.popleft()[1]
        overdue = max(0, due - self._received)
        for future in islice(self._pending, overdue):
            if not future.done():
                future.set_exception(StoreFault(f"the store did not answer within {self._timeout_s:g} s"))
        is_stuck = overdue > 0 or (self._stalled is not None and self._stalled[0] == self._received)
        if not is_stuck:
            self._stalled = None
        elif self._stalled is None or self._stalled[0] != self._received:
            self._stalled = (self._received, now_s)
        elif now_s - self._stalled[1] > 2 * self._timeout_s:
            self.abort(ConnectionLost("the store stopped answering"))
            return
        if self._marks or self._stalled is not None:
            soonest_s = now_s + self._timeout_s / 20  # rather a little late than once for each loop turn
            next_s = self._marks[0][0] if self._marks else now_s + self._timeout_s / 2
            self._timer = self._loop.call_at(max(soonest_s, next_s), self._expire)
