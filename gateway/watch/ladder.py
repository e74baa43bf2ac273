"""Up and down a ladder: the only place that decides when somebody climbs. Pure: time and chance are arguments.

What holds, whatever the scores do:

1. at most one step up in `climb_every`, and none before `delay` has passed since its reason came up;
2. a step down only after `calm_after` in which the score stayed below the step's, less the hysteresis; then the next needs the
   same again;
3. a reason that goes away before its step has begun leaves no trace;
4. with fewer than `requests_min` requests, and while excused, nobody climbs;
5. a pardon is at once, from any step.

6. a change of policy takes nobody up: whoever stood on a step stands on the step of that name, or on the highest below it that
   is left.

A ladder in shadow goes up and down like any other: what is done about a step is no business of this module.
Time that runs backward (another machine's clock) counts as none passed, up to a minute. Beyond that the clock had leapt ahead
and is back, and what was written meanwhile lies in the future: it counts as written now, and waits no longer than it would from
now on (`landed`). A pardon that was given in the future keeps its length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gateway.policy.model import Ladder, Step

_US = 1_000_000
LEAP_US = 60 * _US
"""Behind what was looked at last by more than this: the clock had leapt."""


class Footing(NamedTuple):
    """Where somebody stands on a ladder, and since when. All times are microseconds since the epoch; 0: never, or none."""

    rank: int = 0
    """Steps climbed: 0 is the ground, 1 the first step."""
    since_us: int = 0
    """When it came to stand here."""
    due_us: int = 0
    """When the next step up begins; 0: there is no reason for one."""
    calm_us: int = 0
    """Since when its score has been below; 0: it is not."""
    climbed_us: int = 0
    """When it last went up."""
    excused_us: int = 0
    """Until when it does not climb."""
    at_us: int = 0
    """When this was last looked at."""

    @property
    def is_blank(self) -> bool:
        """Nothing is to be remembered."""
        return not (self.rank or self.due_us or self.excused_us > self.at_us)


GROUND = Footing()


def step(footing: Footing, ladder: Ladder, *, score_milli: int, requests: int, now_us: int, chance: float) -> Footing:
    """Where it stands now. `requests`: how many the score was made of. `chance`: 0 up to 1, drawn anew for each call."""
    footing = landed(footing, now_us, waits_us=max(ladder.delay_s + ladder.jitter_s, ladder.climb_every_s) * _US)
    now_us = max(now_us, footing.at_us)
    rank = min(footing.rank, len(ladder.steps))
    if rank < footing.rank:
        footing = footing._replace(rank=rank, since_us=now_us)  # the ladder has become shorter
    footing = footing._replace(at_us=now_us)
    may_climb = rank < len(ladder.steps) and requests >= ladder.requests_min and now_us >= footing.excused_us
    if may_climb and score_milli >= ladder.steps[rank].score_milli:
        after = _upward(footing, ladder, now_us, chance)
        if after.rank > rank and after.rank < len(ladder.steps) and score_milli >= ladder.steps[after.rank].score_milli:
            # The same score is a reason for the next step from now on, and not from whenever it is looked at again.
            return after._replace(due_us=_due_us(after, ladder, now_us, chance))
        return after
    if footing.due_us and not (may_climb and score_milli >= ladder.steps[rank].score_milli - ladder.hysteresis_milli):
        footing = footing._replace(due_us=0)
    elif footing.due_us:  # near enough to the step: what is due stays due
        return _upward(footing, ladder, now_us, chance)
    return _downward(footing, ladder, score_milli, now_us)


def landed(footing: Footing, now_us: int, *, waits_us: int = 0) -> Footing:
    """The same footing without what lies in the future because the clock had leapt. `waits_us`: a step is due no later."""
    if footing.at_us - now_us <= LEAP_US:
        return footing
    rank, since_us, due_us, calm_us, climbed_us, excused_us, _ = footing
    return Footing(
        rank=rank,
        since_us=min(since_us, now_us),
        due_us=min(due_us, now_us + waits_us),
        calm_us=min(calm_us, now_us),
        climbed_us=min(climbed_us, now_us),
        excused_us=max(0, excused_us - max(0, since_us - now_us)),
        at_us=now_us,
    )


def _upward(footing: Footing, ladder: Ladder, now_us: int, chance: float) -> Footing:
    due_us = footing.due_us or _due_us(footing, ladder, now_us, chance)
    if now_us < due_us:
        return footing._replace(due_us=due_us, calm_us=0)
    return footing._replace(rank=footing.rank + 1, since_us=now_us, due_us=0, calm_us=0, climbed_us=now_us)


def _due_us(footing: Footing, ladder: Ladder, now_us: int, chance: float) -> int:
    """When a step begins whose reason comes up now."""
    late_us = ladder.delay_s * _US + int(chance * ladder.jitter_s * _US)
    earliest_us = footing.climbed_us + ladder.climb_every_s * _US if footing.climbed_us else 0
    return max(now_us + late_us, earliest_us)


def _downward(footing: Footing, ladder: Ladder, score_milli: int, now_us: int) -> Footing:
    if not footing.rank or score_milli >= ladder.steps[footing.rank - 1].score_milli - ladder.hysteresis_milli:
        return footing._replace(calm_us=0)
    if not footing.calm_us:
        return footing._replace(calm_us=now_us)
    if now_us - footing.calm_us < ladder.calm_after_s * _US:
        return footing
    return footing._replace(rank=footing.rank - 1, since_us=now_us, calm_us=now_us)


def moved(footing: Footing, before: Sequence[Step], ladder: Ladder, *, now_us: int, score_milli: int = 1_000) -> Footing:
    """The same footing once its ladder's steps are others than `before`. `score_milli`: stand no higher than that reaches."""
    footing = landed(footing, now_us)
    stood = [step.name for step in before[: footing.rank]]
    rank = max([rank for rank, step in enumerate(ladder.steps, 1) if step.name in stood[-1:]], default=0)
    if not rank:
        rank = max([rank for rank, step in enumerate(ladder.steps, 1) if step.name in stood], default=0)
    while rank and ladder.steps[rank - 1].score_milli > score_milli:
        rank -= 1
    is_same = bool(rank and stood) and ladder.steps[rank - 1].name == stood[-1]
    if is_same or rank == footing.rank == 0:
        return footing._replace(rank=rank)
    return footing._replace(rank=rank, since_us=max(now_us, footing.at_us), due_us=0, calm_us=0)


def pardon(footing: Footing, now_us: int, *, until_us: int = 0) -> Footing:
    """On the ground, at once; and it does not climb before `until_us`."""
    now_us = max(now_us, landed(footing, now_us).at_us)
    return Footing(since_us=now_us, excused_us=max(until_us, now_us), at_us=now_us)
