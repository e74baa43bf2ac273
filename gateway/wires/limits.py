"""How limits are told in headers: which one is the tightest, how a wait is written, and the IETF's pair of fields.

A caller sees only limits that are enforced on it, and `remaining` never below zero: debt is said by the wait.
IETF: draft-ietf-httpapi-ratelimit-headers-10, in structured fields (RFC 9651). It has units for requests and for concurrent
requests and none for tokens, so budgets of tokens and of money are not told there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from gateway.values import Limit

TOKEN_METERS = frozenset(("input_tokens", "output_tokens", "total_tokens"))

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND = 253_402_300_799
"""9999-12-31T23:59:59Z: a debt that takes longer is told as this."""
_SF_INTEGER_MAX = 999_999_999_999_999


def is_tighter(limit: Limit, other: Limit) -> bool:
    """Less is left of it, as a share of the whole; at equal shares, less of it."""
    mine, its = limit.remaining * other.limit, other.remaining * limit.limit  # shares compared without dividing by zero
    return mine < its or (mine == its and limit.remaining < other.remaining)


def left(limit: Limit) -> str:
    """What remains, never below zero."""
    return str(limit.remaining) if limit.remaining > 0 else "0"


def duration(us: int) -> str:
    """A wait as OpenAI writes it, rounded up: 12ms, 1.574s, 6m0s, 1h0m0s."""
    ms = -(-us // 1000)
    if ms < 1000:
        return f"{ms}ms" if ms > 0 else "0s"
    if ms < 60_000:
        return f"{ms // 1000}s" if ms % 1000 == 0 else f"{ms / 1000:.3f}".rstrip("0") + "s"
    minutes, seconds = divmod(-(-ms // 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds}s" if hours else f"{minutes}m{seconds}s"


@lru_cache(maxsize=1024)
def timestamp(second: int) -> str:
    """A second since the epoch as Anthropic writes it: 2026-01-01T00:00:00Z. Callers' resets fall on the same few seconds."""
    moment = _EPOCH + timedelta(seconds=min(max(second, 0), _LAST_SECOND))
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(maxsize=1024)
def _policy(name: str, meter: str, limit: int, window_s: int) -> tuple[str, str]:
    """A limit's item in RateLimit-Policy, and how its item in RateLimit begins."""
    plain = "".join(char if " " <= char <= "~" else "?" for char in name)
    quoted = '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
    quota = f"{quoted};q={min(limit, _SF_INTEGER_MAX)}"
    return (f'{quota};qu="concurrent-requests"' if meter == "concurrency" else f"{quota};w={window_s}"), f"{quoted};r="


def ietf(limits: Sequence[Limit]) -> list[tuple[str, str]]:
    """RateLimit-Policy and RateLimit for every enforced limit on requests and on concurrency; none where there is none.

    `t` must never be later than Retry-After. On a refusal Retry-After is the wait of the limits that refused, so only
    they have a `t` then, and it is that wait; otherwise it is the time until the quota is whole.
    """
    policies: list[str] = []
    states: list[str] = []
    is_refusal = False
    for limit in limits:
        if limit.enforce and limit.wait_us:
            is_refusal = True
    for limit in limits:
        meter = limit.meter
        if not limit.enforce or (meter != "requests" and meter != "concurrency"):
            continue
        policy, state = _policy(limit.name, meter, limit.limit, limit.window_s)
        policies.append(policy)
        wait_us = limit.wait_us if is_refusal else limit.reset_us
        if wait_us > 0:
            states.append(f"{state}{left(limit)};t={-(-wait_us // 1_000_000)}")
        else:
            states.append(f"{state}{left(limit)}")
    if not policies:
        return []
    return [("ratelimit-policy", ", ".join(policies)), ("ratelimit", ", ".join(states))]
