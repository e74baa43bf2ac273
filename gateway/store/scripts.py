"""The Lua scripts: read from `lua/`; the ledger's are each prefixed with their clock and with what they share.

What a script does stands at the head of its file. No Redis here: whoever holds a connection loads them.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple


class Script(NamedTuple):
    """One script. `sha` is what EVALSHA calls it by: 40 hex digits, lower case."""

    name: str
    source: bytes
    sha: bytes


class Scripts(NamedTuple):
    reserve: Script
    renew: Script
    extend: Script
    settle: Script
    standings: Script


class WatchScripts(NamedTuple):
    """Of `watch.py`; each stands by itself."""

    lease: Script
    place: Script
    pardon: Script
    rungs: Script
    keep: Script
    facts: Script


_CONSTANT = re.compile(r"^local ([A-Z_]+) = ('[^'\n]*'|[0-9.e-]+)(?: --.*)?\n", re.MULTILINE)


@cache
def load_scripts(clock: str | None = None) -> Scripts:
    """All scripts; `clock` is Lua that defines `now_us()` in place of `clock.lua` (tests alone have a use for it)."""
    head = (clock or _text("clock")) + "\n" + _text("common") + "\n"
    return Scripts(*(_script(name, _inline_constants(head + _text(name))) for name in Scripts._fields))


@cache
def load_watch_scripts() -> WatchScripts:
    return WatchScripts(*(_script(name, _text(f"watch_{name}")) for name in WatchScripts._fields))


def _text(name: str) -> str:
    return (files("gateway.store") / "lua" / f"{name}.lua").read_text(encoding="utf-8")


def _script(name: str, text: str) -> Script:
    source = text.encode()
    return Script(name, source, hashlib.sha1(source, usedforsecurity=False).hexdigest().encode())


def _inline_constants(source: str) -> str:
    """Put each constant's value in its place: a captured local costs a script a little on every call."""
    values = dict(_CONSTANT.findall(source))
    source = _CONSTANT.sub("\n", source)
    return re.sub(r"\b[A-Z_]+\b", lambda word: values.get(word[0], word[0]), source)
