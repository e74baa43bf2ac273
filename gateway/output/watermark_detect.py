"""Whether a text carries a key's mark: how many of its different tokens are green, and how likely that is by chance. Pure.

Each token counts once, however often it comes. So the p-value is exact, and needs no assumption about the text: to whoever
made the text without the key, the list is a random draw of G ids out of V, and of n different ids the number that is green
follows the hypergeometric distribution, whatever the language, the topic or the repetitions. Counting every occurrence finds
more in long texts and accuses innocent ones by the dozen: one " the" that is green, written forty times, is one chance and
not forty (`docs/watermark.md` has both measured).

What it cannot exclude: the draw is made once for each key, so what is innocent and much alike (all of a language's texts share
its commonest words) is judged alike, too. `p_value` is right over keys, not over the texts that one key is tried on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from math import exp, lgamma, sqrt
from typing import NamedTuple

from gateway.output.watermark import green

P_LEAST = 1e-300
"""Below this it is not told how small a p-value is."""


class Detection(NamedTuple):
    """How a text stands to one key."""

    tokens: int
    """Tokens of the text."""
    scored: int
    """Different ones among them that are below `vocabulary`: what could be green."""
    green: int
    """Those of `scored` that are."""
    z: float
    """How many standard deviations `green` lies above what chance gives; 0 where nothing could be scored."""
    p_value: float
    """Chance that a text made without the key has as many green ones, 1e-300 to 1."""
    p_least: float
    """The p-value it would have if every one of `scored` were green: where that is above alpha, no verdict is possible."""


def score(token_ids: Iterable[int], key: bytes, *, vocabulary: int, share_milli: int) -> Detection:
    """Judge a text's tokens, as the model's own tokenizer makes them, under one key."""
    return judge(list(token_ids), frozenset(green(key, vocabulary, share_milli)), vocabulary)


def judge(token_ids: Sequence[int], green_ids: AbstractSet[int], vocabulary: int) -> Detection:
    """`score` with the list made before: for many texts under one key."""
    seen = {token for token in token_ids if token < vocabulary}
    hits, size = len(seen & green_ids), len(green_ids)
    share = size / vocabulary
    variance = len(seen) * share * (1 - share) * (vocabulary - len(seen)) / max(vocabulary - 1, 1)
    z = (hits - len(seen) * share) / sqrt(variance) if variance > 0 else 0.0
    return Detection(
        tokens=len(token_ids),
        scored=len(seen),
        green=hits,
        z=z,
        p_value=tail(hits, drawn=len(seen), green=size, of=vocabulary),
        p_least=tail(min(len(seen), size), drawn=len(seen), green=size, of=vocabulary),
    )


def tail(hits: int, *, drawn: int, green: int, of: int) -> float:
    """Chance of at least `hits` green ones among `drawn` out of `of`, without putting back, where `green` are."""
    least, most = max(0, drawn - (of - green)), min(drawn, green)
    if hits <= least:
        return 1.0
    if hits > most:
        return P_LEAST
    if hits * of > drawn * green:
        return min(1.0, max(P_LEAST, _sum_from(hits, 1, drawn, green, of)))
    # From below the mean the first term may be too small for a float though the sum is nearly 1: the rest is summed instead.
    return 1.0 - min(1.0, _sum_from(hits - 1, -1, drawn, green, of))


def _sum_from(hits: int, step: int, drawn: int, green: int, of: int) -> float:
    """The distribution's terms from `hits` on, away from its mean, upward (1) or downward (-1)."""
    log_first = _log_choose(green, hits) + _log_choose(of - green, drawn - hits) - _log_choose(of, drawn)
    total = term = 1.0
    k = hits
    while term > total * 1e-17:
        # Each term from the one before: their ratio is rational, 0 beyond the last term, and falls all the way.
        if step > 0:
            term *= (green - k) * (drawn - k) / ((k + 1) * (of - green - drawn + k + 1))
        else:
            term *= k * (of - green - drawn + k) / ((green - k + 1) * (drawn - k + 1))
        total += term
        k += step
    return exp(log_first) * total


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values as they stand when so many keys were tried (Holm 1979): under alpha with none of them true, at most in a
    share alpha of all texts is any at or below alpha."""
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for tried, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - tried) * p_values[index]))
        adjusted[index] = highest
    return adjusted
