"""One model server and one gateway a worker; a test that needs its own counters takes its own gateway."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.raw_upstream import RawUpstream
from tests.support import CONTRACT, FIXTURES, Gateway, ModelServer, temporary_dir


@pytest.fixture(scope="session")
def model() -> Iterator[ModelServer]:
    server = ModelServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def contract_dir() -> Iterator[Path]:
    with temporary_dir() as path:
        shutil.copy(CONTRACT, path / "contract.yaml")
        yield path


@pytest.fixture(scope="session")
def gateway(model: ModelServer, contract_dir: Path) -> Iterator[Gateway]:
    """For tests that count nothing, or only what their own request did."""
    with temporary_dir() as data:
        running = Gateway(contract_dir, model.url, data)
        yield running
        running.close()


@pytest.fixture(scope="module")
def upstream() -> Iterator[RawUpstream]:
    """A model server that answers what it is told to, byte for byte."""
    server = RawUpstream()
    yield server
    server.close()


@pytest.fixture(scope="module")
def transparent(upstream: RawUpstream) -> Iterator[Gateway]:
    """A gateway before it whose policy changes nothing."""
    with temporary_dir() as policies, temporary_dir() as data:
        shutil.copy(FIXTURES / "transparent.yaml", policies / "all.yaml")
        running = Gateway(policies, upstream.url, data)
        yield running
        running.close()


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A port of loopback that nothing listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return find


@pytest.fixture
def fresh(model: ModelServer, contract_dir: Path) -> Iterator[Callable[..., Gateway]]:
    """Makes gateways with counters at zero; those of one test share one store."""
    with temporary_dir() as data:
        made: list[Gateway] = []

        def make(*flags: str, policies: Path = contract_dir, upstream: str = model.url) -> Gateway:
            made.append(Gateway(policies, upstream, data, *flags))
            return made[-1]

        yield make
        for one in made:
            one.close()
