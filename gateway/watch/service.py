"""The analyst as a process: reads the stream, keeps its place, writes what it decides. One is active, by a lease in the store.

Failure policy: a store that is gone is waited for; nothing is lost meanwhile but what gateways have to drop. An analyst that
loses its lease (it was stopped, or the machine slept) writes nothing more: whose the lease is comes with everything that is
read, and what is written is checked against it in the store itself. It then begins again as one that waits; what it had read
since its last checkpoint is read again by who is next, and is on record once: the store knows up to where it is (`keep`).

Links, which are large, are kept every ten minutes. After a crash the stream is read again from there, for them alone; what the
stream no longer holds by then is missing to them, and is said (`links_missing`).

A store that comes back empty, or as it was before: what is in it is read from its beginning, or from its end where the analyst
had been further; everything is told again, and the gap is on record (`anew`).
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
from gateway.watch.places import order_of, said_in, stale

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
"""What links tenants is kept this often: after a crash, so much of the stream is read again."""
TIDY_EVERY_S = 3_600.0
ARCHIVE_PAUSE_S = 5.0

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
        self._kept = "0"
        """Up to here windows were kept at the last checkpoint."""
        self._at = "0"
        """Up to here everything was on record at the last tick."""
        self._recorded = "0"
        """Up to here it had been when this one became active."""
        self._relinking = ""
        """Up to here links have read again what they had not kept; "": they have it all."""
        self._links_missing = 0
        self._is_known = False
        """The store holds a place of ours."""
        self._facts_version = -1
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
        state = await self._store.state()
        archive = self._open_archive()
        try:
            analyst = self._make(self._policy, archive)
        except SettingsError:
            archive.close()
            raise
        analyst.recall(dossiers, rungs)
        kept, links_kept = archive.mark("position"), archive.mark("links_position")
        self._position = position if kept is None else kept.decode()
        self._kept, (self._recorded, analyst.missing) = self._position, said_in(state)
        self._at = self._recorded
        self._relinking = "" if links_kept is None else links_kept.decode()
        self._links_missing, self._is_known, self._facts_version = 0, False, -1
        self._archive, self._analyst = archive, analyst
        log.info("analyst_active", position=self._position)
        if position == "0" != self._position and not state:
            self._begin_anew("0", await self._store.last(), self._now_us())

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
        """Whether there was nothing more to read."""
        if self._relinking:
            return await self._relink()
        entries, holder = await asyncio.gather(self._store.read(self._position, at_most=READ_MAX), self._store.holder())
        analyst = self._analyst
        if analyst is None or not self._is_mine(holder):
            return True
        for entry, batch in entries:
            is_on_record = order_of(entry) <= order_of(self._recorded)
            analyst.take(entry, batch, int(entry.partition("-")[0]) * 1_000, is_on_record=is_on_record)
            self._position = entry
        return len(entries) < READ_MAX

    async def _relink(self) -> bool:
        """Links read again what they had not kept, before anything new is read."""
        entries = await self._store.read(self._relinking, at_most=READ_MAX)
        for entry, batch in entries:
            if self._analyst is None or order_of(entry) > order_of(self._position):
                entries = []
                break
            self._links_missing += self._analyst.relink(batch, int(entry.partition("-")[0]) * 1_000)
            self._relinking = entry
        if len(entries) < READ_MAX:
            self._relinking = ""
            if self._links_missing:
                log.warning("links_missing", count=self._links_missing)
        return False

    def _is_mine(self, holder: str) -> bool:
        """Still the one that is active: else whatever comes is another's to take."""
        if holder == self._id:
            return True
        self._stand_down("the lease was lost")
        return False

    async def _tick(self, *, is_read: bool) -> None:
        now_us = self._now_us()
        pardons, version, holder = await asyncio.gather(
            self._store.pardons(), self._store.facts_version(), self._store.holder()
        )
        analyst = self._analyst
        if analyst is None or not self._is_mine(holder):
            return
        for name, pardon in pardons.items():
            analyst.pardon(name, pardon, now_us)
        is_stated = version != self._facts_version
        if is_stated:
            wrong = analyst.facts(await self._store.facts(), version, now_us)
            if wrong:
                log.warning("watch_facts_refused", count=wrong)
            self._facts_version = version
        if is_read:
            analyst.silent(now_us)
            await self._look_back(now_us)
        self._placements += analyst.tick(now_us, may_link=not self._relinking)
        if pardons or (is_stated and version):
            await self.checkpoint()  # once a pardon has been answered, what it forgot must not come back after a crash
        if self._analyst is None:
            return
        if await self._store.place(self._id, self._placements):
            self._placements = []  # and where that is not known, they are written again
            await self._keep(now_us)
        else:
            self._stand_down("the lease was lost")

    async def _look_back(self, now_us: int) -> None:
        """There was nothing to read: is what is there older than what has been read? Then the store is as it was before."""
        if self._position == "0" or await self._store.has(self._position):
            return
        last, state = await asyncio.gather(self._store.last(), self._store.state())
        if last and order_of(last) < order_of(self._position):
            self._begin_anew(last if state else "0", last, now_us)

    async def _keep(self, now_us: int) -> None:
        """Tell the store how far windows are kept, and how far everything is on record: as it was at the last tick, which the
        evidence has synced since."""
        analyst = self._analyst
        if analyst is None:
            return
        said = {"at_us": now_us, "read_us": order_of(self._position)[0] * 1_000, "unread": analyst.unread}
        recorded = max(self._at, self._recorded, key=order_of)
        state = orjson.dumps({**said, "recorded": recorded, "missing": analyst.missing})
        known = await self._store.keep(self._id, self._kept, state)
        if known < 0:
            self._stand_down("the lease was lost")
        elif known == 0 and self._is_known:
            self._begin_anew("0", await self._store.last(), now_us)
        else:
            self._is_known = True
            self._at = self._position

    def _begin_anew(self, position: str, last: str, now_us: int) -> None:
        """The store has lost what was in it: read on from `position`, and tell everything again."""
        if self._analyst is not None:
            log.warning("store_anew", side="store", position=position)
            self._position = self._kept = self._at = position
            self._recorded, self._relinking, self._is_known = "0", "", False
            self._analyst.anew(last, now_us)

    async def checkpoint(self, *, with_links: bool = False) -> None:
        """Keep what has been read so far."""
        if self._analyst is not None:
            self._analyst.checkpoint(self._position, with_links=with_links and not self._relinking)
            self._kept = self._position

    async def _tidy(self) -> None:
        await self._store.place(self._id, stale(await self._store.rungs(), await self._store.dossiers(), self._now_us()))

    async def close(self) -> None:
        """Keep everything, and let another begin at once."""
        try:
            await self.checkpoint(with_links=True)
            if self._analyst is not None:
                self._at = self._position
                await self._keep(self._now_us())
                await self._store.leave(self._id)
        except StoreFault as fault:
            log.warning("analyst_waits", side="store", reason=str(fault))
        self._stand_down("stopped")


def chance() -> float:
    """Nobody outside can tell when a step will come."""
    return SystemRandom().random()
