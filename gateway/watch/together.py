"""What tenants look like together, before anybody says that they are one: what linking asks of the windows.

Who has declared a purpose is spoken for by it: alone it is judged under that purpose, and to what others look like together it
adds nothing.

Failure policy: whatever goes wrong here is said once and answered with "too little to tell", as if nobody had been asked.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from gateway.detectors import Window, judge
from gateway.policy.model import Purpose
from gateway.watch.book import Book, worst

log = structlog.get_logger()

REQUESTS_MIN = 26
"""With fewer nothing is said: as many as the usual ladder waits for."""
TOO_LITTLE = -1
_NONE: frozenset[Purpose] = frozenset()


class Together:
    """Asked by `detectors.Links`, with tenants' names. A `link_suspects.Judge`."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._now_us = 0
        self._is_told = False

    def at(self, now_us: int) -> Together:
        """From now on it is this time."""
        self._now_us = now_us
        return self

    def __call__(self, names: Sequence[str]) -> int:
        """The score of these tenants' requests taken together; -1: they are too few to tell."""
        try:
            return self._score(names)
        except Exception as error:
            if not self._is_told:
                self._is_told = True
                log.error("judge_failed", subject=f"{len(names)} tenants together", side="gateway", error=type(error).__name__)
            return TOO_LITTLE

    def _score(self, names: Sequence[str]) -> int:
        if len(names) == 1:
            window, purposes = self._book.archive.window(names[0]), self._purposes(names[0])
        else:
            window, purposes = Window(), _NONE
            for name in names:
                if not self._purposes(name):
                    window.merge(self._book.archive.window(name))
        return worst(judge(window, purposes))[0] if window.requests >= REQUESTS_MIN else TOO_LITTLE

    def _purposes(self, name: str) -> frozenset[Purpose]:
        who = self._book.who(name, self._now_us)
        return _NONE if who is None else who.purposes
