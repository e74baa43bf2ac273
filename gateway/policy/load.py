"""A directory of YAML files to a `Policy`, or to every mistake in it at once.

All `*.yaml` and `*.yml` files of the directory, by name; not its subdirectories, not dotfiles, and not `*.test.yaml`. Their
sections are put together, so a large set may be split by team or by tenant. Reads files and nothing else: watching for
changes and swapping policies is another module's.

Failure policy: all or nothing. A directory with one mistake yields no policy, and the caller keeps the last good one.
"""

from __future__ import annotations

import gc
import hashlib
import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import get_args

from gateway.errors import Mistake, PolicyErrors
from gateway.policy.check_whole import check_whole
from gateway.policy.fields import Fields, Report
from gateway.policy.model import MeterName, Policy
from gateway.policy.read_sections import Sections
from gateway.policy.words import FIRST_WORDS, TOP_WORDS, VERSION
from gateway.policy.yaml_text import FILE_BYTES_MAX
from gateway.policy.yaml_tree import Scalar, read_tree

_SAYS_FIRST = re.compile("|".join(FIRST_WORDS).encode())
METERS: tuple[str, ...] = get_args(MeterName)


def load_dir(path: Path, *, meters: Collection[str] = METERS) -> Policy:
    """Read a policy directory. `meters` are the names a budget may count by.

    Raises PolicyErrors with every mistake, sorted by file, line and column; a directory that is missing, unreadable or
    holds no policy file is one.
    """
    return load_with_sources(path, meters=meters)[0]


def load_with_sources(path: Path, *, meters: Collection[str] = METERS) -> tuple[Policy, Mapping[str, bytes]]:
    """As `load_dir`, with the files as they were read, by the names that places and mistakes have."""
    mistakes: list[Mistake] = []
    files = _read_files(path, mistakes)
    with _without_collector():
        policy = _read_policy(files, mistakes, meters, path)
    if mistakes:
        wrong = {mistake.file for mistake in mistakes}
        raise PolicyErrors(sorted(set(mistakes)), {file: data for file, data in files if file in wrong})
    return policy, dict(files)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Millions of small objects are made, and none of them in a circle: looking for circles would double the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read_files(directory: Path, mistakes: list[Mistake]) -> list[tuple[str, bytes]]:
    files: list[tuple[str, bytes]] = []
    try:
        paths = sorted(path for path in directory.iterdir() if is_policy_name(path.name))
    except OSError as error:
        mistakes.append(Mistake(str(directory), 1, 1, "directory", f"cannot be read: {error.strerror}"))
        return files
    if not paths:
        what = "holds no policy file: put at least one `*.yaml` file in it, which begins with `version: 1`"
        mistakes.append(Mistake(str(directory), 1, 1, "directory", what))
    for path in paths:
        try:
            if not path.is_file():  # a pipe would be waited for, a device read without end
                raise OSError(0, "is not a regular file")
            with path.open("rb") as file:
                files.append((str(path), file.read(FILE_BYTES_MAX + 1)))
        except OSError as error:
            mistakes.append(Mistake(str(path), 1, 1, "file", f"cannot be read: {error.strerror}"))
    return files


def is_policy_name(name: str) -> bool:
    stem, _, suffix = name.rpartition(".")
    return suffix in ("yaml", "yml") and not name.startswith(".") and not stem.endswith(".test")


def _read_policy(files: list[tuple[str, bytes]], mistakes: list[Mistake], meters: Collection[str], path: Path) -> Policy:
    before = len(mistakes)
    gathered = _gather(files, mistakes, meters, {file for file, data in files if _SAYS_FIRST.search(data)})
    if gathered is None:  # a word in escapes: rare enough to begin anew
        del mistakes[before:]
        gathered = _gather(files, mistakes, meters, {file for file, _ in files})
    sections, all_read = gathered or (Sections(meters), False)
    if all_read:
        check_whole(sections)
    return Policy(
        digest=_digest([*files, *_read_beside(path, sections.watch.phrases)]),
        models=tuple(sections.models),
        organisations=MappingProxyType(sections.organisations),
        plans=MappingProxyType(sections.plans),
        tenants=MappingProxyType(sections.tenants),
        keys=MappingProxyType(sections.keys),
        default_rule=sections.default_rule,
        upstreams=tuple(sections.upstreams),
        groups=MappingProxyType(sections.groups),
        base=sections.base_plan,
        watch=sections.watch,
        ladders=MappingProxyType(sections.ladders),
    )


def _gather(
    files: list[tuple[str, bytes]], mistakes: list[Mistake], meters: Collection[str], first_files: Collection[str]
) -> tuple[Sections, bool] | None:
    """The sections of all files, and whether all could be read. None: what others refer to is in none of `first_files`.

    One file after the other, but for those: as trees a directory takes ten times the memory of what it says.
    """
    sections = Sections(meters)
    all_read = not mistakes
    first = {file: _read_root(data, file, mistakes) for file, data in files if file in first_files}
    sections.read_first([root for root in first.values() if root is not None])
    for file, data in files:
        root = first.pop(file) if file in first else _read_root(data, file, mistakes)
        if root is None:
            all_read = False
        elif file not in first_files and any(word in root for word in FIRST_WORDS):
            return None
        else:
            sections.read(root)
    sections.settle()
    return sections, all_read


def _read_root(data: bytes, file: str, mistakes: list[Mistake]) -> Fields | None:
    """A file's top level; None, after a report, where it has none."""
    tree = read_tree(data, file, mistakes)
    if tree is None:
        return None
    root = Fields(Report(file, mistakes), tree, "", TOP_WORDS)
    root.need("version", _version, None)
    return root


def _version(node: Scalar) -> None:
    if node.kind != "int" or node.text != str(VERSION):
        raise ValueError(f"this gateway reads `version: {VERSION}`")


def _read_beside(directory: Path, phrases: Collection[str]) -> list[tuple[str, bytes]]:
    """The phrase lists that the policy names: one that changes makes another policy. Whether they can be used is not asked."""
    found = []
    for name in phrases:
        try:
            with (directory / name).open("rb") as file:
                found.append((name, file.read(FILE_BYTES_MAX + 1) if (directory / name).is_file() else b""))
        except OSError:
            found.append((name, b""))
    return found


def _digest(files: list[tuple[str, bytes]]) -> str:
    whole = hashlib.sha256()
    for file, data in files:
        name = os.fsencode(Path(file).name)
        whole.update(b"%d:%b%d:%b" % (len(name), name, len(data), data))
    return whole.hexdigest()[:16]
