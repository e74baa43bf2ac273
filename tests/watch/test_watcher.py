"""What a gateway has seen and not yet told, while the store fails it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog

from gateway.errors import StoreFault
from gateway.store.watch import Batch, Changes
from gateway.trial.clock import run_virtually
from gateway.values import Ask
from gateway.watch.runs import Runs
from gateway.watch.seen import decode
from gateway.watch.watcher import BATCH_MAX, BUFFER_MAX, Watcher
from tests.watch.make import NOW_US, Eye, generator, honest


class Store:
    """Takes batches, or does what it is told instead."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.batches: list[Batch] = []
        self.calls = 0

    async def append(self, batch: Batch) -> None:
        self.calls += 1
        if self.fault is not None:
            raise self.fault
        self.batches.append(batch)

    async def changes(self, known: int) -> Changes:
        self.calls += 1
        if self.fault is not None:
            raise self.fault
        return Changes(known, True, {})


EYE = Eye()
ONE = EYE.seen("good", honest(1))


def made() -> tuple[Store, Watcher]:
    store: Any = Store()
    return store, Watcher(store, EYE.lens, now_us=lambda: NOW_US, run="run")


def test_what_there_is_no_room_for_is_counted_and_said_once() -> None:
    """A store that is gone: what is seen is kept up to the bound; of what came then the count is told, in its place, once."""

    async def main() -> None:
        store, watcher = made()
        store.fault = StoreFault("gone")
        for _ in range(BUFFER_MAX + 500):
            watcher.note(ONE)
        with pytest.raises(StoreFault):
            await watcher.flush()
        assert len(watcher) == BUFFER_MAX
        store.fault = None
        with structlog.testing.capture_logs() as lines:
            await watcher.flush()
            await watcher.flush()
        assert [(line["event"], line["count"]) for line in lines] == [("sightings_dropped", 500)]
        runs, gaps, told = Runs(), [], 0
        for batch in store.batches:
            _, found = runs.take(batch, NOW_US)
            gaps += [(gap.first, gap.numbers, gap.why) for gap in found]
            told += len(decode(batch.data)[0])
        assert (told, gaps) == (BUFFER_MAX, [(BUFFER_MAX, 500, "dropped")])

    run_virtually(main)


def test_what_cannot_be_written_is_a_gap_and_not_the_end() -> None:
    """An upstream that tells of more tokens than 64 bits hold costs one batch, whose numbers are told as dropped."""

    async def main() -> None:
        store, watcher = made()
        watcher.note(ONE._replace(output_tokens=2**70))
        for _ in range(BATCH_MAX):
            watcher.note(ONE)
        await watcher.flush()
        assert [(batch.first, batch.numbers, len(decode(batch.data)[0])) for batch in store.batches] == [
            (0, BATCH_MAX, 0),
            (BATCH_MAX, 1, 1),
        ]
        assert [gap.why for gap in Runs().take(store.batches[0], NOW_US)[1]] == ["dropped"]

    run_virtually(main)


@pytest.mark.parametrize("fault", [StoreFault("gone"), RuntimeError("a bug")])
def test_the_watch_outlives_whatever_happens(fault: Exception) -> None:
    """Each round is tried, the fault is said once, and when it is over everything is told."""

    async def main() -> None:
        store, watcher = made()
        store.fault = fault
        watcher.note(ONE)
        with structlog.testing.capture_logs() as lines:
            task = asyncio.create_task(watcher.run())
            while store.calls < 5:
                await asyncio.sleep(1)
            store.fault = None
            while not store.batches:
                await asyncio.sleep(1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert [line["event"] for line in lines] == ["watch_failed"]

    run_virtually(main)


def test_batches_leave_room_for_everybody_else() -> None:
    """Of the requests of batches as many are kept as leave half of the buffer free; of the others the count is told."""

    async def main() -> None:
        store, watcher = made()
        for _ in range(10):
            watcher.note_many([ONE] * 1_000)
        assert len(watcher) == BUFFER_MAX // 2
        for _ in range(BUFFER_MAX // 2):
            watcher.note(ONE)
        await watcher.flush()
        told = sum(len(decode(batch.data)[0]) for batch in store.batches)
        assert (told, sum(batch.numbers for batch in store.batches)) == (BUFFER_MAX, 10_000 + BUFFER_MAX // 2)

    run_virtually(main)


def test_what_a_batch_was_looked_at_against_is_remembered() -> None:
    """A tenant's template that came in a batch is known to the next request that comes by itself, and to nobody else's."""
    _, watcher = made()
    body = generator(1)
    ask = Ask("openai.chat", "m", body, len(str(body)), 0, 20, 1, False, True, "")
    many = watcher.many("acme", "req_1", NOW_US, seal=lambda _ask, _id: "")
    for _ in range(5):
        assert many.wants()
        many.show(lambda: ask)
    watcher.keep("acme", many)
    assert [watcher.look(tenant, ask, NOW_US).template != 0 for tenant in ("acme", "other")] == [True, False]
