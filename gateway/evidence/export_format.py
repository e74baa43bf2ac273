"""What the first and the last line of a file of evidence are: shared by who writes it and who checks it. Pure."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

import orjson

FORMAT = 1
HEAD_FIELDS = (
    "gauger_evidence", "statement", "organisation", "tenant", "tenant_key", "from_us", "to_us", "made_at_us", "rules",
    "removals", "keys", "successions",
)  # fmt: skip
HEAD_BYTES_MAX = 16_000_000
SIGNED_END = b"gauger evidence export 1\n"
END = re.compile(
    rb'(\{"lines":([1-9][0-9]{0,17}),"sha256":"([0-9a-f]{64})","key":"([0-9a-f]{16})"),"signature":"([0-9a-f]{128})"\}\n'
)
STATEMENT = (
    "This is evidence of traffic: which requests a gateway was sent in whose name, what it measured in them, what it decided. "
    "It is no evidence of what anybody did with the answers: it cannot show that a model was trained on them. "
    "Fingerprints are keyed and scores are estimates: equal fingerprints mean equal input, a high score means resemblance. "
    "Signatures show that nothing was changed since it was written down, not that what was written is true."
)


def rules_bytes(rules: Any) -> bytes:
    """The rules as they are written: equal rules are equal bytes."""
    return orjson.dumps(rules, option=orjson.OPT_SORT_KEYS)


def rules_id(rules: Any) -> str:
    """The name by which entries name them."""
    return sha256(rules_bytes(rules)).hexdigest()[:16]


def write_end(signer_id: str, count: int, digest: bytes) -> bytes:
    """What the last line signs, and begins with."""
    return b'{"lines":%d,"sha256":"%s","key":"%s"' % (count, digest.hex().encode(), signer_id.encode())
