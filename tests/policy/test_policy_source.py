"""A directory that is reloaded: storms of signals, directories that go and come back, phrase lists."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.policy import source as room
from gateway.policy.load import load_dir
from gateway.policy.model import Policy
from gateway.policy.source import Source, signature

PLANS = "version: 1\nplans: {%s: {}}\n"


def made(directory: Path, name: str = "one") -> Source:
    directory.mkdir(exist_ok=True)
    (directory / "p.yaml").write_text(PLANS % name)
    return Source(directory, load_dir(directory), adopt=lambda policy: None)


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_true():
            await asyncio.sleep(0.01)


def test_a_storm_is_one_reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks while the directory is read is told by the next reading: once, three hundred signals were as many."""
    readings = []

    def counted(directory: Path) -> tuple[list[object], Policy]:
        readings.append(1)
        return [], load_dir(directory)

    async def storm() -> None:
        source = made(tmp_path / "policies")
        (source.directory / "p.yaml").write_text(PLANS % "two")
        states = await asyncio.gather(*(source.reload("signal") for _ in range(300)))
        assert {state.reloads for state in states} == {1}

    monkeypatch.setattr(room, "_read", counted)
    asyncio.run(storm())
    assert len(readings) <= 2


def test_a_directory_that_was_gone_is_watched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one in its place too: once, the watch stayed with the one that was gone, and no change was noticed ever after."""
    monkeypatch.setattr(room, "LOOK_EVERY_S", 0.05)
    directory = tmp_path / "policies"

    async def story() -> None:
        source = made(directory)
        watching = asyncio.create_task(source.watch())
        shutil.rmtree(directory)
        await until(lambda: bool(source.state.mistakes))
        made(directory, "two")
        await until(lambda: source.state.reloads == 1 and not source.state.mistakes)
        os.rename(directory, tmp_path / "aside")
        made(directory, "three")
        await until(lambda: source.state.reloads == 2)
        (directory / "p.yaml").write_text(PLANS % "four")
        await until(lambda: source.state.reloads == 3)
        watching.cancel()

    asyncio.run(story())


def test_a_link_to_another_directory_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As releases are swapped: the policies' path is a link itself."""
    monkeypatch.setattr(room, "LOOK_EVERY_S", 0.05)

    async def story() -> None:
        made(tmp_path / "v1")
        (tmp_path / "policies").symlink_to("v1")
        source = Source(tmp_path / "policies", load_dir(tmp_path / "v1"), adopt=lambda policy: None)
        watching = asyncio.create_task(source.watch())
        made(tmp_path / "v2", "two")
        (tmp_path / "new").symlink_to("v2")
        os.replace(tmp_path / "new", tmp_path / "policies")
        await until(lambda: source.state.reloads == 1)
        (tmp_path / "v2" / "p.yaml").write_text(PLANS % "three")
        await until(lambda: source.state.reloads == 2)
        watching.cancel()

    asyncio.run(story())


def test_a_signature_sees_links_that_lead_nowhere_and_what_lies_below(tmp_path: Path) -> None:
    """One dangling link once made every state of the directory look the same."""
    (tmp_path / "phrases").mkdir()
    (tmp_path / "lost.yaml").symlink_to("nowhere")
    seen = [signature(tmp_path, ["phrases/own.yaml"])]
    (tmp_path / "p.yaml").write_text("1")
    seen.append(signature(tmp_path, ["phrases/own.yaml"]))
    (tmp_path / "phrases" / "own.yaml").write_text("1")
    seen.append(signature(tmp_path, ["phrases/own.yaml"]))
    assert len(set(seen)) == 3
