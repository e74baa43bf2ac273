"""The analyst as a process: reads the stream, keeps its place, writes what it decides. One is active, by a lease in the store.

Failure policy: a store that is gone is waited for; nothing is lost meanwhile but what gateways have to drop. An analyst that
loses its lease (it was stopped, or the machine slept) writes nothing more: each placement is checked against the lease in the
store itself. It then begins again as one that waits; what it had read since its last checkpoint is read again by who is next.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from secrets import SystemRandom, token_hex

import orjson
import structlog

from gateway.errors import SettingsError, StoreFault
from gateway.policy.model import Policy
from gateway.store.watch import Placement, WatchStore
from gateway.watch.analyst import Analyst
from gateway.watch.archive import Archive
from gateway.watch.cases import CLUSTER, footing_from
from gateway.watch.watcher import read_rung

log = structlog.get_logger()

LEASE_MS = 15_000
LEASE_EVERY_S = 5.0
TICK_EVERY_S = 1.0
IDLE_S = 0.25
"""Between two looks into a stream that was read to its end."""
READ_MAX = 32
"""Entries at once: 2,000 sightings at most, some tens of milliseconds."""
CHECKPOINT_EVERY_S = 10.0
LINKS_EVERY_S = 600.0
"""What links tenants is kept this often: after a crash, so much of it is missing, and comes again with the traffic."""
TIDY_EVERY_S = 3_600.0
ARCHIVE_PAUSE_S = 5.0
DOSSIER_KEPT_US = 30 * 86_400_000_000

Make = Callable[[Policy, Archive], Analyst]


class Service:
    """`run` until it is cancelled; then `close`."""

    def __init__(
        self,
        store: WatchStore,
        *,
        open_archive: Callable[[], Archive],
        make: Make,
        policy: Policy,
        now_us: Callable[[], int],
    ) -> None:
        """`now_us`: the store's clock. The archive is opened by whoever becomes active: another process may still have it."""
        self._store = store
        self._open_archive = open_archive
        self._make = make
        self._policy = policy
        self._now_us = now_us
        self._id = token_hex(8)
        self._archive: Archive | None = None
        self._analyst: Analyst | None = None
        self._placements: list[Placement] = []
        """Decided, and not known to be written."""
        self._position = "0"
        self._facts_version = 0
        self._links_s = asyncio.get_running_loop().time()
        self._leased_s = self._ticked_s = self._checkpoint_s = self._tidied_s = 0.0
        self._is_failing = False

    @property
    def is_active(self) -> bool:
        return self._analyst is not None

    def adopt(self, policy: Policy) -> None:
        """Another policy holds from now on."""
        self._policy = policy
        if self._analyst is not None:
            self._analyst.adopt(policy)

    async def run(self) -> None:
        while True:
            try:
                is_idle = await self.turn()
                self._is_failing = False
            except sqlite3.Error as error:  # a full disk, or a process that was stopped and still has it
                self._stand_down(f"its archive cannot be used: {error}")
                await asyncio.sleep(ARCHIVE_PAUSE_S)
                is_idle = True
            except (StoreFault, SettingsError) as fault:
                if not self._is_failing:
                    self._is_failing = True
                    side = "store" if isinstance(fault, StoreFault) else "gateway"
                    log.warning("analyst_waits", side=side, reason=str(fault))
                is_idle = True
            await asyncio.sleep(IDLE_S if is_idle else 0)

    async def turn(self) -> bool:
        """One step of everything that is due. Whether there was nothing more to read. Raises StoreFault."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._leased_s >= LEASE_EVERY_S or self._leased_s == 0:
            if not await self._store.lease(self._id, LEASE_MS):
                self._stand_down("another analyst is active")
                return True
            self._leased_s = now_s
        if self._analyst is None:
            await self._begin()
        is_read = await self._read()
        if now_s - self._ticked_s >= TICK_EVERY_S:
            self._ticked_s = now_s
            await self._tick(is_read=is_read)
        if now_s - self._checkpoint_s >= CHECKPOINT_EVERY_S:
            self._checkpoint_s = now_s
            with_links = now_s - self._links_s >= LINKS_EVERY_S
            if with_links:
                self._links_s = now_s
            await self.checkpoint(with_links=with_links)
        if now_s - self._tidied_s >= TIDY_EVERY_S:
            self._tidied_s = now_s
            await self._tidy()
        return is_read

    async def _begin(self) -> None:
        """Raises StoreFault; SettingsError where archive or evidence cannot be had, such as while a command has them."""
        dossiers, rungs, position = await self._store.dossiers(), await self._store.rungs(), await self._store.position()
        archive = self._open_archive()
        try:
            analyst = self._make(self._policy, archive)
        except SettingsError:
            archive.close()
            raise
        analyst.recall(dossiers, rungs)
        kept = archive.mark("position")
        self._position = position if kept is None else kept.decode()
        self._facts_version = 0
        self._archive, self._analyst = archive, analyst
        log.info("analyst_active", position=self._position)

    def _stand_down(self, reason: str) -> None:
        self._leased_s = 0.0
        if self._archive is not None:
            with suppress(sqlite3.Error):
                self._archive.close()
        if self._analyst is not None:
            self._analyst.close()
            log.warning("analyst_idle", reason=reason)
        self._archive = self._analyst = None
        self._placements = []

    async def _read(self) -> bool:
        analyst = self._analyst
        if analyst is None:
            return True
        entries = await self._store.read(self._position, at_most=READ_MAX)
        for entry, batch in entries:
            analyst.take(entry, batch, int(entry.partition("-")[0]) * 1_000)
            self._position = entry
        return len(entries) < READ_MAX

    async def _tick(self, *, is_read: bool) -> None:
        analyst = self._analyst
        if analyst is None:
            return
        now_us = self._now_us()
        pardons = await self._store.pardons()
        for name, pardon in pardons.items():
            analyst.pardon(name, pardon, now_us)
        version = await self._store.facts_version()
        if version != self._facts_version:
            wrong = analyst.facts(await self._store.facts(), now_us)
            if wrong:
                log.warning("watch_facts_refused", count=wrong)
            self._facts_version = version
        if is_read:
            analyst.silent(now_us)
        self._placements += analyst.tick(now_us)
        if pardons:
            await self.checkpoint()  # once a pardon has been answered, what it forgot must not come back after a crash
        if await self._store.place(self._id, self._placements):
            self._placements = []  # and where that is not known, they are written again
        else:
            self._stand_down("the lease was lost")

    async def checkpoint(self, *, with_links: bool = False) -> None:
        """Keep what has been read so far."""
        if self._analyst is not None:
            self._analyst.checkpoint(self._position, with_links=with_links)
            await self._store.set_position(self._position)

    async def _tidy(self) -> None:
        """Forget what is of no use any more: rungs that say nothing, and dossiers of who has long been silent."""
        now_us = self._now_us()
        stale = []
        for name, data in (await self._store.rungs()).items():
            rung = read_rung(data)
            if rung is None or (now_us >= rung.until_us and not (rung.step or rung.cluster_step)):
                stale.append(Placement(name, b"-"))
        for name, data in (await self._store.dossiers()).items():
            try:
                said = dict(orjson.loads(data))
                is_old = now_us - int(said.get("at_us", 0)) > DOSSIER_KEPT_US
            except (TypeError, ValueError):
                said, is_old = {}, True
            if is_old and not name.startswith(CLUSTER) and footing_from(said.get("footing")).is_blank:
                stale.append(Placement(name, b"", b"-"))
        await self._store.place(self._id, stale)

    async def close(self) -> None:
        """Keep everything, and let another begin at once."""
        try:
            await self.checkpoint(with_links=True)
            if self._analyst is not None:
                await self._store.leave(self._id)
        except StoreFault as fault:
            log.warning("analyst_waits", side="store", reason=str(fault))
        self._stand_down("stopped")


def chance() -> float:
    """Nobody outside can tell when a step will come."""
    return SystemRandom().random()
