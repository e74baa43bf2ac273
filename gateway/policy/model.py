"""What a policy directory says, as dataclasses in the shape of its YAML; their smaller parts are in `model_parts`.

Rule 1: only `load` makes these; whatever it hands out is valid and complete (defaults filled in).
Rule 2: immutable; a reload makes a new `Policy` and swaps it whole.
Units: tokens and requests are integers, money is integer nano-USD, prices are integer nano-USD for a million tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.policy.model_parts import (
    NO_OUTPUT,
    NO_PLACES,
    PURPOSES,
    SCOPES,
    Budget,
    Declared,
    Filter,
    MeterName,
    Output,
    Place,
    Places,
    Purpose,
    Scope,
    Watermark,
    When,
    no_places,
)

__all__ = [
    "Budget",
    "DEFAULT_ENDPOINTS",
    "DEFAULT_OUTPUT_TOKENS_MAX",
    "DEFAULT_RULE",
    "Declared",
    "ENDPOINTS",
    "EVERYTHING",
    "Filter",
    "Key",
    "Ladder",
    "MeterName",
    "ModelRule",
    "NO_LADDER",
    "NO_OUTPUT",
    "NO_PLACES",
    "NO_WATCH",
    "Organisation",
    "Output",
    "PURPOSES",
    "Place",
    "Places",
    "Plan",
    "Policy",
    "Price",
    "Purpose",
    "SCOPES",
    "Scope",
    "Step",
    "Tenant",
    "Upstream",
    "Watch",
    "Watermark",
    "When",
]

DEFAULT_OUTPUT_TOKENS_MAX = 4096
"""The bound on output for a model that no rule describes."""

ENDPOINTS = (
    "chat/completions", "completions", "responses", "responses/input_tokens", "responses/stored", "embeddings", "moderations",
    "audio/speech", "audio/transcriptions", "audio/translations", "images/generations", "images/edits", "images/variations",
    "files", "batches", "messages", "messages/batches", "messages/count_tokens", "models", "realtime",
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
    places: Places = field(default_factory=no_places, compare=False)


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


OnChange = Literal["notify", "review", "ignore"]


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
    on_change: OnChange = "notify"
    """What follows when somebody's traffic is not like its own past. Never a step: see `detectors.history`."""
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
    places: Places = field(default_factory=no_places, compare=False)


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
    places: Places = field(default_factory=no_places, compare=False)


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
    places: Places = field(default_factory=no_places, compare=False)


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
    places: Places = field(default_factory=no_places, compare=False)


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
