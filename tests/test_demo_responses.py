"""The demo server's responses, read by the official SDK."""

import json

import openai
import pytest

from gateway.demo.responses import ENCRYPTED
from tests.support import ModelServer

TOOLS = [{"type": "function", "name": "find", "parameters": {"type": "object"}, "strict": False}]


@pytest.fixture(scope="module")
def server():
    started = ModelServer()
    yield started
    started.close()


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-x", max_retries=0, timeout=5) as made:
        yield made


def test_a_whole_answer_counts_words_in_and_tokens_out(client):
    """Input and instructions are counted as words; the bound given makes the answer incomplete."""
    answer = client.responses.create(model="demo-small?tokens=7&cached=2", input="three short words", instructions="be brief")
    assert (answer.status, answer.output_text) == ("completed", "The gauger came at noon with a")
    assert (answer.usage.input_tokens, answer.usage.input_tokens_details.cached_tokens) == (5, 2)
    assert (answer.usage.output_tokens, answer.usage.total_tokens) == (7, 12)
    answer = client.responses.create(
        model="demo-small?tokens=7", input=[{"role": "user", "content": "hi"}], max_output_tokens=3
    )
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert (answer.output_text, answer.output[0].status, answer.usage.output_tokens) == ("The gauger came", "incomplete", 3)


def test_a_stream_has_the_vendors_events_in_their_order(server, client):
    """Each token is one delta; numbers count up from 0 without a gap."""
    events = list(client.responses.create(model="demo-small?tokens=2", input="hi", stream=True))
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(10))
    assert server.last().tokens == 2


def test_reasoning_and_tools_stream_as_the_sdk_assembles_them(client):
    """Reasoning is a summary with what is encrypted beside it; a call's pieces join to valid JSON."""
    model = "demo-small?tokens=6&reasoning=2&tool=1"
    with client.responses.stream(model=model, input="hi", tools=TOOLS) as stream:
        final = stream.get_final_response()
    reasoning, call = final.output
    assert (reasoning.summary[0].text, reasoning.encrypted_content) == (" The gauger", ENCRYPTED)
    assert (call.name, json.loads(call.arguments)) == ("find", {"query": "The gauger "})
    assert (final.usage.output_tokens, final.usage.output_tokens_details.reasoning_tokens) == (6, 2)


def test_a_bound_ends_a_stream_as_incomplete_unless_it_is_ignored(client):
    """The last item says that it is incomplete, as the vendor's does."""
    request = {"input": "hi", "max_output_tokens": 3, "stream": True}
    events = list(client.responses.create(model="demo-small?tokens=9", **request))
    assert (events[-1].type, events[-1].response.status) == ("response.incomplete", "incomplete")
    assert events[-2].item.status == "incomplete"
    events = list(client.responses.create(model="demo-small?tokens=9&ignore_max=1", **request))
    assert (events[-1].type, events[-1].response.usage.output_tokens) == ("response.completed", 9)


def test_faults_are_played_on_this_wire_too(server, client):
    """A cut connection, an end without an end, an error in mid-stream, and a status."""

    def types(script):
        return [event.type for event in client.responses.create(model=f"demo-small?{script}", input="hi", stream=True)]

    with pytest.raises(openai.APIConnectionError):
        types("die_after=2")
    assert server.over(server.last()) == "cut"
    assert types("done=0&tokens=1")[-1] == "response.output_text.delta"
    with pytest.raises(openai.APIError, match="had an error"):
        types("error_after=2")
    with pytest.raises(openai.RateLimitError):
        types("status=429")
    with pytest.raises(openai.BadRequestError, match="model and input"):
        client.responses.create(model="demo-small", input=None)
