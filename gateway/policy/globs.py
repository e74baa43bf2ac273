"""Which models a list of globs matches; compiled once for each list.

Case counts. `*` matches any text, a `/` too; the whole name must match. A name is the caller's text: matching is linear in
it (the standard library's translation cannot backtrack), whatever the globs.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from functools import lru_cache

Matcher = Callable[[str], object]
"""Truthy when the name matches."""


@lru_cache(maxsize=16_384)  # as many lists as policies hold; a reload reuses what did not change
def matcher(globs: tuple[str, ...]) -> Matcher:
    """What tells whether a model's name matches any of the globs."""
    if "*" in globs:
        return _always
    if not any(wildcard in glob for glob in globs for wildcard in "*?["):
        return frozenset(globs).__contains__
    return re.compile("|".join(fnmatch.translate(glob) for glob in globs)).match


def _always(_name: str) -> bool:
    return True
