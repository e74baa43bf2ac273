"""What holds of a ladder whatever the scores, the clock and chance do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.policy.model import Ladder, Place, Step
from gateway.watch.ladder import GROUND, LEAP_US, Footing, pardon, step

PLACE = Place("p.yaml", 1)
US = 1_000_000
MINUTE, HOUR = 60 * US, 3_600 * US
SCORES = (700, 800, 850, 900, 990)
USUAL = Ladder(
    "standard",
    tuple(Step(f"s{score}", score, PLACE) for score in SCORES),
    enforce=False,
    place=PLACE,
    climb_every_s=1_800,
    delay_s=600,
    jitter_s=1_200,
    calm_after_s=86_400,
    hysteresis_milli=100,
    requests_min=26,
)


@st.composite
def ladders(draw: Any) -> Ladder:
    scores = sorted(draw(st.sets(st.integers(1, 1_000), min_size=1, max_size=6)))
    seconds = st.integers(1, 5_000)
    return Ladder(
        "drawn",
        tuple(Step(f"s{score}", score, PLACE) for score in scores),
        enforce=draw(st.booleans()),
        place=PLACE,
        climb_every_s=draw(seconds),
        delay_s=draw(seconds),
        jitter_s=draw(seconds),
        calm_after_s=draw(seconds),
        hysteresis_milli=draw(st.integers(0, 500)),
        requests_min=draw(st.integers(1, 100)),
    )


looks = st.lists(
    st.tuples(st.integers(0, 1_000), st.integers(0, 200), st.integers(-1, 3_000), st.floats(0, 1, exclude_max=True)),
    max_size=60,
)
"""Score, requests, seconds since the look before, chance."""


def walk(
    ladder: Ladder, seen: list[tuple[int, int, int, float]], footing: Footing = GROUND, now_us: int = 10**15
) -> list[tuple[int, Footing]]:
    """Every footing with the time of its look (a clock that runs backward stands still)."""
    found = []
    for score, requests, seconds, chance in seen:
        now_us += seconds * US
        footing = step(footing, ladder, score_milli=score, requests=requests, now_us=now_us, chance=chance)
        found.append((footing.at_us, footing))
    return found


@given(ladders(), looks)
def test_climbs_are_slow_and_late(ladder: Ladder, seen: list[tuple[int, int, int, float]]) -> None:
    """One step at a time, `climb_every` apart, `delay` after a reason that has lasted since, and with enough requests."""
    before, climbed_us, reason_us = GROUND, None, None
    for (at_us, after), (score, requests, _, _) in zip(walk(ladder, seen), seen, strict=True):
        if after.rank > before.rank:
            assert after.rank == before.rank + 1
            assert climbed_us is None or at_us - climbed_us >= ladder.climb_every_s * US
            assert reason_us is not None
            assert at_us - reason_us >= ladder.delay_s * US
            assert requests >= ladder.requests_min
            assert not after.due_us or score >= ladder.steps[after.rank].score_milli
            climbed_us, reason_us = at_us, at_us if after.due_us else None
        elif after.due_us and not before.due_us:
            assert score >= ladder.steps[before.rank].score_milli
            reason_us = at_us
        elif not after.due_us:
            reason_us = None
        before = after


@given(ladders(), looks)
def test_down_only_after_calm(ladder: Ladder, seen: list[tuple[int, int, int, float]]) -> None:
    """One step down at a time, after `calm_after` in which no look found a score near the step's."""
    before, loud_us = GROUND, 0
    for (at_us, after), (score, _, _, _) in zip(walk(ladder, seen), seen, strict=True):
        if after.rank < before.rank:
            assert after.rank == before.rank - 1
            assert at_us - max(loud_us, before.since_us) >= ladder.calm_after_s * US
        rank = after.rank
        if rank and score >= ladder.steps[rank - 1].score_milli - ladder.hysteresis_milli:
            loud_us = at_us
        before = after


@given(ladders(), looks)
def test_shadow_makes_no_difference(ladder: Ladder, seen: list[tuple[int, int, int, float]]) -> None:
    """The same footing, enforced or not: what shadow said is what enforcing does."""
    other = replace(ladder, enforce=not ladder.enforce)
    assert walk(ladder, seen) == walk(other, seen)


@given(ladders(), looks, looks, st.integers(0, 5_000))
def test_a_pardon_is_at_once_and_lasts(
    ladder: Ladder, seen: list[tuple[int, int, int, float]], later: list[tuple[int, int, int, float]], excused_s: int
) -> None:
    """On the ground from any step, and there until the excuse has run out."""
    footing = walk(ladder, seen)[-1][1] if seen else GROUND
    now_us = max(footing.at_us, 10**15)
    pardoned = pardon(footing, now_us, until_us=now_us + excused_s * US)
    assert (pardoned.rank, pardoned.due_us) == (0, 0)
    for at_us, after in walk(ladder, later, pardoned, now_us):
        if at_us < now_us + excused_s * US:
            assert (after.rank, after.due_us) == (0, 0)


@given(ladders(), looks)
def test_scores_below_the_first_step_do_nothing(ladder: Ladder, seen: list[tuple[int, int, int, float]]) -> None:
    """Whoever never scores as high as the first step stays on the ground, and nothing is kept of it."""
    quiet = [(min(score, ladder.steps[0].score_milli - 1), *rest) for score, *rest in seen]
    assert all(footing.rank == 0 and footing.is_blank for _, footing in walk(ladder, quiet))  # type: ignore[arg-type]


@given(ladders(), looks, looks, st.integers(LEAP_US + 1, 10**15), st.booleans())
def test_a_clock_that_leapt_ahead_and_is_back_freezes_nobody(
    ladder: Ladder,
    before: list[tuple[int, int, int, float]],
    ahead: list[tuple[int, int, int, float]],
    leap_us: int,
    is_pardoned: bool,
) -> None:
    """Whatever was written in the future: whoever goes on climbs as fast, and whoever is calm comes down as fast, as from now
    on; and a pardon that was given in the future holds as long from now on as it was meant to."""
    footing = walk(ladder, before)[-1][1] if before else GROUND
    now_us = max(footing.at_us, 10**15)
    if ahead:
        footing = walk(ladder, ahead, footing, now_us + 10**9 * US + leap_us)[-1][1]
    waits_us = max(ladder.delay_s + ladder.jitter_s, ladder.climb_every_s) * US
    if is_pardoned:
        footing = pardon(footing, now_us + 2 * 10**15, until_us=now_us + 2 * 10**15 + 50 * US)
        back = step(footing, ladder, score_milli=1_000, requests=1_000, now_us=now_us, chance=0)
        assert (back.rank, back.excused_us) == (0, now_us + 50 * US)
        return
    if not ahead:
        return
    loud, calm = footing, footing
    for late_us in (0, waits_us):
        loud = step(loud, ladder, score_milli=1_000, requests=1_000, now_us=now_us + late_us, chance=0)
    assert loud.rank == min(footing.rank + 1, len(ladder.steps))
    for late_us in (0, ladder.calm_after_s * US):
        calm = step(calm, ladder, score_milli=0, requests=1_000, now_us=now_us + late_us, chance=0)
    if footing.rank and ladder.steps[footing.rank - 1].score_milli > ladder.hysteresis_milli:  # else nothing is below it
        assert calm.rank == footing.rank - 1


@given(looks)
@example([(700, 26, 0, 0.0), (800, 26, 600, 0.0), (700, 26, 1800, 0.0)])
def test_looking_more_often_climbs_no_faster(seen: list[tuple[int, int, int, float]]) -> None:
    """A look that is repeated at the same moment changes nothing."""
    once = walk(USUAL, seen)
    twice = walk(USUAL, [look for each in seen for look in (each, (each[0], each[1], 0, 0.5))])[1::2]
    assert [footing.rank for _, footing in once] == [footing.rank for _, footing in twice]


def at(footing: Footing, score: int, now_us: int, *, requests: int = 100, chance: float = 0.5) -> Footing:
    return step(footing, USUAL, score_milli=score, requests=requests, now_us=now_us, chance=chance)


def test_the_clock_story_of_an_attack() -> None:
    """A score of 100% from noon on: the first step at 12:20 (10 minutes, and half of 20), then one every half hour; and a day
    for each on the way down."""
    noon = 10**15
    footing = at(GROUND, 1_000, noon)
    assert (footing.rank, footing.due_us) == (0, noon + 20 * MINUTE)
    ranks = []
    for minutes in range(1, 200):
        footing = at(footing, 1_000, noon + minutes * MINUTE)
        if not ranks or footing.rank != ranks[-1][0]:
            ranks.append((footing.rank, minutes))
    assert ranks == [(0, 1), (1, 20), (2, 50), (3, 80), (4, 110), (5, 140)]
    evening = noon + 200 * MINUTE
    ranks = []
    for hours in range(125):
        footing = at(footing, 0, evening + hours * HOUR)
        if not ranks or footing.rank != ranks[-1][0]:
            ranks.append((footing.rank, hours))
    assert ranks == [(5, 0), (4, 24), (3, 48), (2, 72), (1, 96), (0, 120)]


def test_a_score_that_sinks_a_little_keeps_what_is_due() -> None:
    """Within the hysteresis a reason stays a reason; below it nothing of it is left."""
    due = at(GROUND, 700, US)
    assert at(due, 650, 2 * US).due_us == due.due_us
    assert at(due, 599, 2 * US).due_us == 0


def test_a_ladder_that_has_become_shorter() -> None:
    """Whoever stood above its end stands at its end."""
    footing = Footing(rank=9, since_us=US, climbed_us=US, at_us=US)
    assert at(footing, 1_000, 2 * US).rank == len(SCORES)
