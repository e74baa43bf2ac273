"""Anthropic's messages: what is judged in a request, and the usage of a whole answer.

Fields: https://docs.anthropic.com/en/api/messages. The stream is read by `anthropic_messages_stream`; it always reports its
usage, so nothing is asked for, added or hidden on this wire.
"""

from __future__ import annotations

from typing import Any

import orjson

from gateway.values import Ask, Usage
from gateway.wires import fields, media
from gateway.wires.anthropic_messages_edit import MessagesEditor, edited, shortened
from gateway.wires.anthropic_messages_stream import Counts, MessagesReader
from gateway.wires.base import BadField, Editor, Edits, Judged, StreamReader

THINKING_LEAST = 1024
"""https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking"""


class AnthropicMessages:
    name = "anthropic.messages"
    family = "anthropic"
    answers_bytes = False
    charges_quote = False

    def judge(self, body: dict[str, Any]) -> Judged:
        """Read what the gateway judges; what it does not name is the upstream's to judge. Raises BadField."""
        model = fields.model(body)
        messages = fields.messages(body)
        output_tokens_max = fields.integer(body, "max_tokens", most=fields.OUTPUT_TOKENS_MAX)
        if output_tokens_max is None:
            raise BadField("max_tokens", "max_tokens: Field required")  # the vendor's words
        is_stream = fields.boolean(body, "stream")
        thinking = fields.mapping(body, "thinking")
        fields.integer(thinking, "budget_tokens", most=fields.OUTPUT_TOKENS_MAX, path="thinking.budget_tokens")
        metadata = fields.mapping(body, "metadata")
        found = media.anthropic(messages)
        return Judged(
            model=model,
            media_base64_bytes=found.base64_bytes,
            media_tokens=found.tokens,
            output_tokens_max=output_tokens_max,  # thinking is part of it
            choices=1,
            is_stream=is_stream,
            wants_usage=is_stream,
            end_user=fields.end_user(metadata, "user_id", path="metadata.user_id"),
        )

    def rewrite(self, ask: Ask) -> dict[str, Any]:
        """The body itself."""
        return ask.body

    def clamp(self, body: dict[str, Any], limit: int) -> dict[str, Any]:
        """A thinking budget is below max_tokens and at least THINKING_LEAST: where there is no room, nothing is thought."""
        if body["max_tokens"] <= limit:
            return body
        body = {**body, "max_tokens": limit}
        thinking = body.get("thinking")
        budget = thinking.get("budget_tokens") if type(thinking) is dict else None
        if type(thinking) is dict and type(budget) is int and budget >= limit:
            if limit > THINKING_LEAST:
                body["thinking"] = {**thinking, "budget_tokens": limit - 1}
            else:
                del body["thinking"]
        return body

    def reader(self, ask: Ask) -> StreamReader:
        return MessagesReader()

    def editor(self, ask: Ask, edits: Edits) -> Editor:
        return MessagesEditor(edits)

    def edit(self, answer: bytes, edits: Edits) -> tuple[bytes, bool]:
        return edited(answer, edits)

    def shorten(self, answer: bytes, limit: int) -> tuple[bytes, Usage] | None:
        return shortened(answer, limit)

    def usage(self, answer: bytes) -> Usage | None:
        """Usage of a whole answer; None where it reports none. Incomplete where a count that is charged is missing."""
        try:
            value = orjson.loads(answer)
        except orjson.JSONDecodeError:
            return None
        counts = Counts()
        if type(value) is not dict or not counts.take(value.get("usage")):
            return None
        return counts.usage(is_final=True)
