"""The demo server is what other tests stand on, so it is tested by the official SDKs and by a bare socket."""

import asyncio
import json

import anthropic
import openai
import pytest

from gateway import demo

HELLO = [{"role": "user", "content": "three short words"}]


def with_server(claim):
    """Run an async test against a fresh demo server, with both SDKs' clients, none of which retries."""

    async def run():
        async with await demo.start() as server:
            chat = openai.AsyncOpenAI(base_url=f"{server.base_url}/v1", api_key="sk-x", max_retries=0, timeout=5)
            messages = anthropic.AsyncAnthropic(base_url=server.base_url, api_key="sk-x", max_retries=0, timeout=5)
            async with chat, messages:
                await claim(server, chat, messages)

    asyncio.run(run())


async def raw(server, body, path="/v1/chat/completions"):
    """Send a body over a bare socket: (reader, writer) with the request written."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.base_url.rpartition(":")[2]))
    data = json.dumps(body).encode()
    writer.write(b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (path.encode(), len(data)) + data)
    return reader, writer


def test_a_whole_answer_counts_words_in_and_tokens_out():
    """Usage is the words of the input and the tokens produced, on both wires, with the cache's part where each has it."""

    async def claim(_server, chat, messages):
        model = "demo-small?tokens=7&cached=2"
        answer = await chat.chat.completions.create(model=model, messages=HELLO, n=2)
        assert len(answer.choices) == 2
        assert answer.choices[0].message.content.split() == ["The", "gauger", "came", "at", "noon", "with", "a"]
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (4, 14)  # the role is a word too
        assert answer.usage.prompt_tokens_details.cached_tokens == 2
        message = await messages.messages.create(model=model, messages=HELLO, max_tokens=5)
        assert (message.stop_reason, message.content[0].text) == ("max_tokens", "The gauger came at noon")
        assert (message.usage.input_tokens, message.usage.cache_read_input_tokens, message.usage.output_tokens) == (2, 2, 5)

    with_server(claim)


def test_a_chat_stream_is_one_event_a_token_and_bounded_by_max_tokens():
    """Each token is one chunk; max_tokens ends it with "length"; usage comes only when asked for."""

    async def claim(server, chat, _messages):
        stream = await chat.chat.completions.create(
            model="demo-small?tokens=9", messages=HELLO, max_tokens=4, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        assert [c.choices[0].delta.content for c in chunks if c.choices] == ["", "The", " gauger", " came", " at", None]
        assert chunks[-2].choices[0].finish_reason == "length"
        assert chunks[-1].usage.completion_tokens == 4
        stream = await chat.chat.completions.create(model="demo-small?tokens=1", messages=HELLO, stream=True)
        assert [chunk.usage async for chunk in stream] == [None, None, None]
        assert [seen.tokens for seen in server.seen] == [4, 1]

    with_server(claim)


def test_reasoning_and_tools_stream_in_both_formats():
    """Reasoning comes first and a tool call's pieces join to valid JSON, as both SDKs assemble them."""

    async def claim(_server, chat, messages):
        tools = [{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}]
        model = "demo-small?tokens=6&reasoning=2&tool=1"
        async with chat.chat.completions.stream(model=model, messages=HELLO, tools=tools) as stream:
            final = await stream.get_final_completion()
        call = final.choices[0].message.tool_calls[0].function
        assert (call.name, json.loads(call.arguments)) == ("find", {"query": "The gauger "})
        tools = [{"name": "find", "input_schema": {"type": "object"}}]
        async with messages.messages.stream(model=model, messages=HELLO, tools=tools, max_tokens=50) as stream:
            final = await stream.get_final_message()
        assert [block.type for block in final.content] == ["thinking", "tool_use"]
        assert (final.content[1].input, final.stop_reason) == ({"query": "The gauger "}, "tool_use")
        assert final.usage.output_tokens == 6

    with_server(claim)


def test_a_script_may_come_by_name_body_or_header():
    """Header over body over name; a name that does not exist is a 400 that says what is allowed."""

    async def claim(_server, chat, _messages):
        create = chat.chat.completions.create
        answer = await create(model="demo-large?tokens=2", messages=HELLO, extra_body={"demo": {"tokens": 3}})
        assert answer.usage.completion_tokens == 3
        answer = await create(model="demo-small?tokens=2", messages=HELLO, extra_headers={"x-demo": '{"tokens": 4}'})
        assert answer.usage.completion_tokens == 4
        with pytest.raises(openai.BadRequestError, match="'token' is no part of a script; allowed are tokens, "):
            await create(model="demo-small?token=2", messages=HELLO)
        answer = await create(model="demo-small?usage=0", messages=HELLO)
        assert answer.usage is None

    with_server(claim)


def test_errors_are_the_vendors():
    """A scripted status arrives as the SDK's own exception, with retry-after; the seen request is refused."""

    async def claim(server, chat, messages):
        with pytest.raises(openai.RateLimitError) as caught:
            await chat.chat.completions.create(model="demo-small?status=429&retry_after_s=7", messages=HELLO)
        assert caught.value.response.headers["retry-after"] == "7"
        with pytest.raises(anthropic.APIStatusError, match="overloaded_error") as caught:
            await messages.messages.create(model="demo-small?status=529", messages=HELLO, max_tokens=1)
        assert caught.value.status_code == 529
        with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
            async for _ in await messages.messages.create(
                model="demo-small?error_after=2", messages=HELLO, max_tokens=9, stream=True
            ):
                pass
        with pytest.raises(openai.APIError, match="had an error"):
            async for _ in await chat.chat.completions.create(model="demo-small?error_after=2", messages=HELLO, stream=True):
                pass
        assert [seen.ended for seen in server.seen][:2] == ["refused", "refused"]

    with_server(claim)


@pytest.mark.parametrize(
    ("script", "stream", "events", "is_terminated"),
    [
        ({"die_early": 1}, True, 0, False),
        ({"die_after": 0}, True, 0, False),
        ({"die_after": 3}, True, 4, False),  # the role's event, and three of content
        ({"die_after": 1}, False, 0, False),
        ({"done": 0, "tokens": 2}, True, 3, True),
    ],
)
def test_a_cut_answer_never_looks_whole(script, stream, events, is_terminated):
    """What was said before the cut arrives, the end of the body does not; only done=0 ends HTTP properly."""

    async def claim(server, _chat, _messages):
        reader, writer = await raw(server, {"model": "demo-small", "messages": HELLO, "stream": stream, "demo": script})
        if is_terminated:
            got = await reader.readuntil(b"\r\n0\r\n\r\n")
        else:
            got = await reader.read()
        writer.close()
        assert got.count(b"data: {") == events
        assert b"[DONE]" not in got
        assert b"\r\n0\r\n\r\n" in got or not is_terminated
        assert server.seen[0].ended == ("complete" if is_terminated else "cut")

    with_server(claim)


def test_a_client_that_leaves_is_noticed():
    """Leaving in mid-stream, or before the first byte, ends the request as client_left at that moment."""

    async def claim(server, _chat, _messages):
        for script in ({"stall_after": 2}, {"first_byte_ms": 60_000}):
            reader, writer = await raw(server, {"model": "demo-small", "messages": HELLO, "stream": True, "demo": script})
            if "stall_after" in script:
                await reader.readuntil(b" gauger")
            else:
                while len(server.seen) < 2:
                    await asyncio.sleep(0.001)
            writer.close()
            assert await server.seen[-1].over() == "client_left"
        assert [seen.tokens for seen in server.seen] == [2, 0]

    with_server(claim)


def test_a_stalled_answer_goes_on_when_released():
    """`release` lets what stalls go on to its proper end."""

    async def claim(server, _chat, _messages):
        body = {"model": "demo-small?stall_after=1&tokens=2", "messages": HELLO, "stream": True}
        reader, _writer = await raw(server, body)
        await reader.readuntil(b"The")
        server.release()
        await reader.readuntil(b"[DONE]")
        assert await server.seen[0].over() == "complete"
        _writer.close()

    with_server(claim)


def test_what_was_asked_is_remembered():
    """Headers, target and body are kept as they came, and can be read and forgotten from outside."""

    async def claim(server, chat, messages):
        assert [model.id async for model in chat.models.list()] == ["demo-small", "demo-large"]
        assert [model.id async for model in messages.models.list()] == ["demo-small", "demo-large"]
        await chat.chat.completions.create(model="demo-small", messages=HELLO, extra_headers={"x-mine": "1"})
        seen = server.seen[-1]
        assert (seen.method, seen.target, seen.header("x-mine")) == ("POST", "/v1/chat/completions", "1")
        assert seen.header("authorization") == "Bearer sk-x"
        assert seen.json["messages"] == json.loads(seen.body)["messages"] == HELLO
        listing = await chat.get("/../_seen", cast_to=object)
        assert [entry["target"] for entry in listing] == ["/v1/models", "/v1/models", "/v1/chat/completions"]

    with_server(claim)
