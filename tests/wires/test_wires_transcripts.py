"""Transcripts: how long a recording is before it is heard and after, and what is judged in forms of audio and images."""

from __future__ import annotations

import io
import wave
from struct import pack
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.values import Extent, Usage
from gateway.wires import WIRES
from gateway.wires.base import BadField
from gateway.wires.form import File
from gateway.wires.multipart import Part
from gateway.wires.openai_transcripts import TranscriptReader, heard
from gateway.wires.wav import seconds_of

TRANSCRIPTS, TRANSLATIONS = WIRES["openai.transcripts"], WIRES["openai.translations"]
EDITS, VARIATIONS = WIRES["openai.image_edits"], WIRES["openai.image_variations"]


def wav(frames: int, rate: int, width: int, channels: int) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(width)
        sound.setframerate(rate)
        sound.writeframes(bytes(frames * width * channels))
    return made.getvalue()


@given(st.integers(0, 20_000), st.sampled_from([8_000, 16_000, 44_100]), st.sampled_from([1, 2, 4]), st.integers(1, 2))
def test_wav(frames: int, rate: int, width: int, channels: int) -> None:
    """The seconds of the samples, rounded up."""
    sound = wav(frames, rate, width, channels)
    assert seconds_of(sound[:4096], len(sound)) == -(-frames // rate)


def test_a_head_cannot_lie() -> None:
    """Samples are counted by the file's size: a head that claims none, or a byte rate of its own, changes nothing."""
    sound = bytearray(wav(80_000, 8_000, 1, 1))
    sound[40:44] = pack("<I", 0)
    sound[28:32] = pack("<I", 2**31)
    assert seconds_of(bytes(sound[:4096]), len(sound)) == 10


@given(st.binary(max_size=80))
def test_heads_of_nonsense(rest: bytes) -> None:
    """A head that does not tell is None, and never an exception."""
    for head in (rest, b"RIFF\0\0\0\0WAVE" + rest, b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + rest):
        seconds = seconds_of(head, len(head))
        assert seconds is None or seconds >= 0


@pytest.mark.parametrize("kind", [2, 0x55, 0x11])
def test_compressed_wav(kind: int) -> None:
    """Compressed sound in a WAV file tells nothing."""
    sound = bytearray(wav(8_000, 8_000, 1, 1))
    sound[20:22] = pack("<H", kind)
    assert seconds_of(bytes(sound[:4096]), len(sound)) is None


def file(size: int, head: bytes = b"", name: str = "file") -> File:
    return File(Part(name, "a.mp3", "audio/mpeg"), 0, size, head)


def test_judged() -> None:
    """Seconds by bytes, tokens by seconds; whisper has no tokens."""
    judged = TRANSCRIPTS.judge({"model": "gpt-4o-transcribe", "file": [file(20_001)], "stream": True})
    assert judged.extent == Extent(upload_bytes=20_001, audio_seconds=11)
    assert (judged.media_tokens, judged.output_tokens_max, judged.is_stream) == (110, 66, True)
    judged = TRANSLATIONS.judge({"model": "openai/whisper-large-v3", "file": [file(1)]})
    assert (judged.media_tokens, judged.output_tokens_max, judged.extent.audio_seconds) == (0, 0, 1)
    edit: dict[str, Any] = {"model": "gpt-image-1", "prompt": "x", "image": [file(3), file(4)], "mask": [file(5)], "n": 2}
    judged = EDITS.judge({**edit, "quality": "low", "size": "1024x1024"})
    assert (judged.extent, judged.output_tokens_max, judged.choices) == (Extent(images=2, upload_bytes=12), 272, 2)
    assert judged.media_tokens == 24_000
    assert EDITS.judge({**edit, "model": "dall-e-2"}).media_tokens == 0


@pytest.mark.parametrize(
    ("wire", "change", "param"),
    [
        (TRANSCRIPTS, {"model": ["a"]}, "model"),
        (TRANSCRIPTS, {"model[x]": "a"}, "model"),
        (TRANSCRIPTS, {"file": [file(1), file(1)]}, "file"),
        (TRANSCRIPTS, {"stream": "yes"}, "stream"),
        (TRANSCRIPTS, {"response_format": "xml"}, "response_format"),
        (TRANSLATIONS, {"stream": False}, "stream"),
        (EDITS, {}, "image"),
        (EDITS, {"image": [file(1)] * 17}, "image"),
        (EDITS, {"image": [file(1)]}, "prompt"),
        (EDITS, {"image": [file(1)], "prompt": "x", "n": "2.0"}, "n"),
        (EDITS, {"image": [file(1)], "prompt": "x", "n": 11}, "n"),
        (EDITS, {"image": [file(1)], "prompt": "x", "svg": "{}"}, "svg"),
        (VARIATIONS, {"image": [file(1)], "stream": True}, "stream"),
    ],
)
def test_bad_fields(wire: Any, change: dict[str, Any], param: str) -> None:
    """What is wrong names its field."""
    with pytest.raises(BadField) as bad:
        wire.judge({"model": "m", "file": [file(1)]} | change)
    assert bad.value.param == param


@pytest.mark.parametrize(
    ("answer", "seconds", "usage"),
    [
        ({"text": "x", "usage": {"type": "duration", "seconds": 7}}, 7, Usage(0, 0, 0, 0, is_complete=True)),
        ({"text": "x", "duration": 6.2}, 7, None),
        (
            {"usage": {"input_tokens": 71, "input_token_details": {"audio_tokens": 70}, "output_tokens": 9}},
            7,
            Usage(71, 0, 0, 9, is_complete=True),
        ),
        ({"text": "x"}, None, None),
        ({"duration": -1}, None, None),
        ({"duration": 1e300, "usage": {"seconds": "7"}}, None, None),
        ({"duration": True, "usage": 7}, None, None),
        ([], None, None),
    ],
)
def test_answers(answer: object, seconds: int | None, usage: Usage | None) -> None:
    """What an answer tells of seconds and tokens; nonsense tells nothing."""
    text = orjson.dumps(answer)
    assert (heard(text), TRANSCRIPTS.usage(text)) == (seconds, usage)


STREAM = (
    b'data: {"type":"transcript.text.delta","delta":"Hi"}\n\n'
    b'data: {"type":"transcript.text.delta","delta":"!"}\r\n\r\n'
    b'data: {"type":"transcript.text.done","text":"Hi!","usage":{"type":"tokens","input_tokens":21,"output_tokens":2,'
    b'"input_token_details":{"text_tokens":1,"audio_tokens":20}}}\n\n'
)


def test_stream_at_every_split() -> None:
    """However it is cut, a stream passes byte for byte and tells the same."""
    for at in range(len(STREAM) + 1):
        reader = TranscriptReader()
        assert reader.feed(STREAM[:at]) + reader.feed(STREAM[at:]) + reader.flush() == STREAM
        assert (reader.events, reader.is_finished, reader.seconds) == (2, True, 2)
        assert reader.usage == Usage(21, 0, 0, 2, is_complete=True)


@pytest.mark.parametrize("event", [b'{"error":{"message":"x"}}', b'{"type":"error"}'])
def test_stream_that_fails(event: bytes) -> None:
    """An error event is one, and no end."""
    reader = TranscriptReader()
    reader.feed(b"data: " + event + b"\n\n")
    assert (reader.failed, reader.is_finished) == (True, False)
