"""Anthropic's count of tokens: how many a messages request would have.

Fields: https://docs.anthropic.com/en/api/messages-count-tokens: those of messages, without a bound on the output.
"""

from __future__ import annotations

from typing import Any

from gateway.values import Usage
from gateway.wires import fields, media
from gateway.wires.base import Judged
from gateway.wires.plain import COUNTED, NOTHING, Plain, refuse_stream


class AnthropicCount(Plain):
    name = "anthropic.count"
    family = "anthropic"

    def judge(self, body: dict[str, Any]) -> Judged:
        """Read what the gateway judges; what it does not name is the upstream's to judge. Raises BadField."""
        refuse_stream(body)
        model = fields.model(body)
        found = media.anthropic(fields.messages(body))
        return Judged(
            model=model,
            media_base64_bytes=found.base64_bytes,
            media_tokens=found.tokens,
            output_tokens_max=0,
            choices=1,
            is_stream=False,
            wants_usage=False,
            end_user="",
            extent=COUNTED,
        )

    def usage(self, answer: bytes) -> Usage | None:
        return NOTHING
