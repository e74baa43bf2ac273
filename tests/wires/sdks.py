"""What the vendors' own SDKs make of a stream, without a server."""

import importlib

import anthropic
import openai
from openai.lib.streaming.chat import ChatCompletionStreamState


def _transport(client, stream):
    """A client of whatever HTTP library the SDK is built on."""
    kind = next(kind for kind in client.__mro__ if kind.__module__.startswith("httpx"))
    httpx = importlib.import_module(kind.__module__.partition(".")[0])
    answer = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=stream)
    return httpx.Client(transport=httpx.MockTransport(lambda _request: answer))


def chat(stream):
    """(chunks, the completion they add up to)."""
    http = _transport(openai.DefaultHttpxClient, stream)
    with openai.OpenAI(api_key="k", base_url="http://gateway/v1", max_retries=0, http_client=http) as client:
        chunks = list(client.chat.completions.create(model="m", messages=[], stream=True))
    state = ChatCompletionStreamState()
    for chunk in chunks:
        state.handle_chunk(chunk)
    return chunks, state.current_completion_snapshot


def messages(stream):
    """The message that the SDK's stream helper ends with. It raises where an event does not fit."""
    http = _transport(anthropic.DefaultHttpxClient, stream)
    with anthropic.Anthropic(api_key="k", base_url="http://gateway", max_retries=0, http_client=http) as client:
        with client.messages.stream(model="m", max_tokens=9, messages=[]) as events:
            return events.get_final_message()
