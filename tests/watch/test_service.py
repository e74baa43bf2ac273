"""The analyst as a process: its disk, its lease or its operator are in the way. Time is the loop's, and virtual."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import structlog

from gateway.policy.model import Policy
from gateway.store.watch import Batch, Placement
from gateway.trial.clock import run_virtually
from gateway.watch import seen as written
from gateway.watch.analyst import Analyst
from gateway.watch.archive import Archive
from gateway.watch.groups import NoLinks
from gateway.watch.service import Service
from gateway.watch.sinks import NoSink
from tests.watch.make import NOW_US, US, Eye, generator, policy_of

POLICY = """
version: 1
organisations: {acme: {}}
plans: {p: {}}
tenants: {bad: {organisation: acme, plan: p}}
"""


class Store:
    """One analyst's, in memory: the stream, and who has the lease."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, Batch]] = []
        self.leased = ""
        self.stolen = False
        self.at = "0"
        self.is_kept = False
        self.waiting: dict[str, bytes] = {}
        self.placed: list[Placement] = []

    async def lease(self, holder: str, ttl_ms: int) -> bool:
        self.leased = holder
        return not self.stolen

    async def leave(self, holder: str) -> None:
        pass

    async def has(self, entry_id: str) -> bool:
        return any(entry == entry_id for entry, _ in self.entries)

    async def state(self) -> bytes:
        return b""

    async def read(self, after: str, *, at_most: int) -> list[tuple[str, Batch]]:
        first = 0 if after == "0" else int(after.partition("-")[0])
        return self.entries[first : first + at_most]

    async def place(self, holder: str, placements: Sequence[Placement]) -> bool:
        if self.stolen:
            return False
        self.placed += placements
        for each in placements:
            if each.answers and self.waiting.get(each.subject) == each.answers:
                del self.waiting[each.subject]
        return True

    async def position(self) -> str:
        return self.at

    async def keep(self, holder: str, entry_id: str, state: bytes) -> int:
        if self.stolen:
            return -1
        known, self.is_kept, self.at = self.is_kept, True, entry_id
        return int(known)

    async def holder(self) -> str:
        return "another" if self.stolen else self.leased

    async def dossiers(self) -> dict[str, bytes]:
        return {each.subject: each.dossier for each in self.placed if each.dossier}

    async def rungs(self) -> dict[str, bytes]:
        return {}

    async def pardons(self) -> dict[str, bytes]:
        return dict(self.waiting)

    async def facts_version(self) -> int:
        return 0

    async def facts(self) -> dict[str, Any]:
        return {}


class Full(Archive):
    """On a disk that is full, for as long as `is_full` says."""

    is_full = False

    def checkpoint(self, **marks: bytes) -> None:
        if Full.is_full:
            raise sqlite3.OperationalError("database or disk is full")
        super().checkpoint(**marks)


def service_of(folder: Path, policy: Policy, store: Any, kind: type[Archive] = Archive) -> Service:
    def now_us() -> int:
        return NOW_US + round(asyncio.get_running_loop().time() * US)

    def make(policy: Policy, archive: Archive) -> Analyst:
        return Analyst(policy, archive, NoLinks(), NoSink(), chance=lambda: 0.5)

    return Service(store, open_archive=partial(kind, folder / "analyst.db"), make=make, policy=policy, now_us=now_us)


def told(store: Store, count: int) -> None:
    """So many requests of an attack, each in an entry of its own."""
    eye = Eye()
    for number in range(count):
        batch = Batch("run", number, 1, written.encode([eye.seen("bad", generator(number), NOW_US + number)]))
        store.entries.append((f"{number + 1}-0", batch))


def test_a_full_disk_is_waited_for(tmp_path: Path) -> None:
    """The analyst says so, and neither ends nor loses anything: once there is room it has every sighting once."""
    policy, store = policy_of(tmp_path / "policy", POLICY), Store()
    told(store, 100)

    async def main() -> None:
        Full.is_full = True
        service = service_of(tmp_path, policy, store, Full)
        task = asyncio.create_task(service.run())
        with structlog.testing.capture_logs() as lines:
            await asyncio.sleep(60)
        said = {line["reason"] for line in lines if line["event"] == "analyst_idle"}
        assert said == {"its archive cannot be used: database or disk is full"}
        assert (task.done(), store.at) == (False, "0")
        Full.is_full = False
        await asyncio.sleep(60)
        assert (service.is_active, store.at) == (True, "100-0")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await service.close()

    run_virtually(main)
    archive = Archive(tmp_path / "analyst.db")
    assert archive.window("bad").requests == 100
    archive.close()


def test_what_a_pardon_forgot_does_not_come_back(tmp_path: Path) -> None:
    """Killed right after a pardon was answered: the archive had already forgotten, and so has the next analyst."""
    policy, store = policy_of(tmp_path / "policy", POLICY), Store()
    told(store, 40)

    async def main() -> None:
        service = service_of(tmp_path, policy, store)
        while len(store.placed) == 0 or store.at != "40-0":
            await service.turn()
            await asyncio.sleep(1)
        store.waiting["bad"] = orjson.dumps({"at_us": NOW_US + 20 * US, "until_us": NOW_US + 21 * US, "by": "a", "reason": "b"})
        while store.waiting:
            await service.turn()
            await asyncio.sleep(0.5)
        service._stand_down("killed")  # without a checkpoint of its own

    run_virtually(main)
    archive = Archive(tmp_path / "analyst.db")
    assert archive.window("bad").requests == 0
    archive.close()


def test_who_has_lost_the_lease_writes_nothing(tmp_path: Path) -> None:
    """What it decided is dropped, its place is as it was at its last checkpoint, and it goes on once the lease is free."""
    policy, store = policy_of(tmp_path / "policy", POLICY), Store()
    told(store, 40)

    async def main() -> None:
        service = service_of(tmp_path, policy, store)
        await service.turn()
        placed = len(store.placed)
        store.stolen = True
        for _ in range(20):
            await asyncio.sleep(1)
            await service.turn()
        assert (service.is_active, len(store.placed)) == (False, placed)
        store.stolen = False
        for _ in range(20):
            await asyncio.sleep(1)
            await service.turn()
        assert (service.is_active, store.at) == (True, "40-0")
        await service.close()

    run_virtually(main)
