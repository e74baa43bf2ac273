"""How the demo server's answers end before their time."""

from __future__ import annotations

import asyncio
from types import ModuleType

from aiohttp import web

from gateway.demo.seen import Seen


def now_s() -> float:
    return asyncio.get_running_loop().time()


def refusal(wire: ModuleType, seen: Seen, status: int, message: str, headers: dict[str, str]) -> web.Response:
    seen.end("refused", now_s())
    body = wire.error(status, message, headers.get("request-id", ""))
    return web.Response(status=status, body=body, headers=headers, content_type="application/json")


def cut(request: web.Request, seen: Seen, response: web.StreamResponse) -> web.StreamResponse:
    """Close the socket under the answer. What had been written still arrives; the end never does."""
    seen.end("cut", now_s())
    if request.transport is not None:
        request.transport.abort()
    return response
