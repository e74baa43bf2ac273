"""OpenAI's completions: what is judged in a request. Streams and whole answers are chat's, with a `text` and no message.

Fields: https://platform.openai.com/docs/api-reference/completions/create. Each prompt of a list has its own answers. Prompts
that are lists of tokens are counted as such: they stand in `media_tokens`, and their digits are taken off the text like base64.
"""

from __future__ import annotations

from typing import Any

import orjson

from gateway.values import Ask
from gateway.wires import fields
from gateway.wires.base import BadField, Editor, Edits, Judged, StreamReader
from gateway.wires.openai_chat import OpenAIChat
from gateway.wires.openai_chat_edit import ChatEditor
from gateway.wires.openai_chat_stream import ChatReader

PROMPTS_MAX = 2048


class CompletionsReader(ChatReader):
    """A `StreamReader` of text completion chunks."""

    __slots__ = ()

    def _content_of(self, choice: dict[str, Any]) -> int:
        return fields.text_bytes(choice.get("text"))

    def _nothing(self) -> dict[str, Any]:
        return {"text": ""}


class OpenAICompletions(OpenAIChat):
    name = "openai.completions"

    def judge(self, body: dict[str, Any]) -> Judged:
        """Read what the gateway judges; what it does not name is the upstream's to judge. Raises BadField."""
        model = fields.model(body)
        prompts, tokens, token_bytes = prompts_of(body, "prompt")
        is_stream = fields.boolean(body, "stream")
        options = fields.mapping(body, "stream_options")
        wants_usage = fields.boolean(options, "include_usage", path="stream_options.include_usage")
        asked = fields.integer(body, "n", most=fields.CHOICES_MAX) or 1
        drafts = fields.integer(body, "best_of", most=fields.CHOICES_MAX) or 1
        return Judged(
            model=model,
            media_base64_bytes=token_bytes,
            media_tokens=tokens,
            output_tokens_max=fields.integer(body, "max_tokens", most=fields.OUTPUT_TOKENS_MAX, least=0),
            choices=max(asked, drafts) * prompts,
            is_stream=is_stream,
            wants_usage=is_stream and wants_usage,
            end_user=fields.end_user(body, "user"),
        )

    def clamp(self, body: dict[str, Any], limit: int) -> dict[str, Any]:
        """This API has one name for it."""
        lowered = {name: limit for name in ("max_tokens", "min_tokens") if type(body.get(name)) is int and body[name] > limit}
        if body.get("max_tokens") is None:
            lowered["max_tokens"] = limit
        return {**body, **lowered} if lowered else body

    def reader(self, ask: Ask) -> StreamReader:
        return CompletionsReader(hides_usage=not ask.wants_usage, choices=_answers(ask))

    def editor(self, ask: Ask, edits: Edits) -> Editor:
        return ChatEditor(edits, choices=_answers(ask), is_text=True)


def _answers(ask: Ask) -> int:
    prompt = ask.body.get("prompt")
    prompts = len(prompt) if type(prompt) is list and prompt and type(prompt[0]) is not int else 1
    return prompts * (ask.body.get("n") or 1)


def prompts_of(body: dict[str, Any], name: str, *, most: int = PROMPTS_MAX) -> tuple[int, int, int]:
    """How many prompts there are, the tokens of those that are lists of tokens, and the bytes these take as JSON.

    A text, a list of texts, a list of tokens, or a list of lists of tokens. Raises BadField.
    """
    value = body.get(name)
    if type(value) is str:
        return 1, 0, 0
    if type(value) is not list or not value:
        raise BadField(name, f"{name}: must be a text, a list of texts, a list of tokens, or a list of these.")
    kinds = {type(item) for item in value}
    if kinds == {int}:
        return 1, len(value), len(orjson.dumps(value))
    if len(value) > most:
        raise BadField(name, f"{name}: must have at most {most} entries.")
    if kinds == {str}:
        return len(value), 0, 0
    if kinds == {list} and all({type(item) for item in each} == {int} for each in value):
        return len(value), sum(map(len, value)), len(orjson.dumps(value))
    raise BadField(name, f"{name}: must be a text, a list of texts, a list of tokens, or a list of these.")
