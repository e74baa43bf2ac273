"""The spine: one request's way through the gateway. It alone knows the order of the phases.

    identify → read → quote → hold → shape → forward → relay → settle → record

Each phase takes earlier values and gives one new one; a `Refusal` or an `UpstreamFault` ends the way, and `answer` turns it
into HTTP. Invariants, whatever happens (an error, a client that leaves, a bug of ours):

1. a hold that was opened is closed exactly once, by the closing rule in `phases.settle`;
2. an upstream answer that was opened is closed, and the client's departure closes it at once;
3. a stream that its upstream did not end is never ended cleanly: an error event, then the connection is cut;
4. every request leaves one line in the log.
"""

from __future__ import annotations

import asyncio
from functools import partial
from random import getrandbits

import structlog
from aiohttp import web
from multidict import CIMultiDict

from gateway import answer
from gateway.endpoints import Endpoint, family_of, route
from gateway.errors import Refusal, StoreFault, UpstreamFault
from gateway.holds import Hold
from gateway.house import House
from gateway.phases import admit, relay, settle
from gateway.phases.identify import identify
from gateway.phases.read import read
from gateway.phases.record import Timings, record
from gateway.phases.shape import shape, shape_bare
from gateway.upstream.base import NotSent, Reply
from gateway.upstream.headers import return_headers
from gateway.values import Ask, Caller, Ended, Limit, Outcome, Outgoing
from gateway.whole import SERVER, Headers, Whole
from gateway.wires import FAMILIES, WIRES
from gateway.wires.base import Family, Wire

log = structlog.get_logger()

CUT_EVENT_BELOW_BYTES = 32_768
CUT_S = 5.0


async def handle(request: web.BaseRequest, house: House) -> web.StreamResponse:
    """Serve one request. Raises only CancelledError and ConnectionError: nobody is left to be answered."""
    timings = Timings()
    request_id = f"req_{getrandbits(96):024x}"
    raw_path = request.raw_path
    family = FAMILIES[family_of(request.headers, raw_path)]
    policy = house.policies.snapshot()
    endpoint: Endpoint | None = None
    caller: Caller | None = None
    ask: Ask | None = None
    hold: Hold | None = None
    refusal: Refusal | None = None
    response: web.StreamResponse | None = None
    limits: list[Limit] = []
    try:
        endpoint = route(request.method, raw_path, family.name)
        caller = identify(request.headers, policy.policy, house.secret, policy.callers)
        if endpoint.wire is None:
            outgoing = shape_bare(request, endpoint, house.credentials[family.name])
            response = await _pass_on(outgoing, family, request_id, house)
            return response
        wire = WIRES[endpoint.wire]
        settings = house.settings
        ask = await read(request, wire, limit_bytes=settings.body_limit_bytes, timeout_s=settings.body_timeout)
        timings.mark("read")
        quote = partial(admit.quote, caller, ask, request_id, policy, house.estimator)
        hold = await house.holds.open(quote(house.store_now_us()), quote)
        timings.mark("hold")
        limits = admit.limits(hold)
        if not hold.reserved.admitted:
            raise admit.refused(hold, caller, ask)
        outgoing = shape(request, ask, wire, endpoint, house.credentials[family.name])
        response = await _exchange(request, outgoing, caller, ask, hold, limits, request_id, house, wire, family, timings)
        return response
    except Refusal as error:
        # Its traceback holds this frame, and with it the body: a cycle that would keep megabytes until the next collection.
        refusal = error.with_traceback(None)
        refusal.__context__ = None
    except UpstreamFault as fault:
        log.warning("upstream_fault", id=request_id, side="upstream", fault=fault.kind, reason=fault.message)
        refusal = answer.refusal_of(fault)
    except StoreFault as fault:
        refusal = answer.refusal_without_store(fault)
    except (asyncio.CancelledError, ConnectionError):
        raise
    except Exception as error:
        log.error("internal_error", id=request_id, side="gateway", exc=answer.trace(error))
        refusal = answer.internal()
    finally:
        if hold is not None and hold.reserved.admitted and not hold.is_closed:
            hold.close((0,) * len(hold.quote.lines))  # a bug of ours before anything was sent: nothing is charged
        if refusal is not None:
            response = answer.refuse(refusal, family, request_id, limits=limits, now_s=house.store_now_us() / 1e6)
        status = 0 if response is None else response.status
        record(request_id, endpoint, status, timings, policy.digest, caller, ask, hold, refusal)
    return response


async def _exchange(
    request: web.BaseRequest,
    outgoing: Outgoing,
    caller: Caller,
    ask: Ask,
    hold: Hold,
    limits: list[Limit],
    request_id: str,
    house: House,
    wire: Wire,
    family: Family,
    timings: Timings,
) -> web.StreamResponse:
    """Forward, relay, and close the hold with what came of it. Raises what `handle` answers, once the hold is closed."""
    reply: Reply | None = None
    reader = wire.reader(ask) if ask.is_stream else None
    usage = None
    whole_bytes = 0
    ended: Ended = "gateway_failed"
    fault_kind = ""
    response: web.StreamResponse | None = None
    try:
        reply = await house.upstream.send(*outgoing)
        timings.mark("upstream")
        headers = _headers(reply, family, request_id, limits, house)
        if reader is not None and reply.status == 200 and _is_event_stream(reply):
            response = web.StreamResponse(status=200, headers=CIMultiDict((*headers, ("Server", SERVER))))
            await response.prepare(request)
            hold.progress = partial(settle.progress, hold, ask, reader, family.name, house.estimator)
            if request.transport is None:
                raise ConnectionResetError("the client has gone")
            await relay.stream(reply, reader, response, request.transport, unread_s=house.settings.read_timeout)
            ended = "complete"
        else:
            body = await relay.whole(reply, limit_bytes=house.settings.answer_limit_bytes, is_stream=ask.is_stream)
            if reply.status < 400:
                ended, usage, whole_bytes = "complete", wire.usage(body), len(body)
            else:
                ended = "upstream_refused"
            response = Whole(reply.status, headers, body, unread_s=house.settings.read_timeout)
        timings.mark("relay")
        return response
    except UpstreamFault as fault:
        ended, fault_kind = ("upstream_died" if fault.reached else "upstream_unreached"), fault.kind
        if fault.kind == "credentials":
            ended = "upstream_unreached"  # it did nothing for the tenant, and the fault is the operator's
        if response is None:
            raise
        log.warning("upstream_fault", id=request_id, side="upstream", fault=fault.kind, reason=fault.message)
        await _cut(request, response, family.error_event(answer.refusal_of(fault), request_id))
        return response
    except (asyncio.CancelledError, ConnectionError) as left:
        ended = "upstream_unreached" if isinstance(left, NotSent) else "client_left"
        if response is not None and request.transport is not None:
            request.transport.abort()  # at a stop: a plain close would look like an end to HTTP/1.0
        raise
    except Exception as error:
        if reply is None and isinstance(error, ValueError):
            ended = "upstream_unreached"  # no such request can be written
        if response is None:
            raise
        log.error("internal_error", id=request_id, side="gateway", exc=answer.trace(error))
        await _cut(request, response, family.error_event(answer.internal(), request_id))
        return response
    finally:
        if reply is not None:
            reply.close()
        events, content_bytes = (reader.events, reader.content_bytes) if reader is not None else (0, whole_bytes)
        if reader is not None and usage is None:
            usage = reader.usage
        status = 0 if reply is None else reply.status
        outcome = Outcome(ended, status, usage, events, content_bytes, fault_kind)
        settle.close(hold, caller, ask, outcome, family.name, house.estimator)


async def _pass_on(outgoing: Outgoing, family: Family, request_id: str, house: House) -> Whole:
    """An endpoint without a model: asked and answered as it is."""
    reply = await house.upstream.send(*outgoing)
    try:
        body = await relay.whole(reply, limit_bytes=house.settings.answer_limit_bytes, is_stream=False)
        return Whole(reply.status, _headers(reply, family, request_id, [], house), body)
    finally:
        reply.close()


def _headers(reply: Reply, family: Family, request_id: str, limits: list[Limit], house: House) -> Headers:
    """What goes down: the upstream's headers that are allowed, the request's id, and the caller's limits."""
    headers = return_headers(reply.headers)
    headers.append((family.request_id_header, request_id))
    if limits:
        headers += family.limit_headers(limits, now_s=house.store_now_us() / 1e6)
    if reply.status >= 400:
        # Two servers stand between a tenant and the model: say which of them it was.
        headers.append(("x-gauger-refused-by", "upstream"))
    return headers


def _is_event_stream(reply: Reply) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in reply.headers)


async def _cut(request: web.BaseRequest, response: web.StreamResponse, event: bytes) -> None:
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
