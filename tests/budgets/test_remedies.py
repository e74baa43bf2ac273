"""What budgets agree on for a request that does not fit."""

from gateway.budgets.remedies import REJECT, Remedy, refusing, remedy
from gateway.values import Extent, Standing
from tests.budgets.make import TERMS, budget
from tests.budgets.test_shorten import quoted

SHORTENS = budget("s", meter="output_tokens", limit=100, on_exceed="shorten")
REJECTS = budget("r", meter="output_tokens", limit=100)
SHADOW = budget("w", meter="output_tokens", limit=100, enforce=False)
PATIENT = budget("p", meter="output_tokens", limit=100, on_exceed="queue", queue_ms=5000)
HASTY = budget("h", meter="output_tokens", limit=100, on_exceed="queue", queue_ms=200)
SMALLER = budget("d", meter="output_tokens", limit=100, on_exceed="downgrade", downgrade_to="mini")
OTHER = budget("o", meter="output_tokens", limit=100, on_exceed="downgrade", downgrade_to="nano")


def asked(budgets, *remaining):
    made = quoted(budgets, 0, 50, TERMS, Extent())
    standings = [Standing(0, 0, left, 0, 0) for left in remaining]
    return remedy(budgets, made, standings), refusing(made, standings)


def test_every_budget_in_the_way_must_say_the_same():
    """A budget that fits has no say, nor has one in shadow; and where nothing is in the way there is nothing to do."""
    budgets = [SHORTENS, REJECTS, SHADOW]
    seen = [
        asked(budgets, *remaining)
        for remaining in [(10, 50, 50), (10, 50, -1), (10, 49, 50), (50, 49, 50), (50, 50, 50), (50, 50, 0)]
    ]
    shorten = Remedy("shorten")
    assert seen == [(shorten, [0]), (shorten, [0]), (REJECT, [0, 1]), (REJECT, [1]), (REJECT, []), (REJECT, [])]


def test_the_least_patient_budget_tells_how_long():
    """A request waits as long as all of them allow."""
    assert asked([PATIENT, HASTY], 0, 0)[0] == Remedy("queue", 200)
    assert asked([PATIENT, HASTY], 0, 50)[0] == Remedy("queue", 5000)
    assert asked([PATIENT, SHORTENS], 0, 0)[0] == REJECT


def test_downgrades_must_name_one_model():
    """Two budgets that name different models agree on none."""
    assert asked([SMALLER], 0)[0] == Remedy("downgrade", 0, "mini")
    assert asked([SMALLER, OTHER], 0, 50)[0] == Remedy("downgrade", 0, "mini")
    assert asked([SMALLER, OTHER], 0, 0)[0] == REJECT
