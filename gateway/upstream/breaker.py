"""Whether a model server of several is left alone for a while, after it has failed. Pure: time arrives as an argument.

Failure policy: a server that could not be connected to rests at once, because another can take the request; one that broke
off, fell silent or answered 502, 503 or 504 rests after `FAILURES_MAX` of these in a row. Each rest is twice as long as the one
before, up to `REST_MAX_S`; the first answer after a rest ends all that. A rest is advice: where every server rests, the one
whose rest is over first is asked all the same, so that a breaker never refuses a request by itself.
"""

from __future__ import annotations

FAILURES_MAX = 5
REST_S = 1.0
REST_MAX_S = 30.0
_UNCONNECTED = frozenset(("connect", "timeout_connect"))
_TENANTS_OR_OURS = frozenset(("overloaded", "credentials"))
"""Faults that say nothing of a server's health."""
_BAD_STATUSES = frozenset((502, 503, 504))


class Breaker:
    """One server's failures."""

    __slots__ = ("_failures", "_rest_s", "rests_until_s")

    def __init__(self) -> None:
        self._failures = 0
        self._rest_s = REST_S
        self.rests_until_s = 0.0
        """In the caller's clock; it rests as long as that is not over."""

    def is_resting(self, now_s: float) -> bool:
        return now_s < self.rests_until_s

    def note_status(self, status: int, now_s: float) -> None:
        """A status line has come."""
        if status in _BAD_STATUSES:
            self._note(now_s)
        elif self._failures or self._rest_s != REST_S:
            self._failures, self._rest_s = 0, REST_S

    def note_fault(self, kind: str, now_s: float) -> None:
        """An `UpstreamFault` of this kind was raised."""
        if kind in _UNCONNECTED:
            self._rest(now_s)
        elif kind not in _TENANTS_OR_OURS:
            self._note(now_s)

    def _note(self, now_s: float) -> None:
        self._failures += 1
        if self._failures >= FAILURES_MAX:
            self._rest(now_s)

    def _rest(self, now_s: float) -> None:
        if self.is_resting(now_s):
            return  # several requests find the same out at once
        self._failures = 0
        self.rests_until_s = now_s + self._rest_s
        self._rest_s = min(2 * self._rest_s, REST_MAX_S)
