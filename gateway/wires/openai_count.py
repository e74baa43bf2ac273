"""OpenAI's count of tokens, `/v1/responses/input_tokens`: how many a responses request would have.

Fields: https://platform.openai.com/docs/api-reference/responses/input-tokens: those of responses. What refers to an answer that
the model server keeps is refused: whose answer it is could not be told here, and its length is its owner's to know.
The model may be left out, as nothing is made: it is then the model of no name, which only a plan for all models names.
"""

from __future__ import annotations

from typing import Any

from gateway.values import Usage
from gateway.wires.base import BadField, Judged
from gateway.wires.openai_responses import OpenAIResponses
from gateway.wires.plain import COUNTED, NOTHING, Plain, refuse_stream

_RESPONSES = OpenAIResponses()
_UNNAMED = "unnamed"


class OpenAICount(Plain):
    name = "openai.count"

    def judge(self, body: dict[str, Any]) -> Judged:
        """Read what the gateway judges; what it does not name is the upstream's to judge. Raises BadField."""
        refuse_stream(body)
        has_model = body.get("model") is not None  # the vendor needs none to count
        judged = _RESPONSES.judge(body if has_model else {**body, "model": _UNNAMED})
        for field in ("previous_response_id", "conversation"):
            if body.get(field) is not None:
                raise BadField(field, f"{field}: is not possible here: send the whole input to have it counted.")
        items = body.get("input")
        for index, item in enumerate(items if type(items) is list else ()):
            # An item without a type is a reference where it has an id and nothing else: the API's own default.
            if item.get("type") == "item_reference" or ("id" in item and not item.keys() - {"id", "type"}):
                raise BadField(f"input[{index}]", f"input[{index}]: items cannot be referred to here: send them whole.")
        name = judged.model if has_model else ""
        return judged._replace(model=name, output_tokens_max=0, choices=1, wants_usage=False, extent=COUNTED)

    def usage(self, answer: bytes) -> Usage | None:
        return NOTHING
