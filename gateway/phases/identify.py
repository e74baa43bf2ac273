"""Who asks: from the key in the headers to the caller the policy knows."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from gateway.errors import Refusal
from gateway.policy.model import Policy
from gateway.values import Caller

KEY_CHARACTERS_MAX = 512


def identify(headers: Mapping[str, str], policy: Policy, secret: bytes) -> Caller:
    """The caller whose key the request carries, as `Authorization: Bearer KEY` or `x-api-key: KEY`.

    Raises Refusal (authentication). It never repeats the key, and says the same of a key that is unknown, revoked or
    malformed, so that nobody learns anything by trying.
    """
    authorization = headers.get("Authorization")
    key = headers.get("x-api-key")
    if authorization is not None:
        scheme, _, bearer = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise _refused("The Authorization header must read 'Bearer' and an API key.")
        bearer = bearer.strip()
        if key is not None and key != bearer:
            raise _refused("The Authorization and x-api-key headers carry different API keys: send one.")
        key = bearer
    if not key:
        raise _refused("You didn't provide an API key: send it as 'Authorization: Bearer KEY' or 'x-api-key: KEY'.")
    if len(key) > KEY_CHARACTERS_MAX:
        raise _refused("Incorrect API key provided.")
    digest = hmac.digest(secret, key.encode("utf-8", "surrogateescape"), "sha256").hex()
    known = policy.keys.get(digest)
    if known is None:
        raise _refused("Incorrect API key provided.")
    tenant = policy.tenants[known.tenant]
    return Caller(tenant.organisation, tenant.name, known.id, tenant.plan)


def _refused(message: str) -> Refusal:
    return Refusal("authentication", message, status=401, code="invalid_api_key", reason="authentication")
