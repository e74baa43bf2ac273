"""Answers as bytes: the protocol is driven directly, so that each read is exactly what the test says."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import UpstreamFault
from gateway.upstream.base import Timeouts
from gateway.upstream.connection import HEAD_BYTES_MAX, Connection
from gateway.upstream.reply import BUFFERED_BYTES_MAX, HttpReply
from tests.upstream.scripted import run

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\ncontent-length: 11\r\n\r\nhello world"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n1;ext=1\r\n \r\n5\r\nworld\r\n0\r\nx-trailer: t\r\n\r\n"
)
EARLY = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
CLOSED = b"HTTP/1.1 200 OK\r\ncontent-type: a/b\r\n\r\nhello world"


class Pipe(asyncio.Transport):
    """A transport that only remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_shut = self.is_paused = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert (high, low) == (1, 0)

    def write(self, data: Any) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.is_shut

    def close(self) -> None:
        self.is_shut = True

    abort = close

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


class Keeper:
    """An owner that only remembers."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def release(self, connection: Connection) -> None:
        self.told.append("release")

    def forget(self, connection: Connection) -> None:
        self.told.append("forget")

    def lost(self, connection: Connection) -> None:
        self.told.append("lost")


class Drive:
    """A connection with its ends in the test's hands."""

    def __init__(self) -> None:
        self.keeper, self.pipe = Keeper(), Pipe()
        self.connection = Connection(asyncio.get_running_loop(), self.keeper, "models.test:80", Timeouts())
        self.connection.connection_made(self.pipe)

    def ask(self) -> HttpReply:
        reply = self.connection.begin(b"GET / HTTP/1.1\r\n\r\n", b"", now=0.0, total_at=1e9)
        assert reply is not None
        return reply

    def feed(self, *reads: bytes) -> None:
        for read in reads:
            if read and not self.pipe.is_shut:
                self.connection.data_received(read)

    def lose(self) -> None:
        self.connection.connection_lost(None)


async def whole(*reads: bytes, eof: bool = False) -> tuple[int, bytes, bool]:
    """Status, body and whether the connection would be reused. Raises what the reply raises."""
    drive = Drive()
    reply = drive.ask()
    drive.feed(*reads)
    if eof and not drive.pipe.is_shut:
        drive.connection.eof_received()
    try:
        await reply.answered()
        return reply.status, await reply.read(1 << 20), drive.keeper.told == ["release"]
    finally:
        drive.lose()


@pytest.mark.parametrize("answer", [LENGTH, CHUNKED, EARLY + LENGTH, EARLY + CHUNKED])
def test_every_split_point(answer: bytes) -> None:
    """An answer may be split anywhere, and byte by byte: it is the same answer, and the connection is reusable."""

    async def main() -> None:
        for at in range(len(answer) + 1):
            assert await whole(answer[:at], answer[at:]) == (200, b"hello world", True)
        assert await whole(*(answer[at : at + 1] for at in range(len(answer)))) == (200, b"hello world", True)

    run(main())


@settings(max_examples=150, deadline=None)
@given(
    chunks=st.lists(st.binary(min_size=1, max_size=300), max_size=8),
    cuts=st.lists(st.integers(0, 3000), max_size=12),
    early=st.booleans(),
)
def test_random_splits(chunks: list[bytes], cuts: list[int], early: bool) -> None:
    """Whatever the chunks and whatever the reads, the body is the chunks joined."""
    answer = (EARLY if early else b"") + b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    answer += b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    edges = sorted({0, len(answer), *(cut for cut in cuts if cut < len(answer))})
    reads = [answer[start:end] for start, end in itertools.pairwise(edges)]

    async def main() -> None:
        assert await whole(*reads) == (200, b"".join(chunks), True)

    run(main())


@pytest.mark.parametrize("answer", [LENGTH, CHUNKED])
def test_cut_short_everywhere(answer: bytes) -> None:
    """An answer that ends before its framing does is broken at every byte: never a clean end, and nothing is reused."""

    async def main() -> None:
        for at in range(len(answer)):
            with pytest.raises(UpstreamFault) as caught:
                await whole(answer[:at], eof=True)
            assert (caught.value.kind, caught.value.reached) == ("broken", True), at
            assert "models.test:80" in caught.value.message

    run(main())


def test_bytes_come_before_the_fault() -> None:
    """What came of a body before it broke off is delivered; only then the fault is raised, each time one asks."""

    async def main() -> None:
        drive = Drive()
        reply = drive.ask()
        drive.feed(LENGTH[:-3])
        drive.connection.connection_lost(ConnectionResetError("reset"))
        assert await reply.next_block() == b"hello wo"
        for _ in range(2):
            with pytest.raises(UpstreamFault, match="in the middle of its answer"):
                await reply.next_block()

    run(main())


def test_body_ended_by_close() -> None:
    """Without a length or chunks an orderly close is the end, marked as such and never reused; a reset is a fault."""

    async def main() -> None:
        for at in range(len(CLOSED) - 11, len(CLOSED)):
            assert await whole(CLOSED[:at], CLOSED[at:], eof=True) == (200, b"hello world", False)
        drive = Drive()
        reply = drive.ask()
        drive.feed(CLOSED)
        assert (await reply.answered()).ends_by_close
        drive.connection.connection_lost(ConnectionResetError("reset"))
        with pytest.raises(UpstreamFault):
            await reply.read(100)

    run(main())


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"", True)),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\n\r\n", (304, b"", True)),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", (200, b"", True)),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok", (200, b"ok", False)),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", (200, b"ok", False)),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok", (200, b"ok", True)),
        (b"HTTP/1.1 100 Continue\r\ncontent-length: 5\r\n\r\n" + LENGTH, (200, b"hello world", True)),
        (LENGTH + b"x", (200, b"hello world", False)),
        (LENGTH + LENGTH, (200, b"hello world", False)),
        (CHUNKED + CHUNKED[:30], (200, b"hello world", False)),
        (b"HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", (204, b"", False)),
    ],
)
def test_ends(answer: bytes, expected: tuple[int, bytes, bool]) -> None:
    """Where an answer ends, and whether anything may follow on its connection."""

    async def main() -> None:
        assert await whole(answer) == expected

    run(main())


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip, gzip\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 129 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * HEAD_BYTES_MAX + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * HEAD_BYTES_MAX,
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 4000,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: " + b"y" * HEAD_BYTES_MAX,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;" + b"y" * HEAD_BYTES_MAX,
    ],
)
def test_not_http(answer: bytes) -> None:
    """What is no HTTP, asks for an upgrade, cannot be read, or is too long is a protocol fault: in one read or in many."""

    async def main() -> None:
        for step in (len(answer), 4096, 7):
            with pytest.raises(UpstreamFault) as caught:
                await whole(*(answer[at : at + step] for at in range(0, len(answer), step)))
            assert (caught.value.kind, caught.value.reached) == ("protocol", True)

    run(main())


def test_a_long_body_in_one_read_is_no_long_head() -> None:
    """The limit of the head counts the head only, even when 200 KB of body come with it."""

    async def main() -> None:
        body = b"x" * 200_000
        assert await whole(b"HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n" + body) == (200, body, True)

    run(main())


def test_headers_in_order_and_lower_case() -> None:
    """Names in lower case, in order, repeated ones kept; those of informational answers and trailers left out."""

    async def main() -> None:
        drive = Drive()
        reply = drive.ask()
        drive.feed(EARLY + b"HTTP/1.1 429 X\r\nB: 1\r\nA:  2\r\nb: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nt: 1\r\n\r\n")
        await reply.answered()
        assert reply.status == 429
        assert reply.headers == [(b"b", b"1"), (b"a", b"2"), (b"b", b"3"), (b"transfer-encoding", b"chunked")]
        drive.lose()

    run(main())


def test_bytes_nobody_asked_for_close_the_connection() -> None:
    """An answer before a request would be taken for the next tenant's: the connection is closed instead."""

    async def main() -> None:
        drive = Drive()
        drive.feed(LENGTH)
        assert drive.pipe.is_shut
        assert "forget" in drive.keeper.told
        assert drive.connection.begin(b"GET", b"", now=0.0, total_at=1.0) is None
        drive.lose()

    run(main())


def test_a_finished_reply_never_touches_its_connection() -> None:
    """close() of a reply whose connection already carries somebody else's request does nothing to that one."""

    async def main() -> None:
        drive = Drive()
        first = drive.ask()
        drive.feed(LENGTH)
        second = drive.ask()
        first.close()
        first.close()
        assert not drive.pipe.is_shut
        drive.feed(LENGTH)
        assert (await first.read(100), await second.read(100)) == (b"hello world", b"hello world")
        drive.lose()

    run(main())


def test_flow_control() -> None:
    """Above 256 KB unread the socket is no longer read; it is again once the reader has taken them."""

    async def main() -> None:
        drive = Drive()
        reply = drive.ask()
        drive.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n", b"x" * BUFFERED_BYTES_MAX)
        assert not drive.pipe.is_paused
        drive.feed(b"y")
        assert drive.pipe.is_paused
        assert len(await reply.next_block()) == BUFFERED_BYTES_MAX + 1
        assert not drive.pipe.is_paused
        reply.close()
        assert drive.pipe.is_shut
        drive.lose()

    run(main())


def test_longer_than_the_limit() -> None:
    """read() gives up on a body that is longer than asked for, whether it is still coming or not."""

    async def main() -> None:
        for answer in (LENGTH, LENGTH[:-1]):
            drive = Drive()
            reply = drive.ask()
            drive.feed(answer)
            with pytest.raises(UpstreamFault) as caught:
                await reply.read(9)
            assert caught.value.kind == "protocol"
            drive.lose()

    run(main())
