"""The demo server's completions and the endpoints without a text of a model's, read by the official SDKs."""

import base64
import http.client
import json
import urllib.request

import anthropic
import openai
import pytest

from gateway.demo.others import DIMENSIONS, PNG
from tests.support import ModelServer

MESSAGES = [{"role": "user", "content": "three short words"}]


@pytest.fixture(scope="module")
def server():
    started = ModelServer()
    yield started
    started.close()


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-x", max_retries=0, timeout=5) as made:
        yield made


@pytest.fixture(scope="module")
def claude(server):
    with anthropic.Anthropic(base_url=server.url, api_key="sk-x", max_retries=0, timeout=5) as made:
        yield made


def test_completions(client):
    """Each prompt has its own answers; words, and tokens of lists of tokens, are counted in."""
    answer = client.completions.create(model="demo-small?tokens=3", prompt=["one two", "three"], n=2)
    assert [(choice.index, choice.text, choice.finish_reason) for choice in answer.choices] == [
        (index, "The gauger came", "stop") for index in range(4)
    ]
    assert (answer.object, answer.usage.prompt_tokens, answer.usage.completion_tokens) == ("text_completion", 3, 12)
    answer = client.completions.create(model="demo-small?tokens=5", prompt=[7, 8, 9], max_tokens=2)
    assert (answer.usage.prompt_tokens, answer.choices[0].text, answer.choices[0].finish_reason) == (3, "The gauger", "length")
    answer = client.completions.create(model="demo-small?tokens=1", prompt=[[7, 8], [9]])
    assert (answer.usage.prompt_tokens, len(answer.choices)) == (3, 2)


def test_completions_stream(client):
    """One chunk a token; with `echo` each prompt comes back first; usage where it was asked for."""
    chunks = list(
        client.completions.create(
            model="demo-small?tokens=2", prompt=["a b", "c"], echo=True, stream=True, stream_options={"include_usage": True}
        )
    )
    texts = {0: "", 1: ""}
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    assert texts == {0: "a bThe gauger", 1: "cThe gauger"}
    assert [chunk.usage is None for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
    assert chunks[-1].usage.completion_tokens == 4


def test_embeddings(client):
    """The same vector for the same input, whichever way it is written."""
    floats = client.embeddings.create(model="demo-small", input=["one two", "three"], encoding_format="float")
    packed = client.embeddings.create(model="demo-small", input=["one two", "three"])  # the SDK asks for base64
    assert [each.embedding for each in floats.data] == [list(each.embedding) for each in packed.data]
    assert [len(each.embedding) for each in floats.data] == [DIMENSIONS] * 2
    assert (floats.usage.prompt_tokens, floats.usage.total_tokens) == (3, 3)


def test_moderations(client):
    """A result for each text; one for all parts."""
    assert [result.flagged for result in client.moderations.create(input=["a", "b"]).results] == [False, False]
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://images.test/1.png"}}]
    answer = client.moderations.create(input=parts, model="omni-moderation-latest")
    assert (answer.model, len(answer.results)) == ("omni-moderation-latest", 1)
    assert answer.results[0].categories.self_harm is False


def test_speech(client):
    """Bytes that are no text, or events that carry them."""
    asked = {"model": "demo-small", "voice": "alloy", "input": "two words"}
    assert client.audio.speech.create(**asked).content == b"\xff\xfb\x00two\xff\xfb\x00words"
    with client.audio.speech.with_streaming_response.create(**asked, stream_format="sse") as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        assert b"speech.audio.done" in answer.read()


def test_images(client):
    """As many as were asked for; streamed ones come by and by."""
    answer = client.images.generate(model="gpt-image-demo", prompt="a boxwood rod", n=2)
    assert [image.b64_json for image in answer.data] == [PNG, PNG]
    assert base64.b64decode(PNG).startswith(b"\x89PNG")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (3, 544)
    events = list(client.images.generate(model="gpt-image-demo", prompt="a rod", stream=True, partial_images=2))
    assert [event.type.rpartition(".")[2] for event in events] == ["partial_image", "partial_image", "completed"]
    assert events[-1].usage.output_tokens == 472


def test_counts_and_batches(client, claude):
    """Words are tokens; a batch has only just begun."""
    assert claude.messages.count_tokens(model="demo-small", messages=MESSAGES).input_tokens == 4  # the role is a word too
    assert client.responses.input_tokens.count(model="demo-small", input="three short words").input_tokens == 3
    params = {"model": "demo-small", "max_tokens": 5, "messages": MESSAGES}
    batch = claude.messages.batches.create(
        requests=[{"custom_id": "a", "params": params}, {"custom_id": "b", "params": params}]
    )
    assert (batch.processing_status, batch.request_counts.processing) == ("in_progress", 2)


def test_scripts_apply(server, client, claude):
    """They refuse and die on demand, in their vendor's words."""
    with pytest.raises(openai.RateLimitError):
        client.embeddings.create(model="demo-small?status=429", input="a")
    with pytest.raises(anthropic.InternalServerError):
        claude.messages.count_tokens(model="demo-small?status=529", messages=MESSAGES)
    with pytest.raises(openai.APIConnectionError):
        client.embeddings.create(model="demo-small?die_after=0", input="a")
    body = json.dumps({"model": "demo-small?die_after=1", "voice": "ash", "input": "a b c"}).encode()
    request = urllib.request.Request(f"{server.url}/v1/audio/speech", body)
    with urllib.request.urlopen(request, timeout=5) as answer, pytest.raises((http.client.IncompleteRead, ConnectionError)):
        answer.read()
