"""What speaks for two tenants being one operator: kinds of evidence, each a weight in nats with a cap. Pure.

Each weight is about the logarithm of how much likelier the likeness is between two accounts of one operator than between two
that have nothing to do with one another; the caps say how far a single kind is trusted. A template and its parameters, which
anybody may take from a public page, weigh 2.5 at most, slots that draw from one text 4 at most: together still below EDGE_MIN.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log, sqrt
from typing import NamedTuple

from gateway.detectors.link_crowd import Crowd, Others
from gateway.detectors.link_strand import Strand

KINDS = ("made_alike", "words", "rates", "hours", "prompts", "signatures", "payment", "network", "signup")
EDGE_MIN = 7.0
"""Weight from which a pair by itself says that two tenants are linked."""
WEAK_MIN = 3.0
"""Weight from which a pair is worth a look at the group around it."""
HARD_MIN = 6.0
"""Weight of signatures and operator's facts from which a link stands without a group around it."""
KIND_MIN = 0.5
"""A kind that weighs less does not count as one: an edge needs two."""
TEMPLATE, SAME_HABITS, HABITS_MAX, OTHER_HABITS = 2.0, 0.5, 1.0, -0.5
WORDS_FULL, OTHER_WORDS, OTHER_BELOW = 4.0, -2.0, 0.35
TEXT_MAX = 4.4
"""Words and prompts together: both come of one text."""
RATES_MAX, OTHER_RATES = 2.5, -1.5
HOURS_MAX, RHYTHM_MAX = 2.0, 3.5
PROMPT, PROMPTS_MAX = 1.5, 5.0
SIGNATURE = 6.0
FACTS = {"payment": (7.0, 64, 4096), "network": (3.0, 2, 64), "signup": (1.0, 2, 64)}
"""Operator's facts: the weight, how many tenants may have it in common at full weight, and from how many on it weighs nothing
(a reseller's card, a cloud's network, a busy day)."""
RATE_MIN = 8


class View(NamedTuple):
    """A strand's telling words, ready to be compared."""

    words: Mapping[int, tuple[int, float]]
    """Word -> (requests that have it, rarity). Without words that everybody has, and without what more than half of the
    strand's own requests have: what is left of the template."""
    seen: int
    top: int


def view(strand: Strand, crowd: Crowd | Others) -> View:
    """Look at a strand's words as they weigh now."""
    ceiling = strand.seen / 2 if strand.seen >= 8 else strand.seen
    rarity = crowd.rarity
    weighed = ((word, count, rarity(word)) for word, count in zip(strand.words, strand.counts) if count <= ceiling)
    return View({word: (count, rare) for word, count, rare in weighed if rare > 0}, strand.seen, strand.top)


class Likeness(NamedTuple):
    """How alike two strands' words are."""

    homogeneity: float
    """About 1 where both draw from one distribution, whatever its breadth, near 0 where they do not: what the two have in
    common, over what each has in common with itself. The unbiased estimates of a linear-kernel two-sample test (MMD, Gretton et
    al. 2012), as a ratio. -1: one of them repeats too little to tell."""
    support: float
    """Rarity of all shared words together: how much there is to judge by."""


def likeness(a: View, b: View) -> Likeness:
    """Compare the words that both strands would have kept."""
    if a.seen < 2 or b.seen < 2:
        return Likeness(-1.0, 0.0)
    top = min(a.top, b.top)
    shared = [word for word in a.words.keys() & b.words.keys() if word <= top]
    within_a, within_b = _within(a, top), _within(b, top)
    support = sum(a.words[word][1] for word in shared)
    if within_a <= 0 or within_b <= 0:
        return Likeness(-1.0, support)
    between = sum(a.words[word][1] * a.words[word][0] * b.words[word][0] for word in shared) / (a.seen * b.seen)
    return Likeness(between / sqrt(within_a * within_b), support)


def _within(a: View, top: int) -> float:
    pairs = sum(rare * count * (count - 1) for word, (count, rare) in a.words.items() if word <= top)
    return pairs / (a.seen * (a.seen - 1))


def of_words(found: Likeness) -> float:
    """Full weight from .8 and a support of 20 on; none below .5 or 4. Words that clearly differ speak against."""
    if found.homogeneity < 0:
        return 0.0
    if found.homogeneity < OTHER_BELOW:
        return OTHER_WORDS
    return WORDS_FULL * share(found.homogeneity, 0.5, 0.8) * share(found.support, 4.0, 20.0)


def of_rates(a: Strand, b: Strand, day: int, crowd: Crowd) -> float:
    """Equal counts over today and yesterday: the rarer the rate, the more. Rates that clearly differ speak against."""
    (today_a, before_a), (today_b, before_b) = a.rate(day), b.rate(day)
    has_before = before_a > 0 and before_b > 0
    x, y = (today_a + before_a, today_b + before_b) if has_before else (today_a, today_b)
    if x < RATE_MIN or y < RATE_MIN:
        return 0.0
    spread = sqrt(x + y)
    if abs(x - y) > 4 * spread:
        return OTHER_RATES
    if abs(x - y) > 1.2 * spread + 1:
        return 0.0
    return min(RATES_MAX, max(0.0, crowd.rarity_of_rate((x + y) // 2, int(1.2 * spread) + 1)))


def of_hours(a: int, b: int, crowd: Crowd) -> float:
    """Ten-minute slots in which both were active, beyond what the crowd's day explains. `a` and `b` are bit maps."""
    size = b.bit_count()
    if a.bit_count() < RATE_MIN or size < RATE_MIN:
        return 0.0
    expected = crowd.expected_overlap(a, size)
    if expected <= 0:
        return 0.0
    z = ((a & b).bit_count() - expected) / sqrt(expected)
    return min(HOURS_MAX, max(0.0, 0.7 * (z - 1.5)))


def share(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))


def of_fact(fact: str, holders: int) -> float:
    """One fact that two tenants, and so many in all, have in common."""
    weight, few, many = FACTS[fact]
    return weight * (1 - share(log(max(holders, 1)), log(few), log(many)))
