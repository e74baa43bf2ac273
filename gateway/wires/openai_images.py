"""OpenAI's images: what is judged in a request, how many tokens an image is, and the usage of answers, whole and streamed.

Fields: https://platform.openai.com/docs/api-reference/images/create. A model must be named: the vendor says so too, and what an
upstream would take instead could not be judged. Images go by the meter `images`; those of GPT Image models are tokens as well,
bounded before the fact by OUTPUT_TOKENS and then as reported. Other models have no tokens.
"""

from __future__ import annotations

from typing import Any

import orjson

from gateway.values import Ask, Extent, Usage
from gateway.wires import fields
from gateway.wires.base import BadField, Judged, StreamReader
from gateway.wires.plain import Plain, reported
from gateway.wires.sse import Event
from gateway.wires.unstopped import Unstopped

IMAGES_MAX = 10
PARTIAL_IMAGES_MAX = 3
FRAMES_MAX, FRAMES_DEFAULT = 16, 9
"""Of a moving image."""
OUTPUT_TOKENS = {
    "low": {"1024x1024": 272, "1024x1536": 408, "1536x1024": 400},
    "medium": {"1024x1024": 1056, "1024x1536": 1584, "1536x1024": 1568},
    "high": {"1024x1024": 4160, "1024x1536": 6240, "1536x1024": 6208},
}
"""Of the first GPT Image models: https://platform.openai.com/docs/guides/image-generation#calculating-costs."""
OUTPUT_TOKENS_MAX = 6240
LATER_TOKENS_MAX = 16_384
"""Of later ones no formula is published: the largest seen is 12,329, of 3584 by 2048 pixels in high quality."""
PARTIAL_TOKENS = 100
"""Of each partial image of a stream; same source."""
EVENT_BYTES_MAX = 64 << 20
"""An event carries a whole image."""
ERROR_BYTES_MAX = 65_536
"""A longer event tells no error."""


class OpenAIImages(Plain):
    name = "openai.images"

    def judge(self, body: dict[str, Any]) -> Judged:
        """Read what the gateway judges; what it does not name is the upstream's to judge. Raises BadField."""
        model = fields.model(body)
        if type(body.get("prompt")) is not str:
            raise BadField("prompt", "prompt: must be a string.")
        if body.get("svg") is not None:
            raise BadField("svg", "svg: is not possible here, for it names a second model: leave it out.")
        images = fields.integer(body, "n", most=IMAGES_MAX) or 1
        is_stream = fields.boolean(body, "stream")
        named, safety = fields.end_user(body, "user"), fields.end_user(body, "safety_identifier")
        return Judged(
            model=model,
            media_base64_bytes=0,
            media_tokens=0,
            output_tokens_max=image_tokens(model, body),
            choices=images,
            is_stream=is_stream,
            wants_usage=is_stream,
            end_user=safety or named,
            extent=Extent(images=images),
        )

    def reader(self, ask: Ask) -> StreamReader:
        return ImagesReader()

    def usage(self, answer: bytes) -> Usage | None:
        return _usage(answer)


def image_tokens(model: str, body: dict[str, Any]) -> int:
    """The most output tokens of one image; 0 for a model whose images are none. Raises BadField."""
    partial = fields.integer(body, "partial_images", most=PARTIAL_IMAGES_MAX, least=0) or 0
    frames = fields.integer(body, "frame_count", most=FRAMES_MAX) or FRAMES_DEFAULT
    quality, size = _word(body, "quality"), _word(body, "size")
    frames = frames if _word(body, "output_format") == "gif" else 1
    name = model.rpartition("/")[2]
    if name.startswith(("gpt-image-1", "chatgpt-image")):
        tokens = OUTPUT_TOKENS.get(quality, {}).get(size, OUTPUT_TOKENS_MAX)
    elif name.startswith("gpt-image"):
        tokens = LATER_TOKENS_MAX
    else:
        return 0
    return tokens * frames + PARTIAL_TOKENS * partial


def _word(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if value is None:
        return "auto"
    if type(value) is not str:
        raise BadField(name, f"{name}: must be a string.")
    return value


class ImagesReader(Unstopped):
    """A `StreamReader` of images: whole events, and the usage that comes with a finished image.

    An image that was begun is paid for. What was delivered of one that was not finished counts by its bytes, which come to more
    than was quoted, so that the quote is charged.
    """

    event_bytes_max = EVENT_BYTES_MAX

    def _event(self, event: Event) -> None:
        if event.name == "error" or _is_error(event.data):
            self.failed = True
        elif event.data:
            self._count(event)
            # No base64 holds a dot, and in a text the quote would be escaped: this is the event's type.
            if b'.completed"' in event.data or event.name.endswith(".completed"):
                self._complete(_usage(event.data))

    def _complete(self, usage: Usage | None) -> None:
        """An image is finished: each tells the tokens of its own."""
        self.is_finished = True
        before = self.usage
        if usage is None or before is None:
            self.usage = usage or before
        else:
            given, made = before.input_tokens + usage.input_tokens, before.output_tokens + usage.output_tokens
            self.usage = Usage(given, 0, 0, made, before.is_complete and usage.is_complete)


def _is_error(data: bytes) -> bool:
    if len(data) > ERROR_BYTES_MAX:
        return False
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return type(value) is dict and (bool(value.get("error")) or value.get("type") == "error")


def _usage(answer: bytes) -> Usage | None:
    report = reported(answer)
    if report is None:
        return None
    given, made = fields.tokens(report.get("input_tokens")), fields.tokens(report.get("output_tokens"))
    if given is None and made is None:
        return None
    return Usage(given or 0, 0, 0, made or 0, is_complete=given is not None and made is not None)
