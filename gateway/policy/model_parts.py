"""The parts that a policy's levels are made of: places, times, purposes, budgets, and what answers may be.

Half of `policy.model`, which has them all; imports nothing of the project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

MeterName = Literal[
    "requests", "input_tokens", "output_tokens", "total_tokens", "cost", "concurrency",
    "counts", "upload_bytes", "audio_seconds", "images",
]  # fmt: skip
Scope = Literal["organisation", "tenant", "key", "model", "user"]
SCOPES: tuple[Scope, ...] = ("organisation", "tenant", "key", "model", "user")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written. Lines and columns count from 1."""

    file: str
    line: int
    column: int = field(default=1, compare=False)


Places = Mapping[str, Place]
"""Where each word of a mapping was written, by the word."""


def no_places() -> Places:
    return NO_PLACES


NO_PLACES: Places = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class When:
    """When a rule is in force: at every moment that all its parts allow. See `policy.times`."""

    from_us: int | None = None
    """Microseconds since the epoch; None: since ever."""
    until_us: int | None = None
    """The first microsecond at which it is over; None: never."""
    days: tuple[int, ...] = ()
    """Days of the week on which its hours begin, 0 is Monday; (): all."""
    hours: tuple[int, int] | None = None
    """Minutes of the day, the second excluded; where it is not above the first the hours go over midnight. None: all day."""
    timezone: str = "UTC"
    """IANA name, by which days and hours are told."""


Purpose = Literal["evaluation", "batch", "synthetic_data"]
PURPOSES: tuple[Purpose, ...] = ("evaluation", "batch", "synthetic_data")


@dataclass(frozen=True, slots=True)
class Declared:
    """What somebody's traffic is for, as the operator has agreed with them: content alone could not tell."""

    purpose: Purpose
    until_us: int
    """The first microsecond at which it no longer holds."""
    reason: str
    """For the audit: who agreed to it, and why."""
    place: Place


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit on one meter in one window, for each distinct combination of its scope.

    kind "bucket": refills `limit` a period continuously and holds at most `burst`. "rolling": at most `limit` in any
    period. "calendar": at most `limit` in each day or month of `timezone`. "concurrency": at most `limit` at once
    (meter concurrency only; period_s is 0).
    """

    name: str
    meter: MeterName
    limit: int
    kind: Literal["bucket", "rolling", "calendar", "concurrency"]
    period_s: int
    """Seconds; for calendar windows 86_400 (day) or 2_592_000 (month, nominal)."""
    burst: int
    """Bucket only: the most it holds; `limit` where the author gave none."""
    calendar: Literal["day", "month", ""]
    timezone: str
    """IANA name; calendar only, else ""."""
    scope: tuple[Scope, ...]
    """Which of the caller's identities each have their own counter, in the order of SCOPES."""
    enforce: bool
    """False: mode shadow."""
    models: tuple[str, ...]
    """Globs of the models it counts; ("*",) for all."""
    place: Place
    on_exceed: Literal["reject", "shorten", "queue", "downgrade"] = "reject"
    """What becomes of a request whose worst case does not fit. "shorten": its max_tokens is lowered to what still fits, down to
    the output policy's floor. "queue": it waits up to `queue_ms` for room. "downgrade": `downgrade_to` is asked instead, whose
    budgets then apply. Each only if every budget in the request's way says the same; else it is refused."""
    queue_ms: int = 0
    downgrade_to: str = ""
    """A model's name, no glob."""
    endpoints: tuple[str, ...] = ("*",)
    """Globs of the endpoints it counts; ("*",) for all."""
    when: When | None = None
    """None: always."""
    is_override: bool = False
    """It replaces the budget of its name of a more general level, wherever it counts itself."""
    since_us: int | None = None
    """Shadow only: since when it is tried, as its author wrote it."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What must not leave in an answer: a literal string, or an RE2 pattern. Exactly one of the two is given."""

    name: str
    literal: str
    pattern: str
    action: Literal["mask", "cut"]
    """mask: each match becomes `mask`. cut: the answer ends before the match, in its protocol."""
    mask: str
    place: Place


@dataclass(frozen=True, slots=True)
class Watermark:
    """A keyed green list carried by logit_bias: see `output.watermark`."""

    bias_milli: int
    """What is added to a green token's logit, in thousandths."""
    share_milli: int
    """Share of the vocabulary that is green, in thousandths."""
    vocabulary: int
    """Token ids 0 up to this are divided; byte-pair vocabularies number their tokens by frequency, so the first thousands make
    up nearly all of a text."""


@dataclass(frozen=True, slots=True)
class Output:
    """What an answer may be. Every word may be missing (None, or empty): then this level says nothing of it.

    Of plan, tenant and key the most special that says a word is obeyed. What organisation, model rule and the ladder's
    step say is put on top of it, and of two the stricter holds: see `policy.outputs`.
    """

    max_tokens: int | None = None
    """Output tokens of one choice; a request's own bound is lowered to it."""
    min_tokens: int | None = None
    """The floor: a request that could only be given less is refused, not shortened."""
    hold_ahead: int | None = None
    """A stream holds so many output tokens ahead of what it has delivered, instead of its whole max_tokens at once; it is cut
    when no more can be held."""
    drop: tuple[str, ...] = ()
    """Fields of a request that are taken out before it is forwarded (`output.fields.FIELDS`)."""
    refuse: tuple[str, ...] = ()
    """Fields whose presence makes a request a 400."""
    choices_max: int | None = None
    """Largest `n` and `best_of`; more is a 400."""
    temperature_milli: tuple[int, int] | None = None
    """Least and most, in thousandths; what is outside is moved to the nearer end."""
    reasoning: Literal["keep", "blank", "shorten", None] = None
    reasoning_chars: int = 0
    """shorten: so many characters of each piece of reasoning are shown."""
    thinks_first: bool = False
    """The model's template opens its reasoning: an answer begins inside of a <think> block whose opening is not sent."""
    tokens_per_second: int | None = None
    """Pace of a stream."""
    filters: tuple[Filter, ...] = ()
    watermark: Watermark | None = None
    background: Literal["refuse", "charge", None] = None
    """Answers that are made while nobody waits (`background: true`): refused, or charged their worst case at once."""
    stored: Literal["refuse", "drop", "own", None] = None
    """Answers that the model server keeps (`store`, `previous_response_id`). drop: `store: false` is put into the request;
    own: they are kept, and only the tenant that made one may refer to it."""
    places: Places = field(default_factory=no_places, compare=False)
    """Where each of its words was written; empty for what was put together of several levels."""


NO_OUTPUT = Output()
