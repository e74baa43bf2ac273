"""Completions: what is judged, and the same stream and cuts as a chat's, with a `text` in each choice and prompts that echo."""

import json
from pathlib import Path

import pytest

from gateway.values import Ask, Usage
from gateway.wires import WIRES
from gateway.wires.base import BadField, Judged
from tests.wires.streams import read, state

WIRE = WIRES["openai.completions"]
DIRECTORY = Path(__file__).parent / "transcripts"
TEXT = 'Hello! Grüße\n"quoted"\t🍷 '
USAGE = Usage(19, 8, 0, 10, is_complete=True)
ECHOED = {"stream": True, "prompt": ["Say hi: ", "Grüße, "], "echo": True}
STREAMS = {
    # name: (usage, events, content, finished, failed, body)
    "completions_plain": (None, 5, TEXT, True, False, {}),
    "completions_usage": (USAGE, 5, TEXT, True, False, {}),
    "completions_usage_crlf": (USAGE, 5, TEXT, True, False, {}),
    "completions_usage_cr": (USAGE, 5, TEXT, True, False, {}),
    "completions_logprobs": (None, 5, TEXT, True, False, {}),
    "completions_vllm": (Usage(5, 0, 0, 3, is_complete=True), 3, "one two three", True, False, {}),
    "completions_echo": (Usage(5, 0, 0, 3, is_complete=True), 3, "hi!you", True, False, ECHOED),
    "completions_error": (None, 1, "Once", False, True, {}),
}
SPLIT = pytest.mark.parametrize(("name", "wants_usage"), [(name, wants) for name in STREAMS for wants in (True, False)])


def body(**more):
    return {"model": "m", "prompt": "hi", **more}


def judged(**more):
    plain = Judged("m", 0, 0, None, 1, is_stream=False, wants_usage=False, end_user="")
    return plain._replace(**more)


def ask(asked, *, wants_usage=True):
    return Ask("openai.completions", "m", asked, 0, 0, None, 1, True, wants_usage, "")


def reader(name, *, wants_usage=True):
    return WIRE.reader(ask({"prompt": "hi", **STREAMS[name][5]}, wants_usage=wants_usage))


def recorded(name):
    return (DIRECTORY / f"{name}.sse").read_bytes()


GOOD = [
    (body(), judged()),
    (body(prompt=None), judged()),
    ({"model": "m"}, judged()),
    (body(prompt=["a", "b", "c"]), judged(choices=3)),
    (body(prompt=["a", "b", "c"], n=2), judged(choices=6)),
    (body(prompt=["a", "b"], n=2, best_of=4), judged(choices=8)),
    (body(prompt=[1, 22, 333]), judged(media_tokens=3, media_base64_bytes=len("[1,22,333]"))),
    (body(prompt=[[1, 22], [333]], n=2), judged(choices=4, media_tokens=3, media_base64_bytes=len("[[1,22],[333]]"))),
    (body(prompt_embeds="AAAA"), judged(choices=2)),
    ({"model": "m", "prompt_embeds": ["AAAA", "BBBB"]}, judged(choices=2)),
    (body(max_tokens=5), judged(output_tokens_max=5)),
    (body(max_tokens=0, echo=True, logprobs=1), judged(output_tokens_max=0)),
    (body(max_tokens=5, max_completion_tokens=9), judged(output_tokens_max=9)),
    (body(max_tokens=5, n_predict=900), judged(output_tokens_max=900)),
    (body(stream=True), judged(is_stream=True)),
    (body(stream=True, stream_options={"include_usage": True}), judged(is_stream=True, wants_usage=True)),
    (body(user="u"), judged(end_user="u")),
    (body(max_tokens=5, min_tokens=5, ignore_eos=True, prompt_logprobs=0), judged(output_tokens_max=5)),
    (body(min_tokens=None, ignore_eos=None, prompt_logprobs=None), judged()),
    (body(suffix="z", logit_bias={"5": 1}, guided_regex="a+", messages=3), judged()),
]


@pytest.mark.parametrize(("asked", "expected"), GOOD, ids=range(len(GOOD)))
def test_what_is_read(asked, expected):
    """Prompts multiply answers, lists of tokens are counted exactly, and every alias of max_tokens counts."""
    assert WIRE.judge(asked) == expected


BAD = [
    *(
        (body(prompt=value), "prompt")
        for value in (3, True, {}, [], [[]], [[], [1]], ["a", 1], [1, "a"], [[1], "a"], [1, True])
    ),
    *((body(prompt=value), "prompt") for value in ([1, True], [1.5], [[1.5]], [None], ["a"] * 2049, [[1]] * 2049)),
    (body(prompt=["a"] * 2048, n=2), "prompt"),
    *((body(max_tokens=value), "max_tokens") for value in (-1, "5", 5.0, True, 10**12)),
    *((body(n_predict=value), "n_predict") for value in (-1, "5")),
    *((body(n=value), "n") for value in (0, 129, "2", True)),
    (body(best_of=129), "best_of"),
    (body(stream=1), "stream"),
    (body(stream_options=[]), "stream_options"),
    (body(echo="yes"), "echo"),
    *((body(min_tokens=value), "min_tokens") for value in (-1, "1", True, 1.0, 10**12)),
    (body(max_tokens=5, min_tokens=6), "min_tokens"),
    *((body(ignore_eos=value), "ignore_eos") for value in (1, "true")),
    *((body(prompt_logprobs=value), "prompt_logprobs") for value in (-1, "1", True, 10**9)),
    (body(model=""), "model"),
    (body(user=3), "user"),
]


@pytest.mark.parametrize(("asked", "param"), BAD, ids=range(len(BAD)))
def test_what_is_refused(asked, param):
    """Each with its path; nothing of a prompt is quoted."""
    with pytest.raises(BadField) as caught:
        WIRE.judge(asked)
    assert caught.value.param == param
    assert caught.value.message.startswith(f"{param}: ")


def test_clamp():
    """Every alias that is there is lowered, min_tokens with them; without any the vendor's own is set."""
    within = body(max_tokens=5)
    assert WIRE.clamp(within, 5) is within
    assert WIRE.clamp(body(max_tokens=5, min_tokens=4, n_predict=7), 3) == body(max_tokens=3, min_tokens=3, n_predict=3)
    assert WIRE.clamp(body(), 3) == body(max_tokens=3)
    assert WIRE.clamp(body(max_tokens=None, min_tokens=9), 3) == body(max_tokens=3, min_tokens=3)
    assert WIRE.clamp(body(n_predict=2), 3) == body(n_predict=2)


def test_usage_is_asked_for_and_hidden():
    """As in chat: the client gets the chunks it would have got, and the gateway the count."""
    asked = {"model": "m", "prompt": "hi", "stream": True}
    assert WIRE.rewrite(ask(asked, wants_usage=False)) == {**asked, "stream_options": {"include_usage": True}}
    follower = reader("completions_usage", wants_usage=False)
    relayed = read(follower, [recorded("completions_usage")])
    assert relayed == recorded("completions_plain")
    assert follower.usage == USAGE


@SPLIT
def test_every_split_point_is_the_same(name, wants_usage):
    """Bytes relayed, usage, counters and flags are right, and equal for the stream cut in two at every byte."""
    usage, events, content, is_finished, failed, _ = STREAMS[name]
    stream, size = recorded(name), len(content.encode())
    whole = reader(name, wants_usage=wants_usage)
    relayed = read(whole, [stream])
    assert (*state(whole), whole.content_bytes) == (usage, events, is_finished, failed, size)
    assert not wants_usage or relayed == stream
    for point in range(1, len(stream)):
        halves = reader(name, wants_usage=wants_usage)
        assert read(halves, [stream[:point], stream[point:]]) == relayed
        assert (*state(halves), halves.content_bytes) == (usage, events, is_finished, failed, size)


@pytest.mark.parametrize("name", [name for name in STREAMS if STREAMS[name][1] > 2])
def test_a_stream_stops_at_its_bound_and_goes_on(name):
    """So many content events and no more; raised one by one, the whole stream comes, however it is cut. An echo is none.

    A content event that ends the answer passes: the answer is whole with it.
    """
    stream, events = recorded(name), STREAMS[name][1]
    ends_with_content = name == "completions_vllm"
    for bound in range(events + 1):
        follower = reader(name)
        follower.stop_events = bound
        relayed = read(follower, [stream])
        is_whole = bound >= events - ends_with_content
        assert (follower.events, follower.is_cut) == (events if is_whole else bound, not is_whole)
        for point in range(1, len(stream), 11):
            again = reader(name)
            again.stop_events = bound
            assert read(again, [stream[:point], stream[point:]]) == relayed
        while follower.is_cut:
            follower.stop_events += 1
            relayed += follower.resume()
        assert relayed + follower.flush() == stream
        assert follower.usage == STREAMS[name][0]


def test_a_cut_stream_ends_as_the_vendor_would():
    """A finish for each choice that has none, with an empty text, and usage only where it was asked for."""
    for wants_usage in (True, False):
        follower = reader("completions_echo", wants_usage=wants_usage)
        follower.stop_events = 2
        read(follower, [recorded("completions_echo")])
        ending = follower.ending("length", Usage(5, 0, 0, 2, is_complete=False))
        *chunks, done = [line.removeprefix(b"data: ") for line in ending.strip().split(b"\n\n")]
        said = [json.loads(chunk) for chunk in chunks]
        assert done == b"[DONE]"
        assert {chunk["object"] for chunk in said} == {"text_completion"}
        assert [(c["index"], c["text"], c["finish_reason"]) for chunk in said for c in chunk["choices"]] == [
            (0, "", "length"),
            (1, "", "length"),
        ]
        assert ["completion_tokens" in (chunk.get("usage") or {}) for chunk in said] == [False, False] + [True] * wants_usage
        assert follower.is_finished
    untouched = reader("completions_plain")
    assert b'"object":"text_completion"' in untouched.ending("length", Usage(0, 0, 0, 0, is_complete=False))


class Mask:
    """A stage that masks what it has seen whole, for a text that comes in one piece."""

    is_cut = False

    def feed(self, text):
        return text.replace("quoted", "###")

    def flush(self):
        return ""

    def passes(self, text):
        return False


class Masks:
    def text(self):
        return Mask()

    def reasoning(self):
        return None

    def arguments(self):
        return None

    def whole(self, stage, text):
        return stage.feed(text)


def test_log_probabilities_leave_with_the_text_they_spell():
    """A masked text would still be told by the tokens beside it, streamed and whole."""
    editor = WIRE.editor(ask({"prompt": "hi", "stream": True}), Masks())
    stream = editor.feed(recorded("completions_logprobs")) + editor.flush()
    assert b"quoted" not in stream
    assert stream.count(b'"token_logprobs"') == 4
    logprobs = {"tokens": ["quoted"], "token_logprobs": [-1], "top_logprobs": None, "text_offset": [0]}
    answer = {"choices": [{"text": "quoted", "index": 0, "logprobs": logprobs, "finish_reason": "stop"}]}
    edited, is_cut = WIRE.edit(json.dumps(answer).encode(), Masks())
    assert not is_cut
    assert json.loads(edited)["choices"] == [{"text": "###", "index": 0, "logprobs": None, "finish_reason": "stop"}]
    untouched = b'{"choices": [{"text": "plain", "index": 0}]}'
    assert WIRE.edit(untouched, Masks()) == (untouched, False)


def test_a_whole_answer_is_cut_short():
    """Text, finish, usage and log probabilities, each choice at the limit."""
    usage = {"prompt_tokens": 3, "completion_tokens": 8, "total_tokens": 11}
    choices = [
        {"text": "one two three four", "index": i, "logprobs": {"tokens": ["one"]}, "finish_reason": "stop"} for i in (0, 1)
    ]
    answer = json.dumps({"object": "text_completion", "choices": choices, "usage": usage}).encode()
    assert WIRE.shorten(answer, 4) is None
    shorter, counted = WIRE.shorten(answer, 2)
    said = json.loads(shorter)
    assert [choice["text"] for choice in said["choices"]] == ["one two", "one two"]
    assert {choice["finish_reason"] for choice in said["choices"]} == {"length"}
    assert [choice["logprobs"] for choice in said["choices"]] == [None, None]
    assert said["usage"]["completion_tokens"] == counted.output_tokens == 4
    assert counted == Usage(3, 0, 0, 4, is_complete=True)
