"""Which groups did not stand when they were last looked at: until they have sent a good deal more they need not be again. Pure,
bounded.

Most of what templates and pairs propose are customers of one framework, and stay so: without this each of them would be looked
at as a whole every time that groups are looked for.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping

from gateway.detectors.link_tenant import Tenant

GROWN = 1.25
"""A group is looked at again once it has sent, or has members, so many times as much."""
TRIED_MAX = 8_192
TRIED_US = 7_200_000_000
"""And after so long in any case: members may have become alike without sending much."""


class Tried:
    """Groups that did not stand."""

    def __init__(self) -> None:
        self._failed: dict[Hashable, tuple[int, int, int]] = {}
        """What proposed it -> (requests, members, when)."""

    def is_worth(self, by: Hashable, numbers: Collection[int], tenants: Mapping[int, Tenant], at_us: int) -> bool:
        """Whether it should be looked at."""
        requests, members, when_us = self._failed.get(by, (0, 0, 0))
        if not members or not 0 <= at_us - when_us < TRIED_US:
            return True
        return len(numbers) > GROWN * members or sum(tenants[number].noted for number in numbers) > GROWN * requests

    def failed(self, by: Hashable, numbers: Collection[int], tenants: Mapping[int, Tenant], at_us: int) -> None:
        """It was looked at, and did not stand."""
        self._failed.pop(by, None)
        if len(self._failed) >= TRIED_MAX:
            del self._failed[next(iter(self._failed))]
        self._failed[by] = (sum(tenants[number].noted for number in numbers), len(numbers), at_us)
