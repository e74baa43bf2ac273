"""The analyst beside a gateway: a process of its own, started and watched by the gateway's.

Failure policy: an analyst that ends is started again, after a pause that grows; the gateway serves meanwhile, and rungs hold as
long as they say. It ends with the gateway, however that ends: it reads a pipe that only the gateway holds open.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping

import structlog

log = structlog.get_logger()

PAUSE_MIN_S, PAUSE_MAX_S = 1.0, 60.0
STOP_S = 10.0
LINE_BYTES_MAX = 1_000_000


class Child:
    """`run` must run beside the server; `close` at its end."""

    def __init__(self, environ: Mapping[str, str], *, write: Callable[[bytes], None]) -> None:
        """`environ`: all that it is told, its settings among it. `write` takes each line that it logs."""
        self._environ = dict(environ)
        self._write = write
        self._process: asyncio.subprocess.Process | None = None
        self._is_closing = False

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def run(self) -> None:
        """Keep one running, for ever."""
        pause_s = PAUSE_MIN_S
        loop = asyncio.get_running_loop()
        while not self._is_closing:
            began_s = loop.time()
            try:
                process = self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "gateway.cli.main", "analyst", "--inside"),
                    env=self._environ,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    limit=LINE_BYTES_MAX,
                    start_new_session=True,  # Ctrl-C in the gateway's terminal is the gateway's to pass on
                )
            except OSError as error:
                log.error("analyst_not_started", side="gateway", reason=str(error))
            else:
                await self._relay(process)
                code = await process.wait()
                if self._is_closing:
                    return
                log.error("analyst_died", side="gateway", code=code)
            pause_s = PAUSE_MIN_S if loop.time() - began_s > PAUSE_MAX_S else min(PAUSE_MAX_S, 2 * pause_s)
            await asyncio.sleep(pause_s)

    async def _relay(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101  # a pipe was asked for
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # longer than any line of ours
                continue
            if not line:
                return
            self._write(line.rstrip(b"\n"))

    async def close(self) -> None:
        """Let it keep what it has, and end it."""
        self._is_closing = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
