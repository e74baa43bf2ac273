"""The server behind the suites: it answers what the survey wrote down, and remembers each request as it came.

What was not surveyed is a 404, so a path that was changed on its way is seen. `GET /_seen` gives what came, and forgets it.
A request with `x-suite-id` makes a thing of that id.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

STREAMS = Path(__file__).resolve().parents[2] / "tests" / "wires" / "transcripts"
TRANSCRIPTS = {
    "/chat/completions": "chat_usage.sse",
    "/completions": "completions_usage.sse",
    "/responses": "responses_text.sse",
    "/messages": "messages_text.sse",
}
"""By the end of a path: wires whose streams the gateway reads to their end."""
BOUNDARY = re.compile(rb'boundary="?([^";,]+)')


def of_body(body: bytes, content_type: str) -> Any:
    """A body so that two of the same meaning are equal: parsed JSON, or a digest with the multipart boundary taken out."""
    if content_type.startswith("application/json"):
        try:
            return json.loads(body)
        except ValueError:
            pass
    found = BOUNDARY.search(content_type.encode())
    if found is not None:
        body = body.replace(found[1], b"BOUNDARY")
    return hashlib.sha256(body).hexdigest() if body else ""


class Mock:
    def __init__(self, answers: dict[str, dict[str, Any]]) -> None:
        self.answers = answers
        self.seen: list[dict[str, Any]] = []

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/_seen":
            taken, self.seen = self.seen, []
            return web.json_response(taken)
        path, _, query = request.raw_path.partition("?")
        raw = await request.read()
        body = of_body(raw, request.headers.get("Content-Type", ""))
        headers = [(name.decode().lower(), value.decode("latin-1")) for name, value in request.raw_headers]
        self.seen.append({"method": request.method, "path": path, "query": query, "headers": headers, "body": body})
        answer = self.answers.get(f"{request.method} {path}")
        if answer is None:
            error = {"message": f"nobody was going to ask for {request.method} {path}", "type": "mock", "code": "not_surveyed"}
            return web.json_response({"error": error}, status=404)
        is_stream = (isinstance(body, dict) and body.get("stream") is True) or "stream=true" in query
        if (item := request.headers.get("x-suite-id")) is not None:
            answer = {**answer, "json": {**answer["json"], "id": item}}
        return _response(path, answer, is_stream=is_stream)


def _response(path: str, answer: dict[str, Any], *, is_stream: bool) -> web.Response:
    if is_stream or ("event" in answer and "json" not in answer):
        for ending, name in TRANSCRIPTS.items():
            if path.endswith(ending):
                return web.Response(body=(STREAMS / name).read_bytes(), content_type="text/event-stream")
        text = f"event: message\ndata: {json.dumps(answer.get('event', {}))}\n\n"
        return web.Response(text=text, content_type="text/event-stream")
    if answer["status"] == 204:
        return web.Response(status=204)
    if "bytes" in answer:
        return web.Response(body=answer["bytes"].encode("latin-1"), content_type="application/binary")
    if "text" in answer:
        return web.Response(text=answer["text"], content_type="text/plain")
    if "lines" in answer:
        return web.Response(text=json.dumps(answer["lines"]) + "\n", content_type="application/x-jsonl")
    return web.json_response(answer["json"])


async def run(port: int, table: Path) -> None:
    mock = Mock(json.loads(table.read_text()))
    server = web.Server(mock.serve, access_log=None)
    runner = web.ServerRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--table", type=Path, required=True)
    arguments = parser.parse_args()
    asyncio.run(partial(run, arguments.port, arguments.table)())
