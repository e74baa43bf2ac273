"""Samples of prompts, sealed: whoever has the deployment's secret can open them, nobody else.

AES-256-GCM under a key of its own for each sample: HKDF-SHA-256 of the secret with 16 random bytes. Who the sample is of is
bound to it: it cannot be passed off as another tenant's or another request's. The gateways and whoever opens the samples hold
the same secret, so a pair of keys (X25519) would protect nothing more.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SAMPLE_BYTES_MAX = 65_536
"""Of a longer text its beginning is kept."""
_VERSION = b"\x01"
_SALT_BYTES = 16
_NONCE = bytes(12)
"""Each key is used once."""


def seal(
    secret: bytes, text: bytes, *, organisation: str, tenant: str, request_id: str, random: Callable[[int], bytes] = os.urandom
) -> str:
    """The sample as text (base64) that tells nothing but its length."""
    salt = random(_SALT_BYTES)
    sealed = AESGCM(_key(secret, salt)).encrypt(_NONCE, text[:SAMPLE_BYTES_MAX], _whose(organisation, tenant, request_id))
    return base64.b64encode(_VERSION + salt + sealed).decode()


def unseal(secret: bytes, sealed: str, *, organisation: str, tenant: str, request_id: str) -> bytes:
    """Raises ValueError: it is no sample of this request, was changed, or was sealed under another secret."""
    try:
        data = base64.b64decode(sealed, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is no sealed sample") from None
    if base64.b64encode(data).decode() != sealed:
        raise ValueError("is no sealed sample")
    if data[:1] != _VERSION or len(data) <= _SALT_BYTES:
        raise ValueError("is no sealed sample of a version that is known here")
    salt, rest = data[1 : 1 + _SALT_BYTES], data[1 + _SALT_BYTES :]
    try:
        return AESGCM(_key(secret, salt)).decrypt(_NONCE, rest, _whose(organisation, tenant, request_id))
    except (InvalidTag, ValueError):
        raise ValueError("was sealed under another secret, or is not of this request") from None


def _key(secret: bytes, salt: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, b"gauger evidence sample 1").derive(secret)


def _whose(organisation: str, tenant: str, request_id: str) -> bytes:
    return "\0".join((organisation, tenant, request_id)).encode()
