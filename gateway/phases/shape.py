"""The request that goes upstream: the gateway's own serialisation of what it judged, under its own credentials."""

from __future__ import annotations

import orjson
from aiohttp import web

from gateway.endpoints import Endpoint
from gateway.output.watermark import Marked, marked
from gateway.upstream.headers import forward_headers
from gateway.values import Ask, Outgoing
from gateway.wires.base import Wire

Headers = list[tuple[bytes, bytes]]
MARKS = frozenset(("openai.chat", "openai.completions"))
"""Wires whose upstreams take a logit_bias, by which a watermark is carried."""


def shape(
    request: web.BaseRequest,
    ask: Ask,
    wire: Wire,
    endpoint: Endpoint,
    credentials: Headers,
    *,
    limit: int | None,
    mark: Marked | None,
) -> Outgoing:
    """What is forwarded for an ask. Nothing of the body as it came is reused: no byte can mean two things."""
    headers = forward_headers(request.raw_headers)
    headers += credentials
    body = wire.rewrite(ask)
    if limit is not None:
        body = wire.clamp(body, limit)
    if mark is not None and wire.name in MARKS:
        body = marked(body, mark)
    return Outgoing(b"POST", endpoint.path + endpoint.query, headers, orjson.dumps(body))


def shape_form(request: web.BaseRequest, endpoint: Endpoint, credentials: Headers, boundary: bytes) -> Outgoing:
    """What is forwarded for an endpoint whose body is a form; the form itself goes beside it (`gateway.uploads`)."""
    headers = [item for item in forward_headers(request.raw_headers) if item[0] != b"content-type"]
    headers.append((b"content-type", b"multipart/form-data; boundary=" + boundary))
    headers += credentials
    return Outgoing(b"POST", endpoint.path + endpoint.query, headers, b"")


def shape_bare(request: web.BaseRequest, endpoint: Endpoint, credentials: Headers) -> Outgoing:
    """What is forwarded for an endpoint without a body."""
    headers = forward_headers(request.raw_headers)
    headers += credentials
    method = "GET" if request.method == "HEAD" else request.method
    return Outgoing(method.encode(), endpoint.path + endpoint.query, headers, b"")
