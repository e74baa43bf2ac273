"""Texts of chats and messages rewritten on their way: each through its stage, nothing else touched, however it comes."""

import json
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wires.openai_chat import OpenAIChat
from tests.wires import sdks
from tests.wires.stages import (
    DONE,
    ENDED,
    NAMES,
    WIRES,
    Blank,
    Edits,
    Upper,
    chunk,
    every,
    run,
    said,
    structure,
    values,
)
from tests.wires.streams import CHAT, MESSAGES, TRANSCRIPTS, ask, recorded
from tests.wires.test_wires_sse import cut

words = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), min_size=1, max_size=60)


@pytest.mark.parametrize("name", NAMES)
def test_what_no_stage_changes_is_the_very_same_object(name):
    """Not touched at all, looked at and passed, or fed and given back alike: the bytes that came."""
    wire, stream = TRANSCRIPTS[name].wire, recorded(name)

    class Same(Upper):
        def feed(self, text):
            return text

    class Quick(Same):
        def passes(self, text):
            return True

    for edits in (Edits(), every(Same), every(Quick)):
        editor = WIRES[wire].editor(ask(wire, wants_usage=True, body=TRANSCRIPTS[name].body), edits)
        assert editor.feed(stream) is stream
        assert editor.flush() == b""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("held", [0, 1, 7, 1000])
def test_every_text_goes_through_its_stage_at_every_split(name, held):
    """All of every channel, in order, what was held back included, and before what ends it; all else is said as it was."""
    wire, stream, body = TRANSCRIPTS[name].wire, recorded(name), TRANSCRIPTS[name].body
    expected = {channel: text if "signature" in channel else text.upper() for channel, text in said(wire, stream).items()}
    splits = [[stream[:at], stream[at:]] for at in range(1, len(stream), 5)]
    for blocks in [[stream], *splits, [stream[at : at + 1] for at in range(len(stream))]]:
        edited = run(wire, blocks, every(lambda: Upper(held)), body=body)
        assert said(wire, edited) == expected
        assert structure(wire, edited) == structure(wire, stream)
    if name in ENDED:
        (sdks.chat if wire == CHAT else sdks.messages)(edited)


def test_blanked_reasoning_costs_nothing():
    """Its events are gone; the role is still told, a signature stays byte for byte, and the answer is untouched."""
    edited = run(CHAT, [recorded("chat_reasoning")], Edits(reasoning=Blank))
    original = values(recorded("chat_reasoning"))
    gone = [value for value in original if value not in values(edited)]
    assert len(gone) >= 4
    assert "content" in json.dumps(values(edited)[0]) or values(edited)[0]["choices"][0]["delta"]["role"]
    assert said(CHAT, edited) == {(0, "content"): "Bonjour"}
    edited = run(MESSAGES, [recorded("messages_thinking_tools")], Edits(reasoning=Blank))
    assert (0, "thinking") not in said(MESSAGES, edited)
    kept = [line for line in recorded("messages_thinking_tools").split(b"\n\n") if b"thinking_delta" not in line]
    assert edited == b"\n\n".join(kept)


@st.composite
def chats(draw):
    """A long chat as servers write it: plain, padded, escaped, with comments between, in reasoning and then the answer."""
    how = draw(st.sampled_from([{"separators": (",", ":")}, {}, {"ensure_ascii": False, "separators": (",", ":")}]))
    pads = draw(st.booleans())
    parts, texts = [], {}
    for key in draw(st.permutations(["content", "reasoning_content"])):
        for place, word in enumerate(draw(words)):
            choice = {"index": 0, "delta": {key: word}, "logprobs": None, "finish_reason": None}
            value = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
            if pads:
                value["obfuscation"] = "aB3x"[: place % 5]
            parts.append(f"data: {json.dumps(value, **how)}\n\n".encode())
            texts[0, key] = texts.get((0, key), "") + word
    for at in draw(st.lists(st.integers(0, len(parts)), max_size=2)):
        parts.insert(at, b": keep-alive\n\n")
    return texts, b"".join([*parts, chunk({}, "stop"), DONE])


@settings(max_examples=150, deadline=None)
@given(chats(), st.lists(st.integers(0, 100_000), max_size=8), st.integers(0, 12))
def test_long_chats_are_edited_whole_however_they_come(chat, points, held):
    """The fast path for what is alike and the slow one for what is not give one text, ended as it was."""
    texts, stream = chat
    for blocks in ([stream], cut(stream, points)):
        edited = run(CHAT, blocks, every(lambda: Upper(held)))
        assert said(CHAT, edited) == {channel: text.upper() for channel, text in texts.items()}
        assert values(edited)[-2]["choices"][0]["finish_reason"] == "stop"
    assert run(CHAT, cut(stream, points), every(lambda: Upper(0)), body={"stream": True}).endswith(DONE)


@st.composite
def message_streams(draw):
    """Messages of several blocks, padded as the vendor pads them."""
    kinds = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
    parts, texts = [], {}

    def event(name, pad=0, **fields):
        data = json.dumps({"type": name, **fields}, separators=(",", ":"))
        parts.append(f"event: {name}\ndata: {data[:-1]}{' ' * pad}}}\n\n".encode())

    event("message_start", message={"usage": {"input_tokens": 9, "output_tokens": 3}})
    for index, kind in enumerate(draw(st.lists(st.sampled_from(sorted(kinds)), min_size=1, max_size=3))):
        event("content_block_start", index=index, content_block={"type": "text", "text": ""})
        for word in draw(words):
            event("content_block_delta", len(word) % 3, index=index, delta={"type": kind, kinds[kind]: word})
            texts[index, kinds[kind]] = texts.get((index, kinds[kind]), "") + word
        event("content_block_stop", index=index)
    event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 77})
    event("message_stop")
    return texts, b"".join(parts)


@settings(max_examples=100, deadline=None)
@given(message_streams(), st.lists(st.integers(0, 100_000), max_size=8), st.integers(0, 12))
def test_long_messages_are_edited_whole_however_they_come(message, points, held):
    """Each block's text is its own, and what it held back leaves before it stops."""
    texts, stream = message
    for blocks in ([stream], cut(stream, points)):
        edited = run(MESSAGES, blocks, every(lambda: Upper(held)))
        assert said(MESSAGES, edited) == {channel: text.upper() for channel, text in texts.items()}
        assert structure(MESSAGES, edited) == structure(MESSAGES, stream)
    for (_, before), (last, after) in pairwise([(None, None), *((v.get("index"), v["type"]) for v in values(edited))]):
        assert not (before == "content_block_stop" and after == "content_block_delta"), last


def test_tokens_of_a_changed_text_are_taken_off():
    """`logprobs` and `token_ids` would spell what was masked."""
    stream = chunk({"content": "secret"}, logprobs={"content": [{"token": "secret"}]}, token_ids=[7]) + chunk({}, "stop") + DONE
    edited = run(CHAT, [stream], every(Upper), wants_usage=False)
    assert b"secret" not in edited
    assert b'token_ids":null' in edited
    assert run(CHAT, [stream], Edits(reasoning=Blank)) == stream


def test_text_said_with_the_end_comes_before_what_was_held_back():
    """The order of the text is kept where a server says its last words together with its reason."""
    stream = chunk({"role": "assistant", "content": "one "}) + chunk({"content": "two"}, "stop") + DONE
    edited = run(CHAT, [stream], every(lambda: Upper(2)), wants_usage=False)
    assert said(CHAT, edited) == {(0, "content"): "ONE TWO"}
    assert values(edited)[-2]["choices"][0]["finish_reason"] == "stop"


PLACES = [
    {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hmm"}]}, {"type": "text", "text": "yes"}]},
    {"reasoning_details": [{"type": "reasoning.text", "text": "hmm", "index": 0, "signature": "Eq"}]},
    {"reasoning": "hmm", "reasoning_content": "hmm"},
    {"function_call": {"name": "f", "arguments": "{}yes"}},
    {"tool_calls": [{"index": 0, "type": "custom", "custom": {"name": "f", "input": "yes"}}]},
    {"audio": {"id": "a", "transcript": "yes"}},
    {"refusal": "yes"},
]


@pytest.mark.parametrize("delta", PLACES)
def test_every_place_of_a_text_is_known(delta):
    """The vendor's and other servers', in deltas and whole messages; what was held back leaves in a like place."""
    stream = chunk(delta) + chunk({}, "stop") + DONE
    for held in (0, 2):
        edited = run(CHAT, [stream], every(partial(Upper, held)), wants_usage=False)
        assert b"hmm" not in edited
        assert b"yes" not in edited
        assert edited.upper().count(b"Y") + edited.upper().count(b"H") >= 1
    answer = json.dumps({"choices": [{"index": 0, "message": delta, "finish_reason": "stop"}]}).encode()
    edited, is_cut = OpenAIChat().edit(answer, every(Upper))
    assert (b"hmm" in edited, b"yes" in edited, is_cut) == (False, False, False)


def test_what_clients_read_and_one_parser_does_not_is_edited_too():
    """-Infinity among log-probabilities, and half a surrogate pair, which clients take, are no way around a filter."""
    for value in ("-Infinity", '"\\ud800"'):
        stream = chunk({"content": "secret"}).replace(b'"finish_reason"', b'"x":' + value.encode() + b',"finish_reason"')
        edited = run(CHAT, [stream + chunk({}, "stop") + DONE], every(Upper), wants_usage=False)
        assert b"secret" not in edited
        assert said(CHAT, edited) == {(0, "content"): "SECRET"}
    assert run(CHAT, [b'data: {"choices":[{"delta":{"content":"secret"\n\n' + DONE], every(Upper), wants_usage=False) == DONE
