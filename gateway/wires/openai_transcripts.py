"""OpenAI's transcriptions and translations: audio in, text out. What is judged in a form, and what an answer tells.

Fields: https://platform.openai.com/docs/api-reference/audio/createTranscription. How long a recording is:

1. as the answer tells (`usage.seconds`, `duration`, or audio tokens at ten a second), and that is charged;
2. by the head of a WAV file, exactly (`wav`);
3. else by BYTES_A_SECOND, the least that is usual for speech: more seconds are held than it has, and with answers that tell
   nothing (`text`, `srt`, `vtt`) charged.

Models that are not Whisper's count tokens as well: ten of audio a second, and the text.
"""

from __future__ import annotations

from math import ceil, isfinite
from typing import Any

import orjson

from gateway.values import Ask, Extent, Usage
from gateway.wires import fields
from gateway.wires.base import BadField, Judged, StreamReader
from gateway.wires.form import alone, files
from gateway.wires.plain import Plain
from gateway.wires.sse import Event
from gateway.wires.unstopped import Unstopped
from gateway.wires.wav import seconds_of

BYTES_A_SECOND = 2_000
"""16 kbit/s."""
AUDIO_TOKENS_A_SECOND = 10
TEXT_TOKENS_A_SECOND = 6
"""Fast speech has three to four words a second."""
SECONDS_MAX = 10_000_000
"""The longest that is believed of an upstream."""
TEXTS = ("text", "srt", "vtt")
FORMATS = ("json", "verbose_json", "diarized_json", *TEXTS)


class OpenAITranscripts(Plain):
    """Transcriptions. `files`: names of the parts that are files."""

    name = "openai.transcripts"
    files: frozenset[str] = frozenset(("file",))

    def judge(self, body: dict[str, Any]) -> Judged:
        """Read what the gateway judges; what it does not name is the upstream's to judge. Raises BadField."""
        alone(body, "model", "stream", "response_format", "prompt", "language", "temperature")
        model = fields.model(body)
        found = files(body, "file")
        if len(found) != 1:
            raise BadField("file", "file: must be one file.")
        form = body.get("response_format")
        if form is not None and form not in FORMATS:
            raise BadField("response_format", f"response_format: must be one of {', '.join(FORMATS)}.")
        (file,) = found
        seconds = seconds_of(file.head, file.size)
        if seconds is None:
            seconds = -(-file.size // BYTES_A_SECOND)
        has_tokens = "whisper" not in model.lower()
        return Judged(
            model=model,
            media_base64_bytes=0,
            media_tokens=seconds * AUDIO_TOKENS_A_SECOND if has_tokens else 0,
            output_tokens_max=max(1, seconds * TEXT_TOKENS_A_SECOND) if has_tokens else 0,
            choices=1,
            is_stream=fields.boolean(body, "stream"),
            wants_usage=True,
            end_user="",
            extent=Extent(upload_bytes=file.size, audio_seconds=seconds),
        )

    def reader(self, ask: Ask) -> StreamReader:
        return TranscriptReader()

    def usage(self, answer: bytes) -> Usage | None:
        value = _object(answer)
        return None if value is None else _usage(value)


class OpenAITranslations(OpenAITranscripts):
    """The same into English, and never streamed."""

    name = "openai.translations"

    def judge(self, body: dict[str, Any]) -> Judged:
        if body.get("stream") is not None:
            raise BadField("stream", "stream: translations are not streamed: leave it out.")
        return super().judge(body)


HEARS = frozenset((OpenAITranscripts.name, OpenAITranslations.name))


def heard(answer: bytes) -> int | None:
    """Seconds of audio that a whole answer, or the last event of a stream, tells of; None: it tells of none."""
    value = _object(answer)
    return None if value is None else _seconds(value)


class TranscriptReader(Unstopped):
    """A `StreamReader` of transcripts: whole events, the usage and the seconds that the last one tells. What was heard is paid
    for, and its text is bounded by it."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: int | None = None

    def _event(self, event: Event) -> None:
        value = _object(event.data)
        if value is None:
            return
        if value.get("error") or value.get("type") == "error":
            self.failed = True
        elif value.get("type") == "transcript.text.done":
            self.is_finished = True
        elif value.get("type") != "transcript.text.segment":
            self._count(event)
        self.usage = _usage(value) or self.usage
        seconds = _seconds(value)
        self.seconds = self.seconds if seconds is None else seconds


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if type(value) is dict else None


def _usage(value: dict[str, Any]) -> Usage | None:
    usage = value.get("usage")
    if type(usage) is not dict:
        return None
    if usage.get("type") == "duration":
        return Usage(0, 0, 0, 0, is_complete=True)
    given = fields.tokens(usage.get("input_tokens", usage.get("prompt_tokens")))
    made = fields.tokens(usage.get("output_tokens", usage.get("completion_tokens")))
    if given is None and made is None:
        return None
    return Usage(given or 0, 0, 0, made or 0, is_complete=given is not None and made is not None)


def _seconds(value: dict[str, Any]) -> int | None:
    usage = value.get("usage")
    usage = usage if type(usage) is dict else {}
    for told in (usage.get("seconds"), value.get("duration")):
        if type(told) in (int, float) and isinstance(told, int | float) and isfinite(told) and 0 <= told <= SECONDS_MAX:
            return ceil(told)
    details = usage.get("input_token_details")
    tokens = fields.tokens(details.get("audio_tokens")) if type(details) is dict else None
    return -(-tokens // AUDIO_TOKENS_A_SECOND) if tokens else None
