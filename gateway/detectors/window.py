"""A tenant's (or a cluster's) recent requests as the analyst remembers them: streams, rings and bitmaps of fixed size.

Streams are the eight most frequent templates, and kinds of request whatever their template: all, those that ask for
something in one turn, those that speak of inventing tasks, those that ask for reasoning. Older requests fade: everything is
halved when a stream has `FADE_AT` of them.

Failure policy: `load` raises ValueError on bytes that are no dump of this version, and the caller starts afresh.
"""

from __future__ import annotations

import base64
from array import array
from typing import Any

import orjson

from gateway.detectors import stream
from gateway.detectors.features import FEATURES
from gateway.detectors.kinds import KINDS, is_inventing, is_order, is_problem, is_reasoning
from gateway.values import Sighting

VERSION = 2
FADE_AT = 1_000
TEMPLATES_MAX = 8
HABITS_MAX = 8
STANDS_FOR_MAX = 100
"""No batch is sampled more thinly than that."""
RING = 48
SIGNATURES = 48
BITS = 16_384
DUMP_BYTES_MAX = 16_384

NEAR = 5
"""Sketch values, of eight, that two requests must share to be nearly the same."""


class Window:
    """Bounded state, whatever is added. Not thread-safe."""

    __slots__ = ("kinds", "templates", "groups", "contents", "sketches", "signatures", "habits", "bits", "bits_set", "at",
                 "held", "last_us", "gaps", "gap_sum", "gap_squares")  # fmt: skip

    def __init__(self) -> None:
        self.kinds = [stream.blank() for _ in KINDS]
        self.templates: dict[int, array[int]] = {}
        self.groups: list[str] = []
        """Tripwire groups met, in the order of the streams' columns."""
        self.contents = array("Q", bytes(8 * RING))
        self.sketches = array("I", bytes(4 * RING * 8))
        self.signatures = array("Q", bytes(16 * SIGNATURES))
        """Pairs: a thinking signature, and what was said before it where it was first met."""
        self.habits: dict[int, int] = {}
        self.bits = bytearray(BITS // 8)
        self.bits_set = 0
        self.at = 0
        self.held = 0
        """Requests that were looked at, the faded ones less."""
        self.last_us = 0
        self.gaps = 0
        self.gap_sum = 0.0
        self.gap_squares = 0.0

    @property
    def requests(self) -> int:
        """Requests in it, the faded ones less: as many as were looked at."""
        return self.held

    @property
    def weight(self) -> int:
        """What shares are shares of: the requests that those stand for which were looked at."""
        return self.kinds[0][0]

    def add(self, sighting: Sighting, at_us: int, output_tokens: int, stands_for: int = 1) -> None:
        """Add one request, at the time it came; `output_tokens` is 0 where nobody knows.

        `stands_for`: requests of a large batch that were sent like it and not looked at, and itself. It weighs as much as they
        would, or a batch that is sampled could be hidden behind a few requests; what fades is counted by what was looked at.
        """
        features = sighting.features
        if len(features) != len(FEATURES):
            raise ValueError(f"a sighting of {len(features)} features: this version has {len(FEATURES)}")
        self._time(at_us)
        problem = is_problem(sighting)
        seen = stream.Seen(
            sighting,
            [group for name in sighting.phrases if (group := self._group(name)) is not None],
            fresh=self._fresh(sighting.sketch),
            repeats=1 if sighting.content and sighting.content in self.contents else 0,
            near=self._near(sighting.sketch),
            foreign=self._foreign(sighting),
            output=min(1000, 62 * output_tokens.bit_length()),
            problem=int(problem),
        )
        stands_for = max(1, min(stands_for, STANDS_FOR_MAX))
        if stands_for > 1:
            seen.deltas = [stands_for * delta for delta in seen.deltas]
        self.held += 1
        stream.add(self.kinds[0], seen)
        if is_order(sighting):
            stream.add(self.kinds[1], seen)
        if is_inventing(sighting):
            stream.add(self.kinds[2], seen)
        if problem or is_reasoning(sighting):
            stream.add(self.kinds[3], seen)
        stream.add(self._template(sighting.template), seen)
        self.contents[self.at % RING] = sighting.content
        begin = self.at % RING * 8
        self.sketches[begin : begin + 8] = array("I", (*sighting.sketch, *(0,) * 8)[:8])
        self.at += 1
        count = self.habits.get(sighting.habits)
        if count is None and len(self.habits) >= HABITS_MAX:
            rarest = min(self.habits, key=self.habits.__getitem__)
            del self.habits[rarest]
        self.habits[sighting.habits] = (count or 0) + stands_for
        self._fade()

    def _fade(self) -> None:
        if self.held < FADE_AT:
            return
        self.held >>= 1
        for sums in (*self.kinds, *self.templates.values()):
            stream.halve(sums)
        self.templates = {key: sums for key, sums in self.templates.items() if sums[0]}
        self.habits = {key: count >> 1 for key, count in self.habits.items() if count > 1}
        self.gaps >>= 1
        self.gap_sum /= 2
        self.gap_squares /= 2

    def _group(self, name: str) -> int | None:
        """The column of a tripwire group. None: there are too many (lists that changed, over a long time)."""
        if name not in self.groups:
            if len(self.groups) >= stream.GROUPS_MAX:
                return None
            self.groups.append(name)
        return self.groups.index(name)

    def _template(self, key: int) -> array[int]:
        sums = self.templates.get(key)
        if sums is None:
            if len(self.templates) >= TEMPLATES_MAX:
                smallest = min(self.templates, key=lambda each: self.templates[each][0])
                del self.templates[smallest]
            sums = self.templates[key] = stream.blank()
        return sums

    def _time(self, at_us: int) -> None:
        if self.last_us and at_us > self.last_us:  # the requests of a batch are one arrival
            gap = min(at_us - self.last_us, 3_600_000_000) / 1e6
            self.gaps += 1
            self.gap_sum += gap
            self.gap_squares += gap * gap
        self.last_us = max(at_us, self.last_us)

    def _fresh(self, sketch: tuple[int, ...]) -> int:
        bits, fresh = self.bits, 0
        for value in sketch:
            cell, mask = (value & BITS - 1) >> 3, 1 << (value & 7)
            if not bits[cell] & mask:
                bits[cell] |= mask
                fresh += 1
        self.bits_set += fresh
        if self.bits_set > BITS // 2:
            self.bits, self.bits_set = bytearray(BITS // 8), 0
        return fresh

    def _near(self, sketch: tuple[int, ...]) -> int:
        if len(sketch) < 8:
            return 0
        mine, sketches = frozenset(sketch), self.sketches
        held = min(self.at, RING)
        return int(any(len(mine.intersection(sketches[8 * i : 8 * i + 8])) >= NEAR for i in range(held)))

    def _foreign(self, sighting: Sighting) -> int:
        """Whether thinking is replayed behind other words than those it was first met behind."""
        signature = sighting.signature
        if not signature or not sighting.before:
            return 0
        for index in range(0, 2 * SIGNATURES, 2):
            if self.signatures[index] == signature:
                return int(self.signatures[index + 1] != sighting.before)
        begin = 2 * (signature % SIGNATURES)
        self.signatures[begin], self.signatures[begin + 1] = signature, sighting.before
        return 0

    def merge(self, other: Window) -> None:
        """Take another's requests into this one: the window of a cluster is its members' together."""
        columns = [self._group(name) for name in other.groups]
        pairs = [(self.kinds[index], sums) for index, sums in enumerate(other.kinds)]
        pairs += [(self._template(key), sums) for key, sums in other.templates.items()]
        for mine, theirs in pairs:
            stream.plus(mine, theirs[: stream.PHRASES_AT])
            for column, value in zip(columns, theirs[stream.PHRASES_AT :]):
                if column is not None:
                    mine[stream.PHRASES_AT + column] += value
        for key, count in other.habits.items():
            if key in self.habits or len(self.habits) < HABITS_MAX:
                self.habits[key] = self.habits.get(key, 0) + count
        self.bits = bytearray(a | b for a, b in zip(self.bits, other.bits))
        self.bits_set = sum(map(int.bit_count, self.bits))
        for index in range(min(other.at, RING)):
            at = self.at % RING
            self.contents[at] = other.contents[index]
            self.sketches[8 * at : 8 * at + 8] = other.sketches[8 * index : 8 * index + 8]
            self.at += 1
        self.last_us = max(self.last_us, other.last_us)
        self.gaps += other.gaps
        self.gap_sum += other.gap_sum
        self.gap_squares += other.gap_squares
        self.held += other.held
        while self.held >= FADE_AT:
            self._fade()

    def dump(self) -> bytes:
        """At most DUMP_BYTES_MAX bytes."""
        return orjson.dumps({
            "version": VERSION, "width": stream.WIDTH, "groups": self.groups,
            "kinds": [sums.tolist() for sums in self.kinds],
            "templates": [[key, *sums] for key, sums in self.templates.items()],
            "contents": _text(self.contents.tobytes()), "sketches": _text(self.sketches.tobytes()),
            "signatures": _text(self.signatures.tobytes()), "bits": _text(self.bits),
            "habits": [[key, count] for key, count in self.habits.items()],
            "at": self.at, "held": self.held, "last_us": self.last_us, "gaps": [self.gaps, self.gap_sum, self.gap_squares],
        })  # fmt: skip

    @classmethod
    def load(cls, data: bytes) -> Window:
        """A window as it was dumped. Raises ValueError."""
        window = cls()
        try:
            tree: dict[str, Any] = orjson.loads(data)
            if tree["version"] != VERSION or tree["width"] != stream.WIDTH:
                raise ValueError("a dump of another version")
            window.groups = [str(name) for name in tree["groups"]]
            window.kinds = [_sums(values) for values in tree["kinds"]]
            window.templates = {row[0]: _sums(row[1:]) for row in tree["templates"]}
            window.contents = _array("Q", tree["contents"], RING)
            window.sketches = _array("I", tree["sketches"], 8 * RING)
            window.signatures = _array("Q", tree["signatures"], 2 * SIGNATURES)
            window.bits = bytearray(base64.b64decode(tree["bits"]))
            window.habits = dict(tree["habits"])
            window.at, window.last_us = int(tree["at"]), int(tree["last_us"])
            window.held = int(tree["held"])
            gaps, window.gap_sum, window.gap_squares = tree["gaps"]
            window.gaps = int(gaps)
        except (KeyError, TypeError, IndexError, OverflowError) as error:
            raise ValueError(f"no dump of a window: {error!r}") from None
        if len(window.kinds) != len(KINDS) or len(window.bits) != BITS // 8 or len(window.templates) > TEMPLATES_MAX:
            raise ValueError("no dump of a window: its parts have other sizes")
        window.bits_set = sum(map(int.bit_count, window.bits))
        return window


def _text(data: bytes | bytearray) -> str:
    return base64.b64encode(data).decode()


def _sums(values: list[int]) -> array[int]:
    if len(values) != stream.WIDTH:
        raise ValueError("no dump of a window: a stream has another width")
    return array("q", values)


def _array(kind: Any, text: str, count: int) -> array[int]:
    found: array[int] = array(kind)
    found.frombytes(base64.b64decode(text))
    if len(found) != count:
        raise ValueError("no dump of a window: a ring has another size")
    return found
