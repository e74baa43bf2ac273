"""What becomes of a request that does not fit its budgets: `on_exceed`, where every budget in its way says the same. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from gateway.policy.model import Budget
from gateway.values import Line, Standing


class Remedy(NamedTuple):
    kind: Literal["reject", "shorten", "queue", "downgrade"]
    queue_ms: int = 0
    """How long it may wait: as long as the least patient budget says."""
    downgrade_to: str = ""
    """The model that is asked instead."""


REJECT = Remedy("reject")


def refusing(lines: Sequence[Line], standings: Sequence[Standing]) -> list[int]:
    """Indices of the enforced lines that a refused request does not fit."""
    return [index for index, line in enumerate(lines) if line.enforce and standings[index].remaining < line.amount]


def remedy(budgets: Sequence[Budget], lines: Sequence[Line], standings: Sequence[Standing]) -> Remedy:
    """What the budgets in the way of a refused request agree on; REJECT where they do not, or where none is in the way."""
    in_the_way = [budgets[index] for index in refusing(lines, standings)]
    if len({(budget.on_exceed, budget.downgrade_to) for budget in in_the_way}) != 1:
        return REJECT
    first = in_the_way[0]
    return Remedy(first.on_exceed, min(budget.queue_ms for budget in in_the_way), first.downgrade_to)
