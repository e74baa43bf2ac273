"""Sums over the requests of one stream: those of a tenant that share a template, or all that are alike in kind. Fixed size.

A tenant's mixture is not judged, its streams are: honest requests beside an attack do not thin it out.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from gateway.detectors.features import FEATURES, INDEX
from gateway.values import Sighting

GROUPS_MAX = 32
"""Tripwire groups of all books together."""
COUNTS = ("requests", "fresh", "sketched", "repeats", "near", "output", "outputs", "size_squares", "foreign", "problems")
"""fresh: sketch values (of `sketched`) not met before; repeats: requests whose content came before; near: whose words nearly
did; output: doublings of answer tokens, per mille; size_squares: of the feature `size`; foreign: thinking of other sessions;
problems: examination problems."""
AT = {name: index for index, name in enumerate(COUNTS)}
FEATURES_AT = len(COUNTS)
PHRASES_AT = FEATURES_AT + len(FEATURES)
WIDTH = PHRASES_AT + GROUPS_MAX

_SIZE = INDEX["size"]


class Seen:
    """What a window worked out of one sighting, once for all streams that it belongs to."""

    __slots__ = ("deltas",)

    def __init__(
        self,
        sighting: Sighting,
        groups: Sequence[int],
        *,
        fresh: int,
        repeats: int,
        near: int,
        foreign: int,
        output: int,
        problem: int,
    ) -> None:
        size = sighting.features[_SIZE]
        row = [1, fresh, len(sighting.sketch), repeats, near, output, 1 if output else 0, size * size, foreign, problem]
        row += sighting.features
        flags = [0] * GROUPS_MAX
        for group in groups:
            flags[group] = 1
        self.deltas = row + flags


def blank() -> array[int]:
    return array("q", bytes(8 * WIDTH))


def add(sums: array[int], seen: Seen) -> None:
    for index, delta in enumerate(seen.deltas):
        if delta:
            sums[index] += delta


def plus(sums: array[int], others: Sequence[int]) -> None:
    for index, other in enumerate(others):
        sums[index] += other


def halve(sums: array[int]) -> None:
    for index, value in enumerate(sums):
        sums[index] = value >> 1
