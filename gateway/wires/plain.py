"""Wires whose answers are no text: no stream, no output tokens, nothing to edit or to cut. Embeddings, moderations, counts."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.values import Ask, Extent, Usage
from gateway.wires import fields, media
from gateway.wires.base import BadField, Editor, Edits, Judged, StreamReader
from gateway.wires.openai_completions import prompts_of

COUNTED = Extent(requests=0, counts=1)
"""A token count is no request: it has a meter of its own."""
NOTHING = Usage(0, 0, 0, 0, is_complete=True)
_TAIL_BYTES = 4096
"""Usage stands at the end of an answer; embeddings of megabytes are not parsed for it."""


class Plain:
    """A `Wire` less `judge` and what its usage is."""

    name = ""
    family = "openai"
    answers_bytes = False
    charges_quote = False

    def rewrite(self, ask: Ask) -> dict[str, Any]:
        return ask.body

    def clamp(self, body: dict[str, Any], limit: int) -> dict[str, Any]:
        return body

    def reader(self, ask: Ask) -> StreamReader:
        raise TypeError("this wire has no streams")

    def editor(self, ask: Ask, edits: Edits) -> Editor:
        raise TypeError("this wire has no streams")

    def edit(self, answer: bytes, edits: Edits) -> tuple[bytes, bool]:
        return answer, False

    def shorten(self, answer: bytes, limit: int) -> tuple[bytes, Usage] | None:
        return None

    def usage(self, answer: bytes) -> Usage | None:
        return None


class OpenAIEmbeddings(Plain):
    """https://platform.openai.com/docs/api-reference/embeddings/create"""

    name = "openai.embeddings"

    def judge(self, body: dict[str, Any]) -> Judged:
        _, tokens, token_bytes = prompts_of(body, "input")
        return Judged(fields.model(body), token_bytes, tokens, 0, 1, False, False, fields.end_user(body, "user"))

    def usage(self, answer: bytes) -> Usage | None:
        at = answer.rfind(b'"usage"', max(0, len(answer) - _TAIL_BYTES))
        report: Any = None
        if at >= 0:
            begin, end = answer.find(b"{", at), answer.find(b"}", at)
            try:
                report = orjson.loads(answer[begin : end + 1])
            except orjson.JSONDecodeError:
                report = None
        if type(report) is not dict:
            try:
                value = orjson.loads(answer)
            except orjson.JSONDecodeError:
                return None
            report = value.get("usage") if type(value) is dict else None
        count = fields.tokens(report.get("prompt_tokens")) if type(report) is dict else None
        return None if count is None else Usage(count, 0, 0, 0, is_complete=True)


class OpenAIModerations(Plain):
    """https://platform.openai.com/docs/api-reference/moderations/create. Answers tell no usage: the estimate is charged."""

    name = "openai.moderations"
    DEFAULT_MODEL = "omni-moderation-latest"

    def judge(self, body: dict[str, Any]) -> Judged:
        model = fields.model(body) if body.get("model") is not None else self.DEFAULT_MODEL
        given = body.get("input")
        if type(given) is not str and (type(given) is not list or not given):
            raise BadField("input", "input: must be a text, or a list of texts or of parts.")
        found = media.NONE
        if type(given) is list and all(type(part) is dict for part in given):
            found = media.openai([{"role": "user", "content": given}])
        return Judged(model, found.base64_bytes, found.tokens, 0, 1, False, False, "")


class OpenAICount(Plain):
    """`/v1/responses/input_tokens`: how many tokens a responses request would have."""

    name = "openai.count"

    def judge(self, body: dict[str, Any]) -> Judged:
        return Judged(fields.model(body), 0, 0, 0, 1, False, False, "", COUNTED)

    def usage(self, answer: bytes) -> Usage | None:
        return NOTHING


class AnthropicCount(Plain):
    """https://docs.anthropic.com/en/api/messages-count-tokens"""

    name = "anthropic.count"
    family = "anthropic"

    def judge(self, body: dict[str, Any]) -> Judged:
        found = media.anthropic(fields.messages(body))
        return Judged(fields.model(body), found.base64_bytes, found.tokens, 0, 1, False, False, "", COUNTED)

    def usage(self, answer: bytes) -> Usage | None:
        """What is counted is not read by a model: no input tokens are charged."""
        return NOTHING


COUNTS = frozenset((OpenAICount.name, AnthropicCount.name))


def counted(answer: bytes) -> int | None:
    """The tokens that a count tells, by which estimates are learned; None: it tells none."""
    try:
        value = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None
    return fields.tokens(value.get("input_tokens")) if type(value) is dict else None
