"""Chats and messages that the gateway ends or shortens itself: the vendors' SDKs read them, and read why they ended."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.values import Usage
from gateway.wires.anthropic_messages import AnthropicMessages
from gateway.wires.openai_chat import OpenAIChat
from gateway.wires.shorten import Allowance
from gateway.wires.sse import Decoder
from tests.wires import sdks
from tests.wires.streams import CHAT, TRANSCRIPTS, reader, recorded

CHATS = [name for name, expected in TRANSCRIPTS.items() if expected.wire == CHAT and "error" not in name]
MESSAGES = ["messages_text", "messages_text_crlf", "messages_text_cr", "messages_thinking_tools"]
TOLD = Usage(19, 8, 0, 3, is_complete=False)


def cut_after(name, stop_events, *, wants_usage=True, reason="length"):
    """(what was relayed, the ending)."""
    follower = reader(name, wants_usage=wants_usage)
    follower.stop_events = stop_events
    relayed = follower.feed(recorded(name)) + follower.flush()
    assert follower.is_cut
    ending = follower.ending(reason, TOLD)
    assert follower.is_finished
    return relayed, ending


def data_of(stream):
    decoder = Decoder()
    return [event.data for event in (*decoder.decode(stream), *decoder.flush())]


@pytest.mark.parametrize("name", CHATS)
@pytest.mark.parametrize("wants_usage", [True, False])
def test_a_chat_cut_at_any_event_is_read_by_the_sdk_to_its_end(name, wants_usage):
    """Every choice has ended by its length, the usage is told to who asked, and `[DONE]` comes last."""
    choices = TRANSCRIPTS[name].body.get("n", 1)
    for stop_events in range(TRANSCRIPTS[name].events):
        relayed, ending = cut_after(name, stop_events, wants_usage=wants_usage)
        assert data_of(ending)[-1] == b"[DONE]"
        chunks, completion = sdks.chat(relayed + ending)
        assert len({(chunk.id, chunk.model, chunk.created, chunk.object) for chunk in chunks}) == 1
        assert sorted(choice.index for choice in completion.choices) == list(range(choices))
        reasons = {choice.finish_reason for choice in completion.choices}
        assert reasons == {"length"} or (choices > 1 and reasons == {"length", "stop"})
        told = [chunk.usage for chunk in chunks if chunk.usage is not None and not chunk.choices]
        assert [(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) for usage in told] == [
            (19, 3, 22)
        ] * wants_usage
        assert all(usage.prompt_tokens_details.cached_tokens == 8 for usage in told)


def test_a_choice_that_has_ended_is_not_ended_again():
    """Of two choices, the one whose reason was relayed keeps it."""

    def chunk(index, text, finish=None):
        choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
        frame = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        return f"data: {json.dumps({**frame, 'choices': [choice]})}\n\n"

    follower = reader("chat_two_choices", wants_usage=False)
    follower.stop_events = 3
    stream = chunk(0, "a") + chunk(1, "b") + chunk(0, "c", "stop") + chunk(1, "d")
    relayed = follower.feed(stream.encode())
    assert follower.is_cut
    completion = sdks.chat(relayed + follower.ending("length", TOLD))[1]
    assert [(choice.message.content, choice.finish_reason) for choice in completion.choices] == [
        ("ac", "stop"),
        ("b", "length"),
    ]


def test_the_event_that_ends_the_answer_is_not_a_cut():
    """A last event with content and its reason is relayed at the bound, and what follows it; more content is not."""

    def chunk(text, finish=None):
        return (
            f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': text}, 'finish_reason': finish}]})}\n\n".encode()
        )

    follower = reader("chat_plain", wants_usage=True)
    follower.stop_events = 1
    stream = chunk("a") + chunk("b", "stop") + b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'
    assert follower.feed(stream + b"data: [DONE]\n\n") == stream + b"data: [DONE]\n\n"
    assert not follower.is_cut
    assert follower.feed(chunk("for ever")) == b""
    assert follower.is_cut


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_cut_at_any_event_is_read_by_the_sdk_to_its_end(name):
    """Open blocks are closed, it stopped for max_tokens, and the output tokens are told."""
    for stop_events in range(TRANSCRIPTS[name].events):
        relayed, ending = cut_after(name, stop_events)
        message = sdks.messages(relayed + ending)
        assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 3)
        whole = relayed + ending
        assert whole.count(b'"type":"content_block_start"') == whole.count(b'"type":"content_block_stop"')
        assert [json.loads(data)["type"] for data in data_of(ending)][-2:] == ["message_delta", "message_stop"]


@pytest.mark.parametrize(
    ("name", "end"), [("chat_plain", b"data: [DONE]\n\n"), ("messages_text", b'data: {"type":"message_stop"}\n\n')]
)
def test_a_stream_that_never_began_is_ended_all_the_same(name, end):
    """Nothing is known of it: what is said is little, and parses."""
    follower = reader(name, wants_usage=True)
    ending = follower.ending("length", TOLD)
    assert ending.endswith(end)
    assert all(json.loads(data) for data in data_of(ending) if data != b"[DONE]")


CLAMPS = [
    ({}, 50, {"max_tokens": 50}),
    ({"max_tokens": 40}, 50, {"max_tokens": 40}),
    ({"max_tokens": 60, "max_completion_tokens": 70, "min_tokens": 55}, 50,
     {"max_tokens": 50, "max_completion_tokens": 50, "min_tokens": 50}),
    ({"max_completion_tokens": 60}, 50, {"max_completion_tokens": 50}),
    ({"max_tokens": None}, 50, {"max_tokens": 50}),
    ({"reasoning_effort": "low"}, 50, {"reasoning_effort": "low", "max_completion_tokens": 50}),
    ({"model": "openai/o3-mini"}, 50, {"model": "openai/o3-mini", "max_completion_tokens": 50}),
    ({"model": "gpt-4o"}, 50, {"model": "gpt-4o", "max_tokens": 50}),
]  # fmt: skip


@pytest.mark.parametrize(("body", "limit", "expected"), CLAMPS)
def test_a_chat_is_clamped_under_every_name(body, limit, expected):
    """Each bound that is there is lowered; where none is, the one that the server will know is set. The caller's body stays."""
    body = {"model": "m", **body}
    before = dict(body)
    clamped = OpenAIChat().clamp(body, limit)
    assert clamped == {"model": "m", **expected}
    assert body == before
    assert (clamped is body) == (clamped == body)


THINKING = [
    ({"max_tokens": 9000}, 5000, {"max_tokens": 5000}),
    ({"max_tokens": 4000}, 5000, {"max_tokens": 4000}),
    ({"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 6000}}, 5000,
     {"max_tokens": 5000, "thinking": {"type": "enabled", "budget_tokens": 3333}}),
    ({"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 2000}}, 5000,
     {"max_tokens": 5000, "thinking": {"type": "enabled", "budget_tokens": 2000}}),
    ({"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 2000}}, 1025,
     {"max_tokens": 1025, "thinking": {"type": "enabled", "budget_tokens": 1024}}),
    ({"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 2000}}, 1024, {"max_tokens": 1024}),
    ({"max_tokens": 9000, "thinking": {"type": "adaptive"}}, 50, {"max_tokens": 50, "thinking": {"type": "adaptive"}}),
]  # fmt: skip


@pytest.mark.parametrize(("body", "limit", "expected"), THINKING)
def test_a_message_is_clamped_with_its_thinking(body, limit, expected):
    """A thinking budget stays below max_tokens and at 1024 or more, or goes."""
    clamped = AnthropicMessages().clamp(body, limit)
    assert clamped == expected
    assert (clamped is body) == (clamped == body)


def completion(*messages, tokens, **usage):
    choices = [{"index": i, "message": message, "finish_reason": "stop"} for i, message in enumerate(messages)]
    return json.dumps({"choices": choices, "usage": {"prompt_tokens": 7, "completion_tokens": tokens, **usage}}).encode()


def shortened(answer, limit, wire=OpenAIChat):
    made = wire().shorten(answer, limit)
    return None if made is None else (json.loads(made[0]), made[1])


def test_a_whole_chat_is_cut_at_the_very_token_where_its_words_are_tokens():
    """Five words that were reported as five tokens: three are kept, and the usage says three."""
    value, usage = shortened(completion({"role": "assistant", "content": "One two, three four five"}, tokens=5), 3)
    assert value["choices"][0]["message"]["content"] == "One two, three"
    assert value["choices"][0]["finish_reason"] == "length"
    assert value["usage"] == {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    assert usage == Usage(7, 0, 0, 3, is_complete=True)


def test_what_is_not_longer_is_not_cut():
    """At the limit, below it, or without a report."""
    wire = OpenAIChat()
    assert wire.shorten(completion({"content": "a b c"}, tokens=3), 3) is None
    assert wire.shorten(b'{"choices":[{"message":{"content":"a b c"}}]}', 1) is None
    assert wire.shorten(completion({"content": "a"}, {"content": "b"}, tokens=6), 3) is None
    for odd in (b"", b"[]", b"{", b'{"choices":[3],"usage":{"completion_tokens":9}}', b'{"choices":{},"usage":[]}'):
        assert wire.shorten(odd, 1) is AnthropicMessages().shorten(odd, 1) is None


def test_reasoning_comes_first():
    """Shown, it is cut before the answer is; said under two names, once; hidden, its tokens are taken off the limit."""
    said = {"reasoning_content": "I think so", "reasoning": "I think so", "content": "Yes it is"}
    value, _ = shortened(completion(said, tokens=6), 4)
    assert value["choices"][0]["message"] == {"reasoning_content": "I think so", "content": "Yes"}
    details = {"completion_tokens_details": {"reasoning_tokens": 90}}
    value, usage = shortened(completion({"content": "one two three four"}, tokens=94, **details), 92)
    assert value["choices"][0]["message"]["content"] == "one two"
    assert (usage.output_tokens, value["usage"]["completion_tokens_details"]["reasoning_tokens"]) == (92, 90)
    value, _ = shortened(completion({"content": "one two three four"}, tokens=94, **details), 50)
    assert value["choices"][0]["message"]["content"] == ""
    assert value["usage"]["completion_tokens_details"]["reasoning_tokens"] == 50


def test_each_choice_has_the_limit():
    """A short one stays whole, and tells so."""
    value, usage = shortened(completion({"content": "a b c d e f g h"}, {"content": "x y"}, tokens=10), 4)
    assert [(c["message"]["content"], c["finish_reason"]) for c in value["choices"]] == [("a b c d", "length"), ("x y", "stop")]
    assert usage.output_tokens == 6


def test_a_call_is_cut_in_the_middle_and_the_next_is_not_begun():
    """As the vendor does it: arguments that are half a JSON object, and a reason that says so."""
    calls = [{"id": i, "type": "function", "function": {"name": i, "arguments": '{"city": "Reykjavik now"}'}} for i in "ab"]
    value, _ = shortened(completion({"content": None, "tool_calls": calls}, tokens=6), 2)
    assert [call["function"]["arguments"] for call in value["choices"][0]["message"]["tool_calls"]] == ['{"city": "Reykjavik']
    value, _ = shortened(completion({"content": "Let me see what", "tool_calls": calls}, tokens=10), 3)
    assert value["choices"][0]["message"] == {"content": "Let me see"}


def test_a_whole_message_is_cut_in_its_block():
    """Blocks that were not begun are gone, half a call has no input, and a signature stays."""
    content = [
        {"type": "thinking", "thinking": "One two", "signature": "Eq"},
        {"type": "text", "text": "three four five"},
        {"type": "tool_use", "id": "t", "name": "n", "input": {"a": "six seven"}},
    ]
    answer = json.dumps(
        {"type": "message", "content": content, "stop_reason": "tool_use", "usage": {"input_tokens": 4, "output_tokens": 7}}
    )
    kept = {}
    for limit in range(1, 7):
        value, usage = shortened(answer.encode(), limit, AnthropicMessages)
        assert (value["stop_reason"], value["stop_sequence"], usage.output_tokens) == ("max_tokens", None, limit)
        kept[limit] = value["content"]
    assert kept[1] == [{"type": "thinking", "thinking": "One", "signature": "Eq"}]
    assert kept[2] == content[:1]
    assert kept[4] == [content[0], {"type": "text", "text": "three four"}]
    assert kept[6] == [*content[:2], {**content[2], "input": {}}]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=4), st.integers(1, 80), st.integers(0, 80))
def test_what_is_kept_is_a_beginning(texts, reported, limit):
    """Whatever the texts: each is kept whole up to one that is cut, nothing after that, and never more than its share."""
    allowance = Allowance(texts, reported, limit)
    kept = [allowance.cut(text) for text in texts]
    assert all(text.startswith(part) for text, part in zip(texts, kept))
    if limit >= reported:
        assert kept == texts
    at = next((i for i, (text, part) in enumerate(zip(texts, kept)) if text != part), len(texts))
    assert all(not part.strip() for part in kept[at + 1 :])
    assert allowance.kept_tokens <= max(limit, 0) or limit >= reported


def test_a_long_blank_text_is_cut_in_time():
    """A megabyte of white space, which a pattern that looks ahead for a word would search from each of its places."""
    assert Allowance(["\n" * 1_000_000], 1_000_000, 10).cut("\n" * 1_000_000) == ""
