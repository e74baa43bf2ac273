"""What readers relay and count: the same however the stream was cut, byte for byte where the client asked for usage."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.values import Usage
from gateway.wires import WIRES
from gateway.wires.follow import EXACT_EVENTS
from gateway.wires.plain import COUNTS
from gateway.wires.sse import Decoder, EventTooLong
from tests.wires.streams import CHAT, MESSAGES, TRANSCRIPTS, ask, read, reader, recorded, state
from tests.wires.test_wires_sse import cut

BOTH = [(name, wants_usage) for name in TRANSCRIPTS for wants_usage in (True, False)]


def decoded(stream):
    """The events of a stream as (name, JSON or text)."""
    decoder = Decoder()
    events = decoder.decode(stream) + decoder.flush()
    return [(name, json.loads(data) if data.startswith(b"{") else data) for name, data in events]


@pytest.mark.parametrize(("name", "wants_usage"), BOTH)
def test_every_split_point_is_the_same(name, wants_usage):
    """Bytes relayed, usage, counters and flags are right, and equal for the stream cut in two at every byte."""
    stream, expected = recorded(name), TRANSCRIPTS[name]
    whole = reader(name, wants_usage=wants_usage)
    relayed = read(whole, [stream])
    content_bytes = len(expected.content.encode())
    assert state(whole) == (expected.usage, expected.events, expected.is_finished, expected.failed)
    assert whole.content_bytes == content_bytes
    for point in range(1, len(stream)):
        halves = reader(name, wants_usage=wants_usage)
        assert read(halves, [stream[:point], stream[point:]]) == relayed
        assert (*state(halves), halves.content_bytes) == (*state(whole), content_bytes)


@pytest.mark.parametrize(("name", "wants_usage"), BOTH)
def test_byte_by_byte_is_the_same(name, wants_usage):
    """The worst of all cuts changes nothing, and whole events come out at once."""
    stream = recorded(name)
    single = reader(name, wants_usage=wants_usage)
    blocks = [single.feed(stream[i : i + 1]) for i in range(len(stream))]
    assert b"".join(blocks) + single.flush() == read(reader(name, wants_usage=wants_usage), [stream])
    assert all(block.endswith((b"\n\n", b"\n\r\n", b"\r\r", b"\n\r")) for block in blocks if block)


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_what_the_client_asked_for_passes_untouched(name):
    """With usage asked for, and on messages always, what is relayed is what came."""
    stream = recorded(name)
    assert read(reader(name, wants_usage=True), [stream]) == stream
    if TRANSCRIPTS[name].wire == MESSAGES:
        assert read(reader(name, wants_usage=False), [stream]) == stream


@pytest.mark.parametrize("name", [name for name, expected in TRANSCRIPTS.items() if expected.wire == CHAT])
def test_hidden_usage_is_hidden_and_nothing_else(name):
    """Of what the gateway alone asked for nothing remains; all other events keep all else that they said."""
    expected = []
    for event, chunk in decoded(recorded(name)):
        if isinstance(chunk, dict):
            usage = chunk.pop("usage", None)
            if usage is not None and not chunk["choices"]:
                continue
            for choice in chunk.get("choices", ()):
                choice["delta"].pop("usage", None)
        expected.append((event, chunk))
    relayed = read(reader(name, wants_usage=False), [recorded(name)])
    assert decoded(relayed) == expected
    assert b'"prompt_tokens"' not in relayed


def test_a_block_of_whole_events_is_relayed_itself():
    """Past the first events of a stream, a block in which nothing is hidden or held back is not copied."""
    for name in ("chat_plain", "messages_text"):
        follower = reader(name, wants_usage=True)
        event = next(e for e in recorded(name).split(b"\n\n") if b"Hello" in e) + b"\n\n"
        for _ in range(EXACT_EVENTS):
            assert follower.feed(event) == event
        many = event * 50
        assert follower.feed(event) is event
        assert follower.feed(many) is many
        assert follower.events == EXACT_EVENTS + 51
        assert follower.content_bytes == 5 * follower.events


def chunk(delta, finish=None, **more):
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}


def events(chunks, end="\n\n", **how):
    return [f"data: {json.dumps(chunk, **how)}{end}".encode() for chunk in chunks] + [f"data: [DONE]{end}".encode()]


COMPACT = {"separators": (",", ":")}
USAGE = {"prompt_tokens": 20, "completion_tokens": 300, "prompt_tokens_details": None}
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@st.composite
def long_chats(draw):
    """A chat longer than what is decoded, in one of the ways in which servers write."""
    words = draw(st.lists(texts, min_size=20, max_size=90))
    null = draw(st.sampled_from([{}, {"usage": None}]))
    riding = draw(st.booleans())
    key = draw(st.sampled_from(["content", "reasoning_content"]))
    chunks = [chunk({"role": "assistant", "content": ""}, **null), *(chunk({key: word}, **null) for word in words)]
    chunks.append(chunk({}, "stop", **({"usage": USAGE} if riding else null)))
    if not riding:
        chunks.append({**chunk({}), "choices": [], "usage": USAGE})
    how = draw(st.sampled_from([COMPACT, {}, {**COMPACT, "ensure_ascii": False}]))
    parts = events(chunks, draw(st.sampled_from(["\n\n", "\r\n\r\n"])), **how)
    for at in draw(st.lists(st.integers(0, len(parts) - 1), max_size=2)):
        parts.insert(at, b": keep-alive\n\n")
    return words, b"".join(parts)


@settings(max_examples=80, deadline=None)
@given(long_chats(), st.lists(st.integers(0, 100_000), max_size=12), st.booleans())
def test_long_chats_are_counted_and_hidden(chat, points, wants_usage):
    """Estimated events are counted to the last one, and every cut relays the same bytes."""
    words, stream = chat
    body = {"stream": True}
    whole, pieces = (WIRES[CHAT].reader(ask(CHAT, wants_usage=wants_usage, body=body)) for _ in range(2))
    relayed = read(whole, [stream])
    assert read(pieces, cut(stream, points)) == relayed
    assert (relayed == stream) or not wants_usage
    assert wants_usage or b'"completion_tokens"' not in relayed
    assert state(whole) == state(pieces) == (Usage(20, 0, 0, 300, is_complete=True), len(words), True, False)


@st.composite
def long_messages(draw):
    """Messages of several blocks of several kinds, with pings in between."""
    kinds = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
    count, parts = 0, []

    def event(name, **fields):
        parts.append(f"event: {name}\ndata: {json.dumps({'type': name, **fields}, separators=(',', ':'))}\n\n".encode())

    event("message_start", message={"usage": {"input_tokens": 9, "output_tokens": 3}})
    for index in range(draw(st.integers(1, 4))):
        event("content_block_start", index=index, content_block={"type": "text", "text": ""})
        kind = draw(st.sampled_from(sorted(kinds)))
        for word in draw(st.lists(texts, max_size=40)):
            event("content_block_delta", index=index, delta={"type": kind, kinds[kind]: word})
            count += 1
            if word < " ":
                event("ping")
        if kind == "thinking_delta":
            event("content_block_delta", index=index, delta={"type": "signature_delta", "signature": "Eq" * 60})
        event("content_block_stop", index=index)
    event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 77})
    event("message_stop")
    return count, b"".join(parts)


@settings(max_examples=60, deadline=None)
@given(long_messages(), st.lists(st.integers(0, 100_000), max_size=12))
def test_long_messages_are_counted(messages, points):
    """Pings, signatures and the frames around blocks are no content; nothing is changed on the way."""
    count, stream = messages
    follower = WIRES[MESSAGES].reader(ask(MESSAGES, wants_usage=True))
    assert read(follower, cut(stream, points)) == stream
    assert state(follower) == (Usage(9, 0, 0, 77, is_complete=True), count, True, False)


@pytest.mark.parametrize("padding", [{}, {"obfuscation": True}])
@pytest.mark.parametrize("block_bytes", [150, 4096, 1 << 20])
def test_content_bytes_are_good_to_some_per_cent(padding, block_bytes):
    """The estimate holds over a change from reasoning to answering, over escapes, and over a vendor's padding."""
    words = ["a", " longer", ' "q"', " façade", "\n", " internationalisation"]
    chance = random.Random(7)
    said = chance.choices(words, k=1500)
    keys = ["reasoning_content"] * 700 + ["content"] * 800
    pads = [{"obfuscation": "x" * chance.randrange(12)} if padding else {} for _ in range(1500)]
    stream = b"".join(events([chunk({k: w}, **p) for k, w, p in zip(keys, said, pads)], **COMPACT))
    follower = WIRES[CHAT].reader(ask(CHAT, wants_usage=False))
    read(follower, [stream[i : i + block_bytes] for i in range(0, len(stream), block_bytes)])
    actual = sum(len(word.encode()) for word in said)
    assert follower.events == 1500
    assert abs(follower.content_bytes - actual) < 0.08 * actual


USAGES = [
    ("usage of no object", "twelve", None),
    ("usage that says nothing", {}, None),
    ("negative", {"prompt_tokens": -1, "completion_tokens": -5}, None),
    ("booleans", {"prompt_tokens": True, "completion_tokens": True}, None),
    ("huge", {"prompt_tokens": 10**15, "completion_tokens": 3}, Usage(0, 0, 0, 3, is_complete=False)),
    ("floats and strings", {"prompt_tokens": 5.0, "completion_tokens": "7"}, None),
    ("no input", {"completion_tokens": 7}, Usage(0, 0, 0, 7, is_complete=False)),
    ("no output", {"prompt_tokens": 7, "completion_tokens": None}, Usage(7, 0, 0, 0, is_complete=False)),
    (
        "more cached than there is",
        {"prompt_tokens": 7, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 9}},
        Usage(7, 7, 0, 1, is_complete=True),
    ),
    (
        "odd details",
        {"prompt_tokens": 7, "completion_tokens": 1, "prompt_tokens_details": [3]},
        Usage(7, 0, 0, 1, is_complete=True),
    ),
]


@pytest.mark.parametrize(("usage", "expected"), [case[1:] for case in USAGES], ids=[case[0] for case in USAGES])
def test_a_report_is_believed_field_by_field(usage, expected):
    """What cannot be a count is missing, and a count that is missing is never taken as final; streamed or not."""
    body = {**chunk({}), "choices": [], "usage": usage}
    follower = WIRES[CHAT].reader(ask(CHAT, wants_usage=True))
    read(follower, events([chunk({"content": "x"}), chunk({}, "stop"), body]))
    assert follower.usage == expected
    assert WIRES[CHAT].usage(json.dumps(body).encode()) == expected


def test_a_report_before_the_content_is_not_final():
    """A server that reports the input first, and then dies or says no more, has not reported the output."""
    first = {**chunk({}), "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 0}}
    follower = WIRES[CHAT].reader(ask(CHAT, wants_usage=True))
    read(follower, events([first, chunk({"content": "x"}), chunk({}, "stop")]))
    assert follower.usage == Usage(5, 0, 0, 0, is_complete=False)


def test_messages_without_their_delta_are_not_complete():
    """The output tokens of message_start are a beginning, even when message_stop follows."""
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}}
    stream = f'event: message_start\ndata: {json.dumps(start)}\n\nevent: message_stop\ndata: {{"type":"message_stop"}}\n\n'
    follower = WIRES[MESSAGES].reader(ask(MESSAGES, wants_usage=True))
    read(follower, [stream.encode()])
    assert state(follower) == (Usage(5, 0, 0, 1, is_complete=False), 0, True, False)


def test_usage_of_whole_messages():
    """The whole input is what was read, read from the cache, and written to it."""
    usage = {"input_tokens": 10, "cache_read_input_tokens": 200, "cache_creation_input_tokens": 30, "output_tokens": 4}
    answer = {"type": "message", "usage": usage}
    assert WIRES[MESSAGES].usage(json.dumps(answer).encode()) == Usage(240, 200, 30, 4, is_complete=True)
    no_model = ("openai.files",)  # an upload that no model reads takes no tokens, whatever is answered
    for wire in [wire for name, wire in WIRES.items() if name not in (*COUNTS, *no_model)]:
        for odd in (b"", b"[]", b"nonsense", b'{"usage":null}', b"[" * 100_000):
            assert wire.usage(odd) is None


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(TRANSCRIPTS)), st.booleans(), st.data())
def test_whatever_comes_nothing_is_raised(name, wants_usage, data):
    """Bytes changed, lost or thrown in anywhere are the client's to judge: they never raise, and pass where usage was asked."""
    stream = bytearray(recorded(name))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(stream)))
        junk = st.sampled_from([b"", b"\n\n", b"\r", b"{", b"null", b'"usage":', b"\xff", b"[[[[", b"-1", b'"choices":3,'])
        stream[at : at + data.draw(st.integers(0, 9))] = data.draw(st.one_of(junk, st.binary(max_size=9)))
    follower = reader(name, wants_usage=wants_usage)
    relayed = read(follower, cut(bytes(stream), data.draw(st.lists(st.integers(0, 10_000), max_size=4))))
    assert relayed == stream or not (wants_usage or TRANSCRIPTS[name].wire == MESSAGES)


ODD = (
    "[" * 5000,
    '{"usage":' + '{"a":' * 400 + "1" + "}" * 400 + ',"choices":[1]}',
    "NaN",
    '"x"',
    "[]",
    '{"choices":{"a":1}}',
    '{"choices":[null,3,{"delta":[]},{"delta":{"content":5,"tool_calls":[1,{"function":2}]}}],"usage":[]}',
    '{"type":"content_block_delta","delta":[]}',
    '{"type":"message_start","message":3}',
    '{"type":"message_delta"}',
    '{"type":[]}',
    '{"type":"message_delta","delta":3,"usage":"x"}',
    '{"type":"content_block_start","content_block":{"type":[],"text":3}}',
)


@pytest.mark.parametrize("wire", [CHAT, MESSAGES, "openai.completions", "openai.responses"])
@pytest.mark.parametrize("data", ODD, ids=range(len(ODD)))
def test_odd_data_raises_nothing(wire, data):
    """JSON of the wrong shape, or too deep to be written again, is relayed or dropped, never a crash."""
    follower = WIRES[wire].reader(ask(wire, wants_usage=False))
    read(follower, [f"event: x\ndata: {data}\n\n".encode()] * 20)
    assert follower.failed is False


def test_an_endless_event_is_the_upstreams_fault():
    """Only this is raised, once the bound is passed."""
    follower = WIRES[CHAT].reader(ask(CHAT, wants_usage=True))
    blocks = [b"data: " + b"x" * 65_536] * 20
    with pytest.raises(EventTooLong):
        read(follower, blocks)
