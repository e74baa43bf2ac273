"""How much output still fits: for a request that is shortened, and for a stream whose hold is extended. Pure.

What a line has left is known from the store's standings; what an amount of output takes of it is known from its meter. Meters
are not inverted by formula, which would have to round as they do: amounts only grow with the output, so the largest that fits
is found by halving.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.budgets.meters import METERS, Terms
from gateway.policy.model import Budget
from gateway.values import Extent, Line, Standing

TOKENS_MAX = 1 << 34


def with_output(
    budgets: Sequence[Budget],
    lines: Sequence[Line],
    *,
    input_tokens: int,
    output_tokens: int,
    terms: Terms,
    extent: Extent,
) -> tuple[Line, ...]:
    """The lines of a quote with another bound on its output (of all choices together)."""
    return tuple(
        line._replace(amount=METERS[budget.meter].quote(input_tokens, output_tokens, terms, extent))
        for budget, line in zip(budgets, lines)
    )


def may_shorten(budgets: Sequence[Budget], lines: Sequence[Line], standings: Sequence[Standing]) -> bool:
    """Whether every enforced budget that a refused request does not fit says `on_exceed: shorten`; at least one must."""
    refusing = [
        budget
        for budget, line, standing in zip(budgets, lines, standings)
        if line.enforce and (standing.remaining < line.amount or standing.wait_us != 0)
    ]
    return bool(refusing) and all(budget.on_exceed == "shorten" for budget in refusing)


def affordable_output(
    budgets: Sequence[Budget],
    lines: Sequence[Line],
    standings: Sequence[Standing],
    *,
    input_tokens: int,
    choices: int,
    terms: Terms,
    extent: Extent,
) -> int:
    """The largest bound on one choice's output with which every enforced line would fit; 0: none does.

    `standings` are those of a refusal: what remains beside all that is held.
    """
    rooms = [(budget, standing.remaining) for budget, line, standing in zip(budgets, lines, standings) if line.enforce]
    return _largest(
        lambda tokens: all(
            METERS[budget.meter].quote(input_tokens, tokens * choices, terms, extent) <= room for budget, room in rooms
        )
    )


def extension(
    budgets: Sequence[Budget],
    lines: Sequence[Line],
    standings: Sequence[Standing],
    *,
    input_tokens: int,
    held_tokens: int,
    terms: Terms,
    extent: Extent,
) -> int:
    """How many output tokens an open hold can hold in all, of all choices together: at least those it holds.

    `standings` are those of a refused extension: what remains beside all that is held, this hold's own amounts included.
    """
    rooms = [
        (budget, line.amount + max(0, standing.remaining))
        for budget, line, standing in zip(budgets, lines, standings)
        if line.enforce and line.kind != "concurrency"
    ]
    fitting = _largest(
        lambda tokens: all(METERS[budget.meter].quote(input_tokens, tokens, terms, extent) <= room for budget, room in rooms)
    )
    return max(held_tokens, fitting)


def _largest(fits: Callable[[int], bool]) -> int:
    """The largest number up to TOKENS_MAX for which `fits` holds, which it does up to some number; 0 where it never does."""
    if not fits(1):
        return 0
    least, most = 1, TOKENS_MAX
    while least < most:
        middle = (least + most + 1) // 2
        if fits(middle):
            least = middle
        else:
            most = middle - 1
    return least
