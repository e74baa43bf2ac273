"""A tenant's own history: is what it sends now what it used to send? For review, never for punishment. Pure, fixed size.

Requests are taken in blocks of BLOCK. What is *known* of a tenant are up to KNOWN_MAX samples of its past. They are only added
to while they are small, and do not fade: whoever changes by small steps is at last as far from them as whoever changes at once.
A block that no mixture of them explains (`history_mix`) is *out*; two of three running are a change.

1. The first LEARN_BLOCKS blocks are learned, whatever they are: with no history there is no change.
2. Later nothing becomes known that was not told: a change is learned when it has gone on for SETTLES_US, and what then comes is
   compared with that too. What comes back after that is no change.
3. In the first day of a history (YOUNG_US) what comes may be a daily cycle's other half. A change is found, and marked
   `is_young`; it is learned when the day is over.
4. A block is out by two bars. One is how large the change is (`EXCESS_MIN`: a third of the traffic becoming something else).
   The other is how large beside chance, where chance is this tenant's own: blocks of somebody whose requests come in runs that
   are alike differ more than independent ones, and by how much is learned from them (`_bar`).

Failure policy: `load` raises ValueError on bytes that are no dump of this version, and the caller starts afresh.
"""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

from gateway.detectors import history_told
from gateway.detectors.history_cells import DUMP_BYTES, GROUP_BYTES_MAX, GROUPS_MAX, Sums, cells_of
from gateway.detectors.history_mix import Apart, Known, apart, known_of, mixed
from gateway.detectors.vocabulary import DUMP_BYTES_MAX as VOCABULARY_BYTES_MAX
from gateway.detectors.vocabulary import Vocabulary
from gateway.values import Finding, Sighting

VERSION = 1
BLOCK = 24
LEARN_BLOCKS = 8
KNOWN_MAX = 6
EXCESS_MIN = 0.6
RATIO_MIN, RATIO_MAX = 3.0, 6.0
"""Bounds of the second bar: the lower is what a young tenant must pass, the upper all that erratic traffic can make of it."""
DEVIATIONS = 4.0
MET_SHARE = 0.2
"""Of a mixture: a sample that is so much of it has been met again."""
SAME_SHARE = 0.8
"""Of a mixture: the block is another of the same, and is added to the sample."""
FRESH_SHARE = 0.6
"""The same, of what is out: its blocks are mixtures with what is known more often."""
DAY_US = 86_400_000_000
YOUNG_US = DAY_US
SETTLES_US = 3 * DAY_US
OVER_US = DAY_US
"""A change that has not been seen for so long is over; what comes later is another one."""
PROFILE = "change"
"""As a finding's profile."""


class Change(NamedTuple):
    """What a tenant does that it did not do."""

    since_us: int
    """When the request came that made it one."""
    last_us: int
    """When it was last seen."""
    is_young: bool
    """It began in the first day of the history."""
    past_requests: int
    """How many requests the history rests on, and since when."""
    past_us: int
    finding: Finding
    """`score`: 500 at the bar, 1000 infinitely far. `usual` in its reasons is the tenant's own past."""


class History:
    """Bounded state, whatever is added. Not thread-safe."""

    __slots__ = ("born_us", "last_us", "blocks", "outs", "since_us", "out_us", "spread", "known", "fresh",
                 "recent", "groups", "vocabulary", "_prepared")  # fmt: skip

    def __init__(self) -> None:
        self.born_us = 0
        self.last_us = 0
        self.blocks = 0
        """Compared or learned."""
        self.outs = 0
        """Of the last three blocks, as bits: which were out."""
        self.since_us = 0
        """Of the change that goes on; 0: none."""
        self.out_us = 0
        """When a block was last out; 0: never."""
        self.spread = (0, 0.0, 0.0)
        """Of blocks that were not out: how many, the mean of their ratios, the sum of squared deviations from it (Welford)."""
        self.known: list[Sums] = []
        self.fresh = Sums()
        """Blocks that were out, until they are learned."""
        self.recent = Sums()
        """The block that is being filled."""
        self.groups: list[str] = []
        """Tripwire groups met, in the order of their cells."""
        self.vocabulary = Vocabulary()
        self._prepared: Known | None = None

    def add(self, sighting: Sighting, at_us: int, *, is_order: bool) -> None:
        """One request, at the time it came. Raises IndexError for features that are out of bounds."""
        if self.last_us - at_us > DAY_US:  # a clock had leapt ahead
            self.since_us, self.out_us = min(self.since_us, at_us), min(self.out_us, at_us)
            self.born_us, self.last_us = min(self.born_us, at_us), 0
        at_us = self.last_us = max(at_us, self.last_us)
        self.born_us = self.born_us or at_us
        groups = {self._group(name) for name in sighting.phrases} - {-1}
        self.recent.add(cells_of(sighting, groups, is_order=is_order), sighting.features)
        self.vocabulary.add(sighting.sketch)
        if self.recent.requests >= BLOCK:
            block, self.recent = self.recent, Sums()
            block.last_us = at_us
            self._compare(block, at_us)

    def _group(self, name: str) -> int:
        """The cell of a tripwire group; -1: there are too many."""
        name = name.encode()[:GROUP_BYTES_MAX].decode("utf-8", "ignore")
        if name not in self.groups:
            if len(self.groups) >= GROUPS_MAX:
                return -1
            self.groups.append(name)
        return self.groups.index(name)

    def _compare(self, block: Sums, at_us: int) -> None:
        self.blocks += 1
        self._settle(at_us)
        if not self.known:
            self._learn(block)
            return
        found = apart(block, self._known())
        is_out = self._is_out(found)
        if self.blocks <= LEARN_BLOCKS:
            if is_out and len(self.known) < KNOWN_MAX:
                self._learn(block)
            else:
                self._met(block, found)
            return
        self.outs = self.outs << 1 & 7 | is_out
        if not is_out:
            self._met(block, found)
            return
        self._out(block, at_us)

    def _is_out(self, found: Apart) -> bool:
        return found.excess >= EXCESS_MIN and found.ratio >= self._bar()

    def _bar(self) -> float:
        """The ratio that chance does not reach: four deviations above the mean of this tenant's own blocks."""
        count, mean, squares = self.spread
        usual = mean + DEVIATIONS * math.sqrt(squares / count) if count else 0.0
        return min(RATIO_MAX, max(RATIO_MIN, usual))

    def _met(self, block: Sums, found: Apart) -> None:
        """A block like those that are known."""
        count, mean, squares = self.spread
        count = min(count + 1, 200)
        off = found.ratio - mean
        mean += off / count
        self.spread = (count, mean, squares * (1 - 1 / count if count == 200 else 1) + off * (found.ratio - mean))
        for sums, share in zip(self.known, found.mix):
            if share >= MET_SHARE:
                sums.last_us = block.last_us
            if share >= SAME_SHARE and sums.plus(block):
                self._prepared = None

    def _out(self, block: Sums, at_us: int) -> None:
        """A block unlike those that are known."""
        is_same = False
        if self.fresh.requests:
            found = apart(block, known_of([*self.known, self.fresh]))
            is_explained = not self._is_out(found)
            is_same = is_explained and found.mix[-1] >= FRESH_SHARE
            if at_us - self.out_us >= OVER_US:
                if is_explained and self.fresh.requests >= 2 * BLOCK:
                    self._learn_fresh()  # it was told before, and has come back
                    return
                self.fresh = Sums()
            elif not is_explained and self.fresh.requests == BLOCK:
                self.fresh = Sums()  # it was half of what was before, or chance
        self.out_us = at_us
        if not self.fresh.requests or is_same:
            self.fresh.plus(block)
        if not self.since_us and self.outs.bit_count() >= 2:
            self.since_us = at_us

    def _settle(self, at_us: int) -> None:
        """What has gone on for long is learned, and what has not come again is over."""
        if not self.since_us:
            return
        is_first_day_over = self.since_us < self.born_us + YOUNG_US <= at_us
        if at_us - self.since_us >= SETTLES_US or is_first_day_over:
            self._learn_fresh()
        elif at_us - self.out_us >= OVER_US:
            self.since_us = 0

    def _learn(self, sums: Sums) -> None:
        if len(self.known) >= KNOWN_MAX:
            self.known.remove(min(self.known, key=lambda each: each.last_us))
        self.known.append(sums)
        self._prepared = None

    def _learn_fresh(self) -> None:
        self.fresh.last_us = self.out_us
        self._learn(self.fresh)
        self.fresh, self.since_us, self.outs = Sums(), 0, 0

    def _known(self) -> Known:
        if self._prepared is None:
            self._prepared = known_of(self.known)
        return self._prepared

    @property
    def is_young(self) -> bool:
        """Whether the change that goes on began in the first day."""
        return 0 < self.since_us < self.born_us + YOUNG_US

    def change(self) -> Change | None:
        """What goes on that did not go on before; None: nothing."""
        if not self.since_us or not self.known or not self.fresh.requests:
            return None
        known = self._known()
        found = apart(self.fresh, known)
        means = [
            sum([share * sums.features[index] / sums.requests for share, sums in zip(found.mix, self.known)])
            for index in range(len(self.fresh.features))
        ]
        reasons = history_told.changed(self.fresh, mixed(known, found.mix), means, self.groups)
        score = round(1000 * max(0.0, found.excess) / (max(0.0, found.excess) + EXCESS_MIN))
        return Change(
            self.since_us,
            self.out_us,
            self.is_young,
            sum(sums.requests for sums in self.known),
            self.born_us,
            Finding(PROFILE, score, reasons, self.fresh.requests),
        )

    def dump(self) -> bytes:
        """At most DUMP_BYTES_MAX bytes."""
        groups = [name.encode() for name in self.groups]
        parts = [
            _HEAD.pack(
                VERSION, self.born_us, self.last_us, self.blocks, self.outs, self.since_us, self.out_us,
                *self.spread, len(self.known), len(groups),
            ),
            *[bytes((len(name),)) + name for name in groups],
            *[sums.dump() for sums in (self.fresh, self.recent, *self.known)],
            self.vocabulary.dump(),
        ]  # fmt: skip
        return b"".join(parts)

    @classmethod
    def load(cls, data: bytes) -> History:
        """A history as it was dumped. Raises ValueError."""
        made = cls()
        try:
            (version, made.born_us, made.last_us, made.blocks, made.outs, made.since_us, made.out_us,
             count, mean, squares, known, groups) = _HEAD.unpack_from(data)  # fmt: skip
        except struct.error as error:
            raise ValueError(f"no dump of a history: {error}") from None
        if version != VERSION or known > KNOWN_MAX or groups > GROUPS_MAX:
            raise ValueError("no dump of a history: it is of another version")
        if not (mean >= 0 and squares >= 0 and math.isfinite(mean) and math.isfinite(squares)):
            raise ValueError("no dump of a history: its numbers are none")
        made.spread = (count, mean, squares)
        at = _HEAD.size
        for _ in range(groups):
            end = at + 1 + (data[at] if at < len(data) else 0)
            made.groups.append(data[at + 1 : end].decode())
            at = end
        made.fresh, made.recent, *made.known = [
            Sums.load(data[at + DUMP_BYTES * index : at + DUMP_BYTES * (index + 1)]) for index in range(known + 2)
        ]
        made.vocabulary = Vocabulary.load(data[at + DUMP_BYTES * (known + 2) :])
        if made.recent.requests >= BLOCK or not all(sums.requests for sums in made.known):
            raise ValueError("no dump of a history: its sums are none that it makes")
        return made


_HEAD = struct.Struct("<BQQIBQQIddBB")
DUMP_BYTES_MAX = _HEAD.size + GROUPS_MAX * (1 + GROUP_BYTES_MAX) + (KNOWN_MAX + 2) * DUMP_BYTES + VOCABULARY_BYTES_MAX
