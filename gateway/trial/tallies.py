"""What a replay saw, in bounded memory: sums for each tenant and each of its budgets, and how full each was over time."""

from __future__ import annotations

from dataclasses import dataclass, field

HOUR_US = 3_600_000_000
SLICES_MAX = 288
"""Points of a budget's curve; when there are more, two neighbours become one."""
SLICE_US = 60_000_000


@dataclass(slots=True)
class Curve:
    """A budget's use over time, in slices of equal length: the most that was used and held, and how many were refused."""

    slice_us: int = SLICE_US
    used: dict[int, int] = field(default_factory=dict)
    refused: dict[int, int] = field(default_factory=dict)
    limit: int = 0

    def note(self, at_us: int, used: int, limit: int, *, is_refused: bool) -> None:
        at = at_us // self.slice_us
        self.limit = limit
        if used > self.used.get(at, -1):
            self.used[at] = used
            if len(self.used) > SLICES_MAX:
                self._halve()
                at //= 2
        if is_refused:
            self.refused[at] = self.refused.get(at, 0) + 1

    def _halve(self) -> None:
        self.slice_us *= 2
        used: dict[int, int] = {}
        for at, value in self.used.items():
            used[at // 2] = max(value, used.get(at // 2, 0))
        refused: dict[int, int] = {}
        for at, count in self.refused.items():
            refused[at // 2] = refused.get(at // 2, 0) + count
        self.used, self.refused = used, refused


@dataclass(slots=True)
class BudgetTally:
    """One budget of one tenant."""

    meter: str
    enforce: bool
    place: str
    refused: int = 0
    would_refuse: int = 0
    """Shadow."""
    is_by_user: bool = False
    curve: Curve = field(default_factory=Curve)


@dataclass(slots=True)
class TenantTally:
    requests: int = 0
    admitted: int = 0
    refused: int = 0
    refused_otherwise: dict[str, int] = field(default_factory=dict)
    """By reason, where it was no budget."""
    shortened: int = 0
    cut_tokens: int = 0
    """Output tokens of the trace that shortened requests would not have got."""
    delayed: int = 0
    delay_us: int = 0
    downgraded: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano_usd: int = 0
    refused_by_hour: dict[int, int] = field(default_factory=dict)
    budgets: dict[str, BudgetTally] = field(default_factory=dict)

    def note_refusal(self, at_us: int) -> None:
        self.refused += 1
        hour = at_us // HOUR_US
        self.refused_by_hour[hour] = self.refused_by_hour.get(hour, 0) + 1

    @property
    def worst_hour(self) -> tuple[int, int] | None:
        """Its beginning (us) and how many were refused in it; None: none ever was."""
        if not self.refused_by_hour:
            return None
        hour, count = max(self.refused_by_hour.items(), key=lambda item: (item[1], -item[0]))
        return hour * HOUR_US, count


@dataclass(slots=True)
class Tally:
    """Of one policy on one trace."""

    tenants: dict[str, TenantTally] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    """Requests of tenants that the policy does not have."""
    untried: dict[str, int] = field(default_factory=dict)
    """Requests of endpoints that cannot be replayed: a trace does not say what was in their forms, batches and sessions."""
    first_us: int = 0
    last_us: int = 0
    requests: int = 0
    late: int = 0
    knows_users: bool = False
    """Whether the trace says of any request which end user it is of."""

    @property
    def blind(self) -> list[str]:
        """Budgets by end user that refused, or would have, though nobody knows the users: all of them shared one counter."""
        if self.knows_users:
            return []
        budgets = [item for tenant in self.tenants.values() for item in tenant.budgets.items()]
        return sorted({name for name, budget in budgets if budget.is_by_user and (budget.refused or budget.would_refuse)})

    def merge(self, other: Tally) -> None:
        """Take over what another process saw of other tenants."""
        self.tenants |= other.tenants
        self.unknown |= other.unknown  # every process sees all of these
        self.untried |= other.untried
        if other.requests:
            self.first_us = min(self.first_us, other.first_us) if self.requests else other.first_us
            self.last_us = max(self.last_us, other.last_us)
        self.requests += other.requests
        self.late = max(self.late, other.late)
        self.knows_users = self.knows_users or other.knows_users
