"""Reading an upstream's JSON as its clients do, and writing it again, whatever it is.

Where texts are edited, an event that cannot be read cannot be let through either. So what `orjson` refuses and clients take
(`-Infinity` among log-probabilities, half a surrogate pair) is read by the standard library, and what cannot be written as it
is is written without the part at fault. Nothing here raises.
"""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

_DEPTH_MAX = 64
"""Of what is written after it could not be written whole: what lies deeper becomes null."""


def loads(data: bytes) -> dict[str, Any] | None:
    """A JSON object; None: it is none, or no client could read it."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        try:
            value = _plain(json.loads(data), _DEPTH_MAX)
        except (ValueError, RecursionError):
            return None
    return value if type(value) is dict else None


def dumps(value: dict[str, Any]) -> bytes:
    """The object as JSON."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # it reads deeper nesting than it writes
        return orjson.dumps(_plain(value, _DEPTH_MAX))


def _plain(value: Any, depth: int) -> Any:
    """The value as far as any JSON parser can take it."""
    if type(value) is str:
        # Two halves of a pair become their character, a single one the replacement character.
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if type(value) is float:
        return value if math.isfinite(value) else None
    if type(value) is int:
        return value if -(1 << 63) <= value < 1 << 64 else None
    if type(value) is dict:
        return {_plain(name, 0): _plain(item, depth - 1) for name, item in value.items()} if depth else None
    if type(value) is list:
        return [_plain(item, depth - 1) for item in value] if depth else None
    return value
