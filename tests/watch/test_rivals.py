"""Two live analysts, a stream that overflowed, a store that lost what was in it: on a real store, with real evidence."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.policy.model import Policy
from gateway.store.embedded import ensure_running
from gateway.store.redis import RedisLedger
from gateway.store.watch import Batch, Placement, WatchStore
from gateway.values import Sighting
from gateway.watch import seen as written
from gateway.watch.analyst import Analyst
from gateway.watch.archive import Archive
from gateway.watch.groups import NoLinks
from gateway.watch.service import Service
from gateway.watch.watcher import read_rung
from tests.evidence.make import Clock, exported, open_sink
from tests.watch.make import US, Eye, generator, policy_of
from tests.watch.test_analyst import POLICY

STREAM, LEASE = b"g1:{watch}:s", b"g1:{watch}:l"


@pytest.fixture(scope="module")
def store_url() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="gg"))
    server = ensure_running(folder)
    yield server.url
    server.stop()
    shutil.rmtree(folder)


class Notes(NoLinks):
    """Links that count, and are kept as their count."""

    def __init__(self, data: bytes | None) -> None:
        self.count = int(data or 0)

    def note(self, tenant: str, sighting: Sighting, at_us: int) -> None:
        self.count += 1

    def dump(self) -> bytes:
        return b"%d" % self.count


class Bench:
    """A store, the gateways' side of it, and machines with an analyst each."""

    def __init__(self, folder: Path, ledger: RedisLedger, policy: Policy) -> None:
        self.folder, self.connection, self.policy = folder, ledger.connection, policy
        self.clock = Clock()
        self.clock.now_us = ledger.server_now_us()
        self.store = WatchStore(ledger.connection, entries_max=10_000)
        self.number = 0
        self._eye = Eye()
        self.links: dict[str, Notes] = {}

    async def told(self, count: int, *, subject: str = "bad", ids: list[str] | None = None) -> None:
        """So many requests, one in an entry; `ids`: the entries' own."""
        for at in range(count):
            one = self._eye.seen(subject, generator(self.number), self.clock.now_us)
            batch = Batch("run", self.number, 1, written.encode([one._replace(request_id=f"r{self.number}")]))
            self.number += 1
            if ids is None:
                await self.store.append(batch)
            else:
                fields = (b"r", b"run", b"n", batch.first, b"c", 1, b"d", batch.data, b"e", 0)
                await self.connection.send((b"XADD", STREAM, ids[at].encode(), *fields))

    def machine(self, name: str, store: WatchStore | None = None) -> Service:
        folder = self.folder / name

        def make(policy: Policy, archive: Archive) -> Analyst:
            self.links[name] = Notes(archive.mark("links"))
            return Analyst(policy, archive, self.links[name], open_sink(folder / "evidence", self.clock), chance=lambda: 0.0)

        return Service(
            store or self.store, open_archive=partial(Archive, folder / "analyst.db"), make=make, policy=self.policy,
            now_us=self.clock,
        )  # fmt: skip

    async def turn(self, service: Service, times: int = 1) -> None:
        """So many turns, each with its tick, two seconds apart."""
        for _ in range(times):
            self.clock.now_us += 2 * US
            service._ticked_s = -1.0
            await service.turn()

    async def lapse(self) -> None:
        """Whoever has the lease was stopped for longer than it lasts."""
        await self.connection.send((b"DEL", LEASE))

    def on_record(self, *names: str, kind: str = "sighting") -> list[dict[str, Any]]:
        """The entries of these machines' evidence."""
        found = []
        for name in names:
            lines = exported(self.folder / name / "evidence", self.clock, "bad", "acme")
            found += [tree["body"] for tree in map(orjson.loads, lines) if tree.get("body", {}).get("kind") == kind]
        return found

    async def rung(self, subject: str = "bad") -> str:
        rung = read_rung((await self.store.rungs()).get(subject, b"null"))
        return "" if rung is None else rung.step


Run = Callable[[Callable[[Bench], Awaitable[None]]], None]


@pytest.fixture
def run(store_url: str, tmp_path: Path) -> Run:
    def run_body(body: Callable[[Bench], Awaitable[None]]) -> None:
        async def main() -> None:
            ledger = await RedisLedger.connect(store_url)
            try:
                await ledger.connection.send((b"FLUSHALL",))
                await body(Bench(tmp_path, ledger, policy_of(tmp_path / "policy", POLICY)))
            finally:
                await ledger.close()

        asyncio.run(main())

    return run_body


def killed(service: Service) -> None:
    """Without a word: what was not kept is gone, and its files are free."""
    assert service._analyst is not None
    assert service._archive is not None
    service._archive.close()
    service._analyst._sink._books.abandon()  # type: ignore[attr-defined]
    service._archive = service._analyst = None


def test_a_deposed_analyst_writes_nothing(run: Run) -> None:
    """One is stopped (SIGSTOP, a machine that sleeps) for longer than its lease, and another takes over. The first wakes up
    and does not know: it takes nothing of what has come, decides nothing, and each request is in one machine's evidence."""

    async def body(bench: Bench) -> None:
        one, two = bench.machine("one"), bench.machine("two")
        await bench.told(40)
        await bench.turn(one, 8)
        assert await bench.rung() == "notice"
        await bench.turn(two)
        assert (one.is_active, two.is_active) == (True, False)

        await bench.lapse()
        two._leased_s = 0.0
        await bench.turn(two, 3)
        await bench.told(30)
        await bench.turn(two, 20)
        assert (one.is_active, two.is_active, await bench.rung()) == (True, True, "refuse")
        before = await bench.store.rungs(), await bench.store.dossiers(), await bench.store.state()
        await bench.turn(one)
        assert (one.is_active, two.is_active) == (False, True)
        assert before == (await bench.store.rungs(), await bench.store.dossiers(), await bench.store.state())

        await two.close()
        times = Counter(each["request_id"] for each in bench.on_record("one", "two"))
        assert times == Counter(f"r{number}" for number in range(70))
        steps = [(each["before"], each["after"]) for each in bench.on_record("one", "two", kind="decision")]
        assert steps == [("", "notice"), ("notice", "tighten"), ("tighten", "refuse")]

    run(body)


class Late(WatchStore):
    """Whose owner is deposed between its decision and its word."""

    async def place(self, holder: str, placements: Any) -> bool:
        await self._connection.send((b"SET", LEASE, b"another"))
        return await super().place(holder, placements)


def test_one_that_is_deposed_in_the_middle_writes_nothing(run: Run) -> None:
    """The lease is lost after the last look at it and before what was decided is written: the store itself refuses that, and
    where the stream has been read to."""

    async def body(bench: Bench) -> None:
        late = bench.machine("one", Late(bench.connection, entries_max=10_000))
        await bench.told(40)
        await bench.turn(late)
        assert (late.is_active, await bench.store.dossiers(), await bench.store.state()) == (False, {}, b"")
        assert await bench.store.keep("one", "9-9", b"{}") == -1
        assert not await bench.store.place("one", [Placement("bad", b"[]", b"{}")])
        assert (await bench.store.rungs(), await bench.store.position()) == ({}, "0")

    run(body)


def test_an_archive_that_lay_aside_puts_nothing_on_record_twice(run: Run) -> None:
    """A machine takes over with an archive from before another's turn: its windows need what came meanwhile, its evidence
    does not: that is in the other's."""

    async def body(bench: Bench) -> None:
        one = bench.machine("one")
        await bench.told(20)
        await bench.turn(one, 2)
        await one.checkpoint()
        await one.close()
        two = bench.machine("two")
        await bench.told(20)
        await bench.turn(two, 3)
        await two.close()
        again = bench.machine("one")
        await bench.told(20)
        await bench.turn(again, 4)
        assert again._archive is not None
        assert again._archive.window("bad").requests == 60
        await again.close()
        times = Counter(each["request_id"] for each in bench.on_record("one", "two"))
        assert times == Counter(f"r{number}" for number in range(60))

    run(body)


def test_a_stream_that_overflowed(run: Run) -> None:
    """While no analyst ran, more came than the store keeps. The next one counts what is missing, exactly, goes on with what is
    left, and says so in the evidence and to whoever asks the store."""

    async def body(bench: Bench) -> None:
        one = bench.machine("one")
        await bench.told(5)
        await bench.turn(one, 2)
        await one.close()
        bench.store = WatchStore(bench.connection, entries_max=100)
        await bench.told(600)
        two = bench.machine("one")
        await bench.turn(two, 20)
        kept = len(await bench.store.read("0", at_most=10_000))
        assert kept < 300
        state = orjson.loads(await bench.store.state())
        ((at_us, why, count),) = state["missing"]
        assert (why, count) == ("lost", 600 - kept)
        assert at_us > 0
        assert state["read_us"] > 0
        (told,) = bench.on_record("one", kind="missing")
        assert (told["why"], told["first"], told["numbers"]) == ("lost", 5, 600 - kept)
        assert len({each["request_id"] for each in bench.on_record("one")}) == 5 + kept
        killed(two)
        three = bench.machine("one")
        await bench.turn(three, 2)
        assert orjson.loads(await bench.store.state())["missing"] == state["missing"]
        await three.close()

    run(body)


def test_a_store_that_comes_back_empty_with_its_clock_set_back(run: Run) -> None:
    """Entries of the stream are numbered by the store's clock: everything that came had lower numbers than what had been read,
    and nothing was read until the clock had caught up. Now it is; the gap is on record; and gateways are told again at once
    who stands where."""

    async def body(bench: Bench) -> None:
        one = bench.machine("one")
        await bench.told(40)
        await bench.turn(one, 20)
        assert await bench.rung() == "refuse"
        await bench.connection.send((b"FLUSHALL",))
        assert await bench.rung() == ""
        bench.clock.now_us -= 86_400 * US
        at = bench.clock.now_us // 1_000
        await bench.told(10, ids=[f"{at + number}-0" for number in range(10)])
        one._leased_s = 0.0
        await bench.turn(one, 4)
        assert await bench.rung() == "refuse"
        assert "bad" in await bench.store.dossiers()
        assert one._archive is not None
        assert one._archive.window("bad").requests == 50
        await bench.told(5, ids=[f"{at + 2_000 + number}-0" for number in range(5)])
        await bench.turn(one, 4)
        await one.checkpoint()
        killed(one)

        two = bench.machine("one")
        await bench.told(5, ids=[f"{at + 3_000 + number}-0" for number in range(5)])
        await bench.lapse()
        await bench.turn(two, 3)
        assert two._archive is not None
        assert two._archive.window("bad").requests == 60
        await two.close()
        bench.clock.now_us += 86_400 * US  # evidence keeps the later time: look at both days
        assert [each["why"] for each in bench.on_record("one", kind="missing")] == ["anew"]
        times = Counter(each["request_id"] for each in bench.on_record("one"))
        assert times == Counter(f"r{number}" for number in range(60))

    run(body)


def test_a_store_that_is_as_it_was_before(run: Run) -> None:
    """Restored from a copy: what is in it has been read, what comes from now on has not."""

    async def body(bench: Bench) -> None:
        one = bench.machine("one")
        await bench.told(40)
        await bench.turn(one, 4)
        await bench.connection.send((b"DEL", STREAM))
        at = bench.clock.now_us // 1_000 - 10_000
        await bench.connection.send((b"XADD", STREAM, b"%d-0" % at, b"r", b"run", b"n", 0, b"c", 1, b"d", b"[]", b"e", 0))
        await bench.turn(one, 2)
        await bench.told(5, ids=[f"{at + 1 + number}-0" for number in range(5)])
        await bench.turn(one, 2)
        assert one._archive is not None
        assert one._archive.window("bad").requests == 45
        await one.close()
        assert [each["why"] for each in bench.on_record("one", kind="missing")] == ["anew"]

    run(body)


def test_an_emptied_store_is_noticed_while_nobody_looked(run: Run) -> None:
    """The store lost everything while no analyst ran: the next one tells again what it knows, from what its archive has."""

    async def body(bench: Bench) -> None:
        one = bench.machine("one")
        await bench.told(40)
        await bench.turn(one, 4)
        await one.close()
        await bench.connection.send((b"FLUSHALL",))
        await bench.told(5)
        two = bench.machine("one")
        await bench.turn(two, 3)
        assert two._archive is not None
        assert two._archive.window("bad").requests == 45
        await two.close()
        assert [each["why"] for each in bench.on_record("one", kind="missing")] == ["anew"]

    run(body)


def test_links_are_as_they_were_after_a_kill(run: Run) -> None:
    """They are kept every ten minutes. Killed before the next time, the analyst reads the stream again for them, and they have
    noted every request once; its windows and its evidence too."""

    async def body(bench: Bench) -> None:
        one = bench.machine("one")
        await bench.told(20)
        await bench.turn(one, 2)
        await one.checkpoint(with_links=True)
        await bench.told(90)
        await bench.turn(one, 6)
        await one.checkpoint()
        await bench.told(10)
        await bench.turn(one, 2)
        assert bench.links["one"].count == 120
        killed(one)
        await bench.lapse()
        two = bench.machine("one")
        await bench.turn(two, 12)
        assert bench.links["one"].count == 120
        assert two._archive is not None
        assert two._archive.window("bad").requests == 120
        await bench.told(5)
        await bench.turn(two, 2)
        assert bench.links["one"].count == 125
        await two.close()
        times = Counter(each["request_id"] for each in bench.on_record("one"))
        assert times == Counter(f"r{number}" for number in range(125))

    run(body)
