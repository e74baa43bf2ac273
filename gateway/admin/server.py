"""The operator's listener: policy, metrics, why a request was refused. Never the tenants' listener, and never without a token.

Failure policy: it is off unless the operator names an address (`admin`) and a token; without the token nothing is answered but
401. What fails here fails for the operator alone: no request of a tenant waits for it.

Every answer is JSON but for `/metrics`. Errors are `{"error": SENTENCE}`, and for policies `{"mistakes": [...]}` as well.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from gateway.errors import Mistake

BODY_BYTES_MAX = 64 * 1024 * 1024
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Route = tuple[str, str, Handler]
"""Method, path, handler."""


def application(routes: list[Route], token: str) -> web.Application:
    """Serve `routes` to whoever has the token, as `Authorization: Bearer TOKEN`."""
    expected = f"Bearer {token}".encode()

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, expected):
            return told(401, "the header `Authorization: Bearer TOKEN` with the gateway's GAUGER_ADMIN_TOKEN is needed")
        try:
            return await handler(request)
        except web.HTTPException as error:
            return told(error.status, f"{request.method} {request.path}: {error.reason}")

    app = web.Application(middlewares=[guarded], client_max_size=BODY_BYTES_MAX)
    for method, path, handler in routes:
        app.router.add_route(method, path, handler)
    return app


def reply(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value, default=str) + b"\n", content_type="application/json")


def told(status: int, sentence: str) -> web.Response:
    """An error."""
    return reply({"error": sentence}, status)


def refused(
    mistakes: list[Mistake] | tuple[Mistake, ...],
    status: int = 422,
    *,
    what: str = "in the policy files; the policy in force has not changed",
) -> web.Response:
    """Something of several lines that cannot be used: policy files, but for `what` says."""
    count = len(mistakes)
    sentence = f"{count} mistake{'s' if count != 1 else ''} {what}"
    return reply({"error": sentence, "mistakes": [mistake._asdict() for mistake in mistakes]}, status)
