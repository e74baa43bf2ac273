"""Texts of responses rewritten on their way: deltas, whatever repeats them, and whole answers tell the same."""

import json
from itertools import pairwise

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.values import Usage
from gateway.wires.sse import pieces
from tests.wires.streams import recorded
from tests.wires.test_wires_responses import TRANSCRIPTS
from tests.wires.test_wires_responses_cut import ASK, WHOLE, WIRE, answered, assert_joined, message, sdk, thought

TOLD = Usage(36, 8, 2, 5, is_complete=False)


class Mask:
    """Replaces a literal, or cuts before it; holds back what may be its beginning."""

    def __init__(self, literal, *, cuts):
        self._literal, self._cuts, self._held = literal, cuts, ""
        self.is_cut = False

    def feed(self, text):
        if self.is_cut:
            return ""
        text = self._held + text
        if self._cuts and self._literal in text:
            self.is_cut, self._held = True, ""
            return text.partition(self._literal)[0]
        out = []
        while self._literal in text:
            head, _, text = text.partition(self._literal)
            out += [head, "#"]
        held = next(n for n in range(len(self._literal) - 1, -1, -1) if text.endswith(self._literal[:n]))
        self._held = text[len(text) - held :]
        return "".join([*out, text[: len(text) - held]])

    def flush(self):
        held, self._held = self._held, ""
        return held

    def passes(self, text):
        return not self.is_cut and not self._held and not any(char in text for char in self._literal)


class Blank:
    is_cut = False

    def feed(self, _text):
        return ""

    flush = passes = lambda self, *_: ""


class Edits:
    def __init__(self, literal="", *, cuts=False, blanks=False, only=("text", "reasoning", "arguments")):
        self._literal, self._cuts, self._blanks, self._only = literal, cuts, blanks, only

    def text(self):
        return self._stage("text")

    def reasoning(self):
        return Blank() if self._blanks else self._stage("reasoning")

    def arguments(self):
        return self._stage("arguments")

    def whole(self, stage, text):
        return stage.feed(text) + stage.flush()

    def _stage(self, kind):
        return Mask(self._literal, cuts=self._cuts) if self._literal and kind in self._only else None


def run(stream, edits, *, cuts=(), stop_events=None):
    """What a client gets, with the reader and the editor wired up as the relay does."""
    follower, editor = WIRE.reader(ASK), WIRE.editor(ASK, edits)
    if stop_events is not None:
        follower.stop_events = stop_events
    out = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        out.append(editor.feed(follower.feed(stream[begin:end])))
        if editor.is_cut or follower.is_cut:
            out.append(editor.feed(follower.ending("filter" if editor.is_cut else "length", TOLD)))
            break
    else:
        out += [editor.feed(follower.flush())]
    out.append(editor.flush())
    return b"".join(out)


def events_of(stream):
    return [event for piece in pieces(stream) if (event := loaded(piece)) is not None]


def loaded(piece):
    data = piece.partition(b"data: ")[2].strip()
    return orjson.loads(data) if data.startswith(b"{") else None


def channels(stream):
    """Each channel's text: its deltas, joined."""
    said = {}
    for event in events_of(stream):
        if event["type"].endswith(".delta"):
            part = event.get("content_index", event.get("summary_index", -1))
            said.setdefault((event["output_index"], part), []).append(event["delta"])
    return {channel: "".join(texts) for channel, texts in said.items()}


def repeated(stream):
    """The same texts as the `.done` events repeat them."""
    said = {}
    for event in events_of(stream):
        if event["type"].endswith(".done"):
            part = event.get("content_index", event.get("summary_index", -1))
            for name in ("text", "refusal", "arguments", "input", "code"):
                if name in event:
                    said[event["output_index"], part] = event[name]
    return said


TEXTS = {name: channels(recorded(name)) for name in WHOLE}


@st.composite
def literals(draw):
    """(a recorded stream, a piece of one of its texts), and where to cut the stream into blocks."""
    name = draw(st.sampled_from(WHOLE))
    text = draw(st.sampled_from(sorted(text for text in TEXTS[name].values() if text)))
    begin = draw(st.integers(0, len(text) - 1))
    literal = text[begin : begin + draw(st.integers(1, 9))]
    cuts = sorted(draw(st.lists(st.integers(0, len(recorded(name))), max_size=5)))
    return name, literal, cuts


def assert_rising(stream):
    numbers = [event["sequence_number"] for event in events_of(stream)]
    assert all(a < b for a, b in pairwise(numbers))


@pytest.mark.parametrize("name", TRANSCRIPTS)
@pytest.mark.parametrize("edits", [Edits(), Edits("\x00 never said")], ids=["nothing to do", "no match"])
def test_what_needs_no_change_is_the_very_same_bytes(name, edits):
    """However the stream is cut: every kind of event, in every style."""
    stream = recorded(name)
    assert run(stream, edits) == stream
    for at in range(0, len(stream), 11):
        assert run(stream, edits, cuts=[at]) == stream
    editor = WIRE.editor(ASK, edits)
    assert editor.feed(stream) is stream


@settings(max_examples=150, deadline=None)
@given(literals())
def test_what_is_masked_is_masked_wherever_it_is_said(drawn):
    """Across borders of deltas; in what the deltas join to, in what repeats them, and however the stream was cut."""
    name, literal, cuts = drawn
    stream = recorded(name)
    expected = {channel: text.replace(literal, "#") for channel, text in TEXTS[name].items()}
    made = run(stream, Edits(literal))
    assert {channel: text for channel, text in channels(made).items() if text} == {c: t for c, t in expected.items() if t}
    assert repeated(made) == expected
    assert_rising(made)
    assert run(stream, Edits(literal), cuts=cuts) == made
    events = sdk(made)
    assert_joined(events)


@settings(max_examples=150, deadline=None)
@given(literals())
def test_a_filter_that_cuts_ends_the_answer_before_its_match(drawn):
    """The SDK reads it to its end; what was said is what stood before the match, and the reason is told."""
    name, literal, cuts = drawn
    made = run(recorded(name), Edits(literal, cuts=True), cuts=cuts)
    said, is_over = {}, name == "responses_tools" and literal in "boxwood rods"  # what its first item searched for
    for channel, text in TEXTS[name].items():
        if not is_over:
            said[channel], is_over = text.partition(literal)[0], literal in text
    assert {channel: text for channel, text in channels(made).items() if text} == {c: t for c, t in said.items() if t}
    assert_rising(made)
    events = sdk(made)
    assert_joined(events)
    last = events[-1]
    assert (last.type, last.response.incomplete_details.reason) == ("response.incomplete", "content_filter")
    assert sum(event.type in ("response.completed", "response.incomplete") for event in events) == 1
    assert last.response.usage is not None


@settings(max_examples=150, deadline=None)
@given(literals(), st.data())
def test_a_stream_cut_at_its_length_is_masked_to_its_end(drawn, data):
    """What was held back leaves before its channel is closed, and the ending repeats what was masked."""
    name, literal, cuts = drawn
    stop_events = data.draw(st.integers(0, TRANSCRIPTS[name][1] - 1))
    made = run(recorded(name), Edits(literal), stop_events=stop_events)
    assert_rising(made)
    assert run(recorded(name), Edits(literal), stop_events=stop_events, cuts=cuts) == made
    events = sdk(made)
    assert_joined(events)
    assert events[-1].response.incomplete_details.reason == "max_output_tokens"


@settings(max_examples=100, deadline=None)
@given(literals(), st.data())
def test_a_stream_cut_by_both_has_one_ending(drawn, data):
    """A match that is found only while the stream is ended for its length ends it as a filter does."""
    name, literal, _ = drawn
    stop_events = data.draw(st.integers(0, TRANSCRIPTS[name][1] - 1))
    made = run(recorded(name), Edits(literal, cuts=True), stop_events=stop_events)
    events = sdk(made)
    assert_joined(events)
    assert sum(event.type == "response.incomplete" for event in events) == 1
    assert literal not in "".join(channels(made).values()) or len(TEXTS[name]) > 1


def test_blanked_reasoning_keeps_its_items_and_what_is_encrypted():
    """No delta of it is left; the next turn still works, and everything else is as it was."""
    stream = recorded("responses_reasoning_tools")
    made = run(stream, Edits(blanks=True))
    assert not any("reasoning_summary_text.delta" in event["type"] for event in events_of(made))
    assert_rising(made)
    reasoning, *calls = sdk(made)[-1].response.output
    assert [part.text for part in reasoning.summary] == ["", ""]
    assert reasoning.encrypted_content == "gAAAAABo+/x9==encrypted"
    assert calls == sdk(stream)[-1].response.output[1:]
    raw = sdk(run(recorded("responses_vllm"), Edits(blanks=True)))[-1].response.output
    assert (raw[0].content[0].text, raw[1].content[0].text) == ("", "Bonjour à toi")


def test_held_back_text_takes_a_number_of_its_own():
    """With no gap to take one from, it moves the numbers after it."""
    stream = recorded("responses_text")
    made = events_of(run(stream, Edits("on.x")))  # every "o" at a delta's end is held back, and the last "on."
    texts = [event["delta"] for event in made if event["type"].endswith("text.delta")]
    assert "".join(texts) == TEXTS["responses_text"][0, 0]
    assert texts[-2:] == [" ", "on."] or texts[-1].endswith("on.")
    numbers = [event["sequence_number"] for event in made]
    assert numbers == sorted(set(numbers))


def test_what_spells_a_changed_text_is_taken_off():
    """Token by token, `logprobs` would tell what was masked."""
    spelled = [{"token": "secret", "logprob": -1.0, "bytes": [], "top_logprobs": []}]
    part = {"type": "output_text", "text": "a secret", "annotations": [], "logprobs": spelled}
    at = {"item_id": "m", "output_index": 0, "content_index": 0}
    events = [
        {"type": "response.output_text.delta", "sequence_number": 0, **at, "delta": "a secret", "logprobs": spelled},
        {"type": "response.output_text.done", "sequence_number": 1, **at, "text": "a secret", "logprobs": spelled},
        {"type": "response.content_part.done", "sequence_number": 2, **at, "part": part},
        {"type": "response.completed", "sequence_number": 3, "response": {"output": [{"type": "message", "content": [part]}]}},
    ]
    stream = b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in events)
    made = run(stream, Edits("secret"))
    assert made.count(b'"logprobs":[]') == 4
    assert b"secret" not in made


def test_a_stream_that_dies_gives_what_was_held_back():
    """`flush` leaves nothing behind, once."""
    stream = recorded("responses_text")
    head = stream[: stream.index(b"event: response.output_text.done")]
    made = run(head, Edits("on. and more"))
    assert "".join(channels(made).values()) == "".join(channels(head).values())
    editor = WIRE.editor(ASK, Edits("on. and more"))
    editor.feed(head)
    assert editor.flush() != b""
    assert editor.flush() == b""


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(TRANSCRIPTS)), st.data())
def test_whatever_comes_the_editor_raises_nothing(name, data):
    """Bytes changed, lost or thrown in anywhere, with filters on, and an ending after it."""
    stream = bytearray(recorded(name))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(stream)))
        junk = st.sampled_from(
            [b"", b"\n\n", b"\r", b"{", b"null", b"[[[[", b"-1", b'"item":3,', b'"output_index":"a",', b'"delta":3,']
        )
        stream[at : at + data.draw(st.integers(0, 9))] = data.draw(st.one_of(junk, st.binary(max_size=9)))
    literal = data.draw(st.sampled_from(["e", "on", "the", "{", "call"]))
    run(
        bytes(stream),
        Edits(literal, cuts=data.draw(st.booleans()), blanks=True),
        stop_events=data.draw(st.sampled_from([None, 2])),
    )


def test_a_whole_answer_is_edited_as_its_stream_would_be():
    """Every text of every item; untouched bytes where nothing matched."""
    call = {"type": "function_call", "id": "fc", "call_id": "c", "name": "find", "arguments": '{"q":"secret"}'}
    shell = {
        "type": "shell_call",
        "id": "sh",
        "call_id": "c",
        "action": {"commands": ["cat secret", "ls"]},
        "status": "completed",
    }
    answer = answered([thought("a secret"), message("my secret text"), call, shell], 9)
    made, is_cut = WIRE.edit(answer, Edits("secret"))
    assert is_cut is False
    assert json.loads(made) == json.loads(answer.replace(b"secret", b"#"))
    for same in (answered([message("hi")], 1), b"", b"[]", b"nonsense", b'{"output":[3,{"content":[5]}]}'):
        assert WIRE.edit(same, Edits("secret"))[0] is same
    made, _ = WIRE.edit(answer, Edits(blanks=True))
    assert json.loads(made)["output"][0] == thought("")


def test_a_whole_answer_is_cut_before_its_match():
    """What came after it is not there, and the answer says why."""
    answer = answered([thought("well"), message("my secret text"), message("more")], 9)
    made, is_cut = WIRE.edit(answer, Edits("secret", cuts=True))
    value = json.loads(made)
    assert is_cut is True
    assert (value["status"], value["incomplete_details"]) == ("incomplete", {"reason": "content_filter"})
    assert [item["type"] for item in value["output"]] == ["reasoning", "message"]
    assert (value["output"][1]["content"][0]["text"], value["output"][1]["status"]) == ("my ", "incomplete")
