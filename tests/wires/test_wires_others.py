"""The wires without a text of a model's: moderations, speech, images, token counts and batches."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo import others
from gateway.values import Ask, Extent, Usage
from gateway.wires import FAMILIES, WIRES
from gateway.wires.anthropic_batches import REQUESTS_MAX, asked_tokens, moved
from gateway.wires.base import BadField, Judged
from gateway.wires.openai_images import EVENT_BYTES_MAX, OUTPUT_TOKENS_MAX
from gateway.wires.openai_speech import seconds
from gateway.wires.plain import COUNTED, COUNTS, counted
from gateway.wires.sse import EventTooLong
from tests.wires.streams import read
from tests.wires.test_wires_sse import cut

MODERATIONS, SPEECH, IMAGES = (WIRES[f"openai.{name}"] for name in ("moderations", "speech", "images"))
COUNT, RESPONSES_COUNT, BATCHES = WIRES["anthropic.count"], WIRES["openai.count"], WIRES["anthropic.batches"]
HI = [{"role": "user", "content": "hi"}]
PNG = {"type": "base64", "media_type": "image/png", "data": others.PNG}
IMAGE_URL = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{others.PNG}"}}


def judged(**more):
    return Judged("m", 0, 0, 0, 1, is_stream=False, wants_usage=False, end_user="")._replace(**more)


def image(**more):
    return {"model": "gpt-image-1", "prompt": "a rod", **more}


def images(tokens, many=1, **more):
    extent = Extent(images=many)
    return judged(model="gpt-image-1", output_tokens_max=tokens, choices=many, extent=extent)._replace(**more)


def speech(text="hi", **more):
    return {"model": "m", "voice": "ash", "input": text, **more}


def params(**more):
    return {"model": "m", "max_tokens": 9, "messages": HI, **more}


def batch(*each):
    return {"requests": [{"custom_id": str(index), "params": one} for index, one in enumerate(each)]}


GOOD = [
    (MODERATIONS, {"input": "hi"}, judged(model="omni-moderation-latest")),
    (MODERATIONS, {"model": "m", "input": ["hi", "ho"]}, judged()),
    (MODERATIONS, {"model": "m", "input": [{"type": "text", "text": "hi"}]}, judged()),
    (MODERATIONS, {"model": "m", "input": [IMAGE_URL]}, judged(media_base64_bytes=len(others.PNG), media_tokens=255)),
    (SPEECH, speech("x" * 15), judged(extent=Extent(audio_seconds=1))),
    (SPEECH, speech("x" * 16), judged(extent=Extent(audio_seconds=2))),
    (SPEECH, speech("x" * 15, speed=0.25), judged(extent=Extent(audio_seconds=4))),
    (SPEECH, speech("x" * 60, speed=4), judged(extent=Extent(audio_seconds=1))),
    (SPEECH, speech("", stream_format="sse", response_format="wav", voice={"id": 3}), judged(extent=Extent(audio_seconds=0))),
    (IMAGES, image(), images(OUTPUT_TOKENS_MAX)),
    (IMAGES, image(quality="low", size="1024x1024"), images(272)),
    (IMAGES, image(quality="medium", size="1536x1024", n=3), images(1568, 3)),
    (IMAGES, image(quality="high", size="1024x1536", n=None), images(6240)),
    (IMAGES, image(quality="low", size="auto"), images(OUTPUT_TOKENS_MAX)),
    (
        IMAGES,
        image(quality="low", size="1024x1024", stream=True, partial_images=2),
        images(472, is_stream=True, wants_usage=True),
    ),
    (IMAGES, image(quality="low", size="1024x1024", output_format="gif", frame_count=2), images(544)),
    (IMAGES, image(quality="low", size="1024x1024", output_format="gif"), images(9 * 272)),
    (IMAGES, image(model="other/gpt-image-1-mini", quality="low"), images(OUTPUT_TOKENS_MAX, model="other/gpt-image-1-mini")),
    (IMAGES, image(model="gpt-image-2", quality="low"), images(16_384, model="gpt-image-2")),
    (IMAGES, image(model="flux", n=2), images(0, 2, model="flux")),
    (IMAGES, image(user="u", safety_identifier="s"), images(OUTPUT_TOKENS_MAX, end_user="s")),
    (COUNT, {"model": "m", "messages": HI, "thinking": {"type": "adaptive"}}, judged(extent=COUNTED)),
    (
        COUNT,
        {"model": "m", "messages": [{"role": "user", "content": [{"type": "image", "source": PNG}]}]},
        judged(extent=COUNTED, media_base64_bytes=len(others.PNG), media_tokens=1),
    ),
    (RESPONSES_COUNT, {"model": "m", "input": "hi", "instructions": "be brief"}, judged(extent=COUNTED)),
    (RESPONSES_COUNT, {"input": "hi"}, judged(model="", extent=COUNTED)),
    (RESPONSES_COUNT, {"model": "m", "input": [{"role": "user", "content": "hi"}]}, judged(extent=COUNTED)),
    (BATCHES, batch(params()), judged(output_tokens_max=9, extent=Extent(requests=1))),
    (BATCHES, batch(params(), params(max_tokens=50)), judged(output_tokens_max=50, choices=2, extent=Extent(requests=2))),
]


@pytest.mark.parametrize(("wire", "body", "expected"), GOOD, ids=range(len(GOOD)))
def test_what_is_read(wire, body, expected):
    """What a request comes to, beside its text."""
    assert wire.judge(body) == expected


BAD = [
    *((MODERATIONS, {"input": value}, "input") for value in (None, 3, {}, [], ["a", {}], [3], [["a"]])),
    (MODERATIONS, {"input": "hi", "model": 3}, "model"),
    (MODERATIONS, {"input": "hi", "stream": True}, "stream"),
    *((SPEECH, speech(value), "input") for value in (None, 3, ["hi"])),
    *((SPEECH, speech(speed=value), "speed") for value in ("1", True, 0, 0.2, 4.1, -1, [])),
    *((SPEECH, speech(stream_format=value), "stream_format") for value in ("", "json", 3, [])),
    (SPEECH, {"input": "hi"}, "model"),
    *((IMAGES, image(prompt=value), "prompt") for value in (None, 3, ["a"])),
    *((IMAGES, image(n=value), "n") for value in (0, 11, "2", True)),
    *((IMAGES, image(partial_images=value), "partial_images") for value in (-1, 4, True)),
    *((IMAGES, image(frame_count=value), "frame_count") for value in (0, 17)),
    (IMAGES, image(size=3), "size"),
    (IMAGES, image(quality=[]), "quality"),
    (IMAGES, image(output_format={}), "output_format"),
    (IMAGES, image(stream="yes"), "stream"),
    (IMAGES, image(svg={"model": "another"}), "svg"),
    (IMAGES, {"prompt": "a rod"}, "model"),
    (COUNT, {"model": "m"}, "messages"),
    (COUNT, {"messages": HI}, "model"),
    (COUNT, {"model": "m", "messages": HI, "stream": True}, "stream"),
    (RESPONSES_COUNT, {"model": "", "input": "hi"}, "model"),
    (RESPONSES_COUNT, {"model": "m", "input": 3}, "input"),
    (RESPONSES_COUNT, {"model": "m", "input": "hi", "previous_response_id": "resp_1"}, "previous_response_id"),
    (RESPONSES_COUNT, {"model": "m", "input": "hi", "conversation": {"id": "conv_1"}}, "conversation"),
    (RESPONSES_COUNT, {"model": "m", "input": [HI[0], {"type": "item_reference", "id": "msg_1"}]}, "input[1]"),
    (RESPONSES_COUNT, {"model": "m", "input": [{"id": "msg_1"}]}, "input[0]"),
    *((BATCHES, {"requests": value}, "requests") for value in (None, {}, [], [{}] * (REQUESTS_MAX + 1))),
    *((BATCHES, {"requests": [value]}, "requests[0]") for value in (3, {}, {"params": []}, {"params": "hi"})),
    (BATCHES, batch(params(), params(), params(), params(max_tokens=None)), "requests[3].params.max_tokens"),
    (BATCHES, batch(params(messages=["hi"])), "requests[0].params.messages[0]"),
    (BATCHES, batch(params(thinking={"budget_tokens": "5"})), "requests[0].params.thinking.budget_tokens"),
    (BATCHES, batch(params(), params(model="n")), "requests[1].params.model"),
    (BATCHES, batch(params(), params(stream=True)), "requests[1].params.stream"),
]


@pytest.mark.parametrize(("wire", "body", "param"), BAD, ids=range(len(BAD)))
def test_what_is_refused(wire, body, param):
    """Each with its path, which the message begins with."""
    with pytest.raises(BadField) as caught:
        wire.judge(body)
    assert caught.value.param == param
    assert caught.value.message.startswith(f"{param}: ")


@pytest.mark.parametrize(
    "name", [name for name in WIRES if name.split(".")[1] not in ("chat", "completions", "responses", "messages")]
)
def test_nothing_is_changed(name):
    """Bodies and answers pass as they are; there is nothing to edit, to cut or to bound."""
    wire, body, answer = WIRES[name], {"model": "m"}, b'{"usage":{"output_tokens":99},"data":[]}'
    ask = Ask(name, "m", body, 0, 0, 0, 1, False, False, "")
    assert wire.family in FAMILIES
    assert wire.rewrite(ask) is body
    assert wire.edit(answer, None) == (answer, False)
    assert wire.shorten(answer, 1) is None
    editor = wire.editor(ask, None)
    assert (editor.feed(answer), editor.flush(), editor.is_cut) == (answer, b"", False)
    if name != "anthropic.batches":
        assert wire.clamp(body, 1) is body
    assert (wire.answers_bytes, wire.charges_quote) == (name == "openai.speech", name.endswith(".batches"))


def test_counts_are_charged_nothing():
    """And tell the estimator what they counted."""
    assert {name for name in WIRES if name.endswith(".count")} == COUNTS
    for name in COUNTS:
        assert WIRES[name].usage(b'{"input_tokens":14}') == Usage(0, 0, 0, 0, is_complete=True)
    assert counted(b'{"input_tokens":14}') == 14
    for odd in (b"", b"[]", b"{}", b'{"input_tokens":-1}', b'{"input_tokens":true}', b'{"input_tokens":"1"}', b"[" * 9999):
        assert counted(odd) is None


def test_speech_of_dense_scripts_takes_longer():
    """A digit is said as a word and a character as a syllable; typographic quotes and accents are nothing special."""
    assert seconds("x" * 150) == seconds("é’ẽ" * 50) == 10
    assert seconds("7" * 150) == seconds("字" * 150) == 40


def test_a_batch_is_clamped_request_by_request():
    """Those that are within stay the same objects; what they ask for together is the sum."""
    body = {**batch(params(), params(max_tokens=50), params(max_tokens=20)), "other": 1}
    assert asked_tokens(body) == 79
    assert BATCHES.clamp(body, 50) is body
    lowered = BATCHES.clamp(body, 10)
    assert [one["params"]["max_tokens"] for one in lowered["requests"]] == [9, 10, 10]
    assert lowered["requests"][0] is body["requests"][0]
    assert (lowered["other"], asked_tokens(body)) == (1, 79)


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=50), st.integers(1, 10_000))
def test_a_batch_never_asks_for_more_than_its_quote(bounds, limit):
    """With any limit a request: the quote is limit times choices, and the clamped bodies ask for no more together."""
    body = batch(*(params(max_tokens=bound) for bound in bounds))
    read = BATCHES.judge(body)
    assert asked_tokens(body) <= read.output_tokens_max * read.choices
    assert asked_tokens(BATCHES.clamp(body, limit)) <= limit * read.choices
    assert asked_tokens(BATCHES.clamp(body, limit)) == asked_tokens(body, limit)


def test_usage_of_whole_images():
    """Those of GPT Image models report it, after megabytes of base64; others do not."""
    answer = others.images({"n": 2}, 5).parts[0]
    assert IMAGES.usage(answer) == Usage(5, 0, 0, 544, is_complete=True)
    assert IMAGES.usage(b'{"created":1,"data":[{"url":"https://images.test/1.png"}]}') is None
    assert IMAGES.usage(b'{"usage":{"output_tokens":3}}') == Usage(0, 0, 0, 3, is_complete=False)


def stream(**more):
    return b"".join(others.images({"stream": True, **more}, 5).parts)


@given(st.lists(st.integers(1, 2000), max_size=5), st.integers(0, 2), st.integers(1, 2))
def test_streamed_images(points, partial, many):
    """Whole events pass, usage comes with each finished image, and what was delivered before counts."""
    whole = stream(partial_images=partial, n=many)
    reader = IMAGES.reader(None)
    assert read(reader, cut(whole, [point for point in points if point < len(whole)])) == whole
    assert reader.usage == Usage(5 * many, 0, 0, many * (272 + 100 * partial), is_complete=True)
    assert (reader.events, reader.is_finished, reader.failed) == (many * (partial + 1), True, False)


def test_a_streamed_image_that_breaks_off():
    """A partial image is no end, an error is none either, and [DONE] is one."""
    reader = IMAGES.reader(None)
    partial = others.images({"stream": True, "partial_images": 1}, 5).parts[0]
    assert reader.feed(partial) == partial
    assert (reader.usage, reader.events, reader.is_finished) == (None, 1, False)
    assert reader.content_bytes > len(others.PNG)
    assert reader.feed(error := b'event: error\ndata: {"type":"error","error":{"message":"no"}}\n\n') == error
    assert (reader.failed, reader.is_finished, reader.events) == (True, False, 1)
    assert reader.feed(b"data: [DONE]\n\n") == b"data: [DONE]\n\n"
    assert reader.is_finished
    assert (reader.resume(), reader.ending("length", Usage(0, 0, 0, 0, is_complete=False)), reader.is_cut) == (b"", b"", False)


def test_a_streamed_image_may_be_large():
    """An event of tens of megabytes is an image; one without an end is bounded."""
    event = b"data: " + json.dumps({"b64_json": "A" * (8 << 20), "type": "image_generation.completed"}).encode() + b"\n\n"
    reader = IMAGES.reader(None)
    blocks = [event[at : at + 65_536] for at in range(0, len(event), 65_536)]
    assert b"".join(map(reader.feed, blocks)) == event
    assert reader.is_finished
    block = b"A" * (1 << 20)
    assert b"".join(reader.feed(block) for _ in range(EVENT_BYTES_MAX >> 20)) == b""
    with pytest.raises(EventTooLong):
        reader.feed(block)


@pytest.mark.parametrize(
    ("answer", "url"),
    [
        (
            {"id": "b_1", "results_url": "https://models.test/v1/messages/batches/b_1/results"},
            "/v1/messages/batches/b_1/results",
        ),
        ({"id": "b_1", "results_url": None}, None),
        ({"id": 7, "results_url": 7}, 7),
    ],
)
def test_results_are_asked_for_here(answer, url):
    """A tenant's SDK follows the URL with the tenant's key: it must not lead to the model server."""
    assert moved(answer)["results_url"] == url
