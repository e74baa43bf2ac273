"""One real server for the room's tests, a worker each."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from gateway.store.embedded import ensure_running

from .worlds import World, world_of


@pytest.fixture(scope="session")
def store_url() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="gg"))
    server = ensure_running(folder)
    yield server.url
    server.stop()
    shutil.rmtree(folder)


Run = Callable[[Callable[[World], Awaitable[None]]], None]


@pytest.fixture(params=["redis", "local"])
def run(request: pytest.FixtureRequest, store_url: str) -> Run:
    """Run an async test body in a fresh world of either ledger."""

    def run_body(body: Callable[[World], Awaitable[None]]) -> None:
        async def main() -> None:
            async with world_of(request.param, store_url) as world:
                await body(world)

        asyncio.run(main())

    return run_body
