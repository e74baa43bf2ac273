"""Which headers cross the gateway, and which do not. Pure tables and two functions.

Up (a tenant's request): everything passes but what is listed here. Down (an upstream's answer): nothing passes but what is
listed here. Decisions are kept by name, so that a request costs a dictionary look-up a header; the memory for that is
bounded, for tenants choose names.
"""

from __future__ import annotations

from collections.abc import Iterable

HOP_BY_HOP = frozenset(
    (
        b"connection keep-alive proxy-connection te trailer transfer-encoding upgrade proxy-authenticate proxy-authorization"
    ).split()
)
"""RFC 9110 section 7.6.1, with the two it lists elsewhere (proxy-authenticate, proxy-authorization)."""

_UP_DROPPED = HOP_BY_HOP | frozenset(
    (
        # a tenant's keys and sessions never go up
        b"authorization x-api-key api-key cookie "
        # set anew, for the body and the connection that go up are the gateway's own
        b"host content-length content-type content-encoding accept-encoding expect http2-settings "
        # who the tenant is, and where it sits, is not the upstream's business
        b"forwarded x-real-ip "
        # what could be a key, or change the request, behind the gateway's back
        # the gateway changes answers on their way: an upstream's validator tells nothing of what a client has, nor a range
        b"if-match if-none-match if-modified-since if-unmodified-since if-range range "
        b"x-goog-api-key x-auth-token x-original-url x-rewrite-url x-http-method x-http-method-override x-method-override"
    ).split()
)
_UP_DROPPED_PREFIXES = (b"x-forwarded-", b"x-gauger-", b"x-internal-", b"x-envoy-", b"x-amz-")
_UP_ADDED = ((b"content-type", b"application/json"), (b"accept-encoding", b"identity"))
"""identity: what the gateway cannot read in passing it cannot count."""

_DOWN: dict[bytes, str] = {
    b"content-type": "content-type",
    b"cache-control": "cache-control",
    b"retry-after": "retry-after",
    b"retry-after-ms": "retry-after-ms",
    b"x-should-retry": "x-should-retry",
    b"content-language": "content-language",
    b"content-disposition": "content-disposition",
    b"deprecation": "deprecation",
    b"sunset": "sunset",
    b"warning": "warning",
    # the gateway's own request id takes these names' place
    b"x-request-id": "x-upstream-request-id",
    b"request-id": "x-upstream-request-id",
}
_DOWN_PREFIXES = (b"anthropic-", b"openai-")
_DOWN_DROPPED_PREFIXES = (
    *(b"anthropic-ratelimit-", b"anthropic-organization", b"anthropic-workspace"),
    *(b"openai-organization", b"openai-project"),
)
"""They describe the operator's account, as does x-ratelimit-*."""

_NAME_BYTES_MAX = 64
_NAMES_MAX = 1024
_up: dict[bytes, bytes] = {}
"""Name as it came -> name in lower case; b"": dropped."""
_down: dict[bytes, str] = {}
"""Name in lower case -> name to answer with; "": dropped."""


def forward_headers(items: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """A client's header items, less what must not go up, plus content-type and accept-encoding. Names in lower case."""
    forwarded = []
    named_by_connection: frozenset[bytes] = frozenset()
    for name, value in items:
        try:
            lowered = _up[name]
        except KeyError:
            lowered = _judge_up(name)
        if lowered:
            forwarded.append((lowered, value))
        elif len(name) == 10 and name.lower() == b"connection":
            named_by_connection |= {option.strip().lower() for option in value.split(b",")}
    if named_by_connection:
        forwarded = [item for item in forwarded if item[0] not in named_by_connection]
    forwarded += _UP_ADDED
    return forwarded


def return_headers(items: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """An upstream's header items (names in lower case) as the gateway may answer with them. Values are read as Latin-1."""
    returned = []
    for name, value in items:
        try:
            answered = _down[name]
        except KeyError:
            answered = _judge_down(name)
        if answered:
            returned.append((answered, value.decode("latin-1").strip()))  # the parser leaves trailing blanks
    return returned


def _judge_up(name: bytes) -> bytes:
    lowered = name.lower()
    canonical = lowered.replace(b"_", b"-")  # some servers read X_API_KEY and X-API-Key as one
    is_dropped = not canonical or canonical in _UP_DROPPED or canonical.startswith(_UP_DROPPED_PREFIXES)
    verdict = b"" if is_dropped else lowered
    if len(_up) < _NAMES_MAX and len(name) <= _NAME_BYTES_MAX:
        _up[name] = verdict
    return verdict


def _judge_down(name: bytes) -> str:
    verdict = _DOWN.get(name, "")
    if not verdict and name.startswith(_DOWN_PREFIXES) and not name.startswith(_DOWN_DROPPED_PREFIXES):
        verdict = name.decode("latin-1")
    if len(_down) < _NAMES_MAX and len(name) <= _NAME_BYTES_MAX:
        _down[name] = verdict
    return verdict


# The names that SDKs send are judged now, so that a tenant who fills the memory with names of its own slows itself alone.
for _name in (
    *(_UP_DROPPED - {b"http2-settings"}),
    *(b"Authorization X-Api-Key Cookie Host Content-Length Content-Type Accept-Encoding Connection Transfer-Encoding".split()),
    *(b"User-Agent user-agent Accept accept Idempotency-Key idempotency-key traceparent tracestate".split()),
    *(b"OpenAI-Beta openai-beta OpenAI-Organization OpenAI-Project anthropic-version anthropic-beta".split()),
    *(b"X-Request-Id x-request-id X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host X-Real-IP".split()),
    *(
        prefix + suffix
        for prefix in (b"X-Stainless-", b"x-stainless-")
        for suffix in (b"Lang", b"Package-Version", b"OS", b"Arch", b"Runtime", b"Runtime-Version", b"Async", b"Helper-Method")
    ),
    *(b"x-stainless-lang x-stainless-package-version x-stainless-os x-stainless-arch x-stainless-runtime".split()),
    *(b"x-stainless-runtime-version x-stainless-async x-stainless-retry-count x-stainless-read-timeout".split()),
    *(b"x-stainless-timeout x-stainless-helper-method X-Stainless-Raw-Response".split()),
):
    _judge_up(_name)
