"""OpenAI's completions: what is judged in a request. Streams and whole answers are chat's, with a `text` and no message.

Fields: https://platform.openai.com/docs/api-reference/completions/create. Each prompt of a list has its own answers: with two
for each, choice 5 is the second answer to the third. Lists of tokens are counted as such: see `fields.Prompts`.

With `echo` a text begins with its prompt: where a whole answer is cut short, the prompt is cut with it. A request without
max_tokens is one without a bound here: the vendor takes 16 then, and other servers go on.
"""

from __future__ import annotations

from typing import Any

from gateway.values import Ask
from gateway.wires import fields
from gateway.wires.base import BadField, Editor, Edits, Judged, StreamReader
from gateway.wires.fields import Prompts
from gateway.wires.openai_chat import OpenAIChat
from gateway.wires.openai_chat_edit import ChatEditor
from gateway.wires.openai_completions_stream import CompletionsReader

BOUNDS = ("max_tokens", "max_completion_tokens", "n_predict")
"""The vendor's own; llama.cpp knows the others too, and obeys the last before the first."""
CHOICES_MAX = 2048
"""Answers of all prompts together."""


class OpenAICompletions(OpenAIChat):
    name = "openai.completions"

    def judge(self, body: dict[str, Any]) -> Judged:
        """Read what the gateway judges; what it does not name is the upstream's to judge. Raises BadField."""
        model = fields.model(body)
        prompts = prompts_of(body)
        is_stream = fields.boolean(body, "stream")
        options = fields.mapping(body, "stream_options")
        wants_usage = fields.boolean(options, "include_usage", path="stream_options.include_usage")
        given = [fields.integer(body, name, most=fields.OUTPUT_TOKENS_MAX, least=0) for name in BOUNDS if name in body]
        bound = max((each for each in given if each is not None), default=None)
        fields.dialect(body, bound)
        fields.boolean(body, "echo")
        asked = fields.integer(body, "n", most=fields.CHOICES_MAX) or 1
        drafts = fields.integer(body, "best_of", most=fields.CHOICES_MAX, least=0) or 1
        choices = prompts.many * max(asked, drafts)
        if choices > CHOICES_MAX:
            raise BadField("prompt", f"prompt: prompts times answers to each must be at most {CHOICES_MAX}.")
        return Judged(
            model=model,
            media_base64_bytes=prompts.token_bytes,
            media_tokens=prompts.tokens,
            output_tokens_max=bound,
            choices=choices,
            is_stream=is_stream,
            wants_usage=is_stream and wants_usage,
            end_user=fields.end_user(body, "user"),
        )

    def clamp(self, body: dict[str, Any], limit: int) -> dict[str, Any]:
        lowered = {name: limit for name in (*BOUNDS, "min_tokens") if type(body.get(name)) is int and body[name] > limit}
        if all(body.get(name) is None for name in BOUNDS):
            lowered["max_tokens"] = limit
        return {**body, **lowered} if lowered else body

    def reader(self, ask: Ask) -> StreamReader:
        prompts = prompts_of(ask.body)
        each = ask.body.get("n") or 1
        echoes = prompts.texts if ask.body.get("echo") is True else ()
        return CompletionsReader(hides_usage=not ask.wants_usage, choices=prompts.many * each, echoes=echoes, each=each)

    def editor(self, ask: Ask, edits: Edits) -> Editor:
        return ChatEditor(edits, choices=prompts_of(ask.body).many * (ask.body.get("n") or 1), is_text=True)


def prompts_of(body: dict[str, Any]) -> Prompts:
    """The prompts of a request: none given is one, the document's beginning. Raises BadField.

    `prompt_embeds` are prompts as vectors, in base64, that stand beside the others (vLLM): they count as the text they are
    written in.
    """
    embeds = body.get("prompt_embeds")
    vectors = len(embeds) if type(embeds) is list else int(embeds is not None)
    if body.get("prompt") is None:
        return Prompts((), max(1, vectors), 0, 0)
    prompts = fields.prompts(body, "prompt")
    return prompts._replace(many=prompts.many + vectors) if vectors else prompts
