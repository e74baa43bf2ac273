"""API keys: how one is made, and the only form in which it is kept. Pure: randomness and the secret are arguments.

Rule: a key itself is never stored, logged or written to a policy; its keyed hash is. Without the deployment's secret a
leaked policy file lets nobody test guesses.
"""

from __future__ import annotations

import hmac
import string

PREFIX = "sk-gauger-"
ENTROPY_BYTES_MIN = 24
"""192 bits: no guessing, and no birthday among keys."""

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def digest(secret: bytes, key: str) -> str:
    """The key's HMAC-SHA256 under the secret, 64 hex digits. `key` may be any header text, surrogate escapes included."""
    return hmac.digest(secret, key.encode("utf-8", "surrogateescape"), "sha256").hex()


def new_key(entropy: bytes) -> str:
    """The key that these random bytes make: `sk-gauger-` and their base 62, as long for all inputs of one length.

    Raises ValueError for fewer than ENTROPY_BYTES_MIN bytes.
    """
    if len(entropy) < ENTROPY_BYTES_MIN:
        raise ValueError(f"a key needs at least {ENTROPY_BYTES_MIN} bytes of entropy, not {len(entropy)}")
    number, largest = int.from_bytes(entropy, "big"), 256 ** len(entropy) - 1
    letters = []
    while largest:
        number, letter = divmod(number, 62)
        largest //= 62
        letters.append(_BASE62[letter])
    return PREFIX + "".join(reversed(letters))


def yaml_line(key_id: str, key_digest: str) -> str:
    """The entry to paste into a tenant's `keys`. The id is quoted: it may read as a number or a boolean."""
    return f'- {{id: "{key_id}", hash: "hmac-sha256:{key_digest}"}}'
