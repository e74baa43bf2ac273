"""How OpenAI writes errors and limits.

Errors: https://platform.openai.com/docs/guides/error-codes; limits: https://platform.openai.com/docs/guides/rate-limits.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from gateway.errors import Refusal
from gateway.values import Limit
from gateway.wires.limits import TOKEN_METERS, duration, ietf, is_tighter, left
from gateway.wires.text import clean

_TYPES = {
    "quota": "insufficient_quota",
    "upstream": "server_error",
    "timeout": "server_error",
    "overloaded": "server_error",
    "internal": "server_error",
}
"""By kind; all others are "invalid_request_error", but rate_limit, whose type is what was limited."""
_CODES = {"quota": "insufficient_quota", "authentication": "invalid_api_key", "rate_limit": "rate_limit_exceeded"}


class OpenAI:
    name = "openai"
    request_id_header = "x-request-id"

    def status(self, refusal: Refusal) -> int:
        return refusal.status

    def error_body(self, refusal: Refusal, request_id: str) -> bytes:
        """`{"error":{"message","type","param","code"}}`; the request's id is in the header alone."""
        kind = refusal.kind
        code = refusal.code or _CODES.get(kind)
        if code is None and kind == "not_found" and refusal.param == "model":
            code = "model_not_found"
        if kind == "rate_limit":
            error_type = "tokens" if refusal.meter in TOKEN_METERS else "requests"
        else:
            error_type = _TYPES.get(kind, "invalid_request_error")
        param = None if refusal.param is None else clean(refusal.param)
        error = {"message": clean(refusal.message), "type": error_type, "param": param, "code": code}
        return orjson.dumps({"error": error})

    def error_event(self, refusal: Refusal, request_id: str) -> bytes:
        """A chunk with an `error`: the SDK raises APIError by it."""
        return b"data: " + self.error_body(refusal, request_id) + b"\n\n"

    def limit_headers(self, limits: Sequence[Limit], *, now_s: float) -> list[tuple[str, str]]:
        """`x-ratelimit-*` of the tightest limit on requests and of the tightest on tokens, and the IETF's pair."""
        requests: Limit | None = None
        tokens: Limit | None = None
        for limit in limits:
            if not limit.enforce:
                continue
            if limit.meter == "requests":
                if requests is None or is_tighter(limit, requests):
                    requests = limit
            elif limit.meter in TOKEN_METERS and (tokens is None or is_tighter(limit, tokens)):
                tokens = limit
        headers = ietf(limits)
        if requests is not None:
            headers.append(("x-ratelimit-limit-requests", str(requests.limit)))
            headers.append(("x-ratelimit-remaining-requests", left(requests)))
            headers.append(("x-ratelimit-reset-requests", duration(requests.reset_us)))
        if tokens is not None:
            headers.append(("x-ratelimit-limit-tokens", str(tokens.limit)))
            headers.append(("x-ratelimit-remaining-tokens", left(tokens)))
            headers.append(("x-ratelimit-reset-tokens", duration(tokens.reset_us)))
        return headers
