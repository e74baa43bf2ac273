"""Declared purposes: what an operator has agreed with a tenant that its traffic is for, until when, and why."""

from __future__ import annotations

from gateway.policy.fields import Fields, one_of, text
from gateway.policy.model import PURPOSES, Declared
from gateway.policy.read_when import MOMENT, read_instant
from gateway.policy.shapes import choice, needed, texts

_REASON_CHARACTERS_MAX = 200
WORDS = {"purpose": needed(choice(PURPOSES)), "until": needed(MOMENT), "reason": needed(texts(_REASON_CHARACTERS_MAX))}


def read_purposes(owner: Fields) -> tuple[Declared, ...]:
    """The `purposes` of a mapping. Each ends: what is agreed for ever is looked at by nobody."""
    declared = []
    for path, node in owner.items("purposes"):
        fields = Fields(owner.report, node, path, WORDS)
        purpose = fields.need("purpose", one_of(PURPOSES), PURPOSES[0])
        if "until" not in fields and fields.is_usable:
            owner.report.add(node, path, "`until` is missing")
        until_us = read_instant(fields, "until", is_end=True)
        reason = fields.need("reason", text(_reason), "")
        declared.append(Declared(purpose, until_us or 0, reason, owner.report.place(node)))
    return tuple(declared)


def _reason(written: str) -> str:
    if not written.strip() or len(written) > _REASON_CHARACTERS_MAX:
        raise ValueError(f"a reason is a text of 1 to {_REASON_CHARACTERS_MAX} characters: who agreed to it, and why")
    return written
