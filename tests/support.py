"""Real parts for end-to-end tests: a gateway process, the scripted model server, and the embedded store."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.demo import server as demo_server
from gateway.demo.seen import Seen

FIXTURES = Path(__file__).parent / "fixtures"
CONTRACT = FIXTURES / "contract.yaml"
SECRET = "contract-secret"
UPSTREAM_KEY = "upstream-secret"


def key(tenant: str) -> str:
    return f"sk-gauger-contract-{tenant}"


class ModelServer:
    """The demo model server in a thread with a loop of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._handle = asyncio.run_coroutine_threadsafe(demo_server.start(), self._loop).result(10)
        self.url = self._handle.base_url

    @property
    def seen(self) -> list[Seen]:
        return list(self._handle.seen)

    def last(self) -> Seen:
        return self._handle.seen[-1]

    def over(self, seen: Seen, timeout_s: float = 5.0) -> str:
        return asyncio.run_coroutine_threadsafe(seen.over(timeout_s), self._loop).result(timeout_s + 5)

    def release(self) -> None:
        self._loop.call_soon_threadsafe(self._handle.release)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._handle.close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


class Gateway:
    """A `gauger serve` process on a free port of loopback."""

    def __init__(self, policies: Path, upstream: str, data: Path, *flags: str, wait: bool = True) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.policies, self.data = policies, data
        self.log_path = Path(tempfile.mkstemp(prefix="gauger-", suffix=".log")[1])
        self._log = self.log_path.open("wb")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gateway.cli.main", "serve", "--policies", str(policies), "--upstream", upstream),
                *("--listen", f"127.0.0.1:{self.port}", "--store", "embedded", "--data", str(data)),
                *(
                    () if "--analyst" in flags else ("--analyst", "none")
                ),  # a process for each gateway is for tests of the watch
                *flags,
            ],
            env=environ(),
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        if wait:
            self.wait_ready()

    def wait_ready(self, timeout_s: float = 20.0) -> None:
        def is_ready() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"the gateway ended: {self.log_path.read_text()}")
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                    return answer.status == 200
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                return False

        eventually(is_ready, timeout_s)

    def log(self) -> list[dict[str, Any]]:
        lines = self.log_path.read_bytes().split(b"\n")
        return [json.loads(line) for line in lines if line.startswith(b"{")]

    def records(self) -> list[dict[str, Any]]:
        return [line for line in self.log() if line["event"] == "request"]

    def record(self, count: int = 1) -> dict[str, Any]:
        """The `count`-th request's line, once it has been written."""
        eventually(lambda: len(self.records()) >= count)
        return self.records()[count - 1]

    def usage(self, tenant: str, *flags: str) -> dict[str, dict[str, Any]]:
        """`gauger usage --json`, by budget name."""
        done = subprocess.run(
            [
                *(sys.executable, "-m", "gateway.cli.main", "usage", "--tenant", tenant, "--json"),
                *("--policies", str(self.policies), "--store", "embedded", "--data", str(self.data), *flags),
            ],
            env=environ(),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        return {row["name"]: row for row in json.loads(done.stdout)}

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(40)
        self._log.close()
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self._log.close()
        self.log_path.unlink(missing_ok=True)


def environ() -> dict[str, str]:
    return {**os.environ, "GAUGER_SECRET": SECRET, "UPSTREAM_API_KEY": UPSTREAM_KEY}


@contextmanager
def temporary_dir() -> Iterator[Path]:
    """A short path: the store's Unix socket lies below it, and such paths end at 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="gg"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def policies_of(*texts: str) -> Iterator[Path]:
    """A directory with these policy files."""
    with temporary_dir() as path:
        for number, text in enumerate(texts):
            (path / f"{number}.yaml").write_text(text)
        yield path


def eventually(is_true: Any, timeout_s: float = 10.0) -> None:
    """Wait for another process: the only kind of waiting there is in these tests."""
    end_s = time.monotonic() + timeout_s
    while not is_true():
        if time.monotonic() > end_s:
            raise AssertionError(f"not within {timeout_s} s")
        threading.Event().wait(0.02)
