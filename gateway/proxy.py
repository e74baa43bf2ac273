"""The spine: one request's way through the gateway. It alone knows the order of the phases, up to the hold; what
comes after it is `exchange`'s.

    identify → permit → read → classify → curb → hold → shape → forward → relay → settle → record

Each phase takes earlier values and gives one new one; a `Refusal` or an `UpstreamFault` ends the way, and `answer` turns it
into HTTP. Invariants, whatever happens (an error, a client that leaves, a bug of ours):

1. a hold that was opened is closed exactly once, by the closing rule in `phases.settle`;
2. an upstream answer that was opened is closed, and the client's departure closes it at once;
3. a stream that its upstream did not end is never ended as if it had: an error event, then the connection is cut; where the
   gateway itself ends one, by its policy, it says so in the stream's own protocol (finish reason `length` and its kin);
4. every request leaves one line in the log.

What has no model's work in it (lists of models, kept answers) goes another way from here: `listing`. So does a session of many
answers: `realtime`.
"""

from __future__ import annotations

import asyncio
from functools import partial
from random import getrandbits

import structlog
from aiohttp import web

from gateway import answer, batches, files, listing, realtime, uploads
from gateway.door import enter
from gateway.endpoints import Endpoint, family_of, route
from gateway.errors import Refusal, StoreFault, UpstreamFault
from gateway.exchange import Way, exchange
from gateway.house import House
from gateway.phases import admit
from gateway.phases.classify import classify, marks, obeyed, refuse, standing
from gateway.phases.curb import BATCHES, FILED, FILES, as_usual, notes
from gateway.phases.identify import identify
from gateway.phases.read import read
from gateway.phases.record import Asked, Entry, Timings, record
from gateway.phases.sample import sample
from gateway.phases.shape import shape, shape_form
from gateway.sighted import look_at_messages, tell
from gateway.snapshot import Snapshot
from gateway.values import Ask, Caller
from gateway.wires import FAMILIES, WIRES
from gateway.wires.base import Family, Wire

log = structlog.get_logger()

LISTS = ("models", "model")
"""Kinds of endpoints that a tenant may use on whatever step it stands: they cost nothing and teach nothing."""


async def handle(request: web.BaseRequest, house: House) -> web.StreamResponse:
    """Serve one request. Raises only CancelledError and ConnectionError: nobody is left to be answered."""
    entry = Entry(f"req_{getrandbits(96):024x}", Timings())
    raw_path = request.raw_path
    family = FAMILIES[family_of(request.headers, raw_path)]
    policy = house.policies.snapshot()
    entry.policy = policy.digest
    refusal: Refusal | None = None
    response: web.StreamResponse | None = None
    try:
        endpoint = entry.endpoint = route(request.method, raw_path, family.name)
        carried = realtime.credentials(request.headers) if endpoint.kind == "realtime" else request.headers
        caller = entry.caller = identify(carried, policy.policy, house.secret, policy.callers)
        admit.permit(policy, caller, endpoint.name)
        if house.watcher is not None and endpoint.kind not in ("wire", *LISTS):
            entry.verdict = standing(house.watcher, policy, caller, house.store_now_us())
            refuse(obeyed(entry.verdict))
        if endpoint.kind == "wire":
            response = await _serve(request, endpoint, caller, policy, house, family, entry)
        elif endpoint.kind == "form":
            response = await _serve_form(request, endpoint, caller, policy, house, family, entry)
        elif endpoint.kind == "realtime":
            response = await realtime.serve(request, endpoint, caller, policy, house, family, entry)
        elif endpoint.kind == "file":
            response = await files.serve(request, endpoint, caller, house, family, entry)
        elif endpoint.kind == "batch":
            response = await batches.serve(request, endpoint, caller, house, family, entry)
        else:
            response = await listing.serve(request, endpoint, caller, policy, house, family, entry)
        return response
    except Refusal as error:
        # Its traceback holds this frame, and with it the body: a cycle that would keep megabytes until the next collection.
        refusal = error.with_traceback(None)
        refusal.__context__ = None
    except UpstreamFault as fault:
        log.warning("upstream_fault", id=entry.id, side="upstream", fault=fault.kind, reason=fault.message)
        refusal = answer.refusal_of(fault)
    except StoreFault as fault:
        refusal = answer.refusal_without_store(fault)
    except (asyncio.CancelledError, ConnectionError):
        raise
    except Exception as error:
        log.error("internal_error", id=entry.id, side="gateway", exc=answer.trace(error))
        refusal = answer.internal()
    finally:
        hold = entry.hold
        if hold is not None and hold.reserved.admitted and not hold.is_closed:
            hold.close((0,) * len(hold.quote.lines))  # a bug of ours before anything was sent: nothing is charged
        if refusal is not None:
            now_s = house.store_now_us() / 1e6
            response = answer.refuse(refusal, family, entry.id, limits=entry.limits, now_s=now_s, notes=marks(entry.verdict))
        if response is not None:
            entry.status = response.status
        record(entry, refusal)
        if house.watcher is not None:
            tell(house.watcher, entry)
        house.tally.note(entry, refusal)
        if refusal is not None:
            house.explained.note(entry, refusal, house.store_now_us())
    return response


async def _serve(
    request: web.BaseRequest, endpoint: Endpoint, caller: Caller, policy: Snapshot, house: House, family: Family, entry: Entry
) -> web.StreamResponse:
    """A request whose body is JSON that a wire judges."""
    wire, settings = WIRES[endpoint.wire], house.settings
    ask = entry.ask = await read(request, wire, limit_bytes=settings.body_limit_bytes, timeout_s=settings.body_timeout)
    filed = None
    if ask.wire == FILED:
        ask, filed = await files.filled(ask, caller, house)
        entry.ask = ask
    entry.asked = Asked(ask.model, ask.output_tokens_max, ask.choices)
    entry.timings.mark("read")
    verdict = None
    if house.watcher is not None:
        entry.subject, entry.at_us, entry.sighting, entry.verdict = classify(
            house.watcher, policy, caller, ask, house.store_now_us()
        )
        if entry.sighting is not None:
            entry.sealed = sample(policy, caller, ask, entry.id)
        elif ask.wire == BATCHES:
            await look_at_messages(house.watcher, policy, caller, ask, entry)
        entry.timings.mark("classify")
        if entry.verdict is not None:
            verdict = obeyed(entry.verdict)
            refuse(verdict)
    if filed is not None:
        files.check_current(filed, caller, policy, house, verdict)
    asked = ask
    check = partial(listing.check_owned, caller=caller, house=house) if listing.may_refer(ask) else None
    ask, known, held, dropped, downgraded_to = await enter(
        house.door, ask, wire, endpoint.name, caller, policy, entry.id, check=check, verdict=verdict
    )
    entry.ask, entry.hold, entry.limits, entry.limit = ask, held.hold, held.limits, held.limit
    entry.dropped, entry.downgraded_to = dropped, downgraded_to
    entry.timings.mark("hold")
    if not held.hold.reserved.admitted:
        raise admit.refused(held.hold, caller, ask, known)
    route = house.fleet.route(known.upstream or "")
    outgoing = shape(request, ask, wire, endpoint, route.credentials[family.name], limit=held.limit, mark=known.mark)
    told = _told(entry, asked, wire, endpoint, caller, policy, house)
    way = Way(request, caller, ask, known, wire, family, house, entry, held.limit, told)
    return await exchange(outgoing, route.pool, way)


def _told(
    entry: Entry, asked: Ask, wire: Wire, endpoint: Endpoint, caller: Caller, policy: Snapshot, house: House
) -> list[tuple[str, str]]:
    """What was changed in a request, as headers; where a step is not to be told, neither is what it took."""
    limit, dropped, verdict = entry.limit, entry.dropped, obeyed(entry.verdict)
    if verdict is not None and not verdict.is_marked:
        known = policy.admission(caller, asked.model, endpoint.name, house.store_now_us()).effective
        limit, dropped = as_usual(asked, wire, known.output, known.rule.max_output_tokens, limit=limit, dropped=dropped)
    return notes(limit, dropped, entry.downgraded_to) + marks(verdict)


async def _serve_form(
    request: web.BaseRequest, endpoint: Endpoint, caller: Caller, policy: Snapshot, house: House, family: Family, entry: Entry
) -> web.StreamResponse:
    """A request whose body is a form with files."""
    wire = WIRES[endpoint.wire]
    ask, upload = await uploads.receive(request, wire, caller, house)
    try:
        entry.ask = ask
        verdict = obeyed(entry.verdict)
        if ask.wire == FILES:
            ask = entry.ask = await files.sift(ask, upload, caller, policy, house, verdict, entry)
        asked = ask
        entry.timings.mark("read")
        ask, known, held, dropped, downgraded_to = await enter(
            house.door, ask, wire, endpoint.name, caller, policy, entry.id, verdict=verdict
        )
        entry.ask, entry.hold, entry.limits, entry.limit = ask, held.hold, held.limits, held.limit
        entry.dropped, entry.downgraded_to = dropped, downgraded_to
        entry.timings.mark("hold")
        if not held.hold.reserved.admitted:
            raise admit.refused(held.hold, caller, ask, known)
        route = house.fleet.route(known.upstream or "")
        upload.write(ask)
        outgoing = shape_form(request, endpoint, route.credentials[family.name], upload.boundary)
        told = _told(entry, asked, wire, endpoint, caller, policy, house)
        way = Way(request, caller, ask, known, wire, family, house, entry, held.limit, told, upload)
        return await exchange(outgoing, route.pool, way)
    finally:
        upload.close()
