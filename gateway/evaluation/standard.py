"""The ladder that honest tenants are walked on where no policies are named: the standard one of the documentation."""

from __future__ import annotations

from gateway.policy.model import Ladder, Output, Place, Step

_HERE = Place("(standard)", 1)
STANDARD = Ladder(
    name="standard",
    enforce=False,
    place=_HERE,
    steps=(
        Step("notice", 700, _HERE, notify=True),
        Step("tighten", 800, _HERE, budgets_milli=500),
        Step("slow", 850, _HERE, output=Output(tokens_per_second=30)),
        Step(
            "strip",
            900,
            _HERE,
            output=Output(max_tokens=2_000, drop=("logit_bias", "logprobs", "top_logprobs"), choices_max=1, reasoning="blank"),
        ),
        Step("review", 950, _HERE, review=True),
        Step("refuse", 990, _HERE, refuse=True),
    ),
)
