"""Files that a request refers to by their ids, in chat completions and responses. Pure.

Only there where the APIs look for them: in parts of messages, in what tools gave back, and in the containers of tools.
"""

from __future__ import annotations

from typing import Any


def file_ids(body: dict[str, Any]) -> list[str]:
    """Ids of files, as they are written; one that is no text is none that could be looked up, and is "" here."""
    found: list[str] = []
    for name in ("messages", "input"):
        items = body.get(name)
        for item in items if type(items) is list else ():
            if type(item) is dict:
                _of_item(item, found)
    tools = body.get("tools")
    for tool in tools if type(tools) is list else ():
        container = tool.get("container") if type(tool) is dict else None
        if type(container) is dict and type(ids := container.get("file_ids")) is list:
            found += [_id(each) for each in ids]
    return found


def _of_item(item: dict[str, Any], found: list[str]) -> None:
    for name in ("content", "output"):
        parts = item.get(name)
        for part in parts if type(parts) is list else (parts,):
            if type(part) is not dict:
                continue
            if part.get("file_id") is not None:
                found.append(_id(part["file_id"]))
            file = part.get("file")
            if type(file) is dict and file.get("file_id") is not None:
                found.append(_id(file["file_id"]))


def _id(value: Any) -> str:
    return value if type(value) is str else ""
