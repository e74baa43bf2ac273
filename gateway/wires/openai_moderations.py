"""OpenAI's moderations: what is judged in a request. Answers report no usage, so the estimate is charged.

Fields: https://platform.openai.com/docs/api-reference/moderations/create.
"""

from __future__ import annotations

from typing import Any

from gateway.wires import fields, media
from gateway.wires.base import BadField, Judged
from gateway.wires.plain import Plain, refuse_stream

DEFAULT_MODEL = "omni-moderation-latest"
"""What the vendor takes where none is named."""


class OpenAIModerations(Plain):
    name = "openai.moderations"

    def judge(self, body: dict[str, Any]) -> Judged:
        """Read what the gateway judges; what it does not name is the upstream's to judge. Raises BadField.

        A request that names no model is judged as one for DEFAULT_MODEL, and forwarded as it is.
        """
        refuse_stream(body)
        found = media.openai([{"content": _parts(body.get("input"))}])
        return Judged(
            model=DEFAULT_MODEL if body.get("model") is None else fields.model(body),
            media_base64_bytes=found.base64_bytes,
            media_tokens=found.tokens,
            output_tokens_max=0,
            choices=1,
            is_stream=False,
            wants_usage=False,
            end_user="",
        )


def _parts(given: Any) -> list[Any]:
    """The parts of an input that are no plain texts: a text, a list of texts, or a list of parts with texts and images."""
    if type(given) is str:
        return []
    kinds = {type(item) for item in given} if type(given) is list else set()
    if kinds not in ({str}, {dict}):
        raise BadField("input", "input: must be a string, a list of strings, or a list of parts.")
    return given if kinds == {dict} else []
