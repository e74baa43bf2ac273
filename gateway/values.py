"""Every value that crosses a border between rooms, in the order a request meets them.

Rule 1: values are immutable, and hold no behaviour beyond what a reader would derive from their fields.
Rule 2: units are in the names; money is integer nano-USD (1 USD = 1_000_000_000), tokens are integers, times of the
store's clock are integer microseconds since the epoch (`_us`).
Rule 3: this module imports nothing of the project but `policy.model`.

They are `NamedTuple`s and not frozen dataclasses because several are made for every request, and a frozen dataclass costs
four times as much to make.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from gateway.policy.model import NO_OUTPUT, Budget, MeterName, Output, Price

Side = Literal["tenant", "gateway", "store", "upstream"]
"""Whose fault a refusal is; every fault names its side."""


class Caller(NamedTuple):
    """Who asks, after `identify`. `tag` is the organisation's Redis hash tag: 16 hex digits, never the name itself."""

    organisation: str
    tenant: str
    key_id: str
    plan: str


class Extent(NamedTuple):
    """What a request comes to beside its tokens. The defaults are an ordinary request's."""

    requests: int = 1
    """0: counted by a meter of its own (`counts`); a batch of a hundred: 100."""
    counts: int = 0
    """Token counts asked for (count_tokens): cheap, so they are no requests."""
    upload_bytes: int = 0
    """Bytes of files sent up (audio, images to edit, files)."""
    audio_seconds: int = 0
    """Seconds of audio heard or spoken, rounded up."""
    images: int = 0
    """Images to be made."""


ORDINARY = Extent()


class Ask(NamedTuple):
    """What is asked, after `read`: the parsed body and what the gateway judged in it.

    `body` is what will be serialised and forwarded: nobody changes it in place (`shape` copies what it rewrites).
    """

    wire: str
    """Key of `wires.WIRES`: "openai.chat", "anthropic.messages", ..."""
    model: str
    body: dict[str, Any]
    text_bytes: int
    """UTF-8 bytes of the body's canonical serialisation, less the base64 of images and documents."""
    media_tokens: int
    """Input tokens of images and documents, by the provider's formula (upper bound where the size is unknown)."""
    output_tokens_max: int | None
    """The largest alias of max_tokens the caller gave, for one choice; None: it gave none."""
    choices: int
    """How many answers are produced (`n`, `best_of`): the output bound is multiplied by it. At least 1."""
    is_stream: bool
    wants_usage: bool
    """The client itself asked for usage in the stream; when False, what the gateway asked for is hidden from it."""
    end_user: str
    """The end user's identifier as the client gave it; "" when it gave none. Never logged or stored unhashed."""
    extent: Extent = ORDINARY


class Rung(NamedTuple):
    """Where somebody stands on a ladder, as the analyst tells gateways: in names. What it comes to is the policy's word."""

    subject: str
    """As `policy.watched` names who is watched."""
    ladder: str
    step: str
    """Its own; "": none."""
    since_us: int
    until_us: int
    """When this lapses unless it is said again: an analyst that is gone holds nobody for ever."""
    cluster: str = ""
    """The cluster that it belongs to; "": none."""
    cluster_step: str = ""
    """The cluster's; "": none."""


class Verdict(NamedTuple):
    """What a rung comes to under the policy in force, after `classify`: the step's words and those of all steps below it."""

    subject: str
    ladder: str
    step: str
    """The higher of its own and its cluster's."""
    is_shadow: bool
    """It is on record, and nothing of it is done: what follows is what would be."""
    is_marked: bool = False
    is_refused: bool = False
    budgets_milli: int = 1_000
    """What is left of the limits that are the subject's own, in thousandths."""
    output: Output = NO_OUTPUT
    """Put on top of what the policy says; of two the stricter holds."""
    cluster: str = ""
    """The cluster whose budgets it spends too; "": none."""
    cluster_budgets: tuple[Budget, ...] = ()


class Line(NamedTuple):
    """One budget's line in a hold, in the store's own terms: keys, amounts and windows, never 'tokens' or 'tenant'.

    `kind` decides what `a`, `b`, `c` mean (all integers):

    ============= ================= ================== ==================
    kind          a                 b                  c
    ============= ================= ================== ==================
    bucket        capacity (burst)  refill per period  period_us
    rolling       limit             period_us          0
    calendar      limit             window_start_us    window_end_us
    concurrency   limit             0                  0
    ============= ================= ================== ==================
    """

    owner: bytes
    """The Redis key whose hash holds this budget's state; lines of one owner share it."""
    field: bytes
    """The budget's field in that hash."""
    kind: Literal["bucket", "rolling", "calendar", "concurrency"]
    a: int
    b: int
    c: int
    enforce: bool
    """False: shadow. It counts, it may go over, it never refuses."""
    amount: int
    """What to hold: the worst case, 0 or more."""
    certain: int
    """The part of `amount` that is counted as used from the start (a request is a request): 0 <= certain <= amount."""


class Standing(NamedTuple):
    """How one line stands in the store at `now_us`, in the line's unit.

    used + held + remaining == the line's `a` (limit or capacity), so `remaining` below zero is debt.
    """

    used: int
    held: int
    remaining: int
    reset_us: int
    """Microseconds until it is whole again, if nothing more is asked; 0 when it is whole or when only holds are open."""
    wait_us: int
    """Microseconds until `amount` would fit, counting what is held as if it were used.
    0: it fits. -1: never (it asks more than the budget allows at all). Concurrency: 0 fits, else 1 s (nobody knows)."""


class Reserved(NamedTuple):
    """Reply of `Ledger.reserve`. `admitted` is False when an enforced line did not fit: then nothing was counted."""

    admitted: bool
    now_us: int
    standings: tuple[Standing, ...]
    """One for each line, in order; after the hold when admitted (wait_us then tells only shadow lines that are over),
    before it when refused."""


class Limit(NamedTuple):
    """One budget as a caller may see it: in headers, refusals and `gauger usage`."""

    name: str
    meter: MeterName
    limit: int
    """`limit` of the policy, or the burst where that is larger (what `remaining` can reach)."""
    used: int
    held: int
    remaining: int
    """Below zero: debt."""
    reset_us: int
    wait_us: int
    window_s: int
    """Length of the window in seconds; 0 for concurrency."""
    enforce: bool


class Quote(NamedTuple):
    """What a request may cost at worst, after `admit`: `budgets[i]` is the policy's entry behind `lines[i]`."""

    hold_id: bytes
    tag: bytes
    input_tokens: int
    """Estimate, media included."""
    output_tokens: int
    """Bound for all choices together."""
    price: Price | None
    counts_cached_input: bool
    budgets: tuple[Budget, ...]
    lines: tuple[Line, ...]
    extent: Extent = ORDINARY
    cluster: str = ""
    """Whose budgets these are, where they are a cluster's and not the caller's own."""
    bound_tokens: int = 0
    """Output tokens that may come in all: more than `output_tokens` where a stream holds only some way ahead."""


class Outgoing(NamedTuple):
    """The request that goes upstream, after `shape`: the gateway's own serialisation of what it judged."""

    method: bytes
    target: bytes
    """Path and query."""
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Usage(NamedTuple):
    """Tokens of one answer. `is_complete` tells a finished count from a partial one.

    `input_tokens` is the whole input, cached and cache-writing parts included, whichever way the wire reports it.
    """

    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    is_complete: bool


Ended = Literal["complete", "cut", "client_left", "upstream_died", "upstream_refused", "upstream_unreached", "gateway_failed"]
Cut = Literal["limit", "budget", "filter", ""]
"""Why the gateway ended an answer itself, in its protocol: it reached its limit, its budget ran out, or it said what must not
leave. "": it did not."""


class Outcome(NamedTuple):
    """What came of a forwarded request, after `relay`."""

    ended: Ended
    upstream_status: int
    """0: no status line arrived."""
    usage: Usage | None
    """The upstream's own count; None: it reported none."""
    delivered_events: int
    """Content events passed on to the client (0 for answers that were not streamed)."""
    delivered_bytes: int
    """Content bytes passed on to the client."""
    fault: str = ""
    """The upstream fault's kind, where there was one."""
    cut: Cut = ""
    extent: Extent | None = None
    """What it came to beside its tokens, where that differs from what was quoted."""
    is_quoted: bool = False
    """The usage is no report of the upstream's but what was quoted: it teaches nothing."""


class Sighting(NamedTuple):
    """What the watch saw in one request: numbers and keyed fingerprints, never text.

    Fingerprints are 64 bits under the deployment's key, and 0 where there is nothing: who has not the key can neither make
    nor match one. All is small whatever was sent, and all of it goes through JSON.
    """

    prompt_bytes: int
    """Bytes of the text of all messages; of more messages than are looked at, the body's."""
    slot_bytes: int
    """Bytes of what was read of the last message, less what recurs in this tenant's requests (its template)."""
    template: int
    """The template this request was filled from: its longest part that recurs; 0: none is known yet."""
    content: int
    """What is left of the last user message, normalised; equal for every sample of one item."""
    sketch: tuple[int, ...]
    """Bottom-8 MinHash of the slot's longer words: 32-bit values, ascending."""
    habits: int
    """How requests are made, not what they ask: fields that were set, and the sampling parameters."""
    features: tuple[int, ...]
    """Per mille, in the order of `detectors.FEATURES`."""
    phrases: tuple[str, ...]
    """Names of the tripwire groups that fired, sorted."""
    signature: int = 0
    """The last thinking block replayed in it, by its signature."""
    session: int = 0
    """What the conversation began with: its first user message."""
    system: int = 0
    """The system prompt, as much of it as is read."""
    before: int = 0
    """What was said right before the replayed thinking: for one signature it is one, whoever replays it where it belongs."""


class Reason(NamedTuple):
    """One number that speaks for a finding, beside what is usual. `detectors.REASONS[code]` is its sentence."""

    code: str
    value: int
    usual: int
    """What honest traffic shows at the median (of the corpora it was measured on); of a `change`, the tenant's own past."""
    unit: str


class Finding(NamedTuple):
    """How much a window looks like one profile, and why."""

    profile: str
    """generator, collector, harvest or relay; `change`: it is not like its own past, which is no ground for a step."""
    score: int
    """Per mille. What share of honest windows reaches a score is measured, not promised: docs/watch.md."""
    reasons: tuple[Reason, ...]
    """Strongest first; empty where nothing speaks for it."""
    requests: int = 0
    """How many of the window's requests it rests on."""
    explained: bool = False
    """A declared purpose explains it: recorded, and no ground for a step."""
    exact: float = 0.0
    """The score before it is rounded: tells apart what stands at the end of the scale, where whole per mille are all 999."""


class PhraseGroup(NamedTuple):
    """A tripwire: texts that mean one thing. It fires where any of its patterns is found."""

    name: str
    means: str
    """For the operator: what a request that fires it asks for."""
    patterns: tuple[str, ...]
    """RE2, on lower-case text whose white space is single spaces."""


class PhraseBook(NamedTuple):
    """One file of tripwires."""

    name: str
    edition: str
    """Names this version in evidence: a list that changes gets a new one."""
    groups: tuple[PhraseGroup, ...]
