"""Whether everything that gateways saw has arrived: each run of a gateway numbers what it tells, and says when it ends. Pure.

A number that is missing is a sighting that was lost: dropped by its gateway for want of room, or pushed out of the stream
before it was read. A run that falls silent without an end was killed: what it had not told yet nobody knows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gateway.store.watch import Batch

SILENT_US = 60_000_000
"""Six heartbeats."""
RUNS_MAX = 10_000


class Gap(NamedTuple):
    """What is missing of a run."""

    run: str
    first: int
    """The first number that is missing."""
    numbers: int
    """How many; 0: nobody knows, the run was broken off."""
    why: str
    """`dropped` by the gateway, `lost` on the way, `broken`: the run has no end, `anew`: the store had lost what was in it."""
    at_us: int


class Runs:
    """The runs that go on, as far as they have been read."""

    def __init__(self) -> None:
        self._runs: dict[str, tuple[int, int]] = {}
        """Run -> (the next number, when it was last heard of)."""

    def __len__(self) -> int:
        return len(self._runs)

    def take(self, batch: Batch, at_us: int) -> tuple[int, list[Gap]]:
        """A batch was read. How many sightings at its beginning were told before, and what is missing before or in it."""
        expected = self._runs.get(batch.run, (0, 0))[0]
        gaps = []
        if batch.first > expected:
            gaps.append(Gap(batch.run, expected, batch.first - expected, "lost", at_us))
            expected = batch.first
        told_before = expected - batch.first
        after = max(expected, batch.first + batch.numbers)
        if batch.data == b"[]" and after > expected:
            gaps.append(Gap(batch.run, expected, after - expected, "dropped", at_us))
        self._runs.pop(batch.run, None)
        if not batch.is_last:
            if len(self._runs) >= RUNS_MAX:
                del self._runs[next(iter(self._runs))]
            self._runs[batch.run] = (after, at_us)
        return told_before, gaps

    def silent(self, now_us: int) -> list[Gap]:
        """Runs that were broken off. Ask when all that was told has been read."""
        for run, (number, at_us) in self._runs.items():
            if at_us > now_us:  # the clock had leapt ahead
                self._runs[run] = (number, now_us)
        broken = [(run, number) for run, (number, at_us) in self._runs.items() if now_us - at_us > SILENT_US]
        for run, _ in broken:
            del self._runs[run]
        return [Gap(run, number, 0, "broken", now_us) for run, number in broken]

    def dump(self) -> list[Any]:
        return [[run, number, at_us] for run, (number, at_us) in self._runs.items()]

    def load(self, dumped: list[Any]) -> None:
        self._runs = {str(run): (int(number), int(at_us)) for run, number, at_us in dumped}
