"""OpenAI's realtime sessions: what a client's event says, what a server's event reports, and what the gateway itself says.

Events: https://platform.openai.com/docs/api-reference/realtime-client-events and realtime-server-events; the preview (sessions
opened with `OpenAI-Beta: realtime=v1`) has other names for some of the same things, and both are read.

Rule: a client's event goes up as the gateway's own serialisation of what it read, so that no byte can mean two things. A
server's event goes down as it came, but for the few that are rewritten here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from gateway.errors import Refusal
from gateway.values import Limit, Usage
from gateway.wires import fields
from gateway.wires.base import BadField
from gateway.wires.limits import TOKEN_METERS, is_tighter
from gateway.wires.strict_json import BadJson, fold, parse
from gateway.wires.text import clean

NAME = "openai.realtime"
BOUNDS = ("max_output_tokens", "max_response_output_tokens")
"""The vendor's word now, and the preview's: either may stand in a session and in a response."""
JUDGED = frozenset(("type", "event_id", "session", "response", "item", "audio"))
_JUDGED_WITHIN = frozenset((*BOUNDS, "type", "model", "conversation", "input", "audio"))
"""Fields of a session or a response that the gateway decides by."""
_EVENT_ID_CHARS_MAX = 512
_DEPTH_SAFE = 200
"""With fewer openings than this nothing is nested too deeply to be written."""
_CODES = {"quota": "insufficient_quota", "rate_limit": "rate_limit_exceeded"}
_TYPES = {"quota": "insufficient_quota", "rate_limit": "rate_limit_error"}
_SERVER = frozenset(("upstream", "timeout", "overloaded", "internal"))


class BadEvent(ValueError):
    """An event of the client's that is not forwarded: it is told so by the vendor's error event, and the session goes on."""

    def __init__(self, code: str, message: str, *, param: str | None = None, event_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.event_id = event_id
        """The client's own id of the event, where it has one."""


class Said(NamedTuple):
    """An event of the client's."""

    kind: str
    event_id: str | None
    event: dict[str, Any]


def read(raw: bytes) -> Said:
    """One message of the client's. Raises BadEvent."""
    try:
        event = parse(raw, JUDGED)
    except BadJson as error:
        raise BadEvent("invalid_json", str(error).replace("The body", "The event")) from None
    if raw.count(b"{") + raw.count(b"[") > _DEPTH_SAFE:
        try:
            orjson.dumps(event)  # it reads deeper nesting than it writes
        except orjson.JSONEncodeError:
            raise BadEvent("invalid_json", "The event is nested too deeply.") from None
    event_id = event.get("event_id")
    if event_id is not None and (type(event_id) is not str or len(event_id) > _EVENT_ID_CHARS_MAX):
        raise BadEvent(
            "invalid_event",
            f"event_id: must be a string of at most {_EVENT_ID_CHARS_MAX} characters.",
            param="event_id",
        )
    kind = event.get("type")
    if type(kind) is not str or not kind:
        raise BadEvent("invalid_event", "type: must be a string that names the event.", param="type", event_id=event_id)
    for name in ("session", "response", "item"):
        value = event.get(name)
        if value is not None and type(value) is not dict:
            raise BadEvent("invalid_event", f"{name}: must be an object.", param=name, event_id=event_id)
    return Said(kind, event_id, event)


def body_of(said: Said, name: str) -> dict[str, Any]:
    """What an event says under "session" or "response"; empty where it says nothing. Raises BadEvent for what could be read
    as another field than it is."""
    body: dict[str, Any] = said.event.get(name) or {}
    for key in body:
        if key not in _JUDGED_WITHIN and fold(key) in _JUDGED_WITHIN:
            message = f"{name}: the field {key[:80]!r} looks like {fold(key)!r} but is another: write {fold(key)!r}."
            raise BadEvent("invalid_event", message, param=name, event_id=said.event_id)
    return body


def bound(body: dict[str, Any], where: str) -> int | None:
    """The largest bound on output tokens in a session or a response; None: none, or "inf". Raises BadField."""
    found = []
    for name in BOUNDS:
        if (value := body.get(name)) == "inf" and type(value) is str:
            return None
        try:
            found.append(fields.integer(body, name, most=fields.OUTPUT_TOKENS_MAX, path=f"{where}.{name}"))
        except BadField as error:
            raise BadField(error.param, error.message.rstrip(".") + ', or "inf".') from None
    return max((value for value in found if value is not None), default=None)


def clamp(body: dict[str, Any], limit: int, *, is_preview: bool) -> dict[str, Any]:
    """A copy that asks for at most `limit` output tokens; the same object where it does already."""
    lower = {name: limit for name in BOUNDS if _is_above(body.get(name), limit)}
    if all(body.get(name) is None for name in BOUNDS):
        lower["max_response_output_tokens" if is_preview else "max_output_tokens"] = limit
    return {**body, **lower} if lower else body


def _is_above(value: Any, limit: int) -> bool:
    return value == "inf" or (type(value) is int and value > limit)


# What a server's event reports. The upstream's own: distrusted, and nothing here raises.


def response_of(event: dict[str, Any]) -> dict[str, Any]:
    """The response in a `response.created` or `response.done`; {} where there is none."""
    response = event.get("response")
    return response if type(response) is dict else {}


def response_id_of(event: dict[str, Any]) -> str:
    """Which response an event belongs to; "": none."""
    found = event.get("response_id")
    if found is None:
        found = response_of(event).get("id")
    return found if type(found) is str else ""


def usage_of(report: Any) -> Usage | None:
    """Usage of a finished response; None: it reports none. Complete where both counts are there."""
    if type(report) is not dict:
        return None
    spent, made = fields.tokens(report.get("input_tokens")), fields.tokens(report.get("output_tokens"))
    if spent is None and made is None:
        return None
    details = report.get("input_token_details")
    cached = fields.tokens(details.get("cached_tokens")) if type(details) is dict else None
    return Usage(spent or 0, min(cached or 0, spent or 0), 0, made or 0, is_complete=spent is not None and made is not None)


def heard_of(event: dict[str, Any]) -> tuple[Usage, int] | None:
    """What the transcription of the caller's own audio took: tokens, or whole seconds of audio. None: it does not say."""
    report = event.get("usage")
    if type(report) is not dict:
        return None
    seconds = report.get("seconds")
    if (type(seconds) is int or type(seconds) is float) and 0 < seconds < 1_000_000:
        return Usage(0, 0, 0, 0, is_complete=True), -int(-seconds // 1)
    usage = usage_of(report)
    return None if usage is None else (usage._replace(is_complete=True), 0)


# What the gateway says.


def error_event(refusal: Refusal, *, own_id: str, event_id: str | None) -> bytes:
    """A refusal as the vendor's error event. `event_id`: the client's event that it answers; `own_id`: of this one."""
    kind = refusal.kind
    error_type = _TYPES.get(kind) or ("server_error" if kind in _SERVER else "invalid_request_error")
    error = {
        "type": error_type,
        "code": refusal.code or _CODES.get(kind),
        "message": clean(refusal.message),
        "param": None if refusal.param is None else clean(refusal.param),
        "event_id": None if event_id is None else clean(event_id),
    }
    return orjson.dumps({"type": "error", "event_id": own_id, "error": error})


def rate_limits(event: dict[str, Any], limits: list[Limit]) -> bytes | None:
    """`rate_limits.updated` with the caller's own limits in the place of the operator's; None: there are none to tell."""
    tightest: dict[str, Limit] = {}
    for limit in limits:
        name = "requests" if limit.meter == "requests" else "tokens" if limit.meter in TOKEN_METERS else ""
        if name and limit.enforce and (name not in tightest or is_tighter(limit, tightest[name])):
            tightest[name] = limit
    if not tightest:
        return None
    told = [
        {
            "name": name,
            "limit": limit.limit,
            "remaining": max(0, limit.remaining),
            "reset_seconds": round(limit.reset_us / 1_000_000, 3),
        }
        for name, limit in sorted(tightest.items())
    ]
    return orjson.dumps({"type": "rate_limits.updated", "event_id": event.get("event_id"), "rate_limits": told})


def cut_short(event: dict[str, Any]) -> dict[str, Any]:
    """A `response.done` of a response that the gateway had cancelled, as the vendor ends one at its bound."""
    reason = {"type": "incomplete", "reason": "max_output_tokens"}
    return {**event, "response": {**response_of(event), "status": "incomplete", "status_details": reason}}
