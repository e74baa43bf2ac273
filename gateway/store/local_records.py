"""What the ledger in memory keeps: owners and holds. The lives of both are those that `lua/common.lua` gives them. No verbs."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.store.counters import DAY_US, HOUR_US, State
from gateway.values import Line

TTL_MAX_US = 400 * DAY_US
RECORD_KEPT_US = TTL_MAX_US + 2 * HOUR_US


class Owner:
    """One owner's budgets, by field."""

    __slots__ = ("born_us", "expires_us", "due_us", "states")

    def __init__(self, now_us: int) -> None:
        self.born_us = now_us
        self.expires_us = 0
        self.due_us = now_us + HOUR_US
        self.states: dict[bytes, State] = {}

    def keep(self, now_us: int, keep_us: float) -> None:
        """Live for `keep_us` at least; an hour generous, as there."""
        if now_us + keep_us > self.expires_us:
            self.expires_us = max(self.expires_us, now_us + int(min(TTL_MAX_US, keep_us + HOUR_US)))


class Record:
    """One hold."""

    __slots__ = ("is_open", "opened_us", "lines", "posted", "slots", "lease_end_us", "kept_until_us")

    def __init__(self, opened_us: int, lines: Sequence[Line], posted: list[int], slots: list[int], lease_us: int) -> None:
        self.is_open = True
        self.opened_us = opened_us
        self.lines = lines
        self.posted = posted
        self.slots = slots
        self.lease_end_us = opened_us + lease_us
        self.kept_until_us = opened_us + lease_us + RECORD_KEPT_US

    def lease(self, now_us: int, lease_us: int) -> None:
        self.lease_end_us = now_us + lease_us
        self.kept_until_us = self.lease_end_us + RECORD_KEPT_US


class Tag:
    """One tag's holds. `records` has None for a tombstone; `leases` may name holds that have moved on."""

    __slots__ = ("records", "open_count", "leases")

    def __init__(self) -> None:
        self.records: dict[bytes, Record | None] = {}
        self.open_count = 0
        self.leases: list[tuple[int, bytes]] = []
