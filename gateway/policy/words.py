"""The words of a policy file's levels, from the top down, and what may stand under each. Parts have theirs where they are read.

Messages name them in this order, and `gauger schema` is made of them.
"""

from __future__ import annotations

from typing import Literal

from gateway.policy import scalars
from gateway.policy.read_globs import ENDPOINT_GLOBS, GROUP_GLOBS, PLAIN_GLOB
from gateway.policy.read_plans import WORDS as PLAN_WORDS
from gateway.policy.read_prices import WORDS as PRICE_WORDS
from gateway.policy.read_purposes import WORDS as PURPOSE_WORDS
from gateway.policy.read_upstreams import WORDS as UPSTREAM_WORDS
from gateway.policy.read_watch import LADDER_WORDS, WATCH_WORDS
from gateway.policy.shapes import COUNT, MODELS, NAME, choice, exactly, items, named, needed, ref, table, written

VERSION = 1
Unbounded = Literal["model", "learned"]
UNBOUNDED: tuple[Unbounded, ...] = ("model", "learned")
TOP_WORDS = {
    "version": needed(exactly(VERSION)),
    "defaults": ref("defaults"),
    "groups": named(GROUP_GLOBS),
    "models": items(ref("model")),
    "upstreams": named(table(UPSTREAM_WORDS)),
    "organisations": named(ref("organisation")),
    "plans": named(ref("plan")),
    "tenants": named(ref("tenant")),
    "watch": table(WATCH_WORDS),
    "ladders": named(table(LADDER_WORDS)),
}
FIRST_WORDS = ("defaults", "groups", "watch")
"""What all other sections refer to, in whichever file it stands: it is read before them."""
RULE_DEFAULTS = {"max_output_tokens": COUNT, "unbounded_output": choice(UNBOUNDED)}
"""What `defaults` says for model rules; the rest of it is for plans."""
_BUDGETS = items(ref("budget"))
DEFAULTS_WORDS = {**RULE_DEFAULTS, **{word: shape for word, shape in PLAN_WORDS.items() if word not in ("extends", "ladder")}}
"""Whose ladder is whose where nobody says so is a word of `watch`."""
RULE_WORDS = {
    "match": needed(PLAIN_GLOB),
    "max_output_tokens": COUNT,
    "price": table(PRICE_WORDS),
    "unbounded_output": choice(UNBOUNDED),
    "budgets": _BUDGETS,
    "output": ref("model_output"),
}
ORGANISATION_WORDS = {
    "budgets": _BUDGETS,
    "models": MODELS,
    "endpoints": ENDPOINT_GLOBS,
    "purposes": items(table(PURPOSE_WORDS)),
    "ladder": NAME,
    "output": ref("output"),
}
TENANT_WORDS = {"organisation": needed(NAME), "plan": needed(NAME), **ORGANISATION_WORDS, "keys": items(ref("key"))}
KEY_WORDS = {
    "id": needed(written(f"(?!sk-){scalars.NAME.pattern}", scalars.NAME_IS)),
    "hash": needed(written(scalars.HASH.pattern)),
    **ORGANISATION_WORDS,
}
