"""OpenAI's chat completions: what is judged in a request, what is added to it, and the usage of a whole answer.

Fields: https://platform.openai.com/docs/api-reference/chat/create. The stream is read by `openai_chat_stream`.
"""

from __future__ import annotations

from typing import Any

import orjson

from gateway.values import Ask, Usage
from gateway.wires import fields, media
from gateway.wires.base import Editor, Edits, Judged, StreamReader
from gateway.wires.openai_chat_edit import ChatEditor
from gateway.wires.openai_chat_stream import ChatReader
from gateway.wires.openai_chat_usage import Counts
from gateway.wires.openai_chat_whole import edited, shortened

_BOUNDS = ("max_tokens", "max_completion_tokens")
_NEWER_MODELS = ("o1", "o3", "o4", "gpt-5")
"""The vendor's models that refuse `max_tokens`."""


class OpenAIChat:
    name = "openai.chat"
    family = "openai"
    answers_bytes = False
    files: frozenset[str] = frozenset()
    charges_quote = False

    def judge(self, body: dict[str, Any]) -> Judged:
        """Read what the gateway judges; what it does not name is the upstream's to judge. Raises BadField."""
        model = fields.model(body)
        messages = fields.messages(body)
        is_stream = fields.boolean(body, "stream")
        wants_usage = False
        if "stream_options" in body:
            options = fields.mapping(body, "stream_options")
            wants_usage = fields.boolean(options, "include_usage", path="stream_options.include_usage")
        bound = fields.integer(body, "max_tokens", most=fields.OUTPUT_TOKENS_MAX, least=0)
        if "max_completion_tokens" in body:
            newer = fields.integer(body, "max_completion_tokens", most=fields.OUTPUT_TOKENS_MAX, least=0)
            # Servers differ on which of the two they obey when both are there: the larger is the bound. They also differ on
            # what 0 means (nothing, everything, an error), so it bounds nothing here, and is passed on.
            bound = None if newer == 0 else max(bound, newer) if bound and newer else bound or newer
        bound = bound or None
        choices = 1
        if "n" in body or "best_of" in body:
            asked = fields.integer(body, "n", most=fields.CHOICES_MAX)
            drafts = fields.integer(body, "best_of", most=fields.CHOICES_MAX, least=0)
            choices = max(asked or 1, drafts or 1)
        user = ""
        if "user" in body or "safety_identifier" in body:
            named, safety = fields.end_user(body, "user"), fields.end_user(body, "safety_identifier")
            user = named or safety
        found = media.openai(messages)
        return Judged(
            model=model,
            media_base64_bytes=found.base64_bytes,
            media_tokens=found.tokens,
            output_tokens_max=bound,
            choices=choices,
            is_stream=is_stream,
            wants_usage=is_stream and wants_usage,
            end_user=user,
        )

    def rewrite(self, ask: Ask) -> dict[str, Any]:
        """The body, with usage asked for when it is streamed and the client did not ask."""
        if not ask.is_stream or ask.wants_usage:
            return ask.body
        options = ask.body.get("stream_options") or {}
        return {**ask.body, "stream_options": {**options, "include_usage": True}}

    def clamp(self, body: dict[str, Any], limit: int) -> dict[str, Any]:
        """A copy that asks for at most `limit` output tokens a choice; the same object where it does already.

        Where the caller gave no bound there are two names for it: the vendor's newer models refuse `max_tokens`, and many other
        servers pass over `max_completion_tokens`, which they do not know. So it depends on what is asked for.
        """
        names = (*_BOUNDS, "min_tokens")
        lowered = {name: limit for name in names if type(bound := body.get(name)) is int and bound > limit}
        if all(body.get(name) is None for name in _BOUNDS):
            model = str(body.get("model")).rpartition("/")[2]
            is_newer = "max_completion_tokens" in body or "reasoning_effort" in body or model.startswith(_NEWER_MODELS)
            lowered["max_completion_tokens" if is_newer else "max_tokens"] = limit
        return {**body, **lowered} if lowered else body

    def reader(self, ask: Ask) -> StreamReader:
        return ChatReader(hides_usage=not ask.wants_usage, choices=ask.body.get("n") or 1)

    def editor(self, ask: Ask, edits: Edits) -> Editor:
        return ChatEditor(edits, choices=ask.body.get("n") or 1)

    def edit(self, answer: bytes, edits: Edits) -> tuple[bytes, bool]:
        """A whole answer with its texts edited, and whether a filter cut it."""
        return edited(answer, edits)

    def shorten(self, answer: bytes, limit: int) -> tuple[bytes, Usage] | None:
        """A whole answer cut to `limit` output tokens a choice; None: it is not longer, or reports no usage."""
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
