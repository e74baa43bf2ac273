"""Answers that the model server has kept, given out once more: whole, as a stream, or as their input; and taken back.

Rule: what an output policy takes out of an answer is not to be had by asking for the answer later. The policy is that of the
model which the answer names as its own. Nothing is charged: the tokens were, when they were made.

Failure policy: as in `listing`; a stream that breaks off is never ended as if it were whole.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

import orjson
import structlog
from aiohttp import web

from gateway import answer
from gateway.downstream import begin, break_off, client_of, headers, is_event_stream
from gateway.endpoints import Endpoint
from gateway.errors import Refusal, UpstreamFault
from gateway.house import House
from gateway.output.edits import Compiled
from gateway.phases import relay
from gateway.phases.record import Entry
from gateway.phases.shape import shape_bare
from gateway.snapshot import Snapshot
from gateway.upstream.base import Reply
from gateway.upstream.fleet import Route
from gateway.values import Caller, Usage
from gateway.whole import Whole
from gateway.wires.base import Edits, Family
from gateway.wires.openai_responses_edit import ResponsesEditor
from gateway.wires.openai_responses_stream import ResponsesReader, usage_of_answer
from gateway.wires.openai_responses_whole import edited

log = structlog.get_logger()

UNKNOWN = Usage(0, 0, 0, 0, is_complete=False)
MADE_BY = "responses"
"""The endpoint whose policy holds for what it made."""
_ITEMS = b"/input_items"
_STREAM = re.compile(r"(?:^|&)stream=(?!false(?:&|$)|0?(?:&|$))")
"""A query that may ask for a stream: whatever is not plainly a no."""
_LATER = re.compile(r"(?:^|&)starting_after=")


async def serve(
    request: web.BaseRequest,
    endpoint: Endpoint,
    caller: Caller,
    policy: Snapshot,
    route: Route,
    house: House,
    family: Family,
    entry: Entry,
) -> web.StreamResponse:
    """Serve an answer whose owner has been checked, from where it is kept. Raises Refusal and UpstreamFault."""
    query = unquote_plus(endpoint.query[1:].decode())
    output, usage = None, UNKNOWN
    if endpoint.path.count(b"/") == 3 and request.method == "GET" and _STREAM.search(query):
        # A stream tells its model only where it begins, so the answer is asked for whole first.
        kept = await _send(request, endpoint._replace(query=b""), route, family)
        try:
            body = await relay.whole(kept, limit_bytes=house.settings.answer_limit_bytes, is_stream=False)
        finally:
            kept.close()
        if kept.status == 200:
            output, usage = _output_of(body, caller, policy, house), usage_of_answer(body) or UNKNOWN
            if output.edits() is not None and _LATER.search(query):
                message = "starting_after: is not possible here, where answers are edited: take the stream from its beginning."
                raise Refusal("invalid_request", message, status=400, param="starting_after", reason="output_policy")
    reply = await _send(request, endpoint, route, family)
    try:
        if output is not None and reply.status == 200 and is_event_stream(reply):
            return await _replay(request, reply, output, usage, house, family, entry)
        limit_bytes = house.settings.answer_limit_bytes
        body = await relay.whole(reply, limit_bytes=limit_bytes, is_stream=False, may_be_empty=True)
        if reply.status == 200 and (edits := _output_of(body, caller, policy, house).edits()) is not None:
            body = _edited_items(body, edits) if endpoint.path.endswith(_ITEMS) else edited(body, edits)[0]
        return Whole(reply.status, headers(reply, family, entry, house, []), body)
    finally:
        reply.close()


async def _send(request: web.BaseRequest, endpoint: Endpoint, route: Route, family: Family) -> Reply:
    return await route.pool.send(*shape_bare(request, endpoint, route.credentials[family.name]))


def _output_of(body: bytes, caller: Caller, policy: Snapshot, house: House) -> Compiled:
    """What answers of this one's model may be; where it names none (a list of items), what any answer may be."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    name = value.get("model") if type(value) is dict else None
    return policy.admission(caller, name if type(name) is str else "", MADE_BY, house.store_now_us()).output


def _edited_items(body: bytes, edits: Edits) -> bytes:
    """A list of items, edited as an answer's output is: an input can be what earlier answers said."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    if type(value) is not dict or type(value.get("data")) is not list:
        return body
    made, _ = edited(orjson.dumps({"output": value["data"]}), edits)
    return orjson.dumps(value | {"data": orjson.loads(made)["output"]})


async def _replay(
    request: web.BaseRequest, reply: Reply, output: Compiled, usage: Usage, house: House, family: Family, entry: Entry
) -> web.StreamResponse:
    """Relay the stream of a kept answer, edited. Raises CancelledError and ConnectionError when the client leaves."""
    response = await begin(request, headers(reply, family, entry, house, []))
    spout = relay.Spout(response, client_of(request), unread_s=house.settings.read_timeout, pace=output.pace())
    reader, edits = ResponsesReader(), output.edits()
    editor = None if edits is None else ResponsesEditor(edits)
    try:
        reason = await relay.stream(reply, reader, spout, editor=editor)
        if reason is not None:
            await relay.cut(reply, reader, spout, reason, usage, editor=editor)
    except UpstreamFault as fault:
        log.warning("upstream_fault", id=entry.id, side="upstream", fault=fault.kind, reason=fault.message)
        await break_off(request, response, family.error_event(answer.refusal_of(fault), entry.id))
    return response
