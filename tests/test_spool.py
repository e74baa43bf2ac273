"""What is kept of uploads: the very bytes, from memory or from a file, within bounds, and nothing of it afterwards."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable

import pytest

from gateway.errors import Refusal
from gateway.spool import MEMORY_BYTES, Spool, Spooled


async def written(spooled: Spooled, data: bytes, step: int) -> None:
    for at in range(0, len(data), step):
        await spooled.write(data[at : at + step])


async def read(spooled: Spooled, begin: int, size: int) -> bytes:
    return b"".join([block async for block in spooled.read(begin, size)])


@pytest.mark.parametrize("size", [0, 5, MEMORY_BYTES, MEMORY_BYTES + 1, 3 * MEMORY_BYTES + 7])
def test_what_is_read_is_what_was_written(size: int) -> None:
    """Any part of it, more than once, wherever it is kept."""

    async def run() -> None:
        spool = Spool(10 * MEMORY_BYTES)
        spooled = spool.open("acme")
        data = bytes(range(251)) * (size // 251 + 1)
        await written(spooled, data[:size], 65_536)
        for begin, end in ((0, size), (size // 3, size), (size // 2, size // 2), (0, size)):
            assert await read(spooled, begin, end - begin) == data[begin:end]
        assert spool.used_bytes == size
        spooled.close()
        spooled.close()
        assert spool.used_bytes == 0

    asyncio.run(run())


def test_room() -> None:
    """A tenant has half of the room, all the whole; what was refused takes none, and what is closed gives its own back."""

    async def run() -> None:
        spool = Spool(1000)
        one, other, third = spool.open("one"), spool.open("other"), spool.open("third")
        await one.write(bytes(500))
        with pytest.raises(Refusal) as refused:
            await one.write(b"x")
        assert (refused.value.status, refused.value.side, refused.value.reason) == (503, "gateway", "spool")
        await other.write(bytes(499))
        with pytest.raises(Refusal):
            await third.write(bytes(2))
        one.close()
        await third.write(bytes(2))
        assert spool.used_bytes == 501

    asyncio.run(run())


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tenant is told to try again, and not what is wrong with the disk."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    async def run() -> None:
        monkeypatch.setattr(tempfile, "TemporaryFile", full)
        spooled = Spool(10 * MEMORY_BYTES).open("acme")
        with pytest.raises(Refusal, match="cannot keep this upload") as refused:
            await written(spooled, bytes(2 * MEMORY_BYTES), 65_536)
        assert refused.value.status == 503
        spooled.close()

    asyncio.run(run())


def test_who_leaves_while_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread ends its work, and then the file is closed: nothing is written into a file that is somebody else's by then."""
    order: list[str] = []
    append: Callable[[Spooled, bytes], None] = Spooled._append

    async def run() -> None:
        spooled = Spool(10 * MEMORY_BYTES).open("acme")

        def slowly(data: bytes) -> None:
            append(spooled, data)
            order.append("written" if spooled._file is not None and not spooled._file.closed else "too late")

        monkeypatch.setattr(spooled, "_append", slowly)
        task = asyncio.ensure_future(written(spooled, bytes(2 * MEMORY_BYTES), 2 * MEMORY_BYTES))
        while spooled._writing is None:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        spooled.close()
        await spooled._writing
        await asyncio.sleep(0)
        assert order == ["written"]
        assert spooled._file is not None
        assert spooled._file.closed

    asyncio.run(run())
