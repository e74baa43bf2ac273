"""OpenAI's responses: what is judged in a request, what is changed in it, and whole answers.

Fields: https://platform.openai.com/docs/api-reference/responses/create. The stream is read by `openai_responses_stream` and
edited by `openai_responses_edit`. It always reports its usage, so nothing is asked for, added or hidden on this wire.

`background`, `store`, `previous_response_id` and `conversation` are judged for their types alone: what is allowed of them is a
policy's matter. What a referred answer adds to the input is nowhere in the body, so the estimate knows nothing of it; the
upstream's own count settles it.
"""

from __future__ import annotations

from typing import Any

from gateway.values import Ask, Usage
from gateway.wires import fields, media
from gateway.wires.base import BadField, Editor, Edits, Judged, StreamReader
from gateway.wires.openai_responses_edit import ResponsesEditor
from gateway.wires.openai_responses_stream import ResponsesReader, usage_of_answer
from gateway.wires.openai_responses_whole import edited, shortened

_BOUNDS = ("max_output_tokens", "max_completion_tokens", "max_tokens")
"""The vendor's own; servers that make a chat completion of a response (llama.cpp) know the others too."""


class OpenAIResponses:
    name = "openai.responses"
    family = "openai"
    answers_bytes = False
    files: frozenset[str] = frozenset()
    charges_quote = False

    def judge(self, body: dict[str, Any]) -> Judged:
        """Read what the gateway judges; what it does not name is the upstream's to judge. Raises BadField."""
        model = fields.model(body)
        found = media.responses(_items(body))
        is_stream = fields.boolean(body, "stream")
        if "stream_options" in body:
            options = fields.mapping(body, "stream_options")
            fields.boolean(options, "include_obfuscation", path="stream_options.include_obfuscation")
        bounds = [fields.integer(body, name, most=fields.OUTPUT_TOKENS_MAX) for name in _BOUNDS if name in body]
        drafts = [fields.integer(body, name, most=fields.CHOICES_MAX) for name in ("n", "best_of") if name in body]
        for name in ("background", "store"):
            fields.boolean(body, name)
        _check_references(body)
        named, safety = fields.end_user(body, "user"), fields.end_user(body, "safety_identifier")
        return Judged(
            model=model,
            media_base64_bytes=found.base64_bytes,
            media_tokens=found.tokens,
            output_tokens_max=max((bound for bound in bounds if bound is not None), default=None),
            choices=max((count for count in drafts if count is not None), default=1),
            is_stream=is_stream,
            wants_usage=True,
            end_user=named or safety,
        )

    def rewrite(self, ask: Ask) -> dict[str, Any]:
        """The body itself."""
        return ask.body

    def clamp(self, body: dict[str, Any], limit: int) -> dict[str, Any]:
        """A copy that asks for at most `limit` output tokens, reasoning included; the same object where it does already.

        The vendor answers a `max_output_tokens` below 16 with a 400: a policy's floor for it should not be lower.
        """
        lower = {name: limit for name in _BOUNDS if type(bound := body.get(name)) is int and bound > limit}
        if body.get("max_output_tokens") is None:
            lower["max_output_tokens"] = limit
        if type(least := body.get("min_tokens")) is int and least > limit:
            lower["min_tokens"] = limit
        return {**body, **lower} if lower else body

    def reader(self, ask: Ask) -> StreamReader:
        return ResponsesReader()

    def editor(self, ask: Ask, edits: Edits) -> Editor:
        return ResponsesEditor(edits)

    def edit(self, answer: bytes, edits: Edits) -> tuple[bytes, bool]:
        """A whole answer with the texts of its items edited, and whether a filter cut it."""
        return edited(answer, edits)

    def shorten(self, answer: bytes, limit: int) -> tuple[bytes, Usage] | None:
        """A whole answer cut to `limit` output tokens; None: it is not longer, or reports no usage."""
        return shortened(answer, limit)

    def usage(self, answer: bytes) -> Usage | None:
        """Usage of a whole answer; None where it reports none. Incomplete where a count that is charged is missing."""
        return usage_of_answer(answer)


def _items(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The input as items. It may be missing: a prompt of the vendor's, or an answer that is referred to, stands for it."""
    value = body.get("input")
    if value is None or type(value) is str:
        return []
    if type(value) is not list:
        raise BadField("input", "input: must be a string or a list of items.")
    for index, item in enumerate(value):
        if type(item) is not dict:
            raise BadField(f"input[{index}]", f"input[{index}]: must be an object.")
    return value


def _check_references(body: dict[str, Any]) -> None:
    """What refers to an answer or a conversation that the model server keeps is a string, so that it can be looked up."""
    previous, conversation = body.get("previous_response_id"), body.get("conversation")
    if previous is not None and type(previous) is not str:
        raise BadField("previous_response_id", "previous_response_id: must be a string.")
    if type(conversation) is dict:
        if type(conversation.get("id")) is not str:
            raise BadField("conversation.id", "conversation.id: must be a string.")
    elif conversation is not None and type(conversation) is not str:
        raise BadField("conversation", "conversation: must be a string or an object with an id.")
