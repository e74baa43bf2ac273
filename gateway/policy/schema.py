"""The JSON Schema of one policy file, made of the readers' tables of words: editors complete and check by it.

It says less than the loader: what depends on another word, on another file or on how a value is spelled in YAML is not in it.
What it refuses, the loader refuses too.
"""

from __future__ import annotations

from gateway.policy.read_budgets import WORDS as BUDGET_WORDS
from gateway.policy.read_output import OUTPUT_WORDS
from gateway.policy.read_plans import WORDS as PLAN_WORDS
from gateway.policy.shapes import Schema, Words, table
from gateway.policy.words import (
    DEFAULTS_WORDS,
    KEY_WORDS,
    ORGANISATION_WORDS,
    RULE_WORDS,
    TENANT_WORDS,
    TOP_WORDS,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SHARED: dict[str, Words] = {
    "budget": BUDGET_WORDS,
    "output": {word: shape for word, shape in OUTPUT_WORDS.items() if word != "thinks_first"},
    "model_output": OUTPUT_WORDS,
    "defaults": DEFAULTS_WORDS,
    "model": RULE_WORDS,
    "plan": PLAN_WORDS,
    "organisation": ORGANISATION_WORDS,
    "tenant": TENANT_WORDS,
    "key": KEY_WORDS,
}
"""Mappings that others refer to by name."""


def json_schema() -> Schema:
    """The schema of a file, as a tree of plain values."""
    return {
        "$schema": DIALECT,
        "title": "Gauger policy",
        **table(TOP_WORDS).schema,
        "$defs": {name: table(words).schema for name, words in SHARED.items()},
    }
