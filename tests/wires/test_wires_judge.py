"""What is read in a request, what is refused, and what is added to it."""

import pytest

from gateway.values import Ask
from gateway.wires import WIRES
from gateway.wires.base import BadField, Judged

CHAT, MESSAGES = WIRES["openai.chat"], WIRES["anthropic.messages"]
HI = [{"role": "user", "content": "hi"}]


def chat(**fields):
    return {"model": "m", "messages": HI, **fields}


def messages(**fields):
    return {"model": "m", "messages": HI, "max_tokens": 9, **fields}


def judged(**fields):
    plain = Judged("m", 0, 0, None, 1, is_stream=False, wants_usage=False, end_user="")
    return plain._replace(**fields)


GOOD = [
    (CHAT, chat(), judged()),
    (CHAT, chat(stream=True), judged(is_stream=True)),
    (CHAT, chat(stream=True, stream_options={"include_usage": True}), judged(is_stream=True, wants_usage=True)),
    (CHAT, chat(stream=True, stream_options={"include_usage": None}), judged(is_stream=True)),
    (CHAT, chat(stream_options={"include_usage": True}), judged()),
    (CHAT, chat(stream=None, stream_options=None, max_tokens=None, n=None, user=None), judged()),
    (CHAT, chat(max_tokens=5), judged(output_tokens_max=5)),
    (CHAT, chat(max_completion_tokens=7), judged(output_tokens_max=7)),
    (CHAT, chat(max_tokens=50, max_completion_tokens=7), judged(output_tokens_max=50)),
    (CHAT, chat(max_tokens=0), judged()),  # servers differ on what it means, so it bounds nothing
    (CHAT, chat(max_tokens=0, max_completion_tokens=7), judged(output_tokens_max=7)),
    (CHAT, chat(max_tokens=7, max_completion_tokens=0), judged()),
    (CHAT, chat(n=3), judged(choices=3)),
    (CHAT, chat(best_of=0), judged()),
    (CHAT, chat(n=3, best_of=5), judged(choices=5)),
    (CHAT, chat(user="u-1"), judged(end_user="u-1")),
    (CHAT, chat(safety_identifier="s-1"), judged(end_user="s-1")),
    (CHAT, chat(temperature="odd", tools=3, thinking="not this wire's", made_up={"a": 1}), judged()),
    (MESSAGES, messages(), judged(output_tokens_max=9)),
    (MESSAGES, messages(max_tokens=0), judged(output_tokens_max=0)),  # fills the vendor's cache, and writes nothing
    (MESSAGES, messages(stream=True), judged(output_tokens_max=9, is_stream=True, wants_usage=True)),
    (MESSAGES, messages(metadata={"user_id": "u"}), judged(output_tokens_max=9, end_user="u")),
    (MESSAGES, messages(thinking={"type": "enabled", "budget_tokens": 1024}), judged(output_tokens_max=9)),
    (MESSAGES, messages(thinking={"type": "adaptive"}, n=7, user=3), judged(output_tokens_max=9)),
]


@pytest.mark.parametrize(("wire", "body", "expected"), GOOD, ids=range(len(GOOD)))
def test_what_is_read(wire, body, expected):
    """Each alias is read, null is absence, and what the gateway does not judge passes."""
    assert wire.judge(body) == expected


BAD_COUNTS = (-1, 5.0, "5", True, False, [], {}, 10**12)
BAD = [
    *((CHAT, chat(model=value), "model") for value in (None, 3, "", "x" * 257, "a\nb", "a\x00b", "a\u2028b", "a\x7fb", ["m"])),
    *((CHAT, chat(messages=value), "messages") for value in (None, "hi", {}, [])),
    (CHAT, chat(messages=[HI[0], "hi"]), "messages[1]"),
    *((CHAT, chat(stream=value), "stream") for value in ("true", 1, 0, [])),
    *((CHAT, chat(max_tokens=value), "max_tokens") for value in BAD_COUNTS),
    *((CHAT, chat(max_completion_tokens=value), "max_completion_tokens") for value in BAD_COUNTS),
    *((CHAT, chat(n=value), "n") for value in (*BAD_COUNTS, 0, 129)),
    (CHAT, chat(best_of=200), "best_of"),
    (CHAT, chat(stream_options=True), "stream_options"),
    (CHAT, chat(stream=True, stream_options={"include_usage": "yes"}), "stream_options.include_usage"),
    (CHAT, chat(user=7), "user"),
    (CHAT, chat(user="x" * 513), "user"),
    (CHAT, chat(safety_identifier={}), "safety_identifier"),
    (MESSAGES, chat(), "max_tokens"),
    *((MESSAGES, messages(max_tokens=value), "max_tokens") for value in BAD_COUNTS),
    (MESSAGES, messages(model=""), "model"),
    (MESSAGES, messages(stream="yes"), "stream"),
    (MESSAGES, messages(metadata=[]), "metadata"),
    (MESSAGES, messages(metadata={"user_id": 3}), "metadata.user_id"),
    (MESSAGES, messages(thinking=[]), "thinking"),
    (MESSAGES, messages(thinking={"budget_tokens": "5"}), "thinking.budget_tokens"),
    (MESSAGES, messages(thinking={"budget_tokens": True}), "thinking.budget_tokens"),
]


@pytest.mark.parametrize(("wire", "body", "param"), BAD, ids=range(len(BAD)))
def test_what_is_refused(wire, body, param):
    """The field is named, and the message says what is allowed without quoting the caller."""
    with pytest.raises(BadField) as caught:
        wire.judge(body)
    assert caught.value.param == param
    assert caught.value.message.startswith(param)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 120


def test_the_vendor_words_where_they_are_known():
    """A missing max_tokens is told as the vendor tells it; a wrong one with its bounds."""
    with pytest.raises(BadField, match=r"^max_tokens: Field required$"):
        MESSAGES.judge(chat())
    with pytest.raises(BadField, match=r"^n: must be an integer from 1 to 128\.$"):
        CHAT.judge(chat(n=129))


def ask(wire, body, **fields):
    return Ask(wire.name, "m", body, 0, 0, None, 1, fields.get("is_stream", True), fields.get("wants_usage", False), "")


def test_usage_is_asked_for_in_a_copy():
    """Other stream options stay, and the body that was judged is not changed."""
    for options in ({}, {"stream_options": None}, {"stream_options": {"include_obfuscation": False, "include_usage": False}}):
        body = chat(stream=True, **options)
        before = repr(body)
        rewritten = CHAT.rewrite(ask(CHAT, body))
        assert rewritten["stream_options"] == {**(options.get("stream_options") or {}), "include_usage": True}
        assert {**rewritten, "stream_options": None} == {**body, "stream_options": None}
        assert repr(body) == before


def test_what_needs_no_asking_is_forwarded_itself():
    """Not streamed, asked for already, or on a wire that always reports."""
    body = chat(stream=True)
    assert CHAT.rewrite(ask(CHAT, body, is_stream=False)) is body
    assert CHAT.rewrite(ask(CHAT, body, wants_usage=True)) is body
    assert MESSAGES.rewrite(ask(MESSAGES, body)) is body
