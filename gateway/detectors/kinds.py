"""Which streams of a window a request belongs to, besides that of its template: what it could be part of at all.

A tenant is not judged by the mixture of what it sends, so what is sorted wrongly here is not judged at all.
"""

from __future__ import annotations

from gateway.detectors.features import INDEX
from gateway.values import Sighting

KINDS = ("all", "orders", "inventing", "reasoning")
INVENTING = frozenset(("invention", "rewriting", "training"))
REASONING = frozenset(("steps", "hidden", "grading"))
CONTEXT_BYTES_MAX = 400
"""Beside the slot: more is an application's own prompt, or what a question is about."""
ORDER_BYTES_MAX = 600
"""Of a slot that is one order: more brings a text that it is about, and so do jobs over documents."""
CUES_MIN = 2
"""Of the weaker cues, that a template must give to be one that asks for tasks to be made."""
PROBLEM_BYTES = 60, 600
"""Of a slot that is an examination problem: more is a text that a question is about."""

_OPENS, _POLISH, _PERSONAL, _CODE = INDEX["opens"], INDEX["polish"], INDEX["personal"], INDEX["code"]
_TURNS, _TOOLS, _SAMPLES, _OPTIONS = INDEX["turns"], INDEX["tools"], INDEX["samples"], INDEX["options"]
_CLOSES, _DIGITS, _SHOTS = INDEX["closes"], INDEX["digits"], INDEX["shots"]
_MAKES, _GRADES = INDEX["makes"], INDEX["grades"]
_WEAK = tuple(INDEX[name] for name in ("changes", "varies", "models", "hard", "inputs"))


def is_order(sighting: Sighting) -> bool:
    """One whole task for anybody: it opens like one, is written out, speaks of nobody's own affairs and brings no material."""
    features = sighting.features
    return (
        features[_OPENS] > 0
        and sighting.slot_bytes <= ORDER_BYTES_MAX
        and sighting.prompt_bytes - sighting.slot_bytes <= CONTEXT_BYTES_MAX
        and features[_OPTIONS] < 500
        and features[_POLISH] >= 750
        and features[_PERSONAL] <= 100
        and features[_CODE] <= 150
        and not features[_TURNS]
        and not features[_TOOLS]
    )


def is_problem(sighting: Sighting) -> bool:
    """An examination problem that brings all it needs: a few written-out sentences with numbers, a question, no choices."""
    features = sighting.features
    return (
        PROBLEM_BYTES[0] <= sighting.slot_bytes <= PROBLEM_BYTES[1]
        and features[_DIGITS] >= 60
        and features[_CLOSES] > 0
        and sighting.prompt_bytes - sighting.slot_bytes <= CONTEXT_BYTES_MAX
        and features[_POLISH] >= 600
        and features[_PERSONAL] <= 80
        and features[_CODE] <= 200
        and features[_SHOTS] < 100
        and features[_OPTIONS] < 500
        and not features[_TURNS]
        and not features[_TOOLS]
    )


def is_inventing(sighting: Sighting) -> bool:
    """Whether a tripwire says that tasks are to be made, or the tenant's own template does."""
    features = sighting.features
    return (
        not INVENTING.isdisjoint(sighting.phrases)
        or features[_MAKES] > 0
        or sum([features[index] > 0 for index in _WEAK]) >= CUES_MIN
    )


def is_reasoning(sighting: Sighting) -> bool:
    """Whether reasoning or judgement is what is wanted: tripwires or the template say so, or several answers are asked for."""
    features = sighting.features
    return features[_SAMPLES] > 0 or features[_GRADES] > 0 or not REASONING.isdisjoint(sighting.phrases)
