"""A set of policy files that is pushed: checked aside, then put in the place of what a policy directory holds.

Failure policy: nothing changes unless the whole set can be used. A process that dies in the middle leaves a complete set in
`.incoming`, and `finish` puts it in place at the next start; an incomplete one is removed. Files that are no policy (tests of
policies, phrase lists, README) are left alone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.errors import Mistake, PolicyErrors
from gateway.policy.load import is_policy_name, load_dir
from gateway.policy.model import Policy

FILES_MAX = 1000
NAME_CHARACTERS_MAX = 100
INCOMING = ".incoming"
_COMPLETE = ".complete"
"""Holds the names of the set."""


def install(directory: Path, files: Mapping[str, bytes], check: Callable[[Policy], object] = lambda policy: None) -> None:
    """Make `files` (name to content) the policy files of a directory; the ones it had and that are not among them go.

    Raises PolicyErrors, whose places are the files' names, what `check` raises for the policy they are, and OSError where the
    directory cannot be written: nothing has changed then.
    """
    if wrong := [Mistake(repr(name)[:NAME_CHARACTERS_MAX], 1, 1, "file", _WHY) for name in files if not _is_plain(name)]:
        raise PolicyErrors(wrong)
    if not files or len(files) > FILES_MAX:
        raise PolicyErrors([Mistake(str(directory), 1, 1, "directory", f"1 to {FILES_MAX} files, not {len(files)}")])
    if in_the_way := [path for path in sorted(directory.iterdir()) if is_policy_name(path.name) and _is_directory(path)]:
        raise PolicyErrors(
            [Mistake(str(path), 1, 1, "file", "is a directory with a policy file's name") for path in in_the_way]
        )
    incoming = directory / INCOMING
    shutil.rmtree(incoming, ignore_errors=True)
    try:
        incoming.mkdir(mode=0o700)
        for name, content in files.items():
            _write(incoming / name, content)
        try:
            policy = load_dir(incoming)
        except PolicyErrors as errors:
            prefix = f"{incoming}{os.sep}"
            raise PolicyErrors(
                [
                    mistake._replace(file=mistake.file.removeprefix(prefix), message=mistake.message.replace(prefix, ""))
                    for mistake in errors.mistakes
                ]
            ) from None
        check(policy)
        _write(incoming / "names", "\n".join(files).encode())
        os.replace(incoming / "names", incoming / _COMPLETE)
    except BaseException:
        shutil.rmtree(incoming, ignore_errors=True)
        raise
    finish(directory)


def finish(directory: Path) -> bool:
    """Put a complete pushed set in its place, and remove an incomplete one. True: there was a complete one. Raises OSError."""
    incoming = directory / INCOMING
    if not incoming.is_dir():
        return False
    if not (incoming / _COMPLETE).is_file():
        shutil.rmtree(incoming)
        return False
    # Each step may be repeated: a file that has moved is not looked for again, and the marker goes last.
    names = (incoming / _COMPLETE).read_text(encoding="ascii").split("\n")
    for name in names:
        if (incoming / name).is_file():
            os.replace(incoming / name, directory / name)
    for path in list(directory.iterdir()):
        if is_policy_name(path.name) and path.name not in names:
            path.unlink()
    (incoming / _COMPLETE).unlink()
    shutil.rmtree(incoming)
    return True


_WHY = "a policy file's name ends in .yaml or .yml, has no slash, does not begin with a dot, and is no *.test.yaml"


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_plain(name: str) -> bool:
    is_safe = name.isascii() and name.isprintable() and "/" not in name and "\\" not in name
    return is_safe and len(name) <= NAME_CHARACTERS_MAX and is_policy_name(name)


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
