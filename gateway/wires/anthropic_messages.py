"""Anthropic's messages: what is judged in a request, and the usage of a whole answer.

Fields: https://docs.anthropic.com/en/api/messages. The stream is read by `anthropic_messages_stream`; it always reports its
usage, so nothing is asked for, added or hidden on this wire.
"""

from __future__ import annotations

from typing import Any

import orjson

from gateway.values import Ask, Usage
from gateway.wires import fields, media
from gateway.wires.anthropic_messages_edit import MessagesEditor
from gateway.wires.anthropic_messages_stream import Counts, MessagesReader
from gateway.wires.anthropic_messages_whole import edited, shortened
from gateway.wires.base import BadField, Editor, Edits, Judged, StreamReader

_THINKING_LEAST = 1024
"""https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking#how-to-use-extended-thinking"""


class AnthropicMessages:
    name = "anthropic.messages"
    family = "anthropic"
    answers_bytes = False
    files: frozenset[str] = frozenset()
    charges_quote = False

    def judge(self, body: dict[str, Any]) -> Judged:
        """Read what the gateway judges; what it does not name is the upstream's to judge. Raises BadField."""
        model = fields.model(body)
        messages = fields.messages(body)
        # 0 is a bound too: it fills the vendor's prompt cache, and nothing is written.
        output_tokens_max = fields.integer(body, "max_tokens", most=fields.OUTPUT_TOKENS_MAX, least=0)
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
        """A copy that asks for at most `limit` output tokens; the same object where it does already.

        A thinking budget must be below max_tokens: one that is not any more keeps its share of them. It must be 1024 at least,
        so where there is no room for that, nothing is thought.
        """
        bound = body["max_tokens"]
        if bound <= limit:
            return body
        clamped = {**body, "max_tokens": limit}
        thinking = body.get("thinking")
        budget = thinking.get("budget_tokens") if type(thinking) is dict else None
        if type(thinking) is dict and type(budget) is int and budget >= limit:
            if limit > _THINKING_LEAST:
                share = min(max(budget * limit // bound, _THINKING_LEAST), limit - 1)
                clamped["thinking"] = {**thinking, "budget_tokens": share}
            else:
                del clamped["thinking"]
        return clamped

    def reader(self, ask: Ask) -> StreamReader:
        return MessagesReader()

    def editor(self, ask: Ask, edits: Edits) -> Editor:
        return MessagesEditor(edits)

    def edit(self, answer: bytes, edits: Edits) -> tuple[bytes, bool]:
        """A whole answer with its texts edited, and whether a filter cut it."""
        return edited(answer, edits)

    def shorten(self, answer: bytes, limit: int) -> tuple[bytes, Usage] | None:
        """A whole answer cut to `limit` output tokens; None: it is not longer, or reports no usage."""
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
