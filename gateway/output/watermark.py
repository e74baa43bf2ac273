"""A keyed green list, carried to the model server by `logit_bias`: how a request is marked. Pure.

Zhao et al. 2023, "Provable Robust Watermarking for AI-Generated Text" (arXiv 2306.17439): a secret part of the vocabulary is
green, the same at every place of every text, and green tokens are made a little likelier. Whoever has the key counts them
(`watermark_detect`); whoever has not sees nothing but ordinary words.

What is fixed for ever, because texts outlive deployments:

    key(tenant)      HMAC-SHA256(secret, "gauger-watermark" || length of the name, 4 bytes, big-endian || name in UTF-8)
    rank(key, id)    bytes 8*id to 8*id + 7 of SHAKE-256("gauger-green-1" || key), as a big-endian number
    green            the round(share x vocabulary) ids below `vocabulary` of the lowest rank; of equal ranks the lower id

So there is no key to keep but the deployment's secret, and the list of a smaller share lies within that of a larger one.

Failure policy: a request's own logit_bias that cannot be read in one way only is refused (400). A server that reads "07" or
" 7" as 7 would let a tenant write over what is added here.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from hashlib import shake_256
from typing import Any

import orjson

from gateway.errors import Refusal
from gateway.policy.model import Watermark

KEY_BYTES = 32
ENTRIES_MAX = 300
"""Most entries of a tenant's own logit_bias in a request that is marked: OpenAI's own bound. They are walked one by one."""
BIAS_MAX = 100
"""The API's range is -100 to 100: https://platform.openai.com/docs/api-reference/chat/create#chat-create-logit_bias"""
_ID_DIGITS_MAX = 9
_RANK_BYTES = 8


@dataclass(frozen=True, slots=True)
class Marked:
    """What marks one tenant's requests, made once. Its repr tells nothing: who knows the list can take the mark out."""

    bias: float
    entries: bytes = field(repr=False)
    """The whole logit_bias as JSON: `{"290":2,...}`. Kept as bytes, at a tenth of what the same dict would weigh."""
    fragment: orjson.Fragment = field(repr=False, compare=False)
    """`entries` as a value that `orjson.dumps` copies in as it is."""


def key_of(secret: bytes, tenant: str) -> bytes:
    """The tenant's key, 32 bytes. It tells nothing about the secret or other tenants' keys, and may be given away to check."""
    name = tenant.encode()
    return hmac.digest(secret, b"gauger-watermark" + len(name).to_bytes(4, "big") + name, "sha256")


def green_size(vocabulary: int, share_milli: int) -> int:
    """How many ids are green: round(share x vocabulary), halves up."""
    return (share_milli * vocabulary + 500) // 1000


def green(key: bytes, vocabulary: int, share_milli: int) -> list[int]:
    """The green ids, ascending. Some milliseconds for a vocabulary of 8192: make it once."""
    stream = shake_256(b"gauger-green-1" + key).digest(vocabulary * _RANK_BYTES)
    # Big-endian numbers of one length are ordered as their bytes are.
    ranked = sorted((stream[at * _RANK_BYTES : (at + 1) * _RANK_BYTES], at) for at in range(vocabulary))
    return sorted([token for _, token in ranked[: green_size(vocabulary, share_milli)]])


def mark_of(secret: bytes, tenant: str, watermark: Watermark) -> Marked:
    """What marks this tenant's requests under this policy."""
    bias = watermark.bias_milli / 1000
    ids = green(key_of(secret, tenant), watermark.vocabulary, watermark.share_milli)
    written = int(bias) if bias.is_integer() else bias  # `2` and not `2.0`: a tenth of the bytes that every request carries
    entries = orjson.dumps({str(token): written for token in ids})
    return Marked(bias, entries, orjson.Fragment(entries))


def marked(body: dict[str, Any], mark: Marked) -> dict[str, Any]:
    """The body with its green tokens favoured: a copy, for `orjson.dumps` only (its `logit_bias` may be a Fragment).

    What the tenant's own logit_bias says is added. Raises Refusal (400) where that cannot be read.
    """
    own = body.get("logit_bias")
    return {**body, "logit_bias": mark.fragment if own is None else _merged(own, mark)}


def _merged(own: object, mark: Marked) -> dict[str, int | float]:
    """The tenant's entries and the mark's, in -100 to 100.

    The tenant's are first lowered to what leaves room for the bias, green or not: were only the sum cut off at 100, 100 on
    every token would change nothing in the text but the mark, which would be gone.
    """
    if type(own) is not dict:
        raise _refused("must be an object of token ids and numbers")
    if len(own) > ENTRIES_MAX:
        raise _refused(f"may have at most {ENTRIES_MAX} entries, not {len(own)}")
    merged: dict[str, int | float] = orjson.loads(mark.entries)
    highest = BIAS_MAX - mark.bias
    for token, bias in own.items():
        is_plain = token.isascii() and token.isdigit() and len(token) <= _ID_DIGITS_MAX and (len(token) == 1 or token[0] != "0")
        if not is_plain:
            raise _refused("has a key that is no token id: write ids as plain decimal numbers")
        if type(bias) is not int and type(bias) is not float:
            raise _refused(f"has a value that is no number from -{BIAS_MAX} to {BIAS_MAX}")
        merged[token] = merged.get(token, 0) + min(max(bias, -BIAS_MAX), highest)
    return merged


def _refused(what: str) -> Refusal:
    return Refusal(
        "invalid_request", f"logit_bias {what}.", status=400, param="logit_bias", code="invalid_value", reason="output_policy"
    )
