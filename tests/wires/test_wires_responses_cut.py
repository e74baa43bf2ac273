"""Responses that the gateway ends itself, streamed and whole: the vendor's SDK reads every one of them."""

import importlib
import json

import openai
import orjson
import pytest

from gateway.values import Ask, Usage
from gateway.wires.openai_responses import OpenAIResponses
from gateway.wires.openai_responses_draft import COMPACT_BYTES
from gateway.wires.sse import pieces
from tests.wires.streams import recorded
from tests.wires.test_wires_responses import TRANSCRIPTS

httpx = importlib.import_module(
    next(kind.__module__ for kind in openai.DefaultHttpxClient.__mro__ if kind.__module__.startswith("httpx")).partition(".")[0]
)

WIRE = OpenAIResponses()
ASK = Ask(WIRE.name, "m", {"stream": True}, 0, 0, None, 1, True, True, "")
TOLD = Usage(36, 8, 2, 5, is_complete=False)
WHOLE = ("responses_text", "responses_reasoning_tools", "responses_vllm", "responses_tools", "responses_unnamed")


def sdk(stream):
    """What the SDK's stream helper makes of it: every event, each parsed and accumulated."""
    answer = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=stream)
    http = httpx.Client(transport=httpx.MockTransport(lambda _request: answer))
    with openai.OpenAI(api_key="k", base_url="http://gateway/v1", max_retries=0, http_client=http) as client:
        with client.responses.stream(model="m", input="hi") as events:
            return list(events)


def cut_after(name, stop_events, blocks=None):
    """(what was relayed, the ending) of a recorded stream whose bound is `stop_events`."""
    follower = WIRE.reader(ASK)
    follower.stop_events = stop_events
    relayed = b"".join(map(follower.feed, blocks or [recorded(name)]))
    assert follower.is_cut
    ending = follower.ending("length", TOLD)
    assert follower.is_finished
    return relayed, ending


@pytest.mark.parametrize("name", WHOLE)
def test_a_stream_cut_at_any_event_is_read_by_the_sdk_to_its_end(name):
    """It is incomplete by its length, its numbers rise by one, its items hold what their deltas said, and the usage is told."""
    for stop_events in range(TRANSCRIPTS[name][1]):
        relayed, ending = cut_after(name, stop_events)
        assert recorded(name).startswith(relayed)
        events = sdk(relayed + ending)
        numbers = [event.sequence_number for event in events]
        assert numbers == list(range(len(events)))
        last = events[-1]
        assert (last.type, last.response.status) == ("response.incomplete", "incomplete")
        assert last.response.incomplete_details.reason == "max_output_tokens"
        assert last.response.id == events[0].response.id
        usage = last.response.usage
        assert (usage.input_tokens, usage.input_tokens_details.cached_tokens) == (36, 8)
        assert (usage.output_tokens, usage.total_tokens) == (5, 41)
        assert_joined(events)


def assert_joined(events):
    """Every delta is in the last event's items, at its place, and nothing else is; all that was opened was closed."""
    said, opened = {}, set()
    for event in events:
        if event.type.endswith(".delta"):
            part = getattr(event, "content_index", getattr(event, "summary_index", None))
            said.setdefault(event.output_index, {}).setdefault((event.type.rpartition(".")[0], part), []).append(event.delta)
        elif event.type.endswith("item.added"):
            opened.add(event.output_index)
        elif event.type.endswith("item.done"):
            opened.remove(event.output_index)
            for (stem, part), texts in said.get(event.output_index, {}).items():
                assert text_of(event.item, stem, part) == "".join(texts)
    assert not opened
    done = [event.item for event in events if event.type == "response.output_item.done"]
    assert [told(item) for item in events[-1].response.output] == [told(item) for item in done]


def told(item):
    """An item without what the SDK adds to it."""
    without = json.dumps(item.to_dict()).replace(', "parsed": null', "").replace(', "parsed_arguments": null', "")
    return json.loads(without)


def text_of(item, stem, part):
    if "summary" in stem:
        return item.summary[part].text
    if part is not None:
        return getattr(item.content[part], "refusal" if "refusal" in stem else "text")
    return getattr(
        item, {"code_interpreter": "code", "custom_tool": "input"}.get(stem.split(".")[1].split("_call")[0], "arguments")
    )


def test_what_is_open_is_closed_as_the_vendor_closes_it():
    """The text, its part, its item, and then the answer."""
    _, ending = cut_after("responses_text", 2)
    said = [orjson.loads(piece.partition(b"data: ")[2]) for piece in pieces(ending)]
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": "Hello! Gr"}
    item = {"id": "msg_1", "type": "message", "status": "incomplete", "content": [part], "role": "assistant"}
    at = {"output_index": 0, "item_id": "msg_1", "content_index": 0}
    assert said[:3] == [
        {"type": "response.output_text.done", "sequence_number": 6, **at, "text": "Hello! Gr", "logprobs": []},
        {"type": "response.content_part.done", "sequence_number": 7, **at, "part": part},
        {"type": "response.output_item.done", "sequence_number": 8, "output_index": 0, "item": item},
    ]
    assert (said[3]["type"], said[3]["response"]["output"]) == ("response.incomplete", [item])
    assert said[3]["response"]["instructions"] == 'Say "response.completed".'
    assert all(
        piece.startswith(b"event: " + event["type"].encode() + b"\n") for piece, event in zip(pieces(ending), said, strict=True)
    )


def test_a_call_cut_in_its_middle_says_so_and_keeps_what_came_before():
    """Its arguments are no JSON any more, and its status tells why; the finished items before it stay as they were."""
    relayed, ending = cut_after("responses_reasoning_tools", 9)
    output = sdk(relayed + ending)[-1].response.output
    assert [item.type for item in output] == ["reasoning", "function_call"]
    assert (output[1].status, output[1].arguments) == ("incomplete", '{"city')
    assert output[0].encrypted_content == "gAAAAABo+/x9==encrypted"


def test_an_ending_does_not_depend_on_how_the_stream_was_cut_into_blocks():
    """Nor on how much of it was digested on the way."""
    stream = recorded("responses_text")
    expected = cut_after("responses_text", 5)
    for at in range(0, len(stream), 7):
        assert cut_after("responses_text", 5, [stream[:at], stream[at:]]) == expected
    assert cut_after("responses_text", 5, [stream[i : i + 1] for i in range(len(stream))]) == expected


def test_a_long_answer_is_kept_as_its_text():
    """Beyond some kilobytes what was relayed is kept as text alone: a tenth of what its events took."""
    stream = recorded("responses_text")
    delta = next(piece for piece in pieces(stream) if b"output_text.delta" in piece)
    head = stream[: stream.index(delta)]
    follower = WIRE.reader(ASK)
    follower.stop_events = 5_000
    relayed = [follower.feed(head), *(follower.feed(delta) for _ in range(6_000))]
    assert follower.is_cut
    assert sum(map(len, follower._draft._raw)) <= COMPACT_BYTES
    events = sdk(b"".join(relayed) + follower.ending("length", TOLD))
    assert events[-1].response.output[0].content[0].text == "Hello" * 5_000


def test_bounds_that_are_raised_let_the_stream_go_on_to_its_own_end():
    """What was held back leaves, and nothing of it is said twice."""
    stream = recorded("responses_tools")
    follower = WIRE.reader(ASK)
    follower.stop_events = 3
    relayed = follower.feed(stream)
    assert follower.is_cut
    follower.stop_events = 10_000
    assert relayed + follower.resume() == stream
    assert (follower.is_cut, follower.is_finished, follower.events) == (False, True, TRANSCRIPTS["responses_tools"][1])


def test_without_bounds_nothing_is_kept_and_the_end_stands_alone():
    """The stream of whom nobody can cut costs no memory; its ending still ends it, with numbers that go on rising."""
    stream = recorded("responses_text")
    follower = WIRE.reader(ASK)
    follower.feed(stream[: stream.index(b"event: response.output_text.done")])
    assert follower._draft is None
    (piece,) = pieces(follower.ending("filter", TOLD))
    event = orjson.loads(piece.partition(b"data: ")[2])
    assert (event["type"], event["response"]["id"]) == ("response.incomplete", "resp_text1")
    assert event["response"]["incomplete_details"] == {"reason": "content_filter"}
    assert event["sequence_number"] > 15


@pytest.mark.parametrize("depth", [300, 900])
def test_a_schema_that_is_nested_too_deeply_to_be_written_is_left_out(depth):
    """The upstream repeats the request's tools in its first event; a tenant may nest them as it likes."""
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    response = {"id": "resp_1", "object": "response", "output": [], "tools": []}
    created = {"type": "response.created", "sequence_number": 0, "response": response}
    item = {"id": "m", "type": "message", "content": []}
    added = {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": item}
    delta = {"type": "response.output_text.delta", "output_index": 0, "item_id": "m", "content_index": 0, "delta": "x"}
    follower = WIRE.reader(ASK)
    follower.stop_events = 1
    for event in (created, added, delta, delta):
        follower.feed(b"data: " + orjson.dumps(event).replace(b'"tools":[]', b'"tools":[' + deep + b"]") + b"\n\n")
    last = list(pieces(follower.ending("length", TOLD)))[-1]
    response = orjson.loads(last.partition(b"data: ")[2])["response"]
    assert (response["id"], response["output"][0]["content"][0]["text"]) == ("resp_1", "x")


def answered(items, output_tokens, reasoning_tokens=0):
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning_tokens},
        "total_tokens": 9 + output_tokens,
    }
    answer = {"id": "resp_1", "object": "response", "status": "completed", "incomplete_details": None, "output": items}
    return json.dumps({**answer, "usage": usage}).encode()


def message(text):
    return {
        "type": "message",
        "id": "msg",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text}],
    }


def thought(text):
    return {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": text}], "encrypted_content": "c2+/="}


CALL = {"type": "function_call", "id": "fc", "call_id": "c", "name": "find", "arguments": '{"q": 1}', "status": "completed"}


def shortened(answer, limit):
    made = WIRE.shorten(answer, limit)
    assert made is not None
    value = orjson.loads(made[0])
    assert (value["status"], value["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert (value["usage"]["output_tokens"], value["usage"]["total_tokens"]) == (limit, 9 + limit)
    assert made[1] == WIRE.usage(made[0]) == Usage(9, 4, 0, limit, is_complete=True)
    return value


def test_a_whole_answer_that_is_too_long_is_cut_at_its_token():
    """Where words are tokens, at the very word; what was begun after it is not there at all."""
    value = shortened(answered([message("The gauger came at noon"), CALL], 7), 3)
    assert [item["status"] for item in value["output"]] == ["incomplete"]
    assert value["output"][0]["content"][0]["text"] == "The gauger came"


def test_reasoning_uses_up_its_tokens_first():
    """The limit may fall into it, into what follows, or between the two; what is encrypted stays as it is."""
    answer = answered([thought("let me see"), message("It is noon now.")], 7, 3)
    value = shortened(answer, 5)
    assert value["output"][0] == thought("let me see")
    assert value["output"][1]["content"][0]["text"] == "It is"
    value = shortened(answer, 3)
    assert value["output"] == [thought("let me see")]
    value = shortened(answer, 2)
    assert value["output"] == [{**thought("let me"), "status": "incomplete"}]
    assert value["usage"]["output_tokens_details"] == {"reasoning_tokens": 2}
    value = shortened(answered([thought(""), message("It is noon now.")], 104, 100), 50)
    assert value["output"] == [thought("")]


def test_what_is_short_enough_or_counts_nothing_is_not_touched():
    """None: the answer stands."""
    assert WIRE.shorten(answered([message("hi")], 3), 3) is None
    assert WIRE.shorten(b'{"output":[]}', 1) is None
    for odd in (b"", b"[]", b"nonsense", b'{"usage":{"input_tokens":3}}'):
        assert WIRE.shorten(odd, 1) is None
    assert WIRE.shorten(b'{"output":5,"usage":{"input_tokens":3,"output_tokens":9}}', 1) is not None
    assert WIRE.shorten(b'{"output":[1,[],{"content":[2]}],"usage":{"input_tokens":3,"output_tokens":9}}', 1) is not None
