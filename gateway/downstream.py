"""The client's side of an answer: what headers go down with it, how a stream begins, and how one that broke is broken off."""

from __future__ import annotations

import asyncio

from aiohttp import web
from multidict import CIMultiDict

from gateway.house import House
from gateway.phases import relay
from gateway.phases.record import Entry
from gateway.upstream.base import Reply
from gateway.upstream.headers import return_headers
from gateway.whole import SERVER, Headers
from gateway.wires.base import Family

CUT_EVENT_BELOW_BYTES = 32_768
CUT_S = 5.0


def headers(reply: Reply, family: Family, entry: Entry, house: House, notes: Headers) -> Headers:
    """What goes down: the upstream's headers that are allowed, the request's id, the caller's limits, the gateway's notes."""
    found = return_headers(reply.headers)
    found.append((family.request_id_header, entry.id))
    if entry.limits:
        found += family.limit_headers(entry.limits, now_s=house.store_now_us() / 1e6)
    if notes:
        found += notes
    if reply.status in relay.REDIRECTS and (location := relay.location_of(reply)) is not None:
        found.append(("location", location))
    if reply.status >= 400:
        # Two servers stand between a tenant and the model: say which of them it was.
        found.append(("x-gauger-refused-by", "upstream"))
    return found


def is_event_stream(reply: Reply) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in reply.headers)


async def begin(request: web.BaseRequest, found: Headers) -> web.StreamResponse:
    """A response whose body is written as it comes. Raises ConnectionResetError when nobody is there any more."""
    response = web.StreamResponse(status=200, headers=CIMultiDict((*found, ("Server", SERVER))))
    await response.prepare(request)
    return response


def client_of(request: web.BaseRequest) -> asyncio.Transport:
    """The client's connection. Raises ConnectionResetError when it has gone."""
    if request.transport is None:
        raise ConnectionResetError("the client has gone")
    return request.transport


async def break_off(request: web.BaseRequest, response: web.StreamResponse, event: bytes) -> None:
    """Say in the stream's own protocol that it broke, then close without the end that would make it look whole."""
    client = request.transport
    if client is None:
        return
    if client.get_write_buffer_size() < CUT_EVENT_BELOW_BYTES:  # then writing does not wait
        try:
            await response.write(event)
        except ConnectionError:
            return
    client.close()
    asyncio.get_running_loop().call_later(CUT_S, client.abort)  # closing waits for a client that reads nothing
