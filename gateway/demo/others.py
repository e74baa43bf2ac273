"""Answers of the endpoints where no model writes a text: embeddings, moderations, token counts, batches, speech and images.

Pure: a body and the number of its words in, an `Answer` out. The same body has the same answer, so that tests can compare.
"""

from __future__ import annotations

import base64
import hashlib
import math
from array import array
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from gateway.demo.openai import CREATED
from gateway.demo.plan import TEXT

JSON, EVENTS = "application/json", "text/event-stream"
DIMENSIONS = 8
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""One pixel."""
IMAGE_TOKENS = 272
"""Of a square image in low quality."""
PARTIAL_IMAGE_TOKENS = 100
CATEGORIES = (
    *("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm"),
    *("self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic"),
)


class Answer(NamedTuple):
    """`parts` are written one at a time; of events, each is one."""

    parts: tuple[bytes, ...]
    kind: str = JSON


def embeddings(body: dict[str, Any], words: int) -> Answer:
    """A vector for each input, as floats or as base64 of little-endian floats of 32 bits."""
    vectors = [_vector(orjson.dumps(item)) for item in _inputs(body.get("input"))]
    as_base64 = body.get("encoding_format") == "base64"
    shown = [base64.b64encode(vector.tobytes()).decode() if as_base64 else vector.tolist() for vector in vectors]
    data = [{"object": "embedding", "index": index, "embedding": each} for index, each in enumerate(shown)]
    usage = {"prompt_tokens": words, "total_tokens": words}
    return _json({"object": "list", "data": data, "model": body.get("model"), "usage": usage})


def moderations(body: dict[str, Any], _words: int) -> Answer:
    """A result for each text, and one for all parts together. Nothing is ever flagged."""
    given = _inputs(body.get("input"))
    results = [
        {
            "flagged": False,
            "categories": dict.fromkeys(CATEGORIES, False),
            "category_scores": dict.fromkeys(CATEGORIES, 0.0001),
            "category_applied_input_types": {category: ["text"] for category in CATEGORIES},
        }
        for _ in (given if isinstance(given[0], str) else given[:1])
    ]
    return _json({"id": "modr-demo", "model": body.get("model", "omni-moderation-latest"), "results": results})


def anthropic_count(_body: dict[str, Any], words: int) -> Answer:
    return _json({"input_tokens": words})


def openai_count(_body: dict[str, Any], words: int) -> Answer:
    return _json({"object": "response.input_tokens", "input_tokens": words})


def batches(body: dict[str, Any], _words: int) -> Answer:
    """A batch that has only just begun."""
    requests = body.get("requests")
    counts = {"processing": len(requests) if isinstance(requests, list) else 0}
    counts |= dict.fromkeys(("succeeded", "errored", "canceled", "expired"), 0)
    times = dict.fromkeys(("archived_at", "cancel_initiated_at", "ended_at", "results_url"))
    when = {"created_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-02T00:00:00Z"}
    batch = {
        "id": f"msgbatch_{hashlib.sha256(orjson.dumps(body)).hexdigest()[:24]}",
        "type": "message_batch",
        "processing_status": "in_progress",
    }
    return _json(batch | {"request_counts": counts} | when | times)


def speech(body: dict[str, Any], words: int) -> Answer:
    """A part for each word: no audio that anybody could play, but bytes that are no text."""
    parts = [b"\xff\xfb\x00" + word.encode() for word in str(body.get("input")).split()]
    if body.get("stream_format") != "sse":
        return Answer(tuple(parts), "audio/mpeg")
    deltas = [_event({"type": "speech.audio.delta", "audio": base64.b64encode(part).decode()}) for part in parts]
    usage = {"input_tokens": words, "output_tokens": 10 * words, "total_tokens": 11 * words}
    return Answer((*deltas, _event({"type": "speech.audio.done", "usage": usage})), EVENTS)


def images(body: dict[str, Any], words: int) -> Answer:
    """As many images as were asked for, all the same, and with `partial_images` the same before each."""
    count, partial = (body.get(name) for name in ("n", "partial_images"))
    count, partial = count if isinstance(count, int) else 1, partial if isinstance(partial, int) else 0
    said = {"background": "opaque", "output_format": "png", "quality": "low", "size": "1024x1024"}
    if body.get("stream") is not True:
        usage = _image_usage(words, IMAGE_TOKENS * count)
        return _json({"created": CREATED, **said, "data": [{"b64_json": PNG}] * count, "usage": usage})
    events = []
    made = {"b64_json": PNG, **said, "created_at": CREATED}
    for _ in range(count):
        for index in range(partial):
            events.append(_named({"type": "image_generation.partial_image", **made, "partial_image_index": index}))
        usage = _image_usage(words, IMAGE_TOKENS + PARTIAL_IMAGE_TOKENS * partial)
        events.append(_named({"type": "image_generation.completed", **made, "usage": usage}))
    return Answer(tuple(events), EVENTS)


def transcripts(body: dict[str, Any], words: int) -> Answer:
    """A word for each second of the recording. `whisper` tells its seconds, any other model its tokens, a text nothing."""
    seconds = math.ceil(body["file"]["seconds"])
    said = [TEXT[at % len(TEXT)] for at in range(seconds)]
    text, form = " ".join(said), body.get("response_format", "json")
    is_whisper = "whisper" in str(body.get("model"))
    usage: dict[str, Any] = {"type": "duration", "seconds": seconds}
    if not is_whisper:
        details = {"text_tokens": words, "audio_tokens": 10 * seconds}
        given, made = words + 10 * seconds, len(said)
        usage = {"type": "tokens", "input_tokens": given, "input_token_details": details}
        usage |= {"output_tokens": made, "total_tokens": given + made}
    if body.get("stream") is True and not is_whisper:
        deltas = [_event({"type": "transcript.text.delta", "delta": f"{word} "}) for word in said]
        return Answer((*deltas, _event({"type": "transcript.text.done", "text": text, "usage": usage})), EVENTS)
    if form in ("text", "srt", "vtt"):
        return Answer((text.encode() + b"\n",), "text/plain")
    if form == "verbose_json":
        told = {"task": "transcribe", "language": "english", "duration": body["file"]["seconds"], "segments": []}
        return _json(told | {"text": text, "usage": usage})
    return _json({"text": text, "usage": usage})


ANSWERS: dict[str, Callable[[dict[str, Any], int], Answer]] = {
    "/v1/embeddings": embeddings,
    "/v1/moderations": moderations,
    "/v1/messages/count_tokens": anthropic_count,
    "/v1/messages/batches": batches,
    "/v1/responses/input_tokens": openai_count,
    "/v1/audio/speech": speech,
    "/v1/audio/transcriptions": transcripts,
    "/v1/audio/translations": transcripts,
    "/v1/images/generations": images,
    "/v1/images/edits": images,
    "/v1/images/variations": images,
}


def _inputs(given: Any) -> list[Any]:
    """The inputs one by one: a text or a list of tokens is a single one."""
    return given if isinstance(given, list) and given and not isinstance(given[0], int) else [given]


def _vector(item: bytes) -> array[float]:
    return array("f", [byte / 256 for byte in hashlib.sha256(item).digest()[:DIMENSIONS]])


def _image_usage(words: int, output_tokens: int) -> dict[str, Any]:
    details = {"text_tokens": words, "image_tokens": 0}
    total = words + output_tokens
    return {"input_tokens": words, "input_tokens_details": details, "output_tokens": output_tokens, "total_tokens": total}


def _json(value: dict[str, Any]) -> Answer:
    return Answer((orjson.dumps(value),))


def _event(event: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(event) + b"\n\n"


def _named(event: dict[str, Any]) -> bytes:
    return b"event: " + str(event["type"]).encode() + b"\n" + _event(event)
