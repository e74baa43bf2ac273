"""Batches that the demo server was given, as they are asked for later: each has ended by then. No IO."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.demo import anthropic
from gateway.demo.plan import plan_of
from gateway.demo.script import script_of


class Batches:
    """Those of one server, by id."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {}

    def note(self, answer: bytes, requests: list[dict[str, Any]]) -> None:
        """A batch has been submitted."""
        made = orjson.loads(answer)
        self._made[made["id"]] = (made, requests)

    def answer(self, method: str, path: str, base_url: str, request_id: str) -> tuple[int, bytes, str]:
        """Status, body and media type."""
        _, _, _, _, item, *tail = path.split("/")
        if item not in self._made:
            return 404, anthropic.error(404, "No such batch.", request_id), "application/json"
        made, requests = self._made[item]
        if method == "DELETE":
            del self._made[item]
            return 200, orjson.dumps({"id": item, "type": "message_batch_deleted"}), "application/json"
        if tail == ["results"]:
            return 200, b"".join(_result(each, request_id) for each in requests), "application/x-jsonl"
        counts = made["request_counts"] | {"processing": 0, "succeeded": len(requests)}
        ended = {"processing_status": "ended", "request_counts": counts, "ended_at": made["created_at"]}
        ended["results_url"] = f"{base_url}/v1/messages/batches/{item}/results"  # absolute, as the vendor's
        return 200, orjson.dumps(made | ended), "application/json"


def _result(request: dict[str, Any], request_id: str) -> bytes:
    params = request["params"]
    message = orjson.loads(anthropic.whole(plan_of(params, script_of(params["model"], None, None)), request_id))
    return orjson.dumps({"custom_id": request["custom_id"], "result": {"type": "succeeded", "message": message}}) + b"\n"
