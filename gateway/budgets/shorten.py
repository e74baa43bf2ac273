"""How much output still fits: for a request that is shortened, and for a stream whose hold is extended. Pure.

What a line has left is known from the store's standings; what an amount of output takes of it is known from its meter. Meters
are not inverted by formula, which would have to round as they do: amounts only grow with the output, so the largest that fits
is found by halving (some 45 us, for requests that were refused already).
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.budgets.meters import METERS, Terms
from gateway.policy.model import Budget
from gateway.values import Extent, Line, Standing

TOKENS_MAX = 1 << 34
"""Where no budget's amount grows with the output (as with a model that is free) this much fits."""


def with_output(
    budgets: Sequence[Budget],
    lines: Sequence[Line],
    *,
    input_tokens: int,
    output_tokens: int,
    terms: Terms,
    extent: Extent,
) -> tuple[Line, ...]:
    """The lines of a quote with another bound on its output (of all choices together); everything else stays.

    What is certain does not depend on the output. Raises nothing: `budgets` and the rest are those that `lines` were made of.
    """
    return tuple(
        line._replace(amount=METERS[budget.meter].quote(input_tokens, output_tokens, terms, extent))
        for budget, line in zip(budgets, lines)
    )


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
    """The largest bound on one choice's output, up to TOKENS_MAX, with which every enforced line would fit; 0: none does.

    `standings` are those of a refused reserve: what remains beside all that is held. Of a request that was refused it is less
    than what it asked for.
    """
    rooms = [(budget, standing.remaining) for budget, line, standing in zip(budgets, lines, standings) if line.enforce]
    return _fitting(rooms, input_tokens, choices, terms, extent)


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
    """How many output tokens an open hold can hold in all, of all choices together, up to TOKENS_MAX: at least `held_tokens`.

    `lines` are those it holds; `standings` are those of a refused extension: what remains beside all that is held, the hold's
    own amounts included. A line in debt gives nothing more, and takes nothing away.
    """
    rooms = [
        (budget, line.amount + max(0, standing.remaining))
        for budget, line, standing in zip(budgets, lines, standings)
        if line.enforce
    ]
    return max(held_tokens, _fitting(rooms, input_tokens, 1, terms, extent))


def _fitting(rooms: Sequence[tuple[Budget, int]], input_tokens: int, choices: int, terms: Terms, extent: Extent) -> int:
    """The most output tokens of a choice whose amounts fit into all rooms; 0: not even one does."""
    meters = [(METERS[budget.meter].quote, room) for budget, room in rooms]

    def fits(tokens: int) -> bool:
        return all(quote(input_tokens, tokens * choices, terms, extent) <= room for quote, room in meters)

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
