"""Who asks: from the key in the headers to the caller the policy knows."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from gateway.errors import Refusal
from gateway.policy.model import Policy
from gateway.values import Caller

KEY_CHARACTERS_MAX = 512


def identify(headers: Mapping[str, str], policy: Policy, secret: bytes, known: dict[str, Caller]) -> Caller:
    """The caller whose key the request carries, as `Authorization: Bearer KEY` or `x-api-key: KEY`.

    `known` remembers callers by what they sent, for as long as the policy lives; only good keys get into it, so it has at
    most two entries a key. Raises Refusal (authentication). It never repeats the key, and says the same of a key that is
    unknown, revoked or malformed, so that nobody learns anything by trying.
    """
    authorization = headers.get("Authorization")
    key = headers.get("x-api-key")
    if key is None:
        sent = authorization
    else:
        sent = f"x-api-key\n{key}" if authorization is None else None  # no header value holds a line break
    caller = known.get(sent) if sent is not None else None
    if caller is not None:
        return caller
    carried = _key_in(authorization, key)
    digest = hmac.digest(secret, carried.encode("utf-8", "surrogateescape"), "sha256").hex()
    found = policy.keys.get(digest)
    if found is None:
        raise _refused("Incorrect API key provided.")
    tenant = policy.tenants[found.tenant]
    caller = Caller(tenant.organisation, tenant.name, found.id, tenant.plan)
    if sent is not None and len(known) < 2 * len(policy.keys):
        known[sent] = caller
    return caller


def _key_in(authorization: str | None, key: str | None) -> str:
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
    return key


def _refused(message: str) -> Refusal:
    return Refusal("authentication", message, status=401, code="invalid_api_key", reason="authentication")
