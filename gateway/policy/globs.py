"""Which models a list of globs matches, compiled once for each list; and of two whether they meet, or one holds the other.

Case counts. `*` matches any text, a `/` too; the whole name must match. A name is the caller's text: matching is linear in
it (the standard library's translation cannot backtrack), whatever the globs.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

Matcher = Callable[[str], object]
"""Truthy when the name matches."""
_ALPHABET = [chr(code) for code in range(33, 127)]
"""What names of models are written in."""


@lru_cache(maxsize=16_384)  # as many lists as policies hold; a reload reuses what did not change
def matcher(globs: tuple[str, ...]) -> Matcher:
    """What tells whether a model's name matches any of the globs."""
    if "*" in globs:
        return _always
    exact = frozenset([glob for glob in globs if not is_wild(glob)])
    if len(exact) == len(globs):
        return exact.__contains__
    starts = tuple([glob[:-1] for glob in globs if glob[-1] == "*" and not is_wild(glob[:-1])])
    if len(exact) + len(starts) < len(globs):
        return re.compile("|".join(map(fnmatch.translate, globs))).match
    if not exact:
        return lambda name: name.startswith(starts)
    return lambda name: name in exact or name.startswith(starts)


def _always(_name: str) -> bool:
    return True


@lru_cache(maxsize=65_536)
def overlap(one: str, other: str) -> bool:
    """Whether some name matches both globs: exact, by walking through both at once."""
    left, right = _parts(one), _parts(other)
    reached = {(0, 0)}
    todo = [(0, 0)]
    while todo:
        i, j = todo.pop()
        if i == len(left) and j == len(right):
            return True
        steps = []
        a, b = left[i] if i < len(left) else None, right[j] if j < len(right) else None
        if a == "":
            steps += [(i + 1, j)] + ([(i, j + 1)] if b is not None else [])
        if b == "":
            steps += [(i, j + 1)] + ([(i + 1, j)] if a is not None else [])
        if a and b and not a.isdisjoint(b):
            steps.append((i + 1, j + 1))
        for step in steps:
            if step not in reached:
                reached.add(step)
                todo.append(step)
    return False


def covers(globs: tuple[str, ...], others: tuple[str, ...]) -> bool:
    """Whether `globs` match all that `others` do; False too where that cannot be told by looking at one glob at a time."""
    return all(any(_covers(glob, other) for glob in globs) for other in others)


def _covers(glob: str, other: str) -> bool:
    if glob in ("*", other):
        return True
    return not is_wild(other) and bool(matcher((glob,))(other))


def is_wild(glob: str) -> bool:
    """Whether it stands for more than one name."""
    return "*" in glob or "?" in glob or "[" in glob


@lru_cache(maxsize=16_384)
def _parts(glob: str) -> tuple[frozenset[str] | Literal[""], ...]:
    """What each part of a glob may match: the characters, or "" for any text."""
    parts: list[frozenset[str] | Literal[""]] = []
    at = 0
    while at < len(glob):
        end = at + 1
        if glob[at] == "[":
            closing = glob.find("]", at + (3 if glob[at + 1 : at + 2] == "!" else 2))
            end = closing + 1 if closing > 0 else end
        part = glob[at:end]
        parts.append("" if part == "*" else frozenset(filter(matcher((part,)), _ALPHABET)))
        at = end
    return tuple(parts)
