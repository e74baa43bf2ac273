"""The lines of a file of requests, one request a line: read, judged by the wire of its `url`, and written anew. Pure.

Format: https://platform.openai.com/docs/guides/batch. Rule 1: a line holds `custom_id`, `method`, `url` and `body`, and nothing
else. Rule 2: what is written is the gateway's own serialisation, and none of its bytes can pass for the end of a line: readers
differ on U+0085, U+2028 and U+2029, so within texts these are escaped.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from gateway.wires.base import BadField, Judged, Wire
from gateway.wires.openai_chat import OpenAIChat
from gateway.wires.openai_completions import OpenAICompletions
from gateway.wires.openai_embeddings import OpenAIEmbeddings
from gateway.wires.openai_responses import OpenAIResponses
from gateway.wires.references import file_ids
from gateway.wires.strict_json import BadJson, check_names, parse

CUSTOM_ID_CHARS_MAX = 512
_FIELDS = frozenset(("custom_id", "method", "url", "body"))
_WIRES: dict[str, Wire] = {
    "/v1/chat/completions": OpenAIChat(),
    "/v1/completions": OpenAICompletions(),
    "/v1/responses": OpenAIResponses(),
    "/v1/embeddings": OpenAIEmbeddings(),
}
_ENDS = ((b"\xc2\x85", b"\\u0085"), (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"))
"""What some readers take for the end of a line, in UTF-8, and its escape."""


class Request(NamedTuple):
    """One line."""

    custom_id: str
    url: str
    wire: Wire
    body: dict[str, Any]
    judged: Judged


def read(raw: bytes, judged: frozenset[str]) -> Request:
    """`judged`: fields of a body that nothing else may look like. Raises BadJson and BadField."""
    line = parse(raw, _FIELDS)
    if not line.keys() <= _FIELDS:
        raise BadJson(f"A line has the fields {', '.join(sorted(_FIELDS))}, and no other.")
    custom_id, url, body = line.get("custom_id"), line.get("url"), line.get("body")
    if type(custom_id) is not str or not 0 < len(custom_id) <= CUSTOM_ID_CHARS_MAX:
        raise BadField("custom_id", f"custom_id: must be a string of 1 to {CUSTOM_ID_CHARS_MAX} characters.")
    if line.get("method") != "POST":
        raise BadField("method", "method: must be 'POST'.")
    if type(url) is not str or url not in _WIRES:
        raise BadField("url", f"url: must be one of {', '.join(_WIRES)}.")
    if type(body) is not dict:
        raise BadField("body", "body: must be an object.")
    check_names(body, judged)
    wire = _WIRES[url]
    try:
        found = wire.judge(body)
        if found.is_stream:
            raise BadField("stream", "stream: answers of a batch are not streamed: leave it out.")
        if file_ids(body):
            raise BadField("file_id", "file_id: requests in a file cannot refer to files: send what they hold.")
    except BadField as error:
        raise BadField(f"body.{error.param}", f"body.{error.message}") from None
    return Request(custom_id, url, wire, body, found)


def written(request: Request, body: bytes) -> bytes:
    """A line for a request whose body was serialised, with its end."""
    line = b'{"custom_id":%b,"method":"POST","url":%b,"body":%b}\n' % (
        orjson.dumps(request.custom_id),
        orjson.dumps(request.url),
        body,
    )
    for end, escape in _ENDS:
        line = line.replace(end, escape)  # outside of texts JSON has no such bytes
    return line
