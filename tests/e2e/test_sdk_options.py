"""Official SDKs with their less usual options and helpers: what they send arrives, and what they make of answers is whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from pydantic import BaseModel

from tests.raw_upstream import RawUpstream, answer, json_answer
from tests.support import FIXTURES, Gateway, key

HI: Any = [{"role": "user", "content": "Hi"}]
TRANSCRIPTS = FIXTURES.parent / "wires" / "transcripts"


class Cask(BaseModel):
    gallons: int


@pytest.fixture(scope="module")
def gateway(transparent: Gateway) -> Gateway:
    return transparent


@pytest.fixture
def chat(gateway: Gateway) -> Iterator[openai.OpenAI]:
    given = {"organization": "org-1", "project": "proj_1", "timeout": 20.0, "max_retries": 2}
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key("free"), **given) as client:  # type: ignore[arg-type]
        yield client


@pytest.fixture
def claude(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key=key("free"), timeout=20.0, max_retries=2) as client:
        yield client


def completion(content: str) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    made = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    return json_answer(json.dumps(made).encode())


def message(*content: dict[str, Any], stop: str = "end_turn") -> bytes:
    made = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": stop}
    usage = {"input_tokens": 1, "output_tokens": 1}
    return json_answer(json.dumps(made | {"stop_sequence": None, "usage": usage}).encode())


def test_extras_of_one_call(chat: openai.OpenAI, upstream: RawUpstream) -> None:
    """extra_headers, extra_query, extra_body, a timeout and an idempotency key of one call, beside the client's own options."""
    upstream.answers["POST /v1/chat/completions"] = completion("x")
    raw = chat.chat.completions.with_raw_response.create(
        model="m", messages=HI, timeout=7.5, extra_headers={"X-Trace": "t", "Idempotency-Key": "k"},
        extra_query={"api-version": "1", "tags": ["a", "b"]}, extra_body={"made_up": [1, {"deep": None}]},
    )  # fmt: skip
    came = upstream.last()
    assert came.line == "POST /v1/chat/completions?api-version=1&tags%5B%5D=a&tags%5B%5D=b HTTP/1.1"
    expected = {
        "x-trace": "t", "idempotency-key": "k", "openai-organization": "org-1", "openai-project": "proj_1",
        "x-stainless-lang": "python", "x-stainless-read-timeout": "7.5", "x-stainless-retry-count": "0",
    }  # fmt: skip
    assert {name: came.values(name) for name in expected} == {name: [value] for name, value in expected.items()}
    assert json.loads(came.body)["made_up"] == [1, {"deep": None}]
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.parse().choices[0].message.content == "x"


def test_retries_of_the_sdks(chat: openai.OpenAI, claude: anthropic.Anthropic, upstream: RawUpstream) -> None:
    """An upstream's passing refusal is tried again by the SDK, which says how often; one that says not to be is not."""
    busy = json_answer(b'{"error":{"message":"busy"}}', b"retry-after-ms: 1", status=b"503 Service Unavailable")
    upstream.answers["POST /v1/chat/completions"] = [busy, busy, completion("third")]
    before = len(upstream.came)
    assert chat.chat.completions.create(model="m", messages=HI).choices[0].message.content == "third"
    assert [came.values("x-stainless-retry-count") for came in upstream.came[before:]] == [["0"], ["1"], ["2"]]
    final = json_answer(b'{"error":{"message":"no"}}', b"x-should-retry: false", status=b"503 Service Unavailable")
    upstream.answers["POST /v1/messages"] = [final]
    with pytest.raises(anthropic.APIStatusError):
        claude.messages.create(model="m", max_tokens=5, messages=HI)


def test_structured_outputs(chat: openai.OpenAI, claude: anthropic.Anthropic, upstream: RawUpstream) -> None:
    """A schema goes up whole, and what comes back is parsed: chat, responses and messages."""
    upstream.answers["POST /v1/chat/completions"] = completion('{"gallons":63}')
    parsed = chat.chat.completions.parse(model="m", messages=HI, response_format=Cask).choices[0].message.parsed
    assert parsed == Cask(gallons=63)
    assert json.loads(upstream.last().body)["response_format"]["json_schema"]["strict"] is True
    text = {"type": "output_text", "text": '{"gallons":9}', "annotations": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
    made = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed", "output": [item]}
    made |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None, "incomplete_details": None}
    upstream.answers["POST /v1/responses"] = json_answer(json.dumps(made).encode())
    assert chat.responses.parse(model="m", input="Hi", text_format=Cask).output_parsed == Cask(gallons=9)
    assert json.loads(upstream.last().body)["text"]["format"]["type"] == "json_schema"
    upstream.answers["POST /v1/messages"] = message({"type": "text", "text": '{"gallons":18}'})
    told = claude.messages.parse(model="m", max_tokens=50, messages=HI, output_format=Cask)
    assert told.parsed_output == Cask(gallons=18)


def test_stream_helpers(chat: openai.OpenAI, claude: anthropic.Anthropic, upstream: RawUpstream) -> None:
    """The helpers assemble from the gateway's stream what they assemble from the vendor's own."""
    answers = {
        "POST /v1/chat/completions": "chat_tools.sse", "POST /v1/responses": "responses_reasoning_tools.sse",
        "POST /v1/messages": "messages_thinking_tools.sse",
    }  # fmt: skip
    for asked, name in answers.items():
        upstream.answers[asked] = answer((TRANSCRIPTS / name).read_bytes(), b"content-type: text/event-stream")

    def assembled(one: openai.OpenAI, other: anthropic.Anthropic) -> list[Any]:
        with one.chat.completions.stream(model="m", messages=HI, stream_options={"include_usage": True}) as first:
            completed = first.get_final_completion()
        with one.responses.stream(model="m", input="Hi") as second:
            response = second.get_final_response()
        with other.messages.stream(model="m", max_tokens=99, messages=HI) as third:
            said = third.get_final_message()
        return [completed, response, said]

    with (
        openai.OpenAI(base_url=f"{upstream.url}/v1", api_key="x") as direct,
        anthropic.Anthropic(base_url=upstream.url, api_key="x") as claude_direct,
    ):
        expected = assembled(direct, claude_direct)
    through = assembled(chat, claude)
    assert [made.model_dump() for made in through] == [made.model_dump() for made in expected]
    assert through[2].stop_reason == "tool_use"


def test_a_tool_runner(claude: anthropic.Anthropic, upstream: RawUpstream) -> None:
    """It asks, calls the tool, sends what it said, with its betas, and has the last answer."""
    called = []

    @anthropic.beta_tool
    def gauge(cask: str) -> str:
        """Gauge a cask.

        Args:
            cask: which one
        """
        called.append(cask)
        return "63 gallons"

    use = {"type": "tool_use", "id": "toolu_1", "name": "gauge", "input": {"cask": "hogshead"}}
    upstream.answers["POST /v1/messages"] = [message(use, stop="tool_use"), message({"type": "text", "text": "63 gallons."})]
    before = len(upstream.came)
    runner = claude.beta.messages.tool_runner(
        model="m", max_tokens=99, messages=HI, tools=[gauge], betas=["one-2025-01-01", "two-2026-01-01"]
    )
    last = runner.until_done()
    assert (called, last.content[0].text) == (["hogshead"], "63 gallons.")  # type: ignore[union-attr]
    first, second = upstream.came[before:]
    assert first.values("anthropic-beta")[0].startswith("one-2025-01-01,two-2026-01-01")  # the SDK adds its own
    assert json.loads(second.body)["messages"][-1]["content"][0]["content"] == "63 gallons"


def test_streams_as_bytes(chat: openai.OpenAI, claude: anthropic.Anthropic, upstream: RawUpstream) -> None:
    """with_streaming_response hands on the very bytes: nothing was added to a stream that asked for its usage itself."""
    told = (TRANSCRIPTS / "chat_usage.sse").read_bytes()
    upstream.answers["POST /v1/chat/completions"] = answer(told, b"content-type: text/event-stream; charset=utf-8")
    options: Any = {"include_usage": True}
    with chat.chat.completions.with_streaming_response.create(
        model="m", messages=HI, stream=True, stream_options=options
    ) as raw:
        assert raw.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert b"".join(raw.iter_bytes()) == told
    said = (TRANSCRIPTS / "messages_thinking_tools.sse").read_bytes()
    upstream.answers["POST /v1/messages"] = answer(said, b"content-type: text/event-stream")
    with claude.messages.with_streaming_response.create(model="m", max_tokens=99, messages=HI, stream=True) as other:
        assert b"".join(other.iter_bytes()) == said
