"""Which paths exist. What no line here names is refused: an endpoint is allowed by an explicit rule or not at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from gateway.errors import Refusal
from gateway.logs import printable


class Endpoint(NamedTuple):
    """Where a request goes. `wire` None: relayed as it is, without a body, a budget or a model."""

    name: str
    family: str
    wire: str | None
    path: bytes
    query: bytes
    """With its question mark; b"" when there is none."""


_TABLE: dict[str, tuple[str, str | None, str | None]] = {
    # path: (method, family; None: as the client's headers tell, wire)
    "/v1/chat/completions": ("POST", "openai", "openai.chat"),
    "/v1/messages": ("POST", "anthropic", "anthropic.messages"),
    "/v1/models": ("GET", None, None),
}

_READY: dict[tuple[str, str, str], Endpoint] = {}
_QUERY = re.compile(r"[!\"$-~]*")
"""Visible ASCII without the fragment's mark: all that a request line may hold."""


def family_of(headers: Mapping[str, str], raw_path: str) -> str:
    """In whose format to answer: by the path, else by what only one vendor's SDK sends."""
    known = _TABLE.get(raw_path) or _TABLE.get(raw_path.partition("?")[0])
    if known is not None and known[1] is not None:
        return known[1]
    is_anthropic = "anthropic-version" in headers or raw_path.startswith("/v1/messages")
    return "anthropic" if is_anthropic else "openai"


def route(method: str, raw_path: str, family: str) -> Endpoint:
    """The endpoint a request line names.

    The path must be written exactly as in the table: no escapes, no double slashes, no dots, no absolute form. There is
    then nothing that one side could normalise and the other not. Raises Refusal (not_found; 405 for another method).
    """
    ready = _READY.get((method, raw_path, family))
    if ready is not None:  # most request lines have no query
        return ready
    path, mark, query = raw_path.partition("?")
    known = _TABLE.get(path)
    if known is None:
        message = f"Unknown request URL: {method} {printable(path, limit=100)}."
        raise Refusal("not_found", message, status=404, code="unknown_url", reason="unknown_path")
    allowed, _, wire = known
    if method != allowed:
        message = f"Not allowed to {printable(method, limit=20)} on {path}: use {allowed}."
        raise Refusal("invalid_request", message, status=405, code="method_not_supported", reason="method")
    if _QUERY.fullmatch(query) is None:
        message = "The query string holds characters that must be percent-encoded."
        raise Refusal("invalid_request", message, status=400, reason="bad_query")
    return Endpoint(path.removeprefix("/v1/"), family, wire, path.encode(), (mark + query).encode())


for _path, (_method, _family, _) in _TABLE.items():
    for _name in ("openai", "anthropic") if _family is None else (_family,):
        _READY[_method, _path, _name] = route(_method, _path, _name)
