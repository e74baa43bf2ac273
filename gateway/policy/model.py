"""What a policy directory says, as dataclasses in the shape of its YAML. Imports nothing of the project.

Rule 1: only `load` makes these; whatever it hands out is valid and complete (defaults filled in).
Rule 2: immutable; a reload makes a new `Policy` and swaps it whole.
Units: tokens and requests are integers, money is integer nano-USD, prices are integer nano-USD for a million tokens.
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
DEFAULT_OUTPUT_TOKENS_MAX = 4096
"""The bound on output for a model that no rule describes."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written. Lines and columns count from 1."""

    file: str
    line: int
    column: int = field(default=1, compare=False)


Places = Mapping[str, Place]
"""Where each word of a mapping was written, by the word."""


def _no_places() -> Places:
    return _NO_PLACES


_NO_PLACES: Places = MappingProxyType({})


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
    places: Places = field(default_factory=_no_places, compare=False)
    """Where each of its words was written; empty for what was put together of several levels."""


NO_OUTPUT = Output()
ENDPOINTS = (
    "chat/completions", "completions", "responses", "responses/input_tokens", "responses/stored", "embeddings", "moderations",
    "messages", "messages/count_tokens", "models",
)  # fmt: skip
"""Every endpoint that a plan can name."""
DEFAULT_ENDPOINTS = (
    "chat/completions", "completions", "responses", "responses/input_tokens", "embeddings", "moderations", "messages",
    "messages/count_tokens", "models",
)  # fmt: skip
"""What a plan's tenants may use where it does not say: what is counted by tokens, or is harmless."""


@dataclass(frozen=True, slots=True)
class Price:
    """Nano-USD for a million tokens."""

    input: int
    cached_input: int
    """Price of input read from a cache; the input price where the author gave none."""
    cache_write: int
    """Price of input written to a cache; the input price where the author gave none."""
    output: int


@dataclass(frozen=True, slots=True)
class ModelRule:
    """What is known of the models that match a glob. The first rule that matches a model's name applies."""

    match: str
    max_output_tokens: int
    price: Price | None
    unbounded_output: Literal["model", "learned"]
    """What a request without max_tokens is quoted: the model's max_output_tokens, or the tenant's learned p99."""
    budgets: tuple[Budget, ...]
    place: Place
    output: Output = NO_OUTPUT
    places: Places = field(default_factory=_no_places, compare=False)


@dataclass(frozen=True, slots=True)
class Upstream:
    """Model servers that serve the same models. Requests are spread over its URLs."""

    name: str
    urls: tuple[str, ...]
    """Base URLs, without /v1."""
    models: tuple[str, ...]
    """Globs of the models it serves; the first upstream that matches a model's name gets its requests."""
    key_env: str
    """The environment variable that holds its API key; "": UPSTREAM_API_KEY."""
    place: Place


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a ladder. Whoever stands on it meets what it says and what all steps below it say."""

    name: str
    score_milli: int
    """From this score on, in thousandths of what the watch can say at most."""
    place: Place
    notify: bool = False
    """Say so in the log when somebody comes to it."""
    budgets_milli: int = 1_000
    """What is left of each limit and burst, in thousandths."""
    output: Output = NO_OUTPUT
    """Put on top of what the policy says of answers; of two the stricter holds."""
    review: bool = False
    """Somebody is to look at it."""
    refuse: bool = False


@dataclass(frozen=True, slots=True)
class Ladder:
    """What the gateway does about traffic that looks like extraction: steps up and down, see `watch.ladder`."""

    name: str
    steps: tuple[Step, ...]
    """At least one; scores rise from each to the next."""
    enforce: bool
    """False, mode shadow: who stands where is on record, and nothing is done."""
    place: Place
    marked: bool = True
    """Answers say on which step their tenant stands (`x-gauger-watch`)."""
    climb_every_s: int = 1_800
    """At most one step up in this time."""
    delay_s: int = 600
    """A step begins so long after its reason, and a random part of `jitter_s` later."""
    jitter_s: int = 1_200
    calm_after_s: int = 86_400
    """A step down after so long below the step's score less `hysteresis_milli`."""
    hysteresis_milli: int = 100
    requests_min: int = 26
    """With fewer requests seen nobody climbs."""
    cluster_budgets: tuple[Budget, ...] = ()
    """Spent by all members of a cluster together, once it stands on `cluster_from`."""
    cluster_from: str = ""
    """A step's name; "": the first."""


NO_LADDER = "none"
"""As the name of a ladder: whoever writes it is watched, and nothing is done about it."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What the watch does beside looking."""

    ladder: str = NO_LADDER
    """The ladder of every tenant whose levels name none."""
    phrases: tuple[str, ...] = ()
    """Paths of phrase lists beside the built-in ones, relative to the policy directory."""
    sample_milli: int = 0
    """Share of prompts that are kept, sealed, as evidence."""
    keep_evidence_s: int = 400 * 86_400
    place: Place = Place("(default)", 1)


NO_WATCH = Watch()
EVERYTHING = ("*",)


@dataclass(frozen=True, slots=True)
class Organisation:
    name: str
    budgets: tuple[Budget, ...]
    place: Place
    output: Output = NO_OUTPUT
    models: tuple[str, ...] = EVERYTHING
    """Globs; of plan, organisation, tenant and key each must allow a model."""
    endpoints: tuple[str, ...] = EVERYTHING
    """As `models`."""
    purposes: tuple[Declared, ...] = ()
    ladder: str = ""
    """A ladder's name, or NO_LADDER; "": it says nothing. Of plan, organisation, tenant and key the most special holds."""
    places: Places = field(default_factory=_no_places, compare=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """Budgets and rules that tenants share by name (each tenant has counters of its own).

    What `defaults` and the plans it extends say is part of it already.
    """

    name: str
    budgets: tuple[Budget, ...]
    models: tuple[str, ...]
    """Globs of the models that may be asked for; ("*",) for all."""
    counts_cached_input: bool
    """Whether input read from a cache counts against input_tokens and total_tokens. Default False."""
    place: Place
    output: Output = NO_OUTPUT
    endpoints: tuple[str, ...] = DEFAULT_ENDPOINTS
    """Globs of the endpoints (`endpoints.TABLE`) that its tenants may use."""
    extends: tuple[str, ...] = ()
    """Names of the plans it extends, nearest first."""
    ladder: str = ""
    places: Places = field(default_factory=_no_places, compare=False)


@dataclass(frozen=True, slots=True)
class Key:
    """One API key of a tenant: only its keyed hash is known, HMAC-SHA256 under the deployment's secret, 64 hex digits."""

    id: str
    digest: str
    tenant: str
    budgets: tuple[Budget, ...]
    place: Place
    output: Output = NO_OUTPUT
    models: tuple[str, ...] = EVERYTHING
    endpoints: tuple[str, ...] = EVERYTHING
    purposes: tuple[Declared, ...] = ()
    ladder: str = ""
    places: Places = field(default_factory=_no_places, compare=False)


@dataclass(frozen=True, slots=True)
class Tenant:
    name: str
    organisation: str
    plan: str
    budgets: tuple[Budget, ...]
    keys: tuple[Key, ...]
    place: Place
    output: Output = NO_OUTPUT
    models: tuple[str, ...] = EVERYTHING
    endpoints: tuple[str, ...] = EVERYTHING
    purposes: tuple[Declared, ...] = ()
    ladder: str = ""
    places: Places = field(default_factory=_no_places, compare=False)


DEFAULT_RULE = ModelRule("*", DEFAULT_OUTPUT_TOKENS_MAX, None, "model", (), Place("(default)", 1))
"""What is known of a model when a policy says nothing of it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole policy directory."""

    digest: str
    """First 16 hex digits of the SHA-256 of all files: names this version in records."""
    models: tuple[ModelRule, ...]
    organisations: Mapping[str, Organisation]
    plans: Mapping[str, Plan]
    tenants: Mapping[str, Tenant]
    keys: Mapping[str, Key] = field(repr=False)
    """By digest."""
    default_rule: ModelRule = DEFAULT_RULE
    """For models that no rule matches: the policy's `defaults`, no price, no budgets."""
    upstreams: tuple[Upstream, ...] = ()
    """(): the one that the operator's settings name serves every model."""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Model groups as written; lists of globs have them expanded already."""
    base: Plan | None = None
    """What `defaults` says of plans, which is part of each of them already; its name is ""."""
    watch: Watch = NO_WATCH
    ladders: Mapping[str, Ladder] = field(default_factory=dict)
