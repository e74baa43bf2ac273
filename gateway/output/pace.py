"""The pace of a stream: how long to wait before the next tokens leave. A clock is an argument; nobody sleeps here."""

from __future__ import annotations

SLICE_S = 0.02
"""So much of the pace leaves at once: a write for each token would cost more than it smooths."""
BURST_S = 0.05
"""What a stream may catch up at once after a pause of its upstream."""


class Pace:
    """Of one stream, `tokens_per_second` at most (1 or more)."""

    __slots__ = ("slice_tokens", "_token_s", "_due_s")

    def __init__(self, tokens_per_second: int) -> None:
        self.slice_tokens = max(1, int(tokens_per_second * SLICE_S))
        self._token_s = 1 / tokens_per_second
        self._due_s = float("-inf")

    def wait_s(self, tokens: int, now_s: float) -> float:
        """How long to wait before these tokens leave; they are taken to have left then. 0.0: at once."""
        due_s = max(self._due_s, now_s - BURST_S)
        self._due_s = due_s + tokens * self._token_s
        return max(0.0, due_s - now_s)
