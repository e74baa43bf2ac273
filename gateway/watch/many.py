"""The requests of one batch, looked at: all of them where there are few, else a sample. CPU alone, and made for a thread.

A batch may hold fifty thousand requests. The analyst's window remembers a thousand, so more than that of one batch would tell
it nothing; which ones are looked at is drawn by `Lot`. It is told how many there were.

They are looked at against a copy of what is remembered of their tenant, so that nothing is shared with the loop. The copy takes
the place of the original in the end; what the tenant sent beside the batch meanwhile is remembered by neither.

Failure policy: as `phases.classify`: a bug in looking costs the sighting, and no request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gateway.detectors import Lens, Past, look
from gateway.detectors.lot import Lot
from gateway.values import Ask, Sighting

LOOKED_AT_MAX = 1_000
"""As many as a window holds before it fades (`detectors.window.FADE_AT`)."""


class One(NamedTuple):
    """One request of a batch."""

    place: int
    """In its batch; the first is 1."""
    sighting: Sighting
    sealed: str


class Many:
    """Ask `wants` for each request in turn, and show those that are wanted."""

    def __init__(
        self,
        lens: Lens,
        past: Past,
        request_id: str,
        now_us: int,
        *,
        seal: Callable[[Ask, str], str],
        failed: Callable[[Exception], None],
        size: int = LOOKED_AT_MAX,
    ) -> None:
        """`past`: a copy that is this one's own. `seal`: of an ask and its id makes the sample of its text, or ""."""
        self.past = past
        self._lens = lens
        self._id = request_id
        self._now_us = now_us
        self._seal = seal
        self._failed = failed
        self._lot: Lot[tuple[Sighting, str]] = Lot(lens.fingerprint(b"l" + request_id.encode()), size)

    def wants(self) -> bool:
        """Whether the next request is to be shown."""
        return self._lot.wants()

    def show(self, made: Callable[[], Ask]) -> None:
        """The request that was wanted. Raises nothing, whatever making it does."""
        try:
            ask = made()
            sighting = look(ask, self.past, self._lens, self._now_us)
            self._lot.keep((sighting, self._seal(ask, id_of(self._id, self._lot.came))))
        except Exception as error:
            self._failed(error)

    @property
    def came(self) -> int:
        """Requests, looked at or not."""
        return self._lot.came

    def seen(self) -> list[One]:
        """What was seen, in the order of the batch."""
        return [One(place, *what) for place, what in self._lot.drawn()]


def id_of(request_id: str, place: int) -> str:
    """What the request at a place of a batch is called in evidence."""
    return f"{request_id}/{place}"
