"""Files that the demo server was given, and batches made of them: each has ended when it is asked for. No IO.

A batch answers every line of its file by what the same request would be answered on its own path.
"""

from __future__ import annotations

from typing import Any

import orjson

from gateway.demo import openai, others
from gateway.demo.paths import WIRES
from gateway.demo.plan import plan_of, words
from gateway.demo.script import script_of

CREATED = 1_760_000_000
JSON = "application/json"
PATHS = (
    *("/v1/files", "/v1/files/{id}", "/v1/files/{id}/content"),
    *("/v1/batches", "/v1/batches/{id}", "/v1/batches/{id}/cancel"),
)
Answer = tuple[int, bytes, str]
"""Status, body and media type."""


class Files:
    """Those of one server, by id."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[dict[str, Any], bytes]] = {}
        self._batches: dict[str, dict[str, Any]] = {}

    def answer(self, method: str, path: str, body: Any, sent: bytes, request_id: str) -> Answer:
        """`body`: JSON, or the fields of a form; `sent`: the file in it."""
        _, _, what, *rest = path.split("/")
        item, tail = (rest[0] if rest else ""), rest[1:]
        if what == "files":
            return self._file(method, item, tail, body, sent, request_id)
        if not item:
            return self._submit(method, body, request_id)
        batch = self._batches.get(item)
        if batch is None:
            return _refused(404, f"No batch found with id '{item}'.", request_id)
        if tail == ["cancel"] and batch["status"] == "validating":
            batch |= {"status": "cancelled", "cancelled_at": CREATED}
        elif batch["status"] == "validating":
            self._end(batch, request_id)
        return 200, orjson.dumps(batch), JSON

    def _file(self, method: str, item: str, tail: list[str], body: Any, sent: bytes, request_id: str) -> Answer:
        if not item and method == "POST":
            if not isinstance(body, dict) or not sent or not isinstance(body.get("purpose"), str):
                return _refused(400, "The form must have a file and a purpose.", request_id)
            return 200, orjson.dumps(self._keep(str(body["file"]["filename"]), body["purpose"], sent)), JSON
        if not item:
            return 200, orjson.dumps({"object": "list", "data": [about for about, _ in self._files.values()]}), JSON
        if item not in self._files:
            return _refused(404, f"No such File object: {item}", request_id)
        about, content = self._files[item]
        if method == "DELETE":
            del self._files[item]
            return 200, orjson.dumps({"id": item, "object": "file", "deleted": True}), JSON
        return (200, content, "application/octet-stream") if tail else (200, orjson.dumps(about), JSON)

    def _keep(self, filename: str, purpose: str, content: bytes) -> dict[str, Any]:
        about = {
            "id": f"file-demo{len(self._files):06d}{len(content)}",
            "object": "file",
            "bytes": len(content),
            "created_at": CREATED,
            "filename": filename,
            "purpose": purpose,
            "status": "processed",
        }
        self._files[str(about["id"])] = (about, content)
        return about

    def _submit(self, method: str, body: Any, request_id: str) -> Answer:
        if method == "GET":
            return 200, orjson.dumps({"object": "list", "data": list(self._batches.values()), "has_more": False}), JSON
        if not isinstance(body, dict) or body.get("input_file_id") not in self._files:
            return _refused(400, "The input file does not exist.", request_id)
        made = {
            "id": f"batch_demo{len(self._batches):06d}",
            "object": "batch",
            "endpoint": body.get("endpoint"),
            "input_file_id": body["input_file_id"],
            "completion_window": body.get("completion_window"),
            "status": "validating",
            "created_at": CREATED,
            "metadata": body.get("metadata"),
        }
        self._batches[str(made["id"])] = made
        return 200, orjson.dumps(made), JSON

    def _end(self, batch: dict[str, Any], request_id: str) -> None:
        kept = self._files.get(batch["input_file_id"])
        if kept is None:
            batch |= {"status": "failed", "failed_at": CREATED}
            return
        lines = [_answered(orjson.loads(line), request_id) for line in kept[1].splitlines()]
        output = self._keep("output.jsonl", "batch_output", b"".join(lines))
        counts = {"total": len(lines), "completed": len(lines), "failed": 0}
        batch |= {"status": "completed", "completed_at": CREATED, "output_file_id": output["id"], "request_counts": counts}


def _answered(line: dict[str, Any], request_id: str) -> bytes:
    url, body = line["url"], line["body"]
    if url in others.ANSWERS:
        answer = others.ANSWERS[url](body, max(1, words(body)))[0][0]
    else:
        answer = WIRES.get(url, openai).whole(plan_of(body, script_of(body["model"], None, None)), request_id)
    response = {"status_code": 200, "request_id": request_id, "body": orjson.loads(answer)}
    return orjson.dumps({"id": f"batch_req_{line['custom_id']}", "custom_id": line["custom_id"], "response": response}) + b"\n"


def _refused(status: int, message: str, request_id: str) -> Answer:
    return status, openai.error(status, message, request_id), JSON
