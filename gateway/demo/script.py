"""How one answer is to behave, and how a request says so. No IO.

A request steers its answer in three ways; the later ones win, field by field:

1. the model's name: `demo-small?tokens=50&gap_ms=20` (it passes every gateway untouched),
2. a body field `demo`: `{"model": "demo-small", "demo": {"tokens": 50}}` (an SDK's `extra_body`),
3. a header `x-demo: {"tokens": 50}`.

A field that does not exist, or a value that is no integer, is a 400 that names what is allowed: a test's typing error must not
pass for the default.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import parse_qsl

FIELD = "demo"
HEADER = "x-demo"


class BadScript(ValueError):
    """A script that cannot be played. The message names the field and what is allowed."""


@dataclass(frozen=True, slots=True)
class Script:
    """One answer's behaviour. All integers; 0 and 1 stand for no and yes. -1 means: not at all."""

    tokens: int = 24
    """Output tokens of each choice, reasoning included; the request's max_tokens bounds them."""
    reasoning: int = 0
    """How many of them are reasoning and come first."""
    gap_ms: int = 0
    """Pause before each token but the first, in a stream."""
    first_byte_ms: int = 0
    """Pause before the status line."""
    stall_after: int = -1
    """Say nothing more after this many tokens, until `Handle.release` (or the client leaves). A whole answer stalls
    before its status line."""
    die_after: int = -1
    """Cut the connection after this many tokens; 0: after the headers. A whole answer is cut off in its middle."""
    die_early: int = 0
    """1: cut the connection before the status line."""
    error_after: int = -1
    """Send the vendor's error event after this many tokens, then end the stream."""
    done: int = 1
    """0: the stream ends properly for HTTP, but without its finish, its usage and its terminal event."""
    usage: int = 1
    """0: the answer reports no usage at all."""
    status: int = 200
    """Any other: the vendor's error with this status."""
    retry_after_s: int = -1
    """Sent as `retry-after` with a status that is no 200."""
    input_tokens: int = -1
    """The input to report; -1: the words of the request are counted."""
    cached: int = 0
    """How many of the input tokens were read from a cache."""
    cache_write: int = 0
    """How many of them were written to a cache."""
    tool: int = 0
    """1: answer by calling the request's first tool; each token is a piece of its arguments."""
    ignore_max: int = 0
    """1: the answer is as long as the script says, whatever bound the request gives."""


NAMES = tuple(f.name for f in fields(Script))
MODELS: Mapping[str, Script] = {
    "demo-small": Script(),
    "demo-large": Script(tokens=160, gap_ms=25),
}
"""What /v1/models lists, and how each behaves unless told otherwise. Any other name behaves as demo-small."""


def script_of(model: str, field: object, header: str | None) -> Script:
    """The script a request asks for. Raises BadScript."""
    base, _, query = model.partition("?")
    script = MODELS.get(base, MODELS["demo-small"])
    script = _with(script, dict(parse_qsl(query, keep_blank_values=True)))
    if field is not None:
        script = _with(script, field)
    if header is not None:
        try:
            script = _with(script, json.loads(header))
        except ValueError as error:
            raise BadScript(f"{HEADER} must be a JSON object: {error}") from None
    return script


def _with(script: Script, wanted: object) -> Script:
    if not isinstance(wanted, Mapping):
        raise BadScript(f"a script must be an object of {', '.join(NAMES)}")
    changes: dict[str, Any] = {}
    for name, value in wanted.items():
        if name not in NAMES:
            raise BadScript(f"{name!r} is no part of a script; allowed are {', '.join(NAMES)}")
        try:
            changes[name] = int(value)
        except (TypeError, ValueError):
            raise BadScript(f"{name} must be an integer, not {value!r}") from None
    return replace(script, **changes)
