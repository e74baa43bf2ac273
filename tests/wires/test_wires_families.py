"""Errors and limits as each vendor writes them, read by the vendors' own SDKs."""

import importlib
import json
from datetime import UTC, datetime

import anthropic
import openai
import pytest

from gateway.errors import Refusal
from gateway.values import Limit
from gateway.wires import FAMILIES, limits
from tests.wires.streams import recorded

# Both SDKs bring one HTTP client, whose package has changed its name between their versions.
httpx = importlib.import_module(
    next(kind.__module__ for kind in openai.DefaultHttpxClient.__mro__ if kind.__module__.startswith("httpx")).partition(".")[0]
)

OPENAI, ANTHROPIC = FAMILIES["openai"], FAMILIES["anthropic"]
HI = [{"role": "user", "content": "hi"}]


def refusal(kind, status, **more):
    return Refusal(kind, f"About {kind}.", status=status, **more)


OPENAI_ERRORS = [
    (refusal("invalid_request", 400, param="n"), openai.BadRequestError, "invalid_request_error", None, "n"),
    (refusal("authentication", 401), openai.AuthenticationError, "invalid_request_error", "invalid_api_key", None),
    (refusal("permission", 403), openai.PermissionDeniedError, "invalid_request_error", None, None),
    (refusal("not_found", 404), openai.NotFoundError, "invalid_request_error", None, None),
    (refusal("not_found", 404, code="unknown_url"), openai.NotFoundError, "invalid_request_error", "unknown_url", None),
    (refusal("not_found", 404, param="model"), openai.NotFoundError, "invalid_request_error", "model_not_found", "model"),
    (refusal("too_large", 413), openai.APIStatusError, "invalid_request_error", None, None),
    (refusal("unsupported_media", 415), openai.APIStatusError, "invalid_request_error", None, None),
    (refusal("rate_limit", 429, meter="requests"), openai.RateLimitError, "requests", "rate_limit_exceeded", None),
    (refusal("rate_limit", 429, meter="output_tokens"), openai.RateLimitError, "tokens", "rate_limit_exceeded", None),
    (refusal("rate_limit", 429, meter="cost"), openai.RateLimitError, "requests", "rate_limit_exceeded", None),
    (refusal("rate_limit", 429, meter="concurrency"), openai.RateLimitError, "requests", "rate_limit_exceeded", None),
    (refusal("quota", 429, meter="cost"), openai.RateLimitError, "insufficient_quota", "insufficient_quota", None),
    (refusal("upstream", 502), openai.InternalServerError, "server_error", None, None),
    (refusal("overloaded", 503), openai.InternalServerError, "server_error", None, None),
    (refusal("timeout", 504), openai.InternalServerError, "server_error", None, None),
    (refusal("internal", 500), openai.InternalServerError, "server_error", None, None),
]


def openai_client(response):
    http = httpx.Client(transport=httpx.MockTransport(lambda _request: response))
    return openai.OpenAI(api_key="k", base_url="http://gateway/v1", max_retries=0, http_client=http)


def anthropic_client(response):
    http = httpx.Client(transport=httpx.MockTransport(lambda _request: response))
    return anthropic.Anthropic(api_key="k", base_url="http://gateway", max_retries=0, http_client=http)


@pytest.mark.parametrize(("refused", "error", "kind", "code", "param"), OPENAI_ERRORS, ids=range(len(OPENAI_ERRORS)))
def test_openai_errors(refused, error, kind, code, param):
    """The SDK raises its own class, and finds type, code and param in it."""
    response = httpx.Response(OPENAI.status(refused), content=OPENAI.error_body(refused, "req-1"))
    with openai_client(response) as client, pytest.raises(error) as caught:
        client.chat.completions.create(model="m", messages=HI)
    assert type(caught.value) in (error, openai.APIStatusError)
    assert (caught.value.type, caught.value.code, caught.value.param) == (kind, code, param)
    assert caught.value.status_code == refused.status
    assert caught.value.body["message"] == refused.message


ANTHROPIC_ERRORS = [
    (refusal("invalid_request", 400), 400, anthropic.BadRequestError, "invalid_request_error"),
    (refusal("invalid_request", 405), 405, anthropic.APIStatusError, "invalid_request_error"),
    (refusal("authentication", 401), 401, anthropic.AuthenticationError, "authentication_error"),
    (refusal("permission", 403), 403, anthropic.PermissionDeniedError, "permission_error"),
    (refusal("not_found", 404), 404, anthropic.NotFoundError, "not_found_error"),
    (refusal("too_large", 413), 413, anthropic.APIStatusError, "request_too_large"),
    (refusal("unsupported_media", 415), 415, anthropic.APIStatusError, "invalid_request_error"),
    (refusal("rate_limit", 429), 429, anthropic.RateLimitError, "rate_limit_error"),
    (refusal("quota", 429), 429, anthropic.RateLimitError, "rate_limit_error"),
    (refusal("upstream", 502), 500, anthropic.InternalServerError, "api_error"),
    (refusal("overloaded", 503), 529, anthropic.APIStatusError, "overloaded_error"),
    (refusal("timeout", 504), 504, anthropic.APIStatusError, "timeout_error"),
    (refusal("internal", 500), 500, anthropic.InternalServerError, "api_error"),
]


@pytest.mark.parametrize(("refused", "status", "error", "kind"), ANTHROPIC_ERRORS, ids=range(len(ANTHROPIC_ERRORS)))
def test_anthropic_errors(refused, status, error, kind):
    """The SDK raises its own class; the body has the vendor's statuses, type names and the request's id."""
    assert ANTHROPIC.status(refused) == status
    response = httpx.Response(status, content=ANTHROPIC.error_body(refused, "req_1"))
    with anthropic_client(response) as client, pytest.raises(error) as caught:
        client.messages.create(model="m", messages=HI, max_tokens=5)
    assert caught.value.body == {
        "type": "error",
        "error": {"type": kind, "message": refused.message},
        "request_id": "req_1",
    }


def streamed(*parts):
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=b"".join(parts))


def test_an_error_in_mid_stream_makes_both_sdks_raise():
    """What was delivered is read, then the SDK raises with our message."""
    refused = refusal("upstream", 502)
    head = recorded("chat_plain").split(b"data: [DONE]")[0]
    with openai_client(streamed(head, OPENAI.error_event(refused, "r"))) as client:
        stream = client.chat.completions.create(model="m", messages=HI, stream=True)
        with pytest.raises(openai.APIError, match=r"About upstream\."):
            list(stream)
    head = recorded("messages_error").split(b"event: error")[0]
    with anthropic_client(streamed(head, ANTHROPIC.error_event(refused, "r"))) as client:
        stream = client.messages.create(model="m", messages=HI, max_tokens=5, stream=True)
        with pytest.raises(anthropic.APIStatusError, match="api_error"):
            list(stream)


def test_what_is_no_text_can_be_told():
    """Lone surrogates (from header bytes that are no UTF-8) do not break the answer."""
    odd = Refusal("invalid_request", "odd \udcff here", status=400, param="\udcff")
    assert json.loads(OPENAI.error_body(odd, "r"))["error"]["message"] == "odd ? here"
    assert json.loads(ANTHROPIC.error_body(odd, "\udcff"))["error"]["message"] == "odd ? here"


def limit(name="b", meter="requests", limit=10, remaining=4, reset_us=6_000_000, wait_us=0, window_s=60, enforce=True):
    return Limit(name, meter, limit, limit - remaining, 0, remaining, reset_us, wait_us, window_s, enforce)


NOW_S = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def headers(family, *found):
    return dict(family.limit_headers(found, now_s=NOW_S))


def test_openai_limits():
    """The tightest of each kind by share, then by what is left; all tokens' meters are one kind; debt is zero left."""
    assert headers(
        OPENAI,
        limit("loose", remaining=9),
        limit("tight", limit=100, remaining=3, reset_us=59_950_000),
        limit("shadow", remaining=0, enforce=False),
        limit("in", "input_tokens", limit=1000, remaining=900),
        limit("out", "output_tokens", limit=200_000, remaining=-5, reset_us=360_000_000),
        limit("money", "cost", remaining=0),
    ) == {
        "ratelimit-policy": '"loose";q=10;w=60, "tight";q=100;w=60',
        "ratelimit": '"loose";r=9;t=6, "tight";r=3;t=60',
        "x-ratelimit-limit-requests": "100",
        "x-ratelimit-remaining-requests": "3",
        "x-ratelimit-reset-requests": "59.95s",
        "x-ratelimit-limit-tokens": "200000",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "6m0s",
    }


def test_anthropic_limits():
    """Input and output have their own, `tokens` is the tightest of all that count tokens, resets are instants."""
    assert headers(
        ANTHROPIC,
        limit(),
        limit("in", "input_tokens", limit=1000, remaining=900, reset_us=1),
        limit("out", "output_tokens", limit=1000, remaining=100, reset_us=3_600_000_000),
        limit("all", "total_tokens", limit=1000, remaining=500, enforce=False),
    ) == {
        "ratelimit-policy": '"b";q=10;w=60',
        "ratelimit": '"b";r=4;t=6',
        "anthropic-ratelimit-requests-limit": "10",
        "anthropic-ratelimit-requests-remaining": "4",
        "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:06Z",
        "anthropic-ratelimit-tokens-limit": "1000",
        "anthropic-ratelimit-tokens-remaining": "100",
        "anthropic-ratelimit-tokens-reset": "2026-01-01T01:00:00Z",
        "anthropic-ratelimit-input-tokens-limit": "1000",
        "anthropic-ratelimit-input-tokens-remaining": "900",
        "anthropic-ratelimit-input-tokens-reset": "2026-01-01T00:00:01Z",
        "anthropic-ratelimit-output-tokens-limit": "1000",
        "anthropic-ratelimit-output-tokens-remaining": "100",
        "anthropic-ratelimit-output-tokens-reset": "2026-01-01T01:00:00Z",
    }


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_shadow_limits_are_never_told(family):
    """Neither in the vendor's headers nor in the IETF's."""
    assert family.limit_headers([limit(enforce=False), limit(meter="concurrency", enforce=False)], now_s=NOW_S) == []
    assert family.limit_headers([], now_s=NOW_S) == []


def test_ietf_on_refusal_is_never_later_than_the_wait():
    """Only the limits that refused tell a time, and it is the wait that Retry-After is made of."""
    found = limits.ietf(
        [limit("whole-day", reset_us=86_400_000_000), limit("full", remaining=0, wait_us=5_900_001), limit("no", wait_us=-1)]
    )
    assert dict(found)["ratelimit"] == '"whole-day";r=4, "full";r=0;t=6, "no";r=4'


def test_ietf_names_concurrency_and_escapes_names():
    """A concurrency limit has a unit and no window; a name becomes a structured-field string."""
    found = limits.ietf([limit('a"b\\c\u00fc\n', "concurrency", limit=5, remaining=2, reset_us=0, window_s=0)])
    assert found == [
        ("ratelimit-policy", '"a\\"b\\\\c??";q=5;qu="concurrent-requests"'),
        ("ratelimit", '"a\\"b\\\\c??";r=2'),
    ]


@pytest.mark.parametrize(
    ("us", "written"),
    [
        *((0, "0s"), (-5, "0s"), (1, "1ms"), (12_000, "12ms"), (999_001, "1s"), (1_574_000, "1.574s"), (59_999_001, "1m0s")),
        *((60_000_001, "1m1s"), (360_000_000, "6m0s"), (3_600_000_000, "1h0m0s"), (93_784_000_000, "26h3m4s")),
    ],
)
def test_durations(us, written):
    """As the vendor writes them, never shorter than the wait."""
    assert limits.duration(us) == written


def test_a_debt_beyond_the_calendar_has_an_instant():
    """A reset that lies beyond the year 9999 is told as its end."""
    assert limits.timestamp(10**18) == "9999-12-31T23:59:59Z"


def test_a_limit_of_nothing_is_the_tightest():
    """No division by zero, and the smaller of two empty ones is chosen."""
    assert limits.is_tighter(limit(limit=0, remaining=-1), limit())
    assert not limits.is_tighter(limit(), limit(limit=0, remaining=-1))
