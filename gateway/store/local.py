"""The ledger in memory: this process's share of every limit while the store is gone. Same semantics, same tests.

It knows nothing of what other gateways admit, so `share` scales every limit down (a bucket's refill too), to 1 at least
where the policy allows anything at all; standings are told in these scaled limits. State is bounded as in the store: owners,
holds and tombstones are dropped when they can no longer change an answer.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

from gateway.errors import StoreFault
from gateway.store.counters import DAY_US, HOUR_US, MOST, State, post, stand
from gateway.store.encoding import pack_amounts, pack_lines
from gateway.store.local_records import Owner, Record, Tag
from gateway.store.ports import HoldGone, WindowPassed
from gateway.values import Line, Reserved, Standing

_SETTLED_KEPT_US, _SWEPT_KEPT_US = 600_000_000, 2 * DAY_US
_SWEEP_MAX, _SWEEP_MAX_STANDINGS = 256, 1024
_PURGE_EVERY_US = HOUR_US // 4


class _Plan(NamedTuple):
    """A hold worked out, nothing written: what each line's state would become."""

    standing: Reserved
    is_passed: bool
    is_due: bool
    states: list[State]
    slots: list[int]
    keeps_us: list[float]


class _Longer(NamedTuple):
    """An extension worked out: the hold's lines with their new amounts, and the states that change (None: it stays)."""

    standing: Reserved
    lines: list[Line]
    states: list[State | None]
    keeps_us: list[float]


_NO_LIMIT = Standing(0, 0, MOST, 0, 0)
"""Of a calendar window that has passed: nothing that is held in it takes anything from anybody."""


class LocalLedger:
    """`Ledger` in this process. `share` in (0, 1]; `now_us` is the clock its windows run by."""

    def __init__(self, *, share: Fraction | float = 1, now_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"share is {share}: allowed is more than 0, at most 1")
        self._share = share
        self._now_us = now_us
        self._owners: dict[bytes, Owner] = {}
        self._tags: dict[bytes, Tag] = {}
        self._closed: dict[int, deque[tuple[int, bytes, bytes]]] = {_SETTLED_KEPT_US: deque(), _SWEPT_KEPT_US: deque()}
        self._purge_at_us = 0

    async def reserve(self, hold_id: bytes, tag: bytes, lines: Sequence[Line], *, lease_us: int) -> Reserved:
        """See `Ledger.reserve`. Raises ValueError for the lines that `RedisLedger` refuses too."""
        now_us = self._now_us()
        if not lines:
            return Reserved(True, now_us, ())
        pack_lines(lines)
        lines = self._scaled(lines)
        self._purge(now_us)
        plan = self._work_out(lines, now_us, lease_us)
        holds = self._tags.setdefault(tag, Tag())
        swept = 0
        if not plan.standing.admitted or plan.is_passed or plan.is_due:
            swept = self._sweep(tag, now_us, _SWEEP_MAX)
            if hold_id in holds.records:
                return self._known(holds.records[hold_id], lines, now_us)
            if plan.is_passed:
                raise WindowPassed(now_us)
            if swept:
                plan = self._work_out(lines, now_us, lease_us)
            if not plan.standing.admitted:
                return self._survey(lines, now_us, is_held=False, admitted=False)
        if hold_id in holds.records:
            return self._known(holds.records[hold_id], lines, now_us)
        self._apply(lines, plan, now_us, lease_us, is_swept_whole=swept < _SWEEP_MAX)
        posted = [0 if line.kind == "concurrency" else line.certain for line in lines]
        record = Record(now_us, lines, posted, plan.slots, lease_us)
        holds.records[hold_id] = record
        holds.open_count += 1
        self._lease(holds, hold_id, record)
        return plan.standing

    async def renew(self, hold_id: bytes, tag: bytes, lines: Sequence[Line], posted: Sequence[int], *, lease_us: int) -> bool:
        """See `Ledger.renew`."""
        now_us = self._now_us()
        if not lines:
            return True
        pack_amounts(posted, None, len(lines))
        holds = self._tags.get(tag)
        record = holds.records.get(hold_id) if holds is not None else None
        if holds is None or record is None or not record.is_open:
            return False
        self._repost(record, now_us, lease_us, posted, is_kept=True)
        record.posted = list(posted)
        record.lease(now_us, lease_us)
        self._lease(holds, hold_id, record)
        return True

    async def extend(self, hold_id: bytes, tag: bytes, lines: Sequence[Line], *, lease_us: int) -> Reserved:
        """See `Ledger.extend`. Raises ValueError as `reserve` does."""
        now_us = self._now_us()
        if not lines:
            return Reserved(True, now_us, ())
        pack_lines(lines)
        holds = self._tags.get(tag)
        record = holds.records.get(hold_id) if holds is not None else None
        if holds is None or record is None or not record.is_open:
            raise HoldGone
        if len(lines) != len(record.lines):
            raise StoreFault("the hold has another number of lines")
        record.lease(now_us, lease_us)
        self._lease(holds, hold_id, record)
        plan = self._stretch(record, lines, now_us)
        if not plan.standing.admitted and self._sweep(tag, now_us, _SWEEP_MAX):
            plan = self._stretch(record, lines, now_us)
        if not plan.standing.admitted:
            asked = self._scaled(lines)
            told = self._survey(asked, now_us, is_held=True, admitted=False)
            pairs = zip(asked, told.standings)
            return told._replace(
                standings=tuple(_NO_LIMIT if _is_passed(line, now_us) else standing for line, standing in pairs)
            )
        for line, state, keep_us in zip(plan.lines, plan.states, plan.keeps_us):
            owner = self._born_before(record, line.owner, now_us)
            if owner is not None:
                if state is not None:
                    owner.states[line.field] = state
                owner.keep(now_us, max(keep_us, HOUR_US + 2 * lease_us))
        record.lines = plan.lines
        return plan.standing

    def _stretch(self, record: Record, lines: Sequence[Line], now_us: int) -> _Longer:
        """An extension worked out, nothing written."""
        longer, standings, keeps_us = [], [], []
        states: list[State | None] = []
        is_refused = False
        for old, new, posted, slot_us in zip(record.lines, lines, record.posted, record.slots):
            is_as_it_was = old.kind == "concurrency" or new.amount < old.amount
            line = old if is_as_it_was else old._replace(amount=new.amount)
            growth = max(0, line.amount - posted) - max(0, old.amount - posted)
            owner = self._alive(line.owner, now_us)
            state = owner.states.get(line.field) if owner is not None else None
            grows = state is not None and growth > 0 and self._born_before(record, line.owner, now_us) is not None
            moved = post(line, state, now_us, 0, growth, slot_us) if grows else None
            if _is_passed(line, now_us):
                standing = _NO_LIMIT
            else:
                standing = stand(line, state if moved is None else moved.state, now_us, 0)
                is_refused |= moved is not None and standing.remaining < 0 and line.enforce
            longer.append(line)
            standings.append(standing)
            states.append(None if moved is None else moved.state)
            keeps_us.append(0 if moved is None else moved.keep_us)
        return _Longer(Reserved(not is_refused, now_us, tuple(standings)), longer, states, keeps_us)

    async def settle(self, hold_id: bytes, tag: bytes, lines: Sequence[Line], actual: Sequence[int]) -> bool:
        """See `Ledger.settle`."""
        return self._settle(hold_id, tag, lines, actual)

    def post(
        self, hold_id: bytes, tag: bytes, lines: Sequence[Line], actual: Sequence[int], *, lost: Callable[[StoreFault], None]
    ) -> None:
        """See `Ledger.post`; nothing is ever lost here."""
        self._settle(hold_id, tag, lines, actual)

    def _settle(self, hold_id: bytes, tag: bytes, lines: Sequence[Line], actual: Sequence[int]) -> bool:
        now_us = self._now_us()
        if not lines:
            return True
        pack_amounts(actual, None, len(lines))
        self._purge(now_us)
        holds = self._tags.setdefault(tag, Tag())
        record = holds.records.get(hold_id)
        if record is None and hold_id in holds.records:
            return False
        if record is not None:
            self._repost(record, now_us, 0, actual, is_kept=False)
            holds.open_count -= record.is_open
        holds.records[hold_id] = None
        self._closed[_SETTLED_KEPT_US].append((now_us + _SETTLED_KEPT_US, tag, hold_id))
        return record is not None

    async def standings(self, tag: bytes, lines: Sequence[Line]) -> Reserved:
        """See `Ledger.standings`. Raises WindowPassed as `reserve` does."""
        now_us = self._now_us()
        if not lines:
            return Reserved(True, now_us, ())
        pack_lines(lines)
        lines = self._scaled(lines)
        self._sweep(tag, now_us, _SWEEP_MAX_STANDINGS)
        if any(_is_passed(line, now_us) for line in lines):
            raise WindowPassed(now_us)
        return self._survey(lines, now_us, is_held=False, admitted=True)

    def _scaled(self, lines: Sequence[Line]) -> Sequence[Line]:
        if self._share == 1:
            return lines
        share = self._share
        scaled = []
        for line in lines:
            limit = max(min(1, line.a), int(line.a * share))
            period_us = round(line.c / share) if line.kind == "bucket" else line.c  # a slower refill, in whole numbers
            scaled.append(line._replace(a=limit, c=period_us))
        return scaled

    def _work_out(self, lines: Sequence[Line], now_us: int, lease_us: int) -> _Plan:
        is_refused = is_passed = is_due = False
        states, slots, keeps_us, standings = [], [], [], []
        for line in lines:
            owner = self._alive(line.owner, now_us)
            is_due |= owner is not None and now_us >= owner.due_us
            is_passed |= _is_passed(line, now_us)
            certain = 0 if line.kind == "concurrency" else line.certain
            state = owner.states.get(line.field) if owner is not None else None
            posted = post(line, state, now_us, certain, line.amount - certain, None)
            assert posted is not None  # noqa: S101  # only a settling post may be None
            standing = stand(line, posted.state, now_us, 0)
            is_refused |= standing.remaining < 0 and line.enforce
            states.append(posted.state)
            slots.append(posted.slot_us)
            keeps_us.append(posted.keep_us)
            standings.append(standing)
        return _Plan(Reserved(not is_refused, now_us, tuple(standings)), is_passed, is_due, states, slots, keeps_us)

    def _apply(self, lines: Sequence[Line], plan: _Plan, now_us: int, lease_us: int, *, is_swept_whole: bool) -> None:
        for line, state, keep_us in zip(lines, plan.states, plan.keeps_us):
            owner = self._alive(line.owner, now_us)
            if owner is None:
                owner = self._owners[line.owner] = Owner(now_us)
            if now_us >= owner.due_us:
                owner.due_us = now_us + HOUR_US if is_swept_whole else now_us
            owner.states[line.field] = state
            owner.keep(now_us, max(keep_us, HOUR_US + 2 * lease_us))

    def _known(self, record: Record | None, lines: Sequence[Line], now_us: int) -> Reserved:
        if record is None or not record.is_open:
            raise StoreFault("the hold was closed before: a late duplicate cannot open it again")
        return self._survey(lines, now_us, is_held=True, admitted=True)

    def _survey(self, lines: Sequence[Line], now_us: int, *, is_held: bool, admitted: bool) -> Reserved:
        standings = []
        for line in lines:
            owner = self._alive(line.owner, now_us)
            state = owner.states.get(line.field) if owner is not None else None
            standings.append(stand(line, state, now_us, 0 if is_held else line.amount))
        return Reserved(admitted, now_us, tuple(standings))

    def _repost(self, record: Record, now_us: int, lease_us: int, targets: Sequence[int] | None, *, is_kept: bool) -> None:
        for i, line in enumerate(record.lines):
            posted = record.posted[i]
            target = posted if targets is None else targets[i]
            used_delta = held_delta = 0
            if line.kind == "concurrency":
                if record.is_open and not is_kept:
                    held_delta = -line.amount
            else:
                used_delta = target - posted
                if record.is_open:
                    held_delta = -max(0, line.amount - posted)
                if is_kept:
                    held_delta += max(0, line.amount - target)
            owner = self._born_before(record, line.owner, now_us)
            if owner is None or not (used_delta or held_delta or is_kept):
                continue
            state = owner.states.get(line.field)
            moved = post(line, state, now_us, used_delta, held_delta, record.slots[i]) if state is not None else None
            if moved is not None:
                owner.states[line.field] = moved.state
                owner.keep(now_us, max(moved.keep_us, HOUR_US + 2 * lease_us))

    def _sweep(self, tag: bytes, now_us: int, count_max: int) -> int:
        holds = self._tags.get(tag)
        swept = 0
        while holds is not None and holds.leases and holds.leases[0][0] <= now_us and swept < count_max:
            lease_end_us, hold_id = heapq.heappop(holds.leases)
            record = holds.records.get(hold_id)
            if record is None or not record.is_open or record.lease_end_us != lease_end_us:
                continue
            self._repost(record, now_us, 0, None, is_kept=False)
            record.is_open = False
            holds.open_count -= 1
            self._closed[_SWEPT_KEPT_US].append((now_us + _SWEPT_KEPT_US, tag, hold_id))
            swept += 1
        return swept

    def _lease(self, holds: Tag, hold_id: bytes, record: Record) -> None:
        heapq.heappush(holds.leases, (record.lease_end_us, hold_id))
        if len(holds.leases) > 64 + 2 * holds.open_count:
            holds.leases = [(r.lease_end_us, i) for i, r in holds.records.items() if r is not None and r.is_open]
            heapq.heapify(holds.leases)

    def _alive(self, key: bytes, now_us: int) -> Owner | None:
        owner = self._owners.get(key)
        if owner is not None and now_us >= owner.expires_us:
            del self._owners[key]
            return None
        return owner

    def _born_before(self, record: Record, key: bytes, now_us: int) -> Owner | None:
        """The owner that the hold was counted in; None: it has been forgotten since."""
        owner = self._alive(key, now_us)
        return owner if owner is not None and owner.born_us <= record.opened_us else None

    def _purge(self, now_us: int) -> None:
        """Drop what can no longer change an answer: tombstones as they age, the rest every quarter of an hour."""
        for closed in self._closed.values():
            while closed and closed[0][0] <= now_us:
                _, tag, hold_id = closed.popleft()
                holds = self._tags.get(tag)
                record = holds.records.get(hold_id) if holds is not None else None
                if holds is not None and (record is None or (closed is self._closed[_SWEPT_KEPT_US] and not record.is_open)):
                    holds.records.pop(hold_id, None)
        if now_us < self._purge_at_us:
            return
        self._purge_at_us = now_us + _PURGE_EVERY_US
        self._owners = {key: owner for key, owner in self._owners.items() if now_us < owner.expires_us}
        for tag, holds in list(self._tags.items()):
            for hold_id in [i for i, r in holds.records.items() if r is not None and r.kept_until_us <= now_us]:
                record = holds.records.pop(hold_id)
                holds.open_count -= record is not None and record.is_open
            if not holds.records:
                del self._tags[tag]


def _is_passed(line: Line, now_us: int) -> bool:
    return line.kind == "calendar" and not line.b <= now_us < line.c
