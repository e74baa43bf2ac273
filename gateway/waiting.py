"""Requests that wait for room in a budget (`on_exceed: queue 5s`), at the door of this process.

Those that wait for the same budget go in one after the other, in the order they came: only the first of them asks the store
again, when its true wait is over or when a request of its organisation ends here.

Failure policy: who waits holds nothing and is charged nothing. A request is refused at once where room is certain to come later
than its budget lets it wait, and where `WAITING_MAX` others wait already, for their bodies are in memory. A client that leaves
ends its wait. Gateways do not know of each other's lines: across several, order is kept by each for itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from gateway.budgets.refusals import wait_us, worst
from gateway.budgets.remedies import remedy
from gateway.holds import Hold, Holds

WAITING_MAX = 1000
ASK_AGAIN_S = 0.25
"""Where only requests that run are in the way: of another gateway's nobody tells us when they end."""

Queue = tuple[bytes, bytes]
"""A budget's owner and field."""


class Waiting:
    """The queues of one process."""

    def __init__(self, holds: Holds, *, waiting_max: int = WAITING_MAX) -> None:
        self._holds = holds
        self._waiting_max = waiting_max
        self._doors: dict[Queue, asyncio.Lock] = {}
        self._counts: dict[Queue, int] = {}

    def __len__(self) -> int:
        return sum(self._counts.values())

    async def wait(self, refused: Hold, open_again: Callable[[], Awaitable[Hold]]) -> Hold:
        """The hold that `open_again` got in time, or the last one that was refused: of how things stood at the end.

        `refused`: a hold that was not admitted, and whose budgets say `queue`. Raises what `open_again` does.
        """
        loop = asyncio.get_running_loop()
        quote = refused.quote
        until_s = loop.time() + remedy(quote.budgets, quote.lines, refused.reserved.standings).queue_ms / 1000
        if len(self) >= self._waiting_max or not _may_fit(refused, until_s - loop.time()):
            return refused
        line = quote.lines[worst(quote.budgets, quote.lines, refused.reserved.standings)]
        queue = (line.owner, line.field)
        door = self._doors.setdefault(queue, asyncio.Lock())
        self._counts[queue] = self._counts.get(queue, 0) + 1
        is_behind = door.locked()
        try:
            async with asyncio.timeout_at(until_s):
                await door.acquire()
        except TimeoutError:
            self._leave(queue)
            return refused
        except BaseException:
            self._leave(queue)
            raise
        try:
            # Behind others, what was known when it came is no longer so.
            hold = await open_again() if is_behind else refused
            return await self._at_the_door(hold, until_s, open_again)
        finally:
            door.release()
            self._leave(queue)

    async def _at_the_door(self, hold: Hold, until_s: float, open_again: Callable[[], Awaitable[Hold]]) -> Hold:
        loop = asyncio.get_running_loop()
        with self._holds.ends(hold.quote.tag) as ended:
            while _waits(hold) and (left_s := until_s - loop.time()) > 0 and _may_fit(hold, left_s):
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left_s, _pause_s(hold))):
                        await ended.wait()
                ended.clear()  # before it asks: what ends meanwhile is not lost
                hold = await open_again()
        return hold

    def _leave(self, queue: Queue) -> None:
        self._counts[queue] -= 1
        if not self._counts[queue]:
            del self._counts[queue], self._doors[queue]


def _waits(hold: Hold) -> bool:
    quote, reserved = hold.quote, hold.reserved
    return not reserved.admitted and remedy(quote.budgets, quote.lines, reserved.standings).kind == "queue"


def _wait_s(hold: Hold) -> float | None:
    """Seconds until there is room for certain; None: when requests that run end, which nobody knows. Infinite: never."""
    quote = hold.quote
    wait = wait_us(quote.budgets, quote.lines, hold.reserved.standings)
    return None if wait is None else float("inf") if wait < 0 else wait / 1e6


def _may_fit(hold: Hold, left_s: float) -> bool:
    wait_s = _wait_s(hold)
    return wait_s is None or wait_s <= left_s


def _pause_s(hold: Hold) -> float:
    wait_s = _wait_s(hold)
    return ASK_AGAIN_S if wait_s is None else max(wait_s, 0.001)
