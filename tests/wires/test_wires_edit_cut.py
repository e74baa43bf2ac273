"""Streams of chats and messages that a filter cuts: ended once, with their reason, whatever the upstream had said already."""

import json
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wires.edit import CHANNELS_MAX
from gateway.wires.openai_completions import OpenAICompletions
from tests.wires import sdks
from tests.wires.stages import (
    DONE,
    NAMES,
    TOLD,
    Blank,
    Edits,
    Late,
    Stop,
    Upper,
    chunk,
    every,
    run,
    said,
    values,
)
from tests.wires.streams import CHAT, MESSAGES, TRANSCRIPTS, ask, recorded
from tests.wires.test_wires_sse import cut

WORD = "stop"


@pytest.mark.parametrize("size", [1, 3, 40, 1 << 20])
@pytest.mark.parametrize("finish", ["stop", None])
def test_a_chat_that_a_filter_cuts_ends_once(size, finish):
    """Whether the upstream's own end came in the same block or not: text up to the word, one reason, one usage, one end."""
    stream = b"".join(chunk({"content": text}) for text in ["Hello ", "s", "to", "p", "it"])
    stream += chunk({"content": "never"}) + (chunk({}, finish) if finish else b"")
    stream += b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":6}}\n\n' + DONE
    blocks = [stream[at : at + size] for at in range(0, len(stream), size)]
    edited = run(CHAT, blocks, every(lambda: Stop(WORD)))
    assert said(CHAT, edited) == {(0, "content"): "Hello "}
    assert [v["choices"][0]["finish_reason"] for v in values(edited)[1:-2]] == ["content_filter"]
    assert [v["choices"] for v in values(edited)[-2:-1]] == [[]]
    assert edited.count(DONE) == 1


def test_choices_that_have_ended_before_a_cut_are_not_ended_again():
    """Of two choices one is whole: it keeps its reason, also where the reader saw more of the stream than the client did."""
    stream = (
        chunk({"content": "a"}) + chunk({"content": "b"}, index=1) + chunk({}, "stop") + chunk({"content": "stop"}, index=1)
    )
    stream += chunk({}, "stop", index=1) + DONE
    for blocks in ([stream], [stream[at : at + 1] for at in range(len(stream))]):
        edited = run(CHAT, blocks, every(lambda: Stop(WORD)), body={"stream": True, "n": 2}, wants_usage=False)
        ends = [(c["index"], c["finish_reason"]) for v in values(edited)[:-1] for c in v["choices"] if c["finish_reason"]]
        assert ends == [(0, "stop"), (1, "content_filter")]
        assert edited.endswith(DONE)


@pytest.mark.parametrize("at", [7, 100, 1 << 20])
def test_a_message_that_a_filter_cuts_ends_once(at):
    """The open block is closed, later ones are not begun, and the reason is a refusal."""
    stream = recorded("messages_thinking_tools")
    blocks = [stream[begin : begin + at] for begin in range(0, len(stream), at)]
    for word in ("see", "look", "San"):
        edited = run(MESSAGES, blocks, every(partial(Stop, word)))
        message = sdks.messages(edited)
        assert message.stop_reason == "refusal"
        assert word not in message.model_dump_json()
        kinds = [value["type"] for value in values(edited)]
        assert kinds.count("content_block_start") == kinds.count("content_block_stop")
        assert kinds[-2:] == ["message_delta", "message_stop"]
        assert kinds.count("message_stop") == 1


@pytest.mark.parametrize("stop_events", [None, 1, 2])
@pytest.mark.parametrize("name", ["chat_plain", "chat_usage", "messages_text"])
def test_a_cut_at_the_last_moment_ends_well_too(name, stop_events):
    """A filter that cuts when the text ends: at the upstream's own end, or at the one that it is given at its limit."""
    wire = TRANSCRIPTS[name].wire
    edited = run(wire, [recorded(name)], Edits(text=Late), stop_events=stop_events)
    if wire == CHAT:
        assert {choice.finish_reason for choice in sdks.chat(edited)[1].choices} == {"content_filter"}
        assert edited.count(DONE) == 1
    else:
        assert sdks.messages(edited).stop_reason == "refusal"
        assert edited.count(b"event: message_stop") == 1


def test_a_limit_and_an_edit_together():
    """What was held back leaves before the gateway's own end, under the reason of the limit."""
    edited = run(CHAT, [recorded("chat_usage")], every(lambda: Upper(3)), stop_events=2)
    completion = sdks.chat(edited)[1]
    assert [(c.message.content, c.finish_reason) for c in completion.choices] == [("HELLO! ", "length")]


def test_text_completions_are_edited_and_cut_alike():
    """The same chunks, with a `text` and no delta."""
    wire = OpenAICompletions()
    asked = ask(wire.name, wants_usage=False, body={"stream": True, "prompt": "p"})

    def text(said, finish=None):
        return f"data: {json.dumps({'id': 'c', 'choices': [{'index': 0, 'text': said, 'finish_reason': finish}]})}\n\n".encode()

    stream = b"".join(map(text, ["so ", "it ", "st", "op", "s"])) + text(" now", "stop") + DONE
    editor = wire.editor(asked, every(partial(Upper, 2)))
    joined = "".join(value["choices"][0]["text"] for value in values(editor.feed(stream))[:-1])
    assert joined == "SO IT STOPS NOW"
    reader, editor = wire.reader(asked), wire.editor(asked, every(partial(Stop, WORD)))
    edited = values(editor.feed(reader.feed(stream)) + editor.feed(reader.ending("filter", TOLD)))
    assert [(value["choices"][0]["text"], value["choices"][0]["finish_reason"]) for value in edited[:-1]] == [
        *(("so ", None), ("it ", None)),
        ("", "content_filter"),
    ]
    assert edited[-1] == "[DONE]"


def test_too_many_channels_are_a_cut():
    """The upstream names them: it can neither fill the memory with them nor get a text through unseen."""
    calls = [{"index": i, "function": {"arguments": "secret"}} for i in range(CHANNELS_MAX + 1)]
    edited = run(CHAT, [chunk({"tool_calls": calls})], every(lambda: Upper(99)), wants_usage=False)
    assert (b"secret" in edited, edited.endswith(DONE)) == (False, True)
    assert b"content_filter" in edited


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(NAMES), st.data())
def test_whatever_comes_nothing_is_raised(name, data):
    """Bytes changed, lost or thrown in anywhere: edited, dropped or passed, and ended."""
    wire, stream = TRANSCRIPTS[name].wire, bytearray(recorded(name))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(stream)))
        junk = st.sampled_from(
            [b"", b"\n\n", b"\r", b"{", b"null", b'"delta":', b"\xff", b"[[[[", b"-1", b'"choices":3,', b'"index":"x",']
        )
        stream[at : at + data.draw(st.integers(0, 9))] = data.draw(st.one_of(junk, st.binary(max_size=9)))
    blocks = cut(bytes(stream), data.draw(st.lists(st.integers(0, 10_000), max_size=4)))
    make = data.draw(st.sampled_from([Upper, Blank, Late, lambda: Upper(5), lambda: Stop("e")]))
    run(wire, blocks, every(make), body=TRANSCRIPTS[name].body, stop_events=data.draw(st.sampled_from([None, 2])))
