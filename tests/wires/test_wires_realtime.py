"""Realtime events as the gateway reads and writes them: judged, measured, and never a reason to fail."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refusal
from gateway.values import Limit, Usage
from gateway.wires import openai_realtime as wire
from gateway.wires.base import BadField
from gateway.wires.openai_realtime import BadEvent
from gateway.wires.openai_realtime_talk import Asked, Delivered, Talk

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
FIELDS = [
    "response",
    "session",
    "usage",
    "error",
    "delta",
    "audio",
    "input",
    "output",
    "format",
    "type",
    "item",
    "content",
    "input_tokens",
    "output_tokens",
    "seconds",
    "audio_start_ms",
    "audio_end_ms",
    "input_token_details",
    "cached_tokens",
    "response_id",
    "id",
    "status",
    "input_audio_format",
]
KINDS = [
    "response.created",
    "response.done",
    "response.output_text.delta",
    "response.output_audio.delta",
    "session.created",
    "session.updated",
    "input_audio_buffer.committed",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "error",
]
EVENTS = st.dictionaries(
    st.sampled_from(FIELDS), st.recursive(JSON, lambda inner: st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4))
)


def pcm(ms: int) -> str:
    return base64.b64encode(bytes(48 * ms)).decode()


@given(st.binary(max_size=64) | JSON.map(orjson.dumps) | EVENTS.map(orjson.dumps))
def test_a_clients_message_is_an_event_or_refused(raw: bytes) -> None:
    """Whatever a client sends is read, or refused with a code and a sentence."""
    said = refused = None
    try:
        said = wire.read(raw)
    except BadEvent as bad:
        refused = bad
    if said is not None:
        assert said.kind == said.event["type"] != ""
    else:
        assert refused is not None
        assert refused.code in ("invalid_json", "invalid_event")


def test_nesting_that_could_not_be_written() -> None:
    """What is read and could not be forwarded is refused at once."""
    deep = b'{"type": "x", "a": ' + b"[" * 300 + b"]" * 300 + b"}"
    with pytest.raises(BadEvent, match="nested too deeply"):
        wire.read(deep)


@given(st.sampled_from(KINDS), EVENTS)
def test_nothing_an_upstream_says_fails(kind: str, event: dict[str, Any]) -> None:
    """Events of the wrong shape count as silent."""
    talk, delivered = Talk(), Delivered()
    talk.server(kind, event)
    delivered.take(kind, event, talk)
    assert delivered.events >= 0
    assert isinstance(wire.response_id_of(event), str)
    usage = wire.usage_of(wire.response_of(event).get("usage"))
    assert usage is None or (0 <= usage.cached_input_tokens <= usage.input_tokens and usage.output_tokens >= 0)
    heard = wire.heard_of(event)
    assert heard is None or heard[1] >= 0
    wire.cut_short(event)


@pytest.mark.parametrize(
    ("body", "bound"),
    [
        ({}, None),
        ({"max_output_tokens": 7}, 7),
        ({"max_response_output_tokens": 9, "max_output_tokens": 7}, 9),
        ({"max_output_tokens": "inf", "max_response_output_tokens": 9}, None),
        ({"max_output_tokens": None}, None),
    ],
)
def test_bounds(body: dict[str, Any], bound: int | None) -> None:
    """The largest of the two names counts, and inf is none."""
    assert wire.bound(body, "session") == bound


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "7", "Inf", [], {}])
def test_bounds_that_are_none(value: object) -> None:
    """What is no positive integer and not "inf" is named with its place."""
    with pytest.raises(BadField) as refused:
        wire.bound({"max_output_tokens": value}, "response")
    assert refused.value.param == "response.max_output_tokens"
    assert refused.value.message.endswith('or "inf".')


@pytest.mark.parametrize(
    ("body", "is_preview", "clamped"),
    [
        ({}, False, {"max_output_tokens": 5}),
        ({}, True, {"max_response_output_tokens": 5}),
        ({"max_output_tokens": "inf"}, False, {"max_output_tokens": 5}),
        (
            {"max_output_tokens": 9, "max_response_output_tokens": 3},
            False,
            {"max_output_tokens": 5, "max_response_output_tokens": 3},
        ),
        ({"max_output_tokens": 3}, False, {"max_output_tokens": 3}),
    ],
)
def test_clamp(body: dict[str, Any], is_preview: bool, clamped: dict[str, Any]) -> None:
    """Every name that is above the limit is lowered; where there is none, the session's own is set."""
    before = dict(body)
    assert wire.clamp(body, 5, is_preview=is_preview) == clamped
    assert body == before


def test_usage() -> None:
    """Input, its cached part and output; complete where both are there."""
    report = {"input_tokens": 100, "output_tokens": 20, "input_token_details": {"cached_tokens": 60, "audio_tokens": 30}}
    assert wire.usage_of(report) == Usage(100, 60, 0, 20, is_complete=True)
    assert wire.usage_of({"output_tokens": 20}) == Usage(0, 0, 0, 20, is_complete=False)
    assert wire.usage_of(None) is None
    assert wire.heard_of({"usage": {"type": "duration", "seconds": 2.1}}) == (Usage(0, 0, 0, 0, is_complete=True), 3)


def test_an_error_event() -> None:
    """A budget's refusal in the vendor's words, with the client's own id of the event."""
    refusal = Refusal("rate_limit", "No more.", status=429, meter="output_tokens", reason="budget:x")
    assert orjson.loads(wire.error_event(refusal, own_id="event_1", event_id="mine")) == {
        "type": "error",
        "event_id": "event_1",
        "error": {
            "type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "No more.", "param": None, "event_id": "mine"
        },
    }  # fmt: skip


def test_rate_limits() -> None:
    """The caller's tightest enforced limits take the place of the operator's, and where it has none nothing is told."""

    def limit(meter: Any, most: int, *, enforce: bool = True) -> Limit:
        return Limit("b", meter, most, 1, 0, most - 1, 1_500_000, 0, 60, enforce)

    event = {"type": "rate_limits.updated", "event_id": "e", "rate_limits": [{"name": "requests", "remaining": 31337}]}
    told = wire.rate_limits(
        event, [limit("requests", 9), limit("total_tokens", 90), limit("output_tokens", 50), limit("cost", 1)]
    )
    assert told is not None
    assert orjson.loads(told)["rate_limits"] == [
        {"name": "requests", "limit": 9, "remaining": 8, "reset_seconds": 1.5},
        {"name": "tokens", "limit": 50, "remaining": 49, "reset_seconds": 1.5},
    ]
    assert wire.rate_limits(event, [limit("requests", 9, enforce=False)]) is None


def test_what_a_response_will_read() -> None:
    """What the last one read and wrote, and what came since: text in bytes, audio by its length."""
    talk = Talk()
    assert talk.asked({}) == Asked(0, 0)
    item = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": pcm(1000)}]}
    talk.client("conversation.item.create", {"item": item})
    first = talk.asked({})
    assert first.media_tokens == 10
    assert 0 < first.text_bytes < 120
    mark = talk.mark()
    talk.client("conversation.item.create", {"item": {"content": [{"type": "input_text", "text": "more"}]}})
    talk.answered(mark, 500)
    second = talk.asked({})
    assert second.media_tokens == 500
    assert 0 < second.text_bytes < first.text_bytes
    apart = {"conversation": "none", "input": [{"content": [{"type": "input_text", "text": "alone"}]}]}
    assert talk.asked(apart).media_tokens == 0
    assert talk.asked({**apart, "input": [{"type": "item_reference", "id": "item_1"}]}).media_tokens == 500


def test_audio_that_is_heard() -> None:
    """A committed buffer counts by its length, or by what the server found to be speech; g711 is six times as long."""
    talk = Talk()
    talk.client("input_audio_buffer.append", {"audio": pcm(3000)})
    talk.client("input_audio_buffer.clear", {})
    talk.client("input_audio_buffer.append", {"audio": pcm(2000)})
    talk.server("input_audio_buffer.committed", {})
    assert talk.asked({}).media_tokens == 20
    talk.client("input_audio_buffer.append", {"audio": pcm(9000)})
    talk.server("input_audio_buffer.speech_started", {"audio_start_ms": 4000})
    talk.server("input_audio_buffer.speech_stopped", {"audio_end_ms": 5500})
    talk.server("input_audio_buffer.committed", {})
    assert talk.asked({}).media_tokens == 35
    assert (talk.take_heard_s(), talk.take_heard_s()) == (3, 0)
    talk.server("session.updated", {"session": {"audio": {"input": {"format": {"type": "audio/pcmu"}}}}})
    talk.client("input_audio_buffer.append", {"audio": pcm(1000)})
    talk.server("input_audio_buffer.committed", {})
    assert talk.asked({}).media_tokens == 95


def test_what_is_delivered() -> None:
    """A text delta is a token or more, speech 20 tokens a second, and a bound stops at the event beyond it."""
    talk, delivered = Talk(), Delivered()
    delivered.stop_events = 22
    delivered.take("response.output_text.delta", {"delta": " word"}, talk)
    delivered.take("response.output_audio_transcript.delta", {"delta": "x" * 16}, talk)
    delivered.take("response.output_audio.delta", {"delta": pcm(950)}, talk)
    delivered.take("response.output_audio.done", {"delta": "no delta"}, talk)
    assert (delivered.events, delivered.spoken_ms, delivered.is_cut) == (22, 950, False)
    delivered.take("response.function_call_arguments.delta", {"delta": "{"}, talk)
    assert delivered.is_cut
