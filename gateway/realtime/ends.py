"""How a realtime session ends: by whom, with what close frame, and what the client is told first.

====================================  =====  ==============================
the client closes                     its own
the upstream closes                   the upstream's code and reason
the upstream breaks off, or sends     1011   `server_error`
what is no event
a budget is spent for a long time     1008   `insufficient_quota`
the policy lets the caller no more    1008   `invalid_api_key`, ..
the gateway's total_timeout           1001   `session_expired`
the gateway stops                     1001   once what runs is done, and in the drain time
====================================  =====  ==============================
"""

from __future__ import annotations

from typing import NamedTuple

from gateway import answer
from gateway.errors import Refusal, StoreFault, UpstreamFault
from gateway.output.fields import FieldRefused
from gateway.upstream.websocket import Closed
from gateway.values import Cut, Ended
from gateway.wires.base import BadField
from gateway.wires.openai_realtime import BadEvent

_TELLABLE = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014))
"""Codes that a close frame may carry (RFC 6455 section 7.4), beside 3000 to 4999."""
_REASON_BYTES_MAX = 123

Declined = BadEvent | BadField | FieldRefused | StoreFault | Refusal
"""Why an event of the client's is answered and not forwarded."""


class End(NamedTuple):
    """Why a session ends, and with what close frame."""

    ended: Ended
    code: int
    reason: str = ""
    refusal: Refusal | None = None
    """What the client is told first."""
    cut: Cut = ""

    @property
    def close_code(self) -> int:
        """The code that a close frame may say."""
        return self.code if is_tellable(self.code) else 1000


def is_tellable(code: int) -> bool:
    return code in _TELLABLE or 3000 <= code < 5000


def ended_by(closed: Closed) -> End:
    """How a session ends that the upstream has closed. Raises UpstreamFault where it just broke off."""
    if closed.code in (1000, 1001, 1005):
        return End("complete", 1000 if closed.code == 1005 else closed.code, closed.reason)
    if is_tellable(closed.code):
        return End("upstream_died", closed.code, closed.reason)
    raise UpstreamFault("broken", "the upstream broke off the session", reached=True)


def expired(limit_s: float) -> End:
    """The session has been open for as long as any may be."""
    message = f"Your session hit the maximum duration of {limit_s / 60:g} minutes."
    refusal = Refusal("invalid_request", message, status=408, code="session_expired", reason="session_expired")
    return End("cut", 1001, message, refusal, "limit")


def spent_by(refusal: Refusal) -> End | None:
    """The end of a session whose caller is refused for long: waiting is useless, or it may not go on. None: it may wait."""
    wait_ms = refusal.retry_after_ms
    is_spent = refusal.kind == "quota" and wait_ms is not None and wait_ms > answer.SHORT_WAIT_MS
    if is_spent or refusal.kind in ("authentication", "permission"):
        return End("cut", 1008, refusal.message, cut="budget" if is_spent else "")
    return None


def refusal_of(declined: Declined) -> Refusal:
    """What an event is answered with that is not forwarded."""
    if isinstance(declined, Refusal):
        return declined.with_traceback(None)
    if isinstance(declined, StoreFault):
        return answer.refusal_without_store(declined)
    if isinstance(declined, BadEvent):
        code = declined.code
    else:
        code = "invalid_value" if isinstance(declined, BadField) else "field_not_allowed"
    return Refusal("invalid_request", declined.message, status=400, param=declined.param, code=code, reason="bad_event")


def close_reason(reason: str) -> bytes:
    """A close frame's reason: whole characters, 123 bytes at most."""
    return reason.encode("utf-8", "replace")[:_REASON_BYTES_MAX].decode("utf-8", "ignore").encode()
