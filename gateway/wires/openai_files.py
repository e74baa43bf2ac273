"""OpenAI's files of requests, and the batches that are made of them: what is judged in the form and in the body.

Fields: https://platform.openai.com/docs/api-reference/files/create and .../batch/create. Of a file's purposes there is one
here, `batch`: what else the vendor takes (documents to ask about, data to train on) is shared by all who have the operator's
account, and no budget counts what becomes of it. What the lines of a file ask for is judged by `openai_batch_lines`.
"""

from __future__ import annotations

from typing import Any

from gateway.values import Extent, Usage
from gateway.wires import form
from gateway.wires.base import BadField, Judged
from gateway.wires.plain import NOTHING, Plain

PURPOSE = "batch"
ENDPOINTS = {
    "/v1/chat/completions": "chat/completions",
    "/v1/completions": "completions",
    "/v1/responses": "responses",
    "/v1/embeddings": "embeddings",
}
"""What requests in a file may ask, and the endpoint that a plan must name for it."""


class OpenAIFiles(Plain):
    name = "openai.files"
    files = frozenset(("file",))

    def judge(self, body: dict[str, Any]) -> Judged:
        """The form: whose model its lines name is not known yet. Raises BadField."""
        form.alone(body, "purpose")
        if body.get("purpose") != PURPOSE:
            raise BadField("purpose", f"purpose: must be '{PURPOSE}' here; files for other purposes are not taken.")
        found = form.files(body, "file")
        if len(found) != 1 or not found[0].size:
            raise BadField("file", "file: must be one file, and not an empty one.")
        return Judged("", 0, 0, 0, 1, False, False, "", Extent(upload_bytes=found[0].size))

    def usage(self, answer: bytes) -> Usage | None:
        """No model reads a file when it is uploaded."""
        return NOTHING


class OpenAIBatches(Plain):
    name = "openai.batches"
    charges_quote = True

    def judge(self, body: dict[str, Any]) -> Judged:
        """What it comes to was found when its file was uploaded. Raises BadField."""
        if type(body.get("input_file_id")) is not str or not body["input_file_id"]:
            raise BadField("input_file_id", "input_file_id: must be the id of a file that you uploaded.")
        endpoint = body.get("endpoint")
        if type(endpoint) is not str or endpoint not in ENDPOINTS:
            raise BadField("endpoint", f"endpoint: must be one of {', '.join(ENDPOINTS)}.")
        return Judged("", 0, 0, 0, 1, False, False, "")
