"""Open holds of this process: reserved at the door, renewed while they run, settled once and whatever happens.

Failure policy, the store first:
- `reserve` fails (timeout, broken): the outcome is unknown, so a void of the same hold id is sent as soon as the store
  answers again, and the request falls back on the local share (or is refused, where the operator chose so). From
  the first fault on, one request in `DOWN_S` asks whether it is back; the others don't wait for it.
- `renew` fails: the next round tries again; the lease outlives several rounds.
- `extend` fails: the stream goes on as if more were held, for nobody is cut off because the store is gone, or because it has
  lost the hold; what was not held is settled into debt. While the store is known to be gone it is not asked: a running
  stream must not wait for it at each step.
- `settle` fails: repeated with growing pauses for up to `SETTLE_TRIES` tries (about seven minutes); it is idempotent on the
  hold id. If the process dies first, the lease runs out and what had been reported by then stays charged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from gateway.background import Tasks
from gateway.errors import StoreFault
from gateway.store.ports import HoldGone, Ledger, WindowPassed
from gateway.values import Outcome, Quote, Reserved, Usage

log = structlog.get_logger()

DOWN_S = 5.0
SETTLE_TRIES = 24
SETTLE_PAUSE_MAX_S = 30.0


@dataclass(slots=True, eq=False)
class Hold:
    """One request's hold: opened once, closed once."""

    quote: Quote
    reserved: Reserved
    ledger: Ledger | None
    """Where it is held; None: the request has no budgets."""
    is_local: bool
    opened_s: float
    progress: Callable[[], Sequence[int]] | None = None
    """What has been used so far, for each line: set once a stream runs, posted at every renewal."""
    _on_close: Callable[[Hold, Sequence[int]], None] = field(default=lambda _hold, _actual: None)
    is_closed: bool = False
    extension: Reserved | None = None
    """How the lines stood when the last extension was refused; None: it was not."""
    outcome: Outcome | None = None
    """What came of the request, once it has ended."""
    charged: Usage | None = None
    """What was posted for it; None: void, or refused."""
    beside: Hold | None = None
    """What the same request holds of its cluster's budgets; opened after this one, and closed with it. None: nothing."""

    @property
    def over_shadow(self) -> list[str]:
        """Names of the shadow budgets that would have refused."""
        pairs = zip(self.quote.budgets, self.reserved.standings)
        return [budget.name for budget, standing in pairs if standing.wait_us != 0 and not budget.enforce]

    def close(self, actual: Sequence[int]) -> None:
        """Post what was used, one amount a line (zeros: void). The first call counts, later ones do nothing.

        What is held beside it and has not been closed by then is void.
        """
        if not self.is_closed:
            self.is_closed = True
            self._on_close(self, actual)
        if self.beside is not None:
            self.beside.close((0,) * len(self.beside.quote.lines))


class Holds:
    """Opens and closes holds. `run` renews them and must run beside the server."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        fallback: Ledger | None,
        tasks: Tasks,
        lease_s: float,
        renew_every_s: float,
    ) -> None:
        self._ledger = ledger
        self._fallback = fallback
        self._tasks = tasks
        self._lease_us = round(lease_s * 1_000_000)
        self._renew_every_s = renew_every_s
        self._open: set[Hold] = set()
        self._down_until_s = 0.0
        self._rooms: dict[bytes, list[asyncio.Event]] = {}
        """Who waits for a hold of a tag to close."""
        self.is_store_down = False

    def __len__(self) -> int:
        return len(self._open)

    async def open(self, quote: Quote, requote: Callable[[int], Quote]) -> Hold:
        """Reserve a quote. `requote(now_us)` makes the same quote at another time of the store's clock.

        The hold's `reserved.admitted` may be False: then nothing is held and there is nothing to close, and a quote of less may
        be opened under the same id.
        Raises StoreFault when the store is gone and there is no local share.
        """
        now_s = asyncio.get_running_loop().time()
        if not quote.lines:
            return Hold(quote, Reserved(True, 0, ()), None, False, now_s)
        ledger, is_local = self._ledger, False
        if now_s < self._down_until_s and self._fallback is not None:
            ledger, is_local = self._fallback, True
        if self.is_store_down and not is_local:
            self._down_until_s = now_s + DOWN_S  # this one finds out whether it is back; the others need not wait for it
        try:
            try:
                reserved = await ledger.reserve(quote.hold_id, quote.tag, quote.lines, lease_us=self._lease_us)
            except WindowPassed as passed:  # a day or month began between our clock and the store's
                quote = requote(passed.now_us)
                reserved = await ledger.reserve(quote.hold_id, quote.tag, quote.lines, lease_us=self._lease_us)
            if self.is_store_down and not is_local:
                self._note_store_works()
        except StoreFault as fault:
            if is_local or self._fallback is None:
                raise
            self._note_fault(fault)
            self._tasks.spawn(self._settle(ledger, quote, (0,) * len(quote.lines)), name="void")
            ledger, is_local = self._fallback, True
            try:
                reserved = await ledger.reserve(quote.hold_id, quote.tag, quote.lines, lease_us=self._lease_us)
            except WindowPassed as passed:  # this machine's clock and the store's differ across midnight
                quote = requote(passed.now_us)
                reserved = await ledger.reserve(quote.hold_id, quote.tag, quote.lines, lease_us=self._lease_us)
        except asyncio.CancelledError:
            # The client left while the store was asked: whether it holds is unknown.
            self._tasks.spawn(self._settle(ledger, quote, (0,) * len(quote.lines)), name="void")
            raise
        hold = Hold(quote, reserved, ledger, is_local, now_s, _on_close=self._close)
        if reserved.admitted:
            self._open.add(hold)
        return hold

    async def extend(self, hold: Hold, quote: Quote) -> bool:
        """Hold what `quote` says: the hold's own, with larger lines. Never raises StoreFault.

        True: it is held, or nobody knows because the store is gone (see the failure policy); `hold.quote` is `quote` now.
        False: it does not fit, nothing has changed, and `hold.extension` has how the lines stand. Also False, and nothing is
        asked, when the hold is closed, or becomes so meanwhile.
        """
        hold.extension = None
        if hold.is_closed or not hold.reserved.admitted:
            return False
        if hold.ledger is not None:
            reserved = await self._extend(hold.ledger, quote, is_local=hold.is_local)
            if hold.is_closed:
                return False
            if reserved is not None and not reserved.admitted:
                hold.extension = reserved
                return False
        hold.quote = quote
        return True

    async def _extend(self, ledger: Ledger, quote: Quote, *, is_local: bool) -> Reserved | None:
        """None: the store is gone, or has no such hold any more."""
        if self.is_store_down and not is_local:
            now_s = asyncio.get_running_loop().time()
            if now_s < self._down_until_s:
                return None
            self._down_until_s = now_s + DOWN_S  # as in `open`
        reserved = None
        try:
            reserved = await ledger.extend(quote.hold_id, quote.tag, quote.lines, lease_us=self._lease_us)
        except StoreFault as fault:
            log.warning("extend_failed", hold=quote.hold_id.decode(), side="store", reason=str(fault))
            if not is_local and not isinstance(fault, HoldGone):
                self._note_fault(fault)
                return None
        if self.is_store_down and not is_local:
            self._note_store_works()
        return reserved

    def _close(self, hold: Hold, actual: Sequence[int]) -> None:
        self._open.discard(hold)
        ledger, quote = hold.ledger, hold.quote
        if self._rooms:
            self._wake(quote.tag)
        if ledger is None or not hold.reserved.admitted:
            return

        def again(_fault: StoreFault) -> None:
            self._tasks.spawn(self._settle(ledger, quote, actual), name="settle")

        ledger.post(quote.hold_id, quote.tag, quote.lines, actual, lost=again)

    @contextmanager
    def ends(self, tag: bytes) -> Iterator[asyncio.Event]:
        """An event that is set whenever a hold of this tag closes in this process. Who waits clears it before asking again."""
        ended = asyncio.Event()
        listening = self._rooms.setdefault(tag, [])
        listening.append(ended)
        try:
            yield ended
        finally:
            listening.remove(ended)
            if not listening and self._rooms.get(tag) is listening:
                del self._rooms[tag]

    def _wake(self, tag: bytes) -> None:
        for ended in self._rooms.get(tag, ()):
            ended.set()

    async def _settle(self, ledger: Ledger, quote: Quote, actual: Sequence[int]) -> None:
        pause_s = 0.05
        for attempt in range(1, SETTLE_TRIES + 1):
            try:
                await ledger.settle(quote.hold_id, quote.tag, quote.lines, actual)
                return
            except StoreFault as fault:
                if attempt == SETTLE_TRIES:
                    log.error("settle_lost", hold=quote.hold_id.decode(), actual=list(actual), side="store", reason=str(fault))
                    return
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, SETTLE_PAUSE_MAX_S)

    def _note_store_works(self) -> None:
        self.is_store_down = False
        self._down_until_s = 0.0
        log.warning("store_back", side="store")

    def _note_fault(self, fault: StoreFault) -> None:
        if not self.is_store_down:
            self.is_store_down = True
            log.error("store_lost", side="store", reason=str(fault), local_share=self._fallback is not None)

    async def run(self) -> None:
        """Renew for ever, all holds of one round side by side. Holds younger than a round need none."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._renew_every_s)
            old = loop.time() - self._renew_every_s
            due = [hold for hold in self._open if hold.opened_s <= old]
            # A slice at a time, so that thousands of streams don't make one long pause of the loop.
            for start in range(0, len(due), 100):
                await asyncio.gather(*(self._renew(hold) for hold in due[start : start + 100]))

    async def _renew(self, hold: Hold) -> None:
        if hold.is_closed or hold.ledger is None:
            return
        quote = hold.quote
        try:
            posted = hold.progress() if hold.progress is not None else [line.certain for line in quote.lines]
            await hold.ledger.renew(quote.hold_id, quote.tag, quote.lines, posted, lease_us=self._lease_us)
        except StoreFault as fault:
            log.warning("renew_failed", hold=quote.hold_id.decode(), side="store", reason=str(fault))
        except Exception as error:
            # A bug that one stream meets must not end the renewals of all: they would lose their holds.
            log.warning("renew_failed", hold=quote.hold_id.decode(), side="gateway", reason=type(error).__name__)
