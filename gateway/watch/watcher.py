"""The watch in a gateway: what it remembers of tenants, where they stand, and what it has seen and not yet told the analyst.

Failure policy: no request ever waits for the watch, and none fails by it. While the store is gone what is seen is kept, up to
`BUFFER_MAX` requests; what comes then is dropped and counted, and leaves a gap in this run's numbers. Rungs stay in force as
long as each of them says (`until_us`), whether the store answers or not: then they lapse, and the tenant is treated like any
other. A gateway that is killed loses what it had not told yet: at most `FLUSH_EVERY_S` of it while the store answers. Its run
then has no end, and the analyst says so.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from secrets import token_hex

import orjson
import structlog

from gateway.detectors import Lens, Past, look
from gateway.errors import StoreFault
from gateway.store.watch import Batch, WatchStore
from gateway.values import Ask, Rung, Sighting
from gateway.watch import seen
from gateway.watch.many import Many
from gateway.watch.seen import Seen

log = structlog.get_logger()

FLUSH_EVERY_S = 0.5
REFRESH_EVERY_S = 1.0
HEARTBEAT_EVERY_S = 10.0
"""A run that has nothing to tell says so this often: what is silent for longer has ended."""
BATCH_MAX = 64
"""Sightings in one entry of the stream: about 20 kB."""
FLUSH_AT = 256
"""So many are told at once, without waiting for the time."""
BUFFER_MAX = 8_192
PASTS_MAX = 4_096
"""Subjects whose requests are remembered, about 12 kB each; the one that sent nothing for longest is forgotten first."""


class Watcher:
    """One a process. `run` must run beside the server, and `close` be awaited at its end."""

    def __init__(self, store: WatchStore, lens: Lens, *, now_us: Callable[[], int], run: str | None = None) -> None:
        """`now_us`: the store's clock."""
        self._store = store
        self._now_us = now_us
        self.lens = lens
        self.run_id = token_hex(6) if run is None else run
        self._pasts: OrderedDict[str, Past] = OrderedDict()
        self._rungs: dict[str, Rung] = {}
        self._version = 0
        self._buffer: list[Seen] = []
        self._next = 0
        """Number of the first in the buffer."""
        self._dropped = 0
        """Beyond the buffer's end, since it was last told."""
        self._told_s = 0.0
        self._is_failing = False
        self._full = asyncio.Event()

    def look(self, subject: str, ask: Ask, now_us: int) -> Sighting:
        """See one request. CPU only."""
        return look(ask, self._past(subject), self.lens, now_us)

    def many(self, subject: str, request_id: str, now_us: int, *, seal: Callable[[Ask, str], str]) -> Many:
        """What looks at the requests of one batch, in a thread or out of it; to be given back by `keep`."""
        return Many(self.lens, self._past(subject).copy(), request_id, now_us, seal=seal, failed=look_failed)

    def keep(self, subject: str, many: Many) -> None:
        """A batch has been looked at: what is remembered of its sender from now on."""
        self._past(subject)
        self._pasts[subject] = many.past

    def _past(self, subject: str) -> Past:
        pasts = self._pasts
        past = pasts.get(subject)
        if past is None:
            past = pasts[subject] = Past()
            if len(pasts) > PASTS_MAX:
                pasts.popitem(last=False)
        else:
            pasts.move_to_end(subject)
        return past

    def rung(self, subject: str, now_us: int) -> Rung | None:
        """Where somebody stands; None: on the ground."""
        rung = self._rungs.get(subject)
        return rung if rung is not None and now_us < rung.until_us else None

    def note(self, one: Seen) -> None:
        """A request has ended: to be told to the analyst."""
        if len(self._buffer) >= BUFFER_MAX:
            self._dropped += 1
            return
        self._buffer.append(one)
        if len(self._buffer) >= FLUSH_AT:
            self._full.set()

    def note_many(self, many: Sequence[Seen]) -> None:
        """The same of the requests of one batch; half of the buffer is left to everybody else's."""
        room = max(0, BUFFER_MAX // 2 - len(self._buffer))
        for one in many[:room]:
            self.note(one)
        self._dropped += len(many[room:])

    def __len__(self) -> int:
        """Sightings that wait to be told."""
        return len(self._buffer)

    @property
    def rungs(self) -> int:
        """Subjects that stand on a step, as far as is known here."""
        return len(self._rungs)

    async def run(self) -> None:
        """Tell and ask for ever."""
        loop = asyncio.get_running_loop()
        self._told_s = loop.time()
        refresh_s = 0.0
        while True:
            now_s = loop.time()
            try:
                if now_s >= refresh_s:
                    refresh_s = now_s + REFRESH_EVERY_S
                    await self.refresh()
                await self.flush(is_due=now_s - self._told_s >= HEARTBEAT_EVERY_S)
                self._note_works()
            except StoreFault as fault:
                self._note_fault(fault)
            except Exception as error:  # a bug of ours: whoever stands on a step would be let go, and nobody would be seen
                self._note_fault(error)
            try:
                async with asyncio.timeout(FLUSH_EVERY_S):
                    await self._full.wait()
            except TimeoutError:
                continue
            if self._is_failing:
                await asyncio.sleep(FLUSH_EVERY_S)

    async def flush(self, *, is_due: bool = False, is_last: bool = False) -> None:
        """Tell what was seen. `is_due`: say at least that this run goes on. Raises StoreFault, and keeps what was not told.

        A batch whose fate is unknown is told again under the same numbers: the analyst knows what it has had.
        """
        self._full.clear()
        while self._buffer:
            batch = self._buffer[:BATCH_MAX]
            await self._store.append(Batch(self.run_id, self._next, len(batch), _encoded(batch)))
            del self._buffer[: len(batch)]
            self._next += len(batch)
            self._told_s = asyncio.get_running_loop().time()
        if self._dropped or is_due or is_last:
            dropped = self._dropped
            await self._store.append(Batch(self.run_id, self._next, dropped, b"[]", is_last))
            self._dropped -= dropped
            self._next += dropped
            self._told_s = asyncio.get_running_loop().time()
            if dropped:
                log.warning("sightings_dropped", side="store", count=dropped)

    async def refresh(self) -> None:
        """Learn where subjects stand. Raises StoreFault, and keeps what is known."""
        is_all = False
        while not is_all:
            version, is_all, rungs = await self._store.changes(self._version)
            if version < self._version:  # the store came back empty
                self._rungs.clear()
                self._version, is_all = 0, False
                continue
            self._version = version
            for subject, data in rungs.items():
                rung = read_rung(data)
                if rung is None or not (rung.step or rung.cluster_step):
                    self._rungs.pop(subject, None)
                else:
                    self._rungs[subject] = rung
        if len(self._rungs) > 1_000:
            now_us = self._now_us()
            self._rungs = {subject: rung for subject, rung in self._rungs.items() if now_us < rung.until_us}

    async def close(self) -> None:
        """Tell what is left, and that this run has ended. Waits no longer than the store's own timeout."""
        try:
            await self.flush(is_last=True)
        except StoreFault as fault:
            log.warning("sightings_untold", side="store", count=len(self._buffer) + self._dropped, reason=str(fault))

    def _note_fault(self, fault: Exception) -> None:
        if not self._is_failing:
            self._is_failing = True
            is_stores = isinstance(fault, StoreFault)
            reason = str(fault) if is_stores else type(fault).__name__
            log.warning("watch_failed", side="store" if is_stores else "gateway", reason=reason)

    def _note_works(self) -> None:
        self._is_failing = False


_failures: set[str] = set()


def look_failed(error: Exception) -> None:
    """A bug in looking: said once for each kind of error."""
    kind = type(error).__name__
    if kind not in _failures:
        _failures.add(kind)
        log.error("look_failed", side="gateway", error=kind)


def _encoded(batch: list[Seen]) -> bytes:
    """What cannot be written (an upstream told of more tokens than 64 bits hold) is left out, and its numbers stay."""
    try:
        return seen.encode(batch)
    except (TypeError, ValueError):
        return b"[]"


def write_rung(rung: Rung) -> bytes:
    return orjson.dumps(list(rung))


def read_rung(data: bytes) -> Rung | None:
    """None: nothing that this version understands."""
    try:
        fields = orjson.loads(data)
        rung = Rung(*fields[: len(Rung._fields)])
    except (orjson.JSONDecodeError, TypeError):
        return None
    texts = (rung.subject, rung.ladder, rung.step, rung.cluster, rung.cluster_step)
    is_sane = all(type(text) is str for text in texts) and type(rung.since_us) is int and type(rung.until_us) is int
    return rung if is_sane else None
