"""What the rest of the gateway may ask of a store. Sees keys, amounts and windows; knows nothing of policies or wires.

Failure policy: every method raises `StoreFault` when its outcome is unknown, within the store's timeout. All of them
are idempotent on the hold id, so a caller may repeat a call whose outcome it does not know; none of them repeats by itself
more than once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.errors import StoreFault
from gateway.values import Line, Reserved


class WindowPassed(StoreFault):
    """A calendar line's window does not contain the store's clock: quote again at `now_us`. Nothing was counted."""

    def __init__(self, now_us: int) -> None:
        super().__init__(f"a calendar window does not contain the store's time {now_us}")
        self.now_us = now_us


class HoldGone(StoreFault):
    """The hold is no longer open (swept, settled, never reserved), so it can't be extended. Nothing was changed."""

    def __init__(self) -> None:
        super().__init__("the hold is no longer open")


class Ledger(Protocol):
    """Holds on budgets: reserved all or nothing, renewed and extended while open, settled once."""

    async def reserve(self, hold_id: bytes, tag: bytes, lines: Sequence[Line], *, lease_us: int) -> Reserved:
        """Hold every line's amount at once, or none.

        Repeating it with the same hold id changes nothing and reports the first outcome; after the hold has been
        settled it raises StoreFault (a late duplicate must not reopen it).
        A calendar line whose window does not contain the store's clock raises `WindowPassed` with that clock.
        """
        ...

    async def renew(self, hold_id: bytes, tag: bytes, lines: Sequence[Line], posted: Sequence[int], *, lease_us: int) -> bool:
        """Extend the lease and post what has been used so far (cumulative, one for each line).

        False: the hold is no longer open (expired and swept, or settled): then nothing was posted.
        """
        ...

    async def extend(self, hold_id: bytes, tag: bytes, lines: Sequence[Line], *, lease_us: int) -> Reserved:
        """Raise an open hold's amounts to those of `lines` at once, or none; its lease is renewed.

        `lines` are those of its reserve, with larger amounts (a smaller one changes nothing; `certain` is not looked at).
        Admitted: they are held. Not admitted: an enforced line did not fit, no amount was changed, and the standings tell how
        much more does (`remaining`: what is free beside this and all other holds). A line that does not grow refuses nothing,
        though it be in debt. More is held in the window the hold came from: a calendar's that has passed refuses nothing, and
        stands at (0, 0, 2**53, 0, 0). Idempotent: amounts are absolute. Raises StoreFault, and `HoldGone` when the hold is no
        longer open.
        """
        ...

    async def settle(self, hold_id: bytes, tag: bytes, lines: Sequence[Line], actual: Sequence[int]) -> bool:
        """Close the hold and post what was used in all (one for each line; all zeros is a void). Never refused.

        False: it had been closed before (or was never opened: then it can no longer be), and nothing was posted.
        A hold that expired and was swept is reopened to post what the sweep could not know: exactly once.
        """
        ...

    def post(
        self, hold_id: bytes, tag: bytes, lines: Sequence[Line], actual: Sequence[int], *, lost: Callable[[StoreFault], None]
    ) -> None:
        """`settle` without waiting for its reply: sent before any later call. `lost` is called should its outcome be unknown.

        It never raises StoreFault, and costs no task: this is how all but a few requests end.
        """
        ...

    async def standings(self, tag: bytes, lines: Sequence[Line]) -> Reserved:
        """How the lines stand now, expired holds swept first. Changes nothing else; `admitted` is True."""
        ...
