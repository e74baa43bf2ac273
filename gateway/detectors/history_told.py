"""What changed, in words: the measures that moved most between a tenant's own past and what it does now, from and to. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from gateway.detectors.features import FEATURES
from gateway.detectors.history_cells import (
    BINS,
    GROUPS_AT,
    ORDER_AT,
    PROGRAMS,
    PROGRAMS_AT,
    WEIGHTS,
    WORDS_AT,
    Sums,
)
from gateway.detectors.profiles import regular
from gateway.detectors.vocabulary import Spread
from gateway.detectors.window import Window
from gateway.values import Reason

TOLD_MAX = 5
GAPS_MIN = 25
MOVED_MIN = 0.05
"""Of the whole distance: what moved less is not told."""
_SHARE = "per mille"

PRESENT = {
    "opens": "opening",
    "questions": "asking",
    "shots": "with_shots",
    "options": "with_options",
    "turns": "with_turns",
    "tools": "tools",
    "samples": "with_samples",
    "logprobs": "logprobs",
}
"""Features that a request has or has not: told as the share of requests that have them."""
DOUBLED = {"size": ("slot_bytes", "bytes"), "prompt": ("prompt_bytes", "bytes"), "system": ("system_bytes", "bytes"),
           "room": ("room_tokens", "tokens")}  # fmt: skip
"""Features that are doublings of a size: told as the middle size of those requests that have one."""
MAY_LACK = {"system": "with_system", "room": "with_room"}
"""Of those, what a request may be without: told as the share that has it, where that is what changed."""
LACK_MIN = 0.1

SENTENCES = {
    "opening": "how many requests open like a task",
    "asking": "how many requests hold a question",
    "with_shots": "how many requests hold worked examples",
    "with_options": "how many requests are multiple choice",
    "with_turns": "how many requests go on with a conversation",
    "with_samples": "how many requests ask for several answers at once",
    "single_tasks": "how many requests are single-turn tasks that could be anybody's",
    "with_system": "how many requests have a system prompt",
    "with_room": "how many requests say how long answers may be",
    "slot_bytes": "how long what is asked is",
    "prompt_bytes": "how long the prompt is",
    "system_bytes": "how long the system prompt is",
    "room_tokens": "how long answers may be",
    "template": "how much of the text recurs in its requests",
    "closes": "how many requests end by asking for a quantity, a thing or a derivation",
    "sentences": "how many sentences what is asked has",
    "other_programs": "how many requests come from programs that were not at work (other fields and settings)",
    "other_words": "how far the longer words are from those that were used",
    "regular": "how even the time between requests is",
    "vocabulary": "how many different longer words stand in what is asked",
    "growth": "how fast new ones keep coming (0%: none, 100%: all are new)",
    "common": "how many of the longer words of one request stand in another one",
}
"""Of codes that no profile has."""
USUAL = {"regular": 0, "vocabulary": 850, "growth": 700, "common": 40}
"""At the median of honest tenants of 200 requests: docs/watch.md."""


class Moved(NamedTuple):
    """One measure, and how much of the distance it is."""

    part: float
    reason: Reason


def changed(now: Sums, past: Sequence[float], past_features: Sequence[float], groups: Sequence[str]) -> tuple[Reason, ...]:
    """`value` is now, `usual` what the tenant's own past says. `past` are shares by cell, `past_features` means,
    both of the nearest mixture of what was known. The measure that moved most first."""
    shares = now.shares()
    parts = [weight * (a - b) ** 2 for weight, a, b in zip(WEIGHTS, shares, past)]
    found = [_feature(index, sum(parts[BINS * index : BINS * index + BINS]), now, shares, past, past_features)
             for index in range(len(FEATURES))]  # fmt: skip
    found.append(Moved(parts[ORDER_AT], _share("single_tasks", shares[ORDER_AT], past[ORDER_AT])))
    for index, name in enumerate(groups):
        at = GROUPS_AT + index
        found.append(Moved(parts[at], _share(f"says_{name}", shares[at], past[at])))
    at, end = PROGRAMS_AT, PROGRAMS_AT + PROGRAMS
    others = sum([max(0.0, a - b) for a, b in zip(shares[at:end], past[at:end])])
    found.append(Moved(sum(parts[at:end]), _share("other_programs", others, 0.0)))
    found.append(_words(sum(parts[WORDS_AT:]), shares[WORDS_AT:], past[WORDS_AT:], now.requests))
    found.sort(key=lambda each: (-each.part, each.reason.code))
    least = MOVED_MIN * sum(parts)
    told = [each.reason for each in found[:TOLD_MAX] if each.part >= least and each.reason.value != each.reason.usual]
    return tuple(told)


def measured(window: Window, spread: Spread) -> tuple[Reason, ...]:
    """What is told beside findings, and is no part of a score: timing and vocabulary; () while too little is known."""
    values = {"regular": regular(window) if window.gaps >= GAPS_MIN else -1, "vocabulary": spread.words,
              "growth": spread.growth, "common": spread.common}  # fmt: skip
    units = {"vocabulary": "words"}
    return tuple([Reason(code, value, USUAL[code], units.get(code, _SHARE)) for code, value in values.items() if value >= 0])


def _feature(
    index: int, part: float, now: Sums, shares: Sequence[float], past: Sequence[float], past_features: Sequence[float]
) -> Moved:
    name = FEATURES[index].name
    has, had = 1 - shares[BINS * index], 1 - past[BINS * index]
    if name in PRESENT:
        return Moved(part, _share(PRESENT[name], has, had))
    if name in MAY_LACK and abs(has - had) >= LACK_MIN:
        return Moved(part, _share(MAY_LACK[name], has, had))
    mean, before = now.features[index] / (now.requests or 1), past_features[index]
    if name in DOUBLED:
        code, unit = DOUBLED[name]
        return Moved(part, Reason(code, _undoubled(mean, has), _undoubled(before, had), unit))
    return Moved(part, Reason(name, round(mean), round(before), FEATURES[index].unit))


def _words(part: float, now: Sequence[float], past: Sequence[float], requests: int) -> Moved:
    """Total variation between both vocabularies, and what chance alone makes of it."""
    all_now, all_past = sum(now) or 1.0, sum(past) or 1.0
    apart = sum([abs(a / all_now - b / all_past) for a, b in zip(now, past)]) / 2
    chance = sum([math.sqrt(2 / math.pi * share / all_past / (all_now * max(1, requests))) for share in past]) / 2
    return Moved(part, _share("other_words", apart, min(apart, chance)))


def _share(code: str, now: float, past: float) -> Reason:
    return Reason(code, round(1000 * min(1.0, max(0.0, now))), round(1000 * min(1.0, max(0.0, past))), _SHARE)


def _undoubled(mean: float, has: float) -> int:
    """What `look` made so many per mille of (62.5 for each doubling), in the middle of the share of requests that have any."""
    return round(2 ** min(20.0, mean / has / 62.5)) if has > 0 and mean >= 1 else 0
