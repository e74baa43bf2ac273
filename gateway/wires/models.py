"""The list of models that an upstream has, less those a caller may not use. Both vendors' shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

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


def joined(answers: Sequence[bytes]) -> bytes:
    """One list of several, each of which `listed` has read; the very same bytes where there is one.

    A model that several name is listed once, as the first of them does. Several lists come whole: they have no more pages.
    """
    if len(answers) == 1:
        return answers[0]
    values = [orjson.loads(answer) for answer in answers]
    entries: dict[str, Any] = {}
    for value in values:
        for entry in value["data"]:
            entries.setdefault(entry["id"], entry)
    whole: dict[str, Any] = values[0]
    whole["data"] = list(entries.values())
    for name, place in (("first_id", 0), ("last_id", -1)):
        if name in whole:
            whole[name] = whole["data"][place]["id"] if whole["data"] else None
    if "has_more" in whole:
        whole["has_more"] = False
    return orjson.dumps(whole)
