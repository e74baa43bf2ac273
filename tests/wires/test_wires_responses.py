"""The responses wire: what is judged in a request, how its streams are followed, and the usage of whole answers."""

import base64
import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.values import Ask, Usage
from gateway.wires import media
from gateway.wires.base import BadField
from gateway.wires.openai_responses import OpenAIResponses
from tests.wires.streams import read, recorded, state

WIRE = OpenAIResponses()
ASK = Ask(WIRE.name, "m", {"stream": True}, 0, 0, None, 1, True, True, "")
HELLO = 'Hello! Grüße\n"type":"response.completed"\t🍷 "delta":"" and so on and on.'

TRANSCRIPTS = {
    "responses_text": (Usage(36, 8, 0, 13, is_complete=True), 12, HELLO, True, False),
    "responses_text_crlf": (Usage(36, 8, 0, 13, is_complete=True), 12, HELLO, True, False),
    "responses_text_cr": (Usage(36, 8, 0, 13, is_complete=True), 12, HELLO, True, False),
    "responses_reasoning_tools": (
        Usage(80, 64, 0, 97, is_complete=True),
        15,
        '**Planning**\n\nI need the weather.Then the time.get_weather{"city":"Reykjavík"}get_time{}',
        True,
        False,
    ),
    "responses_incomplete": (Usage(12, 0, 0, 16, is_complete=True), 3, "One two three", True, False),
    "responses_vllm": (Usage(21, 16, 0, 9, is_complete=True), 7, "The user greetsBonjour à toi", True, False),
    "responses_unnamed": (Usage(5, 0, 0, 17, is_complete=True), 17, "aaab c" + " d" * 12, True, False),
    "responses_error": (None, 1, "Once", False, True),
    "responses_failed": (None, 0, "", True, False),
    "responses_tools": (
        Usage(300, 0, 0, 40, is_complete=True),
        11,
        'boxwood rodsprint(6*7){"a":1}shoutHEY YOUI can\'t help',
        True,
        False,
    ),
}


def every_cut(stream):
    return [[stream[:at], stream[at:]] for at in range(len(stream))]


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_a_recorded_stream_is_relayed_untouched_and_read_alike_however_it_is_cut(name):
    """At every split point, and byte by byte: the same bytes, usage, events, content and flags."""
    usage, events, content, is_finished, failed = TRANSCRIPTS[name]
    stream = recorded(name)
    for blocks in (*every_cut(stream), [stream[i : i + 1] for i in range(len(stream))]):
        follower = WIRE.reader(ASK)
        assert read(follower, blocks) == stream
        assert state(follower) == (usage, events, is_finished, failed)
    follower = WIRE.reader(ASK)
    read(follower, [stream])
    size = len(content.encode())
    assert abs(follower.content_bytes - size) <= max(0.05 * size, events / 2)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(TRANSCRIPTS)), st.data())
def test_whatever_comes_nothing_is_raised_and_nothing_is_changed(name, data):
    """Bytes changed, lost or thrown in anywhere are the client's to judge."""
    stream = bytearray(recorded(name))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(stream)))
        junk = st.sampled_from(
            [b"", b"\n\n", b"\r", b"{", b"null", b'"type":', b"\xff", b"[[[[", b"-1", b'"item":3,', b'"delta":3,']
        )
        stream[at : at + data.draw(st.integers(0, 9))] = data.draw(st.one_of(junk, st.binary(max_size=9)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
    blocks = [bytes(stream[a:b]) for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read(WIRE.reader(ASK), blocks) == stream


def test_most_events_are_not_decoded(monkeypatch):
    """Events that come together and only carry text are counted by their marks, in every style that servers write."""
    for name in ("responses_text", "responses_vllm", "responses_unnamed"):
        delta = [piece + b"\n\n" for piece in recorded(name).split(b"\n\n") if b'text.delta"' in piece][-1]
        follower = WIRE.reader(ASK)
        for _ in range(10):
            follower.feed(delta)
        decoded = []
        monkeypatch.setattr(type(follower), "_event", lambda _self, piece, seen=decoded: (seen.append(piece), piece)[1])
        assert follower.feed(delta * 20) == delta * 20
        assert (follower.events, decoded) == (30, [])
        monkeypatch.undo()


def test_the_answers_id_is_known_from_its_first_event():
    """Whoever keeps who may ask for an answer again learns its id before the client does."""
    first = recorded("responses_text").partition(b"\n\n")[0] + b"\n\n"
    follower = WIRE.reader(ASK)
    assert follower.answer_id == ""
    follower.feed(first)
    assert follower.answer_id == "resp_text1"


def test_a_stream_without_its_last_event_is_unfinished():
    """A connection that breaks off in mid-answer leaves no usage, and what was delivered is what is counted."""
    follower = WIRE.reader(ASK)
    read(follower, [recorded("responses_text").partition(b"event: response.completed")[0]])
    assert state(follower) == (None, 12, False, False)
    assert abs(follower.content_bytes - len(HELLO.encode())) <= 4


def test_both_shapes_of_an_error_event_are_failures():
    """The vendor writes its error's fields beside the type or below `error`; a name alone or `error` alone is one too."""
    for event in (
        b'event: error\ndata: {"type":"error","sequence_number":2,"error":{"code":"x","message":"m"}}\n\n',
        b'data: {"type":"error","code":null,"message":"m","param":null,"sequence_number":3}\n\n',
        b"event: error\ndata: overloaded\n\n",
        b'data: {"error":{"message":"m"}}\n\n',
    ):
        follower = WIRE.reader(ASK)
        assert follower.feed(event) == event
        assert (follower.failed, follower.is_finished) == (True, False)


def test_an_item_that_came_without_deltas_is_counted_by_its_end():
    """Some servers send a call's arguments only with its finished item: they are delivered all the same."""
    item = {"type": "function_call", "id": "fc", "call_id": "c", "name": "find", "arguments": '{"q":1}', "status": "completed"}
    added = {"type": "response.output_item.added", "output_index": 0, "item": {**item, "arguments": ""}}
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    follower = WIRE.reader(ASK)
    follower.feed(b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in (added, done)))
    assert (follower.events, follower.content_bytes) == (2, len('find{"q":1}'))


def judged(**more):
    return WIRE.judge({"model": "m", "input": "hi", **more})


def test_what_is_judged():
    """The bound, the stream, the end user; what else is there is the upstream's to judge."""
    plain = judged()
    assert (plain.model, plain.output_tokens_max, plain.choices, plain.is_stream, plain.end_user) == ("m", None, 1, False, "")
    assert plain.wants_usage is True
    full = judged(
        stream=True, max_output_tokens=50, user="u", prompt_cache_key="k", stream_options={"include_obfuscation": False},
        store=False, background=None, previous_response_id="resp_1", conversation={"id": "conv_1"}, anything=[1],
    )  # fmt: skip
    assert (full.output_tokens_max, full.is_stream, full.end_user) == (50, True, "u")
    assert judged(max_output_tokens=10, max_tokens=900, n=3).output_tokens_max == 900
    assert judged(n=3, best_of=5).choices == 5
    assert judged(safety_identifier="s", input=None).end_user == "s"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"input": 5}, "input"),
        ({"input": ["hi"]}, "input[0]"),
        ({"stream": "yes"}, "stream"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": True}, "max_output_tokens"),
        ({"max_output_tokens": "5"}, "max_output_tokens"),
        ({"max_tokens": 5.0}, "max_tokens"),
        ({"stream_options": []}, "stream_options"),
        ({"stream_options": {"include_obfuscation": 1}}, "stream_options.include_obfuscation"),
        ({"background": 1}, "background"),
        ({"store": "no"}, "store"),
        ({"previous_response_id": 1}, "previous_response_id"),
        ({"conversation": 1}, "conversation"),
        ({"conversation": {}}, "conversation.id"),
        ({"user": 1}, "user"),
        ({"n": 0}, "n"),
    ],
)
def test_what_no_vendor_would_take_is_named(change, param):
    """Each error names its field, and quotes nothing."""
    with pytest.raises(BadField) as caught:
        judged(**change)
    assert caught.value.param == param
    assert caught.value.message.startswith(param)


def test_a_clamp_lowers_every_alias_and_sets_the_vendors_own():
    """The same object where nothing had to change; the caller's body is never touched."""
    body = {"model": "m", "max_output_tokens": 100, "max_tokens": 500, "min_tokens": 90}
    assert WIRE.clamp(body, 80) == {"model": "m", "max_output_tokens": 80, "max_tokens": 80, "min_tokens": 80}
    assert body["max_output_tokens"] == 100
    assert WIRE.clamp({"model": "m"}, 80) == {"model": "m", "max_output_tokens": 80}
    assert WIRE.clamp({"max_output_tokens": None}, 80) == {"max_output_tokens": 80}
    small = {"max_output_tokens": 80}
    assert WIRE.clamp(small, 80) is small
    assert WIRE.rewrite(ASK) is ASK.body


PNG = base64.b64encode(
    b"\x89PNG\r\n\x1a\n" + bytes(4) + b"IHDR" + (1024).to_bytes(4, "big") + (1024).to_bytes(4, "big") + bytes(900)
).decode()
DATA_URL = f"data:image/png;base64,{PNG}"


def said(**part):
    return {"role": "user", "content": [part]}


def shown(**part):
    return said(type="input_image", **part)


PAGE_TOKENS = 3000 + media.OPENAI_IMAGE_MAX
MEDIA = [
    (shown(image_url=DATA_URL, detail="auto"), len(PNG), 765),
    (shown(image_url=DATA_URL, detail="low"), len(PNG), 85),
    (shown(image_url=DATA_URL, detail="original"), len(PNG), 1024),
    (shown(image_url="https://x/y.png"), 0, media.OPENAI_IMAGE_MAX),
    (shown(file_id="f", detail="original"), 0, 10_000),
    ({"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": DATA_URL}}, len(PNG), 765),
    ({"type": "function_call_output", "output": [{"type": "input_image", "image_url": DATA_URL}]}, len(PNG), 765),
    ({"type": "image_generation_call", "result": PNG}, len(PNG), 765),
    (said(type="input_file", file_data="A" * 400), 400, PAGE_TOKENS),
    (said(type="input_file", file_url="https://x/y.pdf"), 0, 100 * PAGE_TOKENS),
    (said(type="input_audio", input_audio={"data": "A" * 4000, "format": "mp3"}), 4000, 15),
    (said(type="input_text", text=DATA_URL), 0, 0),
    ({"role": "user", "content": "hi"}, 0, 0),
    ({"type": [], "content": [{"type": []}, 5], "output": 5}, 0, 0),
]


@pytest.mark.parametrize(("item", "base64_bytes", "tokens"), MEDIA, ids=range(len(MEDIA)))
def test_media_cost_what_their_provider_says_and_not_their_base64(item, base64_bytes, tokens):
    """In messages, in what tools gave back, and in images made earlier."""
    found = judged(input=[item])
    assert (found.media_base64_bytes, found.media_tokens) == (base64_bytes, tokens)


def test_usage_of_whole_answers():
    """As the vendor reports it; nothing where it reports none, and incomplete where a count is missing."""
    details = {"cached_tokens": 4, "cache_write_tokens": 3}
    usage = {"input_tokens": 9, "input_tokens_details": details, "output_tokens": 5, "total_tokens": 14}
    assert WIRE.usage(json.dumps({"usage": usage}).encode()) == Usage(9, 4, 3, 5, is_complete=True)
    assert WIRE.usage(b'{"usage":{"input_tokens":9}}') == Usage(9, 0, 0, 0, is_complete=False)
    assert WIRE.usage(b'{"status":"queued","usage":null}') is None
    for odd in (b"", b"[]", b"nonsense", b"[" * 100_000, b'{"usage":{"input_tokens":true}}'):
        assert WIRE.usage(odd) is None


ODD = (
    "[" * 5000,
    '{"type":"response.completed","response":3}',
    '{"type":"response.completed","response":{"usage":[],"id":5}}',
    '{"type":"response.output_item.done","item":{"content":[3,{"text":5}],"action":{"commands":[1]},"summary":4}}',
    '{"type":"response.output_item.added","item":[]}',
    '{"type":"response.output_text.delta","delta":{}}',
    '{"type":[]}',
    '{"type":"response.x.delta","delta":"y"}',
)


@pytest.mark.parametrize("data", ODD, ids=range(len(ODD)))
def test_odd_data_raises_nothing(data):
    """JSON of the wrong shape is relayed, never a crash."""
    stream = f"event: x\ndata: {data}\n\n".encode() * 20
    follower = WIRE.reader(ASK)
    follower.stop_events = 1000
    assert read(follower, [stream]) == stream
    assert follower.failed is False
    assert b"response.incomplete" in follower.ending("length", Usage(1, 0, 0, 1, is_complete=False))
