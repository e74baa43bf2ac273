"""Unchanged official SDKs talk through the gateway as if it were the vendor's API."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import anthropic
import openai
import pytest

from gateway.demo.server import TELLTALES
from tests.support import UPSTREAM_KEY, Gateway, ModelServer, key

HELLO = [{"role": "user", "content": "Say something about gauging casks, please."}]


@pytest.fixture
def chat(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key("free"), max_retries=0, timeout=10) as client:
        yield client


@pytest.fixture
def messages(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key=key("free"), max_retries=0, timeout=10) as client:
        yield client


def test_openai_whole(chat: openai.OpenAI) -> None:
    """A whole chat answer arrives with its text, finish reason and usage."""
    answer = chat.chat.completions.create(model="demo-small?tokens=7", messages=HELLO, max_tokens=20)
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 7


def test_openai_stream_hides_what_the_gateway_asked_for(chat: openai.OpenAI, model: ModelServer) -> None:
    """A client that did not ask for usage gets none, though the gateway asked the upstream for it."""
    chunks = list(chat.chat.completions.create(model="demo-small?tokens=7", messages=HELLO, stream=True))
    assert [chunk for chunk in chunks if chunk.usage is not None or not chunk.choices] == []
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert sum(bool(chunk.choices[0].delta.content) for chunk in chunks) == 7
    assert model.last().json["stream_options"] == {"include_usage": True}


def test_openai_stream_passes_usage_that_was_asked_for(chat: openai.OpenAI) -> None:
    """A client that asks for usage gets the vendor's extra chunk."""
    options = {"include_usage": True}
    stream = chat.chat.completions.create(model="demo-small?tokens=7", messages=HELLO, stream=True, stream_options=options)
    last = list(stream)[-1]
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == 7


def test_anthropic_whole(messages: anthropic.Anthropic) -> None:
    """A whole message arrives with its text, stop reason and usage."""
    answer = messages.messages.create(model="demo-small?tokens=7", messages=HELLO, max_tokens=20)
    assert answer.content[0].text
    assert answer.stop_reason == "end_turn"
    assert answer.usage.output_tokens == 7


def test_anthropic_stream(messages: anthropic.Anthropic) -> None:
    """The SDK's stream helper assembles the same message."""
    with messages.messages.stream(model="demo-small?tokens=7", messages=HELLO, max_tokens=20) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == final.content[0].text != ""
    assert final.usage.output_tokens == 7


def test_models(chat: openai.OpenAI, messages: anthropic.Anthropic) -> None:
    """Both SDKs list the upstream's models."""
    assert "demo-small" in [one.id for one in chat.models.list()]
    assert "demo-small" in [one.id for one in messages.models.list()]


def test_a_key_in_the_other_vendors_header(gateway: Gateway) -> None:
    """Anthropic's auth_token travels as a bearer token, and is as good."""
    with anthropic.Anthropic(base_url=gateway.url, api_key=None, auth_token=key("free"), max_retries=0) as client:
        assert client.messages.create(model="demo-small", messages=HELLO, max_tokens=5).content


def test_unknown_keys_raise_what_the_vendor_raises(gateway: Gateway) -> None:
    """AuthenticationError, in both SDKs, with the request's id."""
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="sk-wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            client.chat.completions.create(model="demo-small", messages=HELLO)
        assert refused.value.code == "invalid_api_key"
        assert refused.value.request_id
    with anthropic.Anthropic(base_url=gateway.url, api_key="sk-wrong", max_retries=0) as client:
        with pytest.raises(anthropic.AuthenticationError) as failed:
            client.messages.create(model="demo-small", messages=HELLO, max_tokens=5)
        assert failed.value.request_id


def test_limits_raise_what_the_vendor_raises(fresh: Callable[..., Gateway]) -> None:
    """RateLimitError in both SDKs, with a message that names limit, use and wish, and true headers."""
    gateway = fresh()
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key("left"), max_retries=0) as client:
        for spent in range(1, 6):
            raw = client.chat.completions.with_raw_response.create(model="demo-small?tokens=2", messages=HELLO, max_tokens=5)
            assert raw.headers["x-ratelimit-limit-requests"] == "5"
            assert raw.headers["x-ratelimit-remaining-requests"] == str(5 - spent)
        with pytest.raises(openai.RateLimitError) as refused:
            client.chat.completions.create(model="demo-small", messages=HELLO, max_tokens=5)
    assert refused.value.code == "rate_limit_exceeded"
    assert "Limit 5, Used 5, Requested 1" in str(refused.value)
    assert 0 < int(refused.value.response.headers["retry-after-ms"]) <= 12_400
    with anthropic.Anthropic(base_url=gateway.url, api_key=key("right"), max_retries=0) as other:
        with pytest.raises(anthropic.RateLimitError) as failed:
            other.messages.create(model="demo-small", messages=HELLO, max_tokens=5)
    assert failed.value.response.headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert 1 <= int(failed.value.response.headers["retry-after"]) <= 13
    assert failed.value.body["error"]["type"] == "rate_limit_error"  # type: ignore[index]


def test_openai_raises_when_the_upstream_dies(chat: openai.OpenAI) -> None:
    """A stream that its upstream broke off raises in the SDK, after what had come."""
    seen = []
    with pytest.raises(openai.APIError):  # noqa: PT012  # the stream raises in its middle
        for chunk in chat.chat.completions.create(model="demo-small?tokens=9&die_after=4", messages=HELLO, stream=True):
            seen += [choice.delta.content for choice in chunk.choices if choice.delta.content]
    assert len(seen) == 4


def test_anthropic_raises_when_the_upstream_dies(messages: anthropic.Anthropic) -> None:
    """The same on the other wire."""
    with pytest.raises(anthropic.APIError):
        with messages.messages.stream(model="demo-small?tokens=9&die_after=4", messages=HELLO, max_tokens=20) as stream:
            list(stream.text_stream)


@pytest.mark.parametrize("script", ["done=0", "die_after=0", "die_early=1", "status=500", "status=529", "error_after=3"])
def test_no_fault_of_the_upstream_looks_like_an_end(chat: openai.OpenAI, messages: anthropic.Anthropic, script: str) -> None:
    """However the upstream fails, both SDKs raise; a stream without its terminal event is one such failure."""
    with pytest.raises(openai.APIError):
        list(chat.chat.completions.create(model=f"demo-small?tokens=5&{script}", messages=HELLO, stream=True))
    with pytest.raises(anthropic.APIError):
        with messages.messages.stream(model=f"demo-small?tokens=5&{script}", messages=HELLO, max_tokens=20) as stream:
            list(stream.text_stream)


def test_an_upstreams_429_is_marked_as_its_own(chat: openai.OpenAI) -> None:
    """Its body passes untouched; a header says whose limit it was."""
    with pytest.raises(openai.RateLimitError) as refused:
        chat.chat.completions.create(model="demo-small?status=429&retry_after_s=7", messages=HELLO)
    assert refused.value.response.headers["x-gauger-refused-by"] == "upstream"
    assert refused.value.response.headers["retry-after"] == "7"


@pytest.mark.parametrize("status", [401, 403])
def test_the_upstreams_refusal_of_our_key_is_not_the_tenants(chat: openai.OpenAI, status: int) -> None:
    """It once went down as it was, naming the operator's key: now it is the gateway's fault, and the tenant's key is good."""
    with pytest.raises(openai.InternalServerError) as failed:
        chat.chat.completions.create(model=f"demo-small?status={status}", messages=HELLO)
    assert failed.value.status_code == 502
    assert "gateway's own credentials" in str(failed.value)


def test_credentials_stay_on_their_side(chat: openai.OpenAI, messages: anthropic.Anthropic, model: ModelServer) -> None:
    """The tenant's key does not go up, the upstream's key and account do not come down."""
    raw = chat.chat.completions.with_raw_response.create(model="demo-small", messages=HELLO)
    assert model.last().header("authorization") == f"Bearer {UPSTREAM_KEY}"
    assert key("free") not in str(model.last())
    other = messages.messages.with_raw_response.create(model="demo-small", messages=HELLO, max_tokens=5)
    assert model.last().header("x-api-key") == UPSTREAM_KEY
    assert model.last().header("authorization") is None
    assert key("free") not in str(model.last())
    for headers in (raw.headers, other.headers):
        leaked = [name for name, value in TELLTALES.items() if value in headers.get_list(name)]
        assert leaked == []
        assert UPSTREAM_KEY not in str(headers)


def test_unknown_fields_pass_untouched(chat: openai.OpenAI, model: ModelServer) -> None:
    """What no rule names reaches the upstream as it was written."""
    extra = {"x_new_thing": {"deep": [1, 2.5, None, "ü"]}, "vendor-flag": True}
    chat.chat.completions.create(model="demo-small", messages=HELLO, extra_body=extra)
    assert {name: model.last().json[name] for name in extra} == extra
