"""The arithmetic of one budget in memory: `post` and `stand` of `lua/common.lua`, word for word. Pure.

Rule 1: whatever changes here changes there; the tests hold both to identical standings.
Rule 2: where the store computes in doubles, so does this, in the same order of operations.
"""

from __future__ import annotations

from math import ceil, floor
from typing import NamedTuple

from gateway.values import Line, Standing

EPSILON = 1e-6
MOST = 2**53
HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
SLOTS = 60


class Bucket(NamedTuple):
    level: float
    held: int
    at_us: int
    capacity: int
    rate: float
    """Refill a microsecond; both as of the last reserve."""


class Rolling(NamedTuple):
    held: int
    used: int
    slots: tuple[tuple[int, int], ...]
    """(start_us, used) of each sub-slot in use, oldest first."""


class Calendar(NamedTuple):
    start_us: int
    used: int
    held: int
    prev_start_us: int
    prev_used: int


class Concurrency(NamedTuple):
    held: int


State = Bucket | Rolling | Calendar | Concurrency


class Posted(NamedTuple):
    state: State
    slot_us: int
    """The window the amounts went to; 0 where the kind has none."""
    keep_us: float
    """How long the state must be kept to be whole again, with a margin."""


def post(line: Line, state: State | None, now_us: int, used_delta: int, held_delta: int, slot_us: int | None) -> Posted | None:
    """A budget's state with used and held moved by signed amounts.

    `slot_us` is the window a hold was counted in; None opens it now. Returns None when that window is gone.
    """
    if line.kind == "bucket":
        return _post_bucket(line, state, now_us, used_delta, held_delta, is_settling=slot_us is not None)
    if line.kind == "rolling":
        return _post_rolling(line, state, now_us, used_delta, held_delta, slot_us)
    if line.kind == "calendar":
        return _post_calendar(line, state, now_us, used_delta, held_delta, slot_us)
    if not isinstance(state, Concurrency):
        if slot_us is not None:
            return None
        state = Concurrency(0)
    return Posted(Concurrency(max(0, state.held + held_delta)), 0, 0)


def stand(line: Line, state: State | None, now_us: int, need: int) -> Standing:
    """How a budget stands; `wait_us` is until `need` fits, -1 when the line's own amount never does."""
    if line.kind == "bucket":
        standing = _stand_bucket(line, state, now_us, need)
    elif line.kind == "rolling":
        standing = _stand_rolling(line, state, now_us, need)
    elif line.kind == "calendar":
        is_current = isinstance(state, Calendar) and state.start_us >= line.b
        used, held = (state.used, state.held) if is_current and isinstance(state, Calendar) else (0, 0)
        remaining = line.a - used - held
        wait_us = max(1, line.c - now_us) if remaining < need else 0
        standing = Standing(used, held, remaining, max(0, line.c - now_us) if used > 0 else 0, wait_us)
    else:
        held = state.held if isinstance(state, Concurrency) else 0
        standing = Standing(0, held, line.a - held, 0, 1_000_000 if line.a - held < need else 0)
    if standing.wait_us and line.amount > line.a:
        return standing._replace(wait_us=-1)
    return standing


def _post_bucket(
    line: Line, state: State | None, now_us: int, used_delta: int, held_delta: int, *, is_settling: bool
) -> Posted | None:
    a, rate = line.a, line.b / line.c
    level, held, at_us = float(a), 0, now_us
    if isinstance(state, Bucket):
        level, held, at_us, capacity_then, rate_then = state
        if is_settling:
            a, rate = capacity_then, rate_then
        if now_us > at_us:
            level = level + (now_us - at_us) * rate
            at_us = now_us
        level = min(a - held, level)
    elif is_settling:
        return None
    held = max(0, held + held_delta)
    level = min(a - held, level - used_delta - held_delta)
    return Posted(Bucket(level, held, at_us, a, rate), 0, 2 * (a - level) / rate)


def _stand_bucket(line: Line, state: State | None, now_us: int, need: int) -> Standing:
    level, held = float(line.a), 0
    if isinstance(state, Bucket):
        level, held, at_us = state[:3]
        if now_us > at_us:
            level = level + (now_us - at_us) * (line.b / line.c)
        level = min(line.a - held, level)
    remaining = floor(level + EPSILON)
    short = line.a - held - level
    reset_us = min(MOST, ceil(short * line.c / line.b)) if short > EPSILON else 0
    wait_us = min(MOST, ceil((need - level) * line.c / line.b)) if remaining < need else 0
    return Standing(line.a - held - remaining, held, remaining, reset_us, wait_us)


def _reach_us(line: Line) -> int:
    """From a sub-slot's start to when it no longer touches the last period."""
    return max(1, line.b // SLOTS) + line.b


def _live(line: Line, state: Rolling, now_us: int) -> Rolling:
    reach_us = _reach_us(line)
    used, slots = state.used, state.slots
    while slots and slots[0][0] + reach_us <= now_us:
        used -= slots[0][1]
        slots = slots[1:]
    return Rolling(state.held, used, slots)


def _post_rolling(
    line: Line, state: State | None, now_us: int, used_delta: int, held_delta: int, slot_us: int | None
) -> Posted | None:
    if isinstance(state, Rolling):
        held, used, slots = _live(line, state, now_us)
    elif slot_us is not None:
        return None
    else:
        held, used, slots = 0, 0, ()
    if slot_us is None:
        slot_us = now_us - now_us % max(1, line.b // SLOTS)
    held = max(0, held + held_delta)
    if used_delta and slot_us + _reach_us(line) > now_us:
        older = tuple(slot for slot in slots if slot[0] < slot_us)
        newer = tuple(slot for slot in slots if slot[0] > slot_us)
        part = used_delta + sum(slot[1] for slot in slots if slot[0] == slot_us)
        slots = (*older, (slot_us, part), *newer) if part else older + newer
        used += used_delta
    return Posted(Rolling(held, used, slots), slot_us, 2 * line.b)


def _stand_rolling(line: Line, state: State | None, now_us: int, need: int) -> Standing:
    reach_us = _reach_us(line)
    held, used, slots = _live(line, state, now_us) if isinstance(state, Rolling) else Rolling(0, 0, ())
    remaining = line.a - used - held
    wait_us = 0
    if remaining < need:
        lacking = need - remaining
        wait_us = reach_us  # what is held counts as used now
        for start_us, part in slots:
            lacking -= part
            if lacking <= 0:
                wait_us = start_us + reach_us - now_us
                break
    return Standing(used, held, remaining, slots[-1][0] + reach_us - now_us if slots else 0, wait_us)


def _post_calendar(
    line: Line, state: State | None, now_us: int, used_delta: int, held_delta: int, slot_us: int | None
) -> Posted | None:
    if isinstance(state, Calendar):
        if slot_us is None and state.start_us < line.b:
            state = Calendar(line.b, 0, 0, state.start_us, state.used)
    elif slot_us is not None:
        return None
    else:
        state = Calendar(line.b, 0, 0, 0, 0)
    slot_us = state.start_us if slot_us is None else slot_us
    if slot_us == state.start_us:
        state = state._replace(used=state.used + used_delta, held=max(0, state.held + held_delta))
    elif slot_us == state.prev_start_us:
        state = state._replace(prev_used=state.prev_used + used_delta)
    else:
        return None
    return Posted(state, slot_us, line.c - now_us + 2 * DAY_US)
