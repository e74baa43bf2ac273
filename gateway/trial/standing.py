"""Where tenants stand on their ladders while policies are tried: the ladder's own rules, by scores that a test gives.

A score stands for as many requests as the ladder wants. Of the random part of a delay the whole is taken: what a test expects
then holds however the chance falls.
"""

from __future__ import annotations

from gateway.policy.model import Ladder, Policy
from gateway.policy.verdicts import verdict_of
from gateway.policy.watched import Watched, watched
from gateway.values import Caller, Rung, Verdict
from gateway.watch import ladder as rules
from gateway.watch.ladder import GROUND, Footing

LOOK_EVERY_US = 30_000_000
LATEST = 1.0


class Standing:
    """Of one test."""

    def __init__(self) -> None:
        self._footings: dict[str, Footing] = {}
        self._scores: dict[str, int] = {}

    def of(self, policy: Policy, caller: Caller, score_milli: int | None, now_us: int) -> Verdict | None:
        """What the watch says of a caller now. `score_milli`: its score from now on; None: as before."""
        who = watched(policy, organisation=caller.organisation, tenant=caller.tenant, key_id=caller.key_id, now_us=now_us)
        if who.ladder is None:
            return None
        footing = self._passed(who, who.ladder, now_us)
        if score_milli is not None:
            self._scores[who.subject] = score_milli
            footing = self._look(who.subject, who.ladder, footing, now_us)
        self._footings[who.subject] = footing
        if not footing.rank:
            return None
        step = who.ladder.steps[footing.rank - 1].name
        return verdict_of(who, Rung(who.subject, who.ladder.name, step, footing.since_us, now_us + 1))

    def _passed(self, who: Watched, ladder: Ladder, now_us: int) -> Footing:
        """Where it stands after the time since it was looked at last, looked at as often as an analyst does."""
        footing = self._footings.get(who.subject, GROUND)
        at_us = footing.at_us or now_us
        while at_us + LOOK_EVERY_US <= now_us and who.subject in self._scores:
            at_us += LOOK_EVERY_US
            footing = self._look(who.subject, ladder, footing, at_us)
        return self._look(who.subject, ladder, footing, now_us) if who.subject in self._scores else footing

    def _look(self, subject: str, ladder: Ladder, footing: Footing, now_us: int) -> Footing:
        return rules.step(
            footing, ladder, score_milli=self._scores[subject], requests=ladder.requests_min, now_us=now_us, chance=LATEST
        )
