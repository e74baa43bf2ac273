"""How Anthropic writes errors and limits.

Errors: https://docs.anthropic.com/en/api/errors; limits: https://docs.anthropic.com/en/api/rate-limits#response-headers.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from gateway.errors import Refusal
from gateway.values import Limit
from gateway.wires.limits import ietf, is_tighter, left, timestamp
from gateway.wires.text import clean

_TYPES = {
    "authentication": "authentication_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "too_large": "request_too_large",
    "rate_limit": "rate_limit_error",
    "quota": "rate_limit_error",
    "upstream": "api_error",
    "timeout": "timeout_error",
    "overloaded": "overloaded_error",
    "internal": "api_error",
}
"""By kind; all others are "invalid_request_error"."""
_SERVER_STATUSES = {"timeout": 504, "overloaded": 529}
"""By kind, for what is 5xx at OpenAI; all others are 500, the only other status this vendor fails with."""
_SLOTS = {"requests": ("requests",), "total_tokens": ("tokens",), "input_tokens": ("tokens", "input-tokens")} | {
    "output_tokens": ("tokens", "output-tokens")
}
"""Which headers a meter's limit is told in: "tokens" is the tightest of all that count tokens."""


class Anthropic:
    name = "anthropic"
    request_id_header = "request-id"

    def status(self, refusal: Refusal) -> int:
        return refusal.status if refusal.status < 500 else _SERVER_STATUSES.get(refusal.kind, 500)

    def error_body(self, refusal: Refusal, request_id: str) -> bytes:
        """`{"type":"error","error":{"type","message"},"request_id"}`; the field that was wrong is named in the message."""
        error = {"type": _TYPES.get(refusal.kind, "invalid_request_error"), "message": clean(refusal.message)}
        return orjson.dumps({"type": "error", "error": error, "request_id": clean(request_id)})

    def error_event(self, refusal: Refusal, request_id: str) -> bytes:
        """An `error` event: the SDK raises by its name."""
        return b"event: error\ndata: " + self.error_body(refusal, request_id) + b"\n\n"

    def limit_headers(self, limits: Sequence[Limit], *, now_s: float) -> list[tuple[str, str]]:
        """`anthropic-ratelimit-*` of the tightest limit of each kind, and the IETF's pair."""
        tightest: dict[str, Limit] = {}
        for limit in limits:
            if limit.enforce:
                for slot in _SLOTS.get(limit.meter, ()):
                    known = tightest.get(slot)
                    if known is None or is_tighter(limit, known):
                        tightest[slot] = limit
        headers = ietf(limits)
        now_us = int(now_s * 1_000_000)
        for slot, limit in tightest.items():
            headers.append((_LIMIT[slot], str(limit.limit)))
            headers.append((_REMAINING[slot], left(limit)))
            headers.append((_RESET[slot], timestamp(-(-(now_us + limit.reset_us) // 1_000_000))))
        return headers


def _names(what: str) -> dict[str, str]:
    return {slot: f"anthropic-ratelimit-{slot}-{what}" for slot in ("requests", "tokens", "input-tokens", "output-tokens")}


_LIMIT, _REMAINING, _RESET = _names("limit"), _names("remaining"), _names("reset")
