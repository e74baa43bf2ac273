"""Whether what a group sends together looks like extraction, and who of it has been judged by itself and does not. Pure.

A cluster is judged by its merged window, and that window may say something of whether it is one: accounts that are made alike,
draw from one text and together look like an extraction are more likely one operator's than customers of one public template who
look like customers. It speaks for a group, never for a pair; and never for a member that has sent enough to be judged alone and
looks honest: whoever is copied by a campaign, or shares a template with one, is not drawn in by what the others send.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from gateway.detectors.link_evidence import share
from gateway.detectors.link_tenant import Tenant

Judge = Callable[[Sequence[str]], int]
"""The score (per mille) of what these tenants sent, taken together; -1: it is too little to tell."""
SUSPICION_MAX = 2.0
"""Weight of a group's suspicion, in nats, from LOUD on; none from QUIET down."""
QUIET, LOUD = 300, 700
"""Per mille. The first step of the usual ladder begins at LOUD."""
SUSPECT_MIN = 1.0
"""Weight from which a group is suspect."""
HONEST_BELOW = 100
"""Per mille: what scores less looks honest."""
MERGED_MAX = 48
"""Members that are taken for all."""


def unjudged(tenants: Sequence[str]) -> int:
    """Where nobody judges."""
    return -1


class Suspects:
    """What was judged while groups are looked for; each question is asked once."""

    def __init__(self, judge: Judge, tenants: Mapping[int, Tenant]) -> None:
        self._judge = judge
        self._tenants = tenants
        self._scores: dict[frozenset[int], int] = {}

    def weight(self, numbers: Collection[int]) -> float:
        """What it says for these tenants being one operator that together they look like an extraction."""
        return SUSPICION_MAX * share(self._score(numbers), QUIET, LOUD)

    def looks_honest(self, numbers: Collection[int]) -> bool:
        """Whether there is enough of it to be judged, and it looks like honest work."""
        return 0 <= self._score(numbers) < HONEST_BELOW

    def clears(self, number: int) -> bool:
        """Whether it has sent enough to be judged alone, and looks honest."""
        return self.looks_honest((number,))

    def _score(self, numbers: Collection[int]) -> int:
        asked = sorted(set(numbers), key=lambda number: (self._tenants[number].place, number))[:MERGED_MAX]
        key = frozenset(asked)
        score = self._scores.get(key)
        if score is None:
            score = self._scores[key] = self._judge([self._tenants[number].name for number in asked])
        return score
