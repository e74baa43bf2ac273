"""From a policy's budgets to the store's lines, and from the store's standings to what a caller may see.

Rule 1: no text of a request enters a key unhashed. Names of the policy are hashed plainly, so that counters outlive a
change of the deployment's secret; a model's or an end user's name is hashed under the secret, so that who can read the store
still cannot try out user ids.
Rule 2: what is hashed is length-prefixed: tenant "a" with key "b" never meets tenant "ab".
Rule 3: a counter is known by its scope's values and its budget's name, meter, kind and window, not by its limit: raising a
limit keeps what was used. Two budgets of one request must differ in name or scope (the policy's loader sees to it).

Layout: `g1:{TAG}:b:OWNER`, with OWNER 20 hex digits of the scope's values; fields are 8 characters.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Literal, NamedTuple

from gateway.budgets.meters import METERS, Terms
from gateway.budgets.windows import Calendar, calendar_window
from gateway.policy.model import Budget
from gateway.values import ORDINARY, Caller, Extent, Limit, Line, Standing

_US = 1_000_000
_OWNER_BYTES = 10
_FIELD_BYTES = 6
_REQUEST_SUPPLIED = frozenset({"model", "user"})

Identity = tuple[str, ...]
"""A scope's name and its values: ("tenant", "acme"), ("key", "acme", "key-1")."""


def tag(organisation: str) -> bytes:
    """The organisation's hash tag: 16 hex digits. All keys of its requests are in one slot of a cluster."""
    return blake2b(organisation.encode(), digest_size=8).hexdigest().encode()


def field(budget: Budget) -> bytes:
    """The budget's field in its owner's hash: 8 characters of base64url."""
    window = budget.calendar or str(budget.period_s)
    parts = (budget.name, budget.meter, budget.kind, window, budget.timezone)
    return urlsafe_b64encode(blake2b(_framed(parts), digest_size=_FIELD_BYTES).digest())


def owner_key(tag: bytes, identities: Iterable[Identity], *, secret: bytes) -> bytes:
    """The Redis key of one combination of scope values, in the order of SCOPES."""
    identities = tuple(identities)
    hasher = _hasher((identity[0] for identity in identities), secret)
    for identity in identities:
        hasher.update(_framed(identity))
    return _key(tag, hasher.hexdigest())


def _hasher(scope: Iterable[str], secret: bytes) -> blake2b:
    if _REQUEST_SUPPLIED.isdisjoint(scope):
        return blake2b(digest_size=_OWNER_BYTES)
    key = blake2b(secret, digest_size=32, person=b"gauger-owner-key").digest()
    return blake2b(digest_size=_OWNER_BYTES, key=key)


def _key(tag: bytes, owner: str) -> bytes:
    return b"g1:{%b}:b:%b" % (tag, owner.encode())


def _framed(parts: Sequence[str]) -> bytes:
    framed = [b"%d;" % len(parts)]
    framed += [_frame(part) for part in parts]
    return b"".join(framed)


def _frame(text: str) -> bytes:
    # A lone surrogate, should one get through the reader of the body, is hashed like any other text.
    part = text.encode("utf-8", "surrogatepass")
    return b"%d:%b" % (len(part), part)


class _Step(NamedTuple):
    """How one line is made."""

    owner: bytes
    """b"": depends on the end user, see `user_owner`."""
    user_owner: int
    field: bytes
    kind: Literal["bucket", "rolling", "calendar", "concurrency"]
    a: int
    b: int
    c: int
    calendar: Calendar | None
    timezone: str
    enforce: bool
    quote: Callable[[int, int, Terms, Extent], int]
    certain: Callable[[int, int, Terms, Extent], int]


class LinePlan(NamedTuple):
    """All that is known of a caller's lines before its request comes; make one for each (caller, model), and keep it."""

    tag: bytes
    steps: tuple[_Step, ...]
    user_owners: tuple[blake2b, ...]
    """Hashes that want the end user and are then done; copied, never updated."""


def plan_lines(budgets: Sequence[Budget], caller: Caller, model: str, *, secret: bytes) -> LinePlan:
    """Plan the lines of `budgets`, in their order. They must be the ones that count this caller's `model`."""
    organisation_tag = tag(caller.organisation)
    values: dict[str, Identity] = {
        "organisation": ("organisation", caller.organisation),
        "tenant": ("tenant", caller.tenant),
        "key": ("key", caller.tenant, caller.key_id),  # an id is the tenant's own choice
        "model": ("model", model),
    }
    steps: list[_Step] = []
    user_owners: dict[tuple[str, ...], int] = {}
    hashers: list[blake2b] = []
    for budget in budgets:
        identities = [values[scope] for scope in budget.scope if scope != "user"]
        owner, user_owner = b"", -1
        if "user" in budget.scope:
            user_owner = user_owners.setdefault(budget.scope, len(hashers))
            if user_owner == len(hashers):
                hasher = _hasher(budget.scope, secret)
                for identity in identities:
                    hasher.update(_framed(identity))
                hasher.update(_USER_HEAD)
                hashers.append(hasher)
        else:
            owner = owner_key(organisation_tag, identities, secret=secret)
        a, b, c = _shape(budget)
        meter = METERS[budget.meter]
        calendar = budget.calendar or None
        steps.append(
            _Step(
                owner, user_owner, field(budget), budget.kind, a, b, c,
                calendar, budget.timezone, budget.enforce, meter.quote, meter.certain,
            )
        )  # fmt: skip
    return LinePlan(organisation_tag, tuple(steps), tuple(hashers))


_USER_HEAD = _framed(("user", ""))[: -len(_frame(""))]


def _shape(budget: Budget) -> tuple[int, int, int]:
    """`a`, `b`, `c` of a `Line`; a calendar's window is filled in for each request."""
    if budget.kind == "bucket":
        return budget.burst, budget.limit, budget.period_s * _US
    if budget.kind == "rolling":
        return budget.limit, budget.period_s * _US, 0
    return budget.limit, 0, 0


def lines(
    plan: LinePlan,
    *,
    input_tokens: int,
    output_tokens: int,
    terms: Terms,
    now_us: int,
    end_user: str,
    extent: Extent = ORDINARY,
) -> tuple[Line, ...]:
    """The lines of one request at `now_us` of the store's clock.

    `end_user` "" is a counter of its own: callers that name no user share it, so leaving the name out escapes nothing.
    (Making names up does: give the tenant or key a budget too.)
    """
    owners = [_user_key(plan.tag, hasher, end_user) for hasher in plan.user_owners] if plan.user_owners else ()
    made: list[Line] = []
    for owner, user_owner, name, kind, a, b, c, calendar, timezone, enforce, quote, certain in plan.steps:
        if calendar is not None:
            b, c = calendar_window(now_us, calendar, timezone)
        amount = quote(input_tokens, output_tokens, terms, extent)
        sure = certain(input_tokens, output_tokens, terms, extent)
        made.append(Line(owner or owners[user_owner], name, kind, a, b, c, enforce, amount, sure))
    return tuple(made)


def _user_key(tag: bytes, hasher: blake2b, end_user: str) -> bytes:
    hasher = hasher.copy()
    hasher.update(_frame(end_user))
    return _key(tag, hasher.hexdigest())


def limit_views(budgets: Sequence[Budget], lines: Sequence[Line], standings: Sequence[Standing]) -> list[Limit]:
    """What a caller may see of its budgets, one for each, in order."""
    views = []
    for budget, line, (used, held, remaining, reset_us, wait_us) in zip(budgets, lines, standings):
        window_s = (line.c - line.b) // _US if line.kind == "calendar" else budget.period_s
        limit = max(budget.limit, line.a)
        if not reset_us and remaining < line.a and line.kind in ("bucket", "rolling"):
            # Only what runs is in the way: were it all used up now, this is when the window would be whole again.
            reset_us = (
                budget.period_s * _US * (line.a - remaining) // line.b if line.kind == "bucket" else budget.period_s * _US
            )
        views.append(
            Limit(budget.name, budget.meter, limit, used, held, remaining, reset_us, wait_us, window_s, budget.enforce)
        )
    return views
