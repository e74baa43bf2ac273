"""How long an answer may be: what the policy allows of what was asked, and how little is still worth sending."""

from __future__ import annotations

from gateway.policy.model import Output

FLOOR_TOKENS = 16
"""Where the policy names no floor: a request that could only be given fewer output tokens is refused, not shortened."""


def limit_of(asked: int | None, model_max: int, output: Output) -> int | None:
    """The bound on one choice's output tokens that the policy sets; None: what was asked is within it.

    `asked` None: the request bounds nothing, and the model would go on to `model_max`.
    """
    most = output.max_tokens
    if most is None or (asked is not None and asked <= most) or (asked is None and model_max <= most):
        return None
    return most


def shortened(affordable: int, output: Output) -> int | None:
    """The bound for a request that its budgets hold only `affordable` tokens for; None: too few, refuse it."""
    floor = FLOOR_TOKENS if output.min_tokens is None else output.min_tokens
    return affordable if affordable >= max(1, floor) else None
