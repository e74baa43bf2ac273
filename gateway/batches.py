"""Batches that a tenant has submitted: asked for, cancelled, deleted, and their results read.

Submitting is the spine's: a batch is held and charged there by what its requests may come to, for nobody is there when it ends.
Rule: ids open nothing by themselves. A batch is its tenant's whose request made it; for anybody else it does not exist.
Failure policy: while the store is gone nobody's ownership is known (503). Results that break off are cut, never ended.
"""

from __future__ import annotations

from typing import Any

import orjson
import structlog
from aiohttp import web

from gateway import answer
from gateway.budgets.limits import tag
from gateway.downstream import begin, break_off, client_of, headers
from gateway.endpoints import Endpoint
from gateway.errors import Refusal, UpstreamFault
from gateway.house import House
from gateway.phases import relay
from gateway.phases.curb import BATCHES
from gateway.phases.record import Entry
from gateway.phases.shape import shape_bare
from gateway.upstream.base import Reply
from gateway.values import Ask, Caller
from gateway.whole import Whole
from gateway.wires.anthropic_batches import asked_tokens, moved
from gateway.wires.base import Family

log = structlog.get_logger()

MADE = ("output_file_id", "error_file_id")
"""Files that a batch of OpenAI's has made."""


def most_tokens(ask: Ask, limit: int | None) -> int | None:
    """Output tokens that a batch can come to in all; None: it is none."""
    return asked_tokens(ask.body, limit) if ask.wire == BATCHES else None


async def serve(
    request: web.BaseRequest, endpoint: Endpoint, caller: Caller, house: House, family: Family, entry: Entry
) -> web.StreamResponse:
    """Raises Refusal, UpstreamFault and StoreFault."""
    kept_by = await house.owners.upstream_of(tag(caller.organisation), caller.tenant, endpoint.item)
    if kept_by is None:
        raise Refusal("not_found", "No batch of yours has this id.", status=404, reason="not_the_owner")
    route = house.fleet.route(kept_by)
    reply = await route.pool.send(*shape_bare(request, endpoint, route.credentials[family.name]))
    try:
        if reply.status == 200 and endpoint.path.endswith(b"/results"):
            return await _results(request, reply, house, family, entry)
        body = await relay.whole(reply, limit_bytes=house.settings.answer_limit_bytes, is_stream=False)
        if reply.status == 200:
            body = await _claimed(body, caller, house, kept_by) if family.name == "openai" else _moved(body)
        return Whole(reply.status, headers(reply, family, entry, house, []), body)
    finally:
        reply.close()


async def _claimed(body: bytes, caller: Caller, house: House, upstream: str) -> bytes:
    """The files that a batch has made are its tenant's, before their ids are told. Raises StoreFault."""
    value = _parsed(body)
    for name in MADE:
        if type(item := value.get(name)) is str and item:
            await house.owners.claim(tag(caller.organisation), caller.tenant, item, upstream)
    return body


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    if type(value) is not dict:
        raise UpstreamFault("protocol", "the upstream's answer about a batch is no JSON object", reached=True)
    return value


def _moved(body: bytes) -> bytes:
    value = _parsed(body)
    changed = moved(value)
    return body if changed is value else orjson.dumps(changed)


async def _results(request: web.BaseRequest, reply: Reply, house: House, family: Family, entry: Entry) -> web.StreamResponse:
    """Relay a line of JSON for each request, as they come. Raises CancelledError and ConnectionError when the client leaves."""
    response = await begin(request, headers(reply, family, entry, house, []))
    spout = relay.Spout(response, client_of(request), unread_s=house.settings.read_timeout, pace=None)
    try:
        await relay.raw(reply, spout)
    except UpstreamFault as fault:
        log.warning("upstream_fault", id=entry.id, side="upstream", fault=fault.kind, reason=fault.message)
        await break_off(request, response, family.error_body(answer.refusal_of(fault), entry.id))
    return response
