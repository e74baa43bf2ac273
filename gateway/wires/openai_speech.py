"""OpenAI's speech: text in, audio out. What is judged in a request, and how long it will take to say.

Fields: https://platform.openai.com/docs/api-reference/audio/createSpeech. Answers are audio, or with `stream_format: "sse"`
events that carry it (`speech.audio.delta`, `speech.audio.done`); either way their bytes pass as they come and nothing is read
in them, so the input is charged by its estimate and the audio by its seconds.

A second of speech is taken for CHARS_A_SECOND characters at the speed that was asked for. English is read at 13 to 17; a digit
or a sign is said as a word of several letters, and a character of an East Asian script as a syllable or two.
"""

from __future__ import annotations

import re
from math import ceil
from typing import Any

from gateway.values import Extent
from gateway.wires import fields
from gateway.wires.base import BadField, Judged
from gateway.wires.plain import Plain

CHARS_A_SECOND = 15
DENSE_CHARS = 4
"""For how many characters one counts that is said as a word or a syllable."""
SPEED_LEAST, SPEED_MOST = 0.25, 4.0
_DENSE = re.compile(r"[0-9%&+=@#$/*\u0e00-\u1dff\u2070-\U0010ffff]")
"""Digits, signs that are said, and scripts from Thai on; not the Latin letters of Vietnamese, and no quotes and dashes."""


class OpenAISpeech(Plain):
    name = "openai.speech"
    answers_bytes = True

    def judge(self, body: dict[str, Any]) -> Judged:
        """Read what the gateway judges; what it does not name is the upstream's to judge. Raises BadField."""
        text = body.get("input")
        if type(text) is not str:
            raise BadField("input", "input: must be a string.")
        form = body.get("stream_format")
        if form is not None and form not in ("sse", "audio"):
            raise BadField("stream_format", "stream_format: must be 'sse' or 'audio'.")
        return Judged(
            model=fields.model(body),
            media_base64_bytes=0,
            media_tokens=0,
            output_tokens_max=0,
            choices=1,
            is_stream=False,
            wants_usage=False,
            end_user="",
            extent=Extent(audio_seconds=seconds(text, _speed(body.get("speed")))),
        )


def seconds(text: str, speed: float = 1.0) -> int:
    """About how long a text takes to say, in whole seconds, rounded up."""
    chars = len(text) + (DENSE_CHARS - 1) * len(_DENSE.findall(text))
    return ceil(chars / (CHARS_A_SECOND * speed))


def _speed(value: Any) -> float:
    if value is None:
        return 1.0
    if type(value) not in (int, float) or not SPEED_LEAST <= value <= SPEED_MOST:
        raise BadField("speed", f"speed: must be a number from {SPEED_LEAST} to {SPEED_MOST:g}.")
    return float(value)
