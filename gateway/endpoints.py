"""Which paths exist, and what is done with each. What no rule here names is refused: an endpoint is allowed by an explicit
rule or not at all, and a plan must name it too (`Plan.endpoints`).

Not there on purpose: what would show one tenant another's things, because all of them share the operator's account with the
model server (lists of batches, files and stored answers), and what no budget here counts (fine-tuning, assistants).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from gateway.errors import Refusal
from gateway.logs import printable

Kind = Literal["wire", "form", "models", "model", "stored", "batch", "file", "realtime"]
"""wire: JSON judged by a wire. form: a form with files, judged by a wire. models: the listing. model: one of it. stored: an
answer that the model server keeps. batch: many requests in one, made while nobody waits. file: one that a tenant
sent up, or that its batch has made. realtime: a WebSocket session."""


class Rule(NamedTuple):
    """What is done with one method on one path."""

    name: str
    """As plans name it."""
    family: str | None
    """None: as the client's headers tell."""
    kind: Kind
    wire: str = ""


class Endpoint(NamedTuple):
    """Where a request goes."""

    name: str
    family: str
    kind: Kind
    wire: str
    """Key of `wires.WIRES`; "" where there is none."""
    path: bytes
    query: bytes
    """With its question mark; b"" when there is none."""
    item: str = ""
    """The id in the path, as it came; "" when it has none."""


def _posts(name: str, family: str, wire: str) -> dict[str, Rule]:
    return {"POST": Rule(name, family, "wire", wire)}


def _form(name: str, wire: str) -> dict[str, Rule]:
    return {"POST": Rule(name, "openai", "form", wire)}


_BATCH = Rule("messages/batches", "anthropic", "batch")
_FILED_BATCH = Rule("batches", "openai", "batch")
_FILE = Rule("files", "openai", "file")
_STORED = Rule("responses/stored", "openai", "stored")
TABLE: dict[str, dict[str, Rule]] = {
    "/v1/chat/completions": _posts("chat/completions", "openai", "openai.chat"),
    "/v1/completions": _posts("completions", "openai", "openai.completions"),
    "/v1/responses": _posts("responses", "openai", "openai.responses"),
    "/v1/responses/input_tokens": _posts("responses/input_tokens", "openai", "openai.count"),
    "/v1/responses/{id}": {"GET": _STORED, "DELETE": _STORED},
    "/v1/responses/{id}/cancel": {"POST": _STORED},
    "/v1/responses/{id}/input_items": {"GET": _STORED},
    "/v1/embeddings": _posts("embeddings", "openai", "openai.embeddings"),
    "/v1/moderations": _posts("moderations", "openai", "openai.moderations"),
    "/v1/audio/speech": _posts("audio/speech", "openai", "openai.speech"),
    "/v1/audio/transcriptions": _form("audio/transcriptions", "openai.transcripts"),
    "/v1/audio/translations": _form("audio/translations", "openai.translations"),
    "/v1/images/generations": _posts("images/generations", "openai", "openai.images"),
    "/v1/images/edits": _form("images/edits", "openai.image_edits"),
    "/v1/images/variations": _form("images/variations", "openai.image_variations"),
    "/v1/files": _form("files", "openai.files"),
    "/v1/files/{id}": {"GET": _FILE, "DELETE": _FILE},
    "/v1/files/{id}/content": {"GET": _FILE},
    "/v1/batches": _posts("batches", "openai", "openai.batches"),
    "/v1/batches/{id}": {"GET": _FILED_BATCH},
    "/v1/batches/{id}/cancel": {"POST": _FILED_BATCH},
    "/v1/messages": _posts("messages", "anthropic", "anthropic.messages"),
    "/v1/messages/batches": _posts("messages/batches", "anthropic", "anthropic.batches"),
    "/v1/messages/batches/{id}": {"GET": _BATCH, "DELETE": _BATCH},
    "/v1/messages/batches/{id}/cancel": {"POST": _BATCH},
    "/v1/messages/batches/{id}/results": {"GET": _BATCH},
    "/v1/messages/count_tokens": _posts("messages/count_tokens", "anthropic", "anthropic.count"),
    "/v1/realtime": {"GET": Rule("realtime", "openai", "realtime")},
    "/v1/models": {"GET": Rule("models", None, "models")},
    "/v1/models/{id}": {"GET": Rule("models", None, "model")},
}
"""Path -> method -> rule. {id} is one segment; a model's id may hold slashes."""

_ANTHROPIC_PREFIX = "/v1/messages"
_QUERY = re.compile(r"[!\"$-~]*")
"""Visible ASCII without the fragment's mark: all that a request line may hold."""
_ID = r"(?P<id>[A-Za-z0-9][A-Za-z0-9_.:@-]{0,255})"
_MODEL_ID = r"(?P<id>[A-Za-z0-9](?:[A-Za-z0-9_:@-]|%2[Ff]|%3[Aa]|/(?=[A-Za-z0-9_])|\.(?!\.)){0,255})"
"""No empty segment and no dots in a row: nothing that one side could normalise and the other not."""
_PATTERNS = [
    (re.compile(re.escape(path).replace(r"\{id\}", _MODEL_ID if path.startswith("/v1/models/") else _ID)), methods)
    for path, methods in TABLE.items()
    if "{id}" in path
]
_READY: dict[tuple[str, str, str], Endpoint] = {}


def family_of(headers: Mapping[str, str], raw_path: str) -> str:
    """In whose format to answer: by the path, else by what only one vendor's SDK sends."""
    methods = TABLE.get(raw_path) or TABLE.get(raw_path.partition("?")[0])
    if methods is not None:
        for rule in methods.values():
            if rule.family is not None:
                return rule.family
    is_anthropic = "anthropic-version" in headers or raw_path.startswith(_ANTHROPIC_PREFIX)
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
    methods, item = _look_up(path)
    if methods is None:
        message = f"Unknown request URL: {method} {printable(path, limit=100)}."
        raise Refusal("not_found", message, status=404, code="unknown_url", reason="unknown_path")
    rule = methods.get(method)
    if method == "HEAD" and (read := methods.get("GET")) is not None and read.kind in ("models", "model"):
        rule = read  # asked for as by GET; what is answered is the head of that
    if rule is None:
        message = f"Not allowed to {printable(method, limit=20)} on {path}: use {' or '.join(methods)}."
        raise Refusal("invalid_request", message, status=405, code="method_not_supported", reason="method")
    if _QUERY.fullmatch(query) is None:
        message = "The query string holds characters that must be percent-encoded."
        raise Refusal("invalid_request", message, status=400, reason="bad_query")
    return Endpoint(rule.name, rule.family or family, rule.kind, rule.wire, path.encode(), (mark + query).encode(), item)


def _look_up(path: str) -> tuple[dict[str, Rule] | None, str]:
    methods = TABLE.get(path)
    if methods is not None and "{" not in path:
        return methods, ""
    for pattern, found in _PATTERNS:
        match = pattern.fullmatch(path)
        if match is not None:
            return found, match["id"]
    return None, ""


for _path, _methods in TABLE.items():
    for _method, _rule in _methods.items():
        for _name in ("openai", "anthropic") if _rule.family is None else (_rule.family,):
            if "{" not in _path:
                _READY[_method, _path, _name] = route(_method, _path, _name)
