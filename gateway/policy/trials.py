"""What a policy test says, as dataclasses: the shape of a `*.test.yaml` file. Imports nothing but the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.policy.model import Place


@dataclass(frozen=True, slots=True)
class Given:
    """What a budget has used before the test begins, in the window that its beginning lies in."""

    budget: str
    used: int
    """In the meter's unit: nano-USD for cost."""
    place: Place


@dataclass(frozen=True, slots=True)
class Uses:
    """What the model server reports. None: what the request asked for."""

    input_tokens: int | None = None
    cached_input_tokens: int = 0
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Expect:
    """What must happen; a word that is not written is not looked at."""

    verdict: str
    """"admitted" or "refused"."""
    refused_by: str | None = None
    """A budget's name."""
    reason: str | None = None
    """As the record of a request says it: `model_not_allowed`, `output_policy`, ..."""
    retry_after_ms: int | None = None
    """0: no time is told, for waiting is useless."""
    shortened_to: int | None = None
    """Output tokens of one choice."""
    downgraded_to: str | None = None
    queued_ms: int | None = None
    dropped: tuple[str, ...] | None = None
    would_refuse: tuple[str, ...] | None = None
    """Names of shadow budgets."""
    watched: str | None = None
    """The ladder's step on which the tenant stands; "none": on none."""
    place: Place = Place("", 0)


@dataclass(frozen=True, slots=True)
class Request:
    """One request, or several alike one after the other."""

    after_ms: int
    """Since the request before it began."""
    repeat: int
    tenant: str
    key: str
    """An id; "": the tenant's first key."""
    model: str
    endpoint: str
    user: str
    input_tokens: int
    max_tokens: int | None
    takes_ms: int
    """How long it runs, and holds what it may cost."""
    uses: Uses
    fields: dict[str, Any]
    """More fields of the request's body."""
    score_milli: int | None
    """What the watch says of its tenant from here on, in thousandths; None: what it said before (0 at first)."""
    expect: Expect
    place: Place


@dataclass(frozen=True, slots=True)
class Trial:
    """One test: requests against the policy, from a moment on, with nothing used but what is given."""

    name: str
    at_us: int
    given: tuple[Given, ...]
    requests: tuple[Request, ...]
    place: Place
    given_for: Request | None = field(default=None)
    """Whose usage `given` is: the test's own tenant, key, model and user."""
