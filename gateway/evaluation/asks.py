"""A conversation as the gateway would read it: a chat body in JSON, parsed and judged by the real wire.

Failure policy: what the wire would refuse raises BadLine, and its record is left out like any other bad line.
"""

from __future__ import annotations

from typing import Any

import orjson

from gateway.evaluation.corpus import BadLine
from gateway.values import Ask
from gateway.wires import WIRES
from gateway.wires.base import BadField, asked
from gateway.wires.strict_json import BadJson, parse

WIRE = WIRES["openai.chat"]
MODEL = "evaluated"
JUDGED = frozenset(("model", "messages", "stream", "max_tokens", "max_completion_tokens", "n", "user"))
OWN = ("messages", "model", "stream", "stream_options")
"""Fields that a record's `params` do not set."""


def body_of(messages: list[dict[str, Any]], params: dict[str, Any] | None) -> dict[str, Any]:
    """The chat body of these messages under these parameters."""
    own = {name: value for name, value in (params or {}).items() if name not in OWN}
    return {"model": MODEL, "messages": messages, **own}


def ask_of(messages: list[dict[str, Any]], params: dict[str, Any] | None = None) -> Ask:
    """What the gateway makes of a chat request. Raises BadLine where it would answer 400."""
    raw = orjson.dumps(body_of(messages, params))
    try:
        body = parse(raw, JUDGED)
        judged = WIRE.judge(body)
    except BadJson as error:
        raise BadLine(f"the gateway would not read it: {error}") from None
    except BadField as error:
        raise BadLine(f"the gateway would refuse `{error.param}`: {error.message}") from None
    return asked(WIRE, body, judged, text_bytes=max(0, len(raw) - judged.media_base64_bytes))
