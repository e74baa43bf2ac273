"""Whether one budget can never refuse what another lets through: it counts the same or less, and is nowhere tighter.

Every answer is on the safe side: True is proven for the worst order of requests, and where that cannot be told it is False.
What a budget lets through is bounded by its window: a bucket at once what it holds, and then what drips; a rolling window its
limit at once, and again a period later; a calendar window two limits around midnight.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from gateway.policy.globs import covers, matcher
from gateway.policy.model import ENDPOINTS, Budget, Scope

_DAY_S, _MONTH_S = (23 * 3600, 25 * 3600), (28 * 86_400 - 3600, 31 * 86_400 + 3600)
"""The shortest and the longest there are, with clocks put forward and back."""
_PART_OF = {"input_tokens": "total_tokens", "output_tokens": "total_tokens"}
_IMPLIED: dict[Scope, tuple[Scope, ...]] = {"key": ("tenant",), "tenant": ()}


def never_binds(budget: Budget, models: tuple[str, ...], other: Budget, other_models: tuple[str, ...]) -> bool:
    """Whether `other` refuses first, whatever comes. The models are those that each of them counts where it stands."""
    return (
        other.enforce
        and other.meter in (budget.meter, _PART_OF.get(budget.meter))
        and other.when in (None, budget.when)
        and _determined(budget.scope).issuperset(other.scope)
        and covers(other_models, models)
        and _endpoints(other.endpoints).issuperset(_endpoints(budget.endpoints))
        and _lets_less_through(other, budget)
    )


def capacity(budget: Budget) -> int:
    """The largest amount that a request can take of it at once."""
    return budget.burst if budget.kind == "bucket" else budget.limit


def _determined(scope: Iterable[Scope]) -> set[Scope]:
    """Every identity that is the same for all that one counter of this scope counts."""
    found: set[Scope] = {"organisation"}
    for word in scope:
        found.update((word, *_IMPLIED.get(word, ())))
    return found


def _endpoints(globs: tuple[str, ...]) -> frozenset[str]:
    return frozenset(filter(matcher(globs), ENDPOINTS))


def _lets_less_through(tight: Budget, loose: Budget) -> bool:
    if tight.kind == "concurrency" or loose.kind == "concurrency":
        return tight.kind == loose.kind and tight.limit <= loose.limit
    if loose.kind == "bucket":
        drips_less = tight.limit * loose.period_s <= loose.limit * _shortest_s(tight)
        return _at_once(tight) <= loose.burst and drips_less
    if tight.kind == loose.kind == "calendar" and tight.timezone == loose.timezone:
        times = 31 if (tight.calendar, loose.calendar) == ("day", "month") else 1
        return tight.limit * times <= loose.limit
    return _within(tight, _longest_s(loose)) <= loose.limit


def _at_once(budget: Budget) -> int:
    if budget.kind == "bucket":
        return budget.burst
    return budget.limit * (2 if budget.kind == "calendar" else 1)


def _within(budget: Budget, seconds: int) -> int:
    """The most that it lets through in any span so long."""
    if budget.kind == "bucket":
        return budget.burst + ceil(budget.limit * seconds / budget.period_s)
    if budget.kind == "rolling":
        return budget.limit * ceil(seconds / budget.period_s)
    return budget.limit * (seconds // _shortest_s(budget) + 2)


def _shortest_s(budget: Budget) -> int:
    return {"day": _DAY_S[0], "month": _MONTH_S[0], "": budget.period_s}[budget.calendar]


def _longest_s(budget: Budget) -> int:
    return {"day": _DAY_S[1], "month": _MONTH_S[1], "": budget.period_s}[budget.calendar]
