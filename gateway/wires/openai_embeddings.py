"""OpenAI's embeddings: what is judged in a request, and the usage of an answer.

Fields: https://platform.openai.com/docs/api-reference/embeddings/create. Answers pass byte for byte: vectors are arrays of
numbers or base64, megabytes of them, and only the usage at their end is read.
"""

from __future__ import annotations

from typing import Any

from gateway.values import Usage
from gateway.wires import fields
from gateway.wires.base import Judged
from gateway.wires.plain import Plain, refuse_stream, reported


class OpenAIEmbeddings(Plain):
    name = "openai.embeddings"

    def judge(self, body: dict[str, Any]) -> Judged:
        """Read what the gateway judges; what it does not name is the upstream's to judge. Raises BadField.

        Inputs that are lists of tokens are counted as such: see `fields.Prompts`.
        """
        refuse_stream(body)
        inputs = fields.prompts(body, "input")
        return Judged(
            model=fields.model(body),
            media_base64_bytes=inputs.token_bytes,
            media_tokens=inputs.tokens,
            output_tokens_max=0,
            choices=1,
            is_stream=False,
            wants_usage=False,
            end_user=fields.end_user(body, "user"),
        )

    def usage(self, answer: bytes) -> Usage | None:
        report = reported(answer)
        count = fields.tokens(report.get("prompt_tokens")) if report is not None else None
        return None if count is None else Usage(count, 0, 0, 0, is_complete=True)
