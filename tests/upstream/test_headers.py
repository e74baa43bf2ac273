import timeit

import pytest

from gateway.upstream import headers
from gateway.upstream.headers import forward_headers, return_headers

ADDED = [(b"content-type", b"application/json"), (b"accept-encoding", b"identity")]


@pytest.mark.parametrize(
    "name",
    b"Authorization X-Api-Key api-key Cookie Host Content-Length Content-Type Content-Encoding Accept-Encoding Expect "
    b"Forwarded X-Forwarded-For x-forwarded-anything X-Real-IP X-Gauger-Tenant Keep-Alive TE Trailer Transfer-Encoding Upgrade "
    b"If-None-Match if-modified-since Range If-Range "
    b"Proxy-Authorization Proxy-Connection X_Api_Key x_forwarded_for X_GAUGER_KEY".split(),
)
def test_dropped_on_the_way_up(name: bytes) -> None:
    """Keys, hop-by-hop headers, what the gateway sets itself and who the client is do not go up, in any spelling."""
    assert forward_headers([(name, b"v")]) == ADDED


@pytest.mark.parametrize(
    "name",
    b"openai-beta OpenAI-Organization anthropic-version anthropic-beta X-Stainless-Lang User-Agent Idempotency-Key "
    b"traceparent accept x-something-new".split(),
)
def test_passed_on_the_way_up(name: bytes) -> None:
    """Whatever no rule names passes, its name in lower case and its value untouched."""
    assert forward_headers([(name, b"A \xc3\xa9 v")]) == [(name.lower(), b"A \xc3\xa9 v"), *ADDED]


def test_connection_names_more_to_drop() -> None:
    """What Connection names is hop-by-hop too, wherever it stands and in whatever case."""
    items = [
        (b"X-One", b"1"),
        (b"CONNECTION", b"close, x-ONE ,"),
        (b"x-two", b"2"),
        (b"Connection", b"X-Three"),
        (b"x-three", b"3"),
    ]
    assert forward_headers(items) == [(b"x-two", b"2"), *ADDED]


def test_connection_cannot_take_away_what_the_gateway_sets() -> None:
    """A client that names content-type in Connection does not remove the gateway's own."""
    assert forward_headers([(b"connection", b"content-type, accept-encoding")]) == ADDED


def test_the_way_down() -> None:
    """Only what is listed passes; an upstream's request id is renamed; what describes the operator's account is dropped."""
    items = [
        (b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache"), (b"openai-processing-ms", b"12"),
        (b"openai-version", b"2020-10-01"), (b"openai-organization", b"org"), (b"openai-project", b"proj"),
        (b"anthropic-ratelimit-requests-limit", b"4"), (b"anthropic-organization-id", b"org"), (b"anthropic-model", b"m"),
        (b"openai-poll-after-ms", b"5"), (b"openai-newly-made", b"n"), (b"content-disposition", b"attachment"),
        (b"deprecation", b"@1"), (b"sunset", b"d"), (b"warning", b"299 - w"), (b"etag", b"e"), (b"last-modified", b"d"),
        (b"x-ratelimit-limit-requests", b"1"), (b"retry-after", b"3"), (b"retry-after-ms", b"2900"),
        (b"x-should-retry", b"true"),
        (b"x-request-id", b"req_1"), (b"set-cookie", b"a=b"), (b"server", b"s"), (b"server-timing", b"t"), (b"date", b"d"),
        (b"transfer-encoding", b"chunked"), (b"connection", b"close"), (b"content-length", b"1"),
        (b"content-encoding", b"gzip"),
        (b"location", b"http://inside"), (b"www-authenticate", b"x"), (b"via", b"v"),
    ]  # fmt: skip
    assert return_headers(items) == [
        ("content-type", "text/event-stream"), ("cache-control", "no-cache"), ("openai-processing-ms", "12"),
        ("openai-version", "2020-10-01"), ("anthropic-model", "m"),
        ("openai-poll-after-ms", "5"), ("openai-newly-made", "n"), ("content-disposition", "attachment"),
        ("deprecation", "@1"), ("sunset", "d"), ("warning", "299 - w"), ("retry-after", "3"), ("retry-after-ms", "2900"),
        ("x-should-retry", "true"), ("x-upstream-request-id", "req_1"),
    ]  # fmt: skip
    assert return_headers([(b"request-id", b"req_2")]) == [("x-upstream-request-id", "req_2")]


def test_memory_is_bounded() -> None:
    """Names that tenants invent cannot fill the memory of decisions, and are judged all the same."""
    for number in range(3000):
        name = b"x-invented-%d" % number
        assert forward_headers([(name, b"")])[0][0] == name
        return_headers([(name, b"")])
    assert len(headers._up) <= headers._NAMES_MAX
    assert len(headers._down) <= headers._NAMES_MAX
    assert forward_headers([(b"X-Forwarded-" + b"y" * 5000, b"")]) == ADDED


def test_cost() -> None:
    """Twelve headers cost microseconds (a bound ten times over what is aimed at: this is no benchmark)."""
    items = [(b"x-stainless-lang", b"python"), (b"authorization", b"Bearer x"), (b"user-agent", b"x")] * 4
    assert min(timeit.repeat(lambda: forward_headers(items), number=1000, repeat=3)) < 0.030
