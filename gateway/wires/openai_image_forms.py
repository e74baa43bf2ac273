"""OpenAI's edits and variations of images: images in, images out. What is judged in a form.

Fields: https://platform.openai.com/docs/api-reference/images/createEdit, `createVariation`. Answers, whole and streamed, are
those of `openai_images`. Images that are given cost tokens with GPT Image models, bounded before the fact by INPUT_TOKENS_MAX.
"""

from __future__ import annotations

from typing import Any

from gateway.values import Extent
from gateway.wires import fields
from gateway.wires.base import BadField, Judged
from gateway.wires.form import alone, files
from gateway.wires.openai_images import IMAGES_MAX, OpenAIImages, image_tokens

GIVEN_MAX = 16
INPUT_TOKENS_MAX = 8_000
"""Of an image in high fidelity: 65, 129 for each of at most 8 tiles, and 6,240 at most for its fidelity; rounded up. Source:
https://platform.openai.com/docs/guides/images-vision#calculating-costs."""
_JUDGED = ("model", "prompt", "n", "stream", "size", "quality", "partial_images", "output_format", "frame_count", "user", "svg")


class OpenAIImageEdits(OpenAIImages):
    """Edits. `files`: names of the parts that are files."""

    name = "openai.image_edits"
    files: frozenset[str] = frozenset(("image", "image[]", "mask", "markup"))
    has_prompt = True

    def judge(self, body: dict[str, Any]) -> Judged:
        """Read what the gateway judges; what it does not name is the upstream's to judge. Raises BadField."""
        alone(body, *_JUDGED)
        model = fields.model(body)
        given, masks = files(body, "image"), [*files(body, "mask"), *files(body, "markup")]
        if not 0 < len(given) <= GIVEN_MAX:
            raise BadField("image", f"image: must be 1 to {GIVEN_MAX} files.")
        if self.has_prompt and type(body.get("prompt")) is not str:
            raise BadField("prompt", "prompt: must be a string.")
        if body.get("svg") is not None:
            raise BadField("svg", "svg: is not possible here, for it names a second model: leave it out.")
        images = fields.integer(body, "n", most=IMAGES_MAX) or 1
        is_stream = fields.boolean(body, "stream")
        made = image_tokens(model, body)
        return Judged(
            model=model,
            media_base64_bytes=0,
            media_tokens=INPUT_TOKENS_MAX * (len(given) + len(masks)) if made else 0,
            output_tokens_max=made,
            choices=images,
            is_stream=is_stream,
            wants_usage=is_stream,
            end_user=fields.end_user(body, "user"),
            extent=Extent(images=images, upload_bytes=sum(file.size for file in (*given, *masks))),
        )


class OpenAIImageVariations(OpenAIImageEdits):
    """Variations of one image."""

    name = "openai.image_variations"
    files: frozenset[str] = frozenset(("image",))
    has_prompt = False

    def judge(self, body: dict[str, Any]) -> Judged:
        if body.get("stream") is not None:
            raise BadField("stream", "stream: variations are not streamed: leave it out.")
        return super().judge(body)
