"""The share of prompts that the policy keeps as evidence, sealed before they go anywhere. CPU alone.

Which request is kept is chance: nobody who sends one can tell. What is kept of a long prompt is its beginning and its end.
"""

from __future__ import annotations

from secrets import randbelow

import orjson

from gateway.evidence.seal import seal
from gateway.snapshot import Snapshot
from gateway.values import Ask, Caller

PARTS = ("system", "instructions", "messages", "input", "prompt")
"""Fields of a body in which its text is."""
PROMPT_BYTES_MAX = 8_192
TEXT_BYTES_MAX = 1_000_000
"""Of a larger prompt nothing is kept: serialising it would hold up the others."""


def sample(policy: Snapshot, caller: Caller, ask: Ask, request_id: str) -> str:
    """The prompt, sealed, where it is one of those that are kept; else ""."""
    share_milli = policy.policy.watch.sample_milli
    if not share_milli or randbelow(1_000) >= share_milli or ask.text_bytes > TEXT_BYTES_MAX:
        return ""
    text = orjson.dumps({name: ask.body[name] for name in PARTS if name in ask.body})
    if len(text) > PROMPT_BYTES_MAX:
        half = PROMPT_BYTES_MAX // 2
        text = b"%s [... %d bytes ...] %s" % (text[:half], len(text) - 2 * half, text[-half:])
    return seal(policy.secret, text, organisation=caller.organisation, tenant=caller.tenant, request_id=request_id)
