"""Policy files that are pushed: all of them or none, whatever happens in between."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.errors import PolicyErrors, SettingsError
from gateway.policy import install as room
from gateway.policy.install import finish, install
from gateway.policy.load import load_dir
from gateway.policy.model import Policy

ONE = {"1.yaml": b"version: 1\nplans: {one: {}}\n"}
TWO = {"1.yaml": b"version: 1\nplans: {two: {}}\n", "2.yaml": b"version: 1\nplans: {three: {}}\n"}


def plans(directory: Path) -> list[str]:
    return sorted(load_dir(directory).plans)


def test_the_set_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    """Files that are not in the new set go; what is no policy file stays."""
    (tmp_path / "README.md").write_text("kept")
    (tmp_path / "a.test.yaml").write_text("kept")
    install(tmp_path, TWO)
    assert plans(tmp_path) == ["three", "two"]
    install(tmp_path, ONE)
    assert plans(tmp_path) == ["one"]
    assert sorted(os.listdir(tmp_path)) == ["1.yaml", "README.md", "a.test.yaml"]


def test_a_set_with_a_mistake_changes_nothing(tmp_path: Path) -> None:
    """Every mistake is told, by the names that were pushed."""
    install(tmp_path, ONE)
    with pytest.raises(PolicyErrors) as caught:
        install(tmp_path, {"b.yaml": b"version: 1\nplan: {}\n", "c.yaml": b"version: 2\n"})
    assert [mistake.file for mistake in caught.value.mistakes] == ["b.yaml", "c.yaml"]
    assert str(tmp_path) not in str(caught.value)
    assert plans(tmp_path) == ["one"]
    assert os.listdir(tmp_path) == ["1.yaml"]


@pytest.mark.parametrize(
    "name", ["../1.yaml", "a/b.yaml", ".1.yaml", "1.txt", "a.test.yaml", "", "a\n.yaml", "x" * 200 + ".yaml"]
)
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    """A name from outside never leaves the directory, and never hides in it."""
    with pytest.raises(PolicyErrors):
        install(tmp_path, {name: ONE["1.yaml"]})
    assert os.listdir(tmp_path) == []


def test_no_files_are_no_policy(tmp_path: Path) -> None:
    """An empty push would remove every tenant."""
    with pytest.raises(PolicyErrors):
        install(tmp_path, {})


def test_a_process_that_dies_at_any_step_leaves_one_set_or_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the next start it is the old set or the new one, never a mixture."""
    steps = 0
    while True:
        directory = tmp_path / str(steps)
        directory.mkdir()
        install(directory, ONE)
        left = steps

        def dying(function, *args, **kwargs):
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return function(*args, **kwargs)

        with monkeypatch.context() as patched:
            for module, name in ((room.os, "replace"), (room.os, "fsync"), (room.Path, "unlink"), (room.shutil, "rmtree")):
                real = getattr(module, name)
                patched.setattr(module, name, lambda *args, _real=real, **kwargs: dying(_real, *args, **kwargs))
            try:
                install(directory, TWO)
                is_done = True
            except KeyboardInterrupt:
                is_done = False
        finish(directory)
        assert plans(directory) in (["one"], ["three", "two"])
        assert not (directory / ".incoming").exists()
        if is_done:
            assert steps > 5
            return
        steps += 1


def test_a_set_that_would_not_be_taken_into_force_changes_nothing(tmp_path: Path) -> None:
    """It loads, but names a key that this gateway does not have: once it replaced the files all the same, and the next start
    failed."""

    def check(policy: Policy) -> None:
        assert "two" in policy.plans
        raise SettingsError("neither is set")

    install(tmp_path, ONE)
    with pytest.raises(SettingsError, match="neither is set"):
        install(tmp_path, TWO, check)
    assert os.listdir(tmp_path) == ["1.yaml"]
    assert plans(tmp_path) == ["one"]


def test_a_directory_with_a_policy_files_name_is_told_before_anything_moves(tmp_path: Path) -> None:
    """It cannot be replaced: once it was met when half of the set was in its place."""
    install(tmp_path, ONE)
    (tmp_path / "2.yaml").mkdir()
    with pytest.raises(PolicyErrors, match=r"2\.yaml:1:1: file: is a directory"):
        install(tmp_path, TWO)
    assert sorted(os.listdir(tmp_path)) == ["1.yaml", "2.yaml"]


def test_a_phrase_list_that_changes_makes_another_policy(tmp_path: Path) -> None:
    """Its words are part of what is in force: with the digest of before, a reload did nothing."""
    install(tmp_path, {"1.yaml": b"version: 1\nwatch: {phrases: [phrases/own.yaml]}\n"})
    digests = {load_dir(tmp_path).digest}
    (tmp_path / "phrases").mkdir()
    for text in ("one", "two"):
        (tmp_path / "phrases" / "own.yaml").write_text(text)
        digests.add(load_dir(tmp_path).digest)
    assert len(digests) == 3
