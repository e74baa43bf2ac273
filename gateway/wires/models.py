"""The list of models that an upstream has, less those a caller may not use. Both vendors' shapes."""

from __future__ import annotations

from collections.abc import Callable

import orjson


def listed(answer: bytes, is_allowed: Callable[[str], bool]) -> bytes:
    """The answer with `data` filtered by each entry's id; the very same bytes where nothing is taken out.

    Raises ValueError where it is no list of models.
    """
    try:
        value = orjson.loads(answer)
    except orjson.JSONDecodeError:
        raise ValueError("no JSON") from None
    entries = value.get("data") if type(value) is dict else None
    if type(entries) is not list:
        raise ValueError("no list of models")
    kept = [entry for entry in entries if type(entry) is dict and type(entry.get("id")) is str and is_allowed(entry["id"])]
    if len(kept) == len(entries):
        return answer
    value["data"] = kept
    for name, place in (("first_id", 0), ("last_id", -1)):
        if name in value:
            value[name] = kept[place]["id"] if kept else None
    return orjson.dumps(value)
