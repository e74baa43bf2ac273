"""The exchange with the upstream: forward, relay, settle. The second half of the spine, for every request that holds.

Invariant, whatever happens (an error, a client that leaves, a bug of ours): the upstream's answer is closed, and the hold is
closed exactly once, by the closing rule in `phases.settle`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

import structlog
from aiohttp import web

from gateway import answer, batches, listing, uploads
from gateway.downstream import begin, break_off, client_of, headers, is_event_stream
from gateway.errors import UpstreamFault
from gateway.house import House
from gateway.phases import relay, settle
from gateway.phases.curb import KEEPS_ANSWERS
from gateway.phases.leash import UNBOUNDED_STEP_TOKENS, Leash
from gateway.phases.record import Entry
from gateway.snapshot import Admission
from gateway.upstream.base import NotSent, Reply, Upstream
from gateway.values import ORDINARY, Ask, Caller, Cut, Ended, Outcome, Outgoing
from gateway.whole import Headers, Whole
from gateway.wires.base import Editor, Family, StreamReader, Wire
from gateway.wires.plain import COUNTS, counted

log = structlog.get_logger()


class Way(NamedTuple):
    """What an exchange with the upstream is made of."""

    request: web.BaseRequest
    caller: Caller
    ask: Ask
    known: Admission
    wire: Wire
    family: Family
    house: House
    entry: Entry
    limit: int | None
    """Output tokens of one choice that the gateway allows; None: as many as were asked for."""
    notes: Headers
    """What the gateway changed in the request."""
    upload: uploads.Upload | None = None
    """The form that is sent on, where the body is one."""


async def exchange(outgoing: Outgoing, upstream: Upstream, way: Way) -> web.StreamResponse:
    """Forward, relay, and close the hold with what came of it. Raises what `handle` answers, once the hold is closed."""
    request, caller, ask, known, wire, family, house, entry, limit, _, upload = way
    hold = entry.hold
    assert hold is not None  # noqa: S101  # `_serve` has opened it
    reply: Reply | None = None
    reader = wire.reader(ask) if ask.is_stream else None
    usage = None
    body: bytes | None = None
    whole_bytes = 0
    ended: Ended = "gateway_failed"
    cut: Cut = ""
    fault_kind, is_quoted = "", False
    response: web.StreamResponse | None = None
    try:
        method, target, sent_headers, sent_body = outgoing
        reply = await upstream.send(method, target, sent_headers, sent_body if upload is None else upload)
        entry.timings.mark("upstream")
        if reader is not None and reply.status == 200 and is_event_stream(reply):
            response = await begin(request, headers(reply, family, entry, house, way.notes))
            spout = relay.Spout(response, client_of(request), unread_s=house.settings.read_timeout, pace=known.output.pace())
            leash = _leash(way, reader)
            edits = known.output.edits()
            editor: Editor | None = None if edits is None else wire.editor(ask, edits)
            for each in (hold, hold.beside):
                if each is not None:
                    each.progress = partial(settle.progress, each, ask, reader, family.name, house.estimator)
            reason = await relay.stream(reply, reader, spout, editor=editor, leash=leash, begun=_claims(way, reader))
            ended = "complete"
            if reason is not None:
                ended, cut = "cut", "filter" if reason == "filter" else "limit" if leash is None else leash.cut()
                told = settle.told(hold, ask, reader, family.name, house.estimator)
                await relay.cut(reply, reader, spout, reason, told, editor=editor)
        elif reply.status == 200 and (wire.answers_bytes or (upload is not None and uploads.answers_text(ask))):
            response = await begin(request, headers(reply, family, entry, house, way.notes))
            spout = relay.Spout(response, client_of(request), unread_s=house.settings.read_timeout, pace=None)
            await relay.raw(reply, spout)
            ended = "complete"
        else:
            body = await relay.whole(
                reply, limit_bytes=house.settings.answer_limit_bytes, is_stream=ask.is_stream and upload is None
            )
            if reply.status < 300:
                ended, usage = "complete", wire.usage(body)
                if is_quoted := wire.charges_quote or ask.body.get("background") is True:
                    usage = settle.quoted(hold.quote, batches.most_tokens(ask, limit))
                if limit is not None and (shorter := wire.shorten(body, limit)) is not None:
                    (body, usage), cut = shorter, "limit"
                if (edits := known.output.edits()) is not None:
                    body, is_filtered = wire.edit(body, edits)
                    cut = "filter" if is_filtered else cut
                whole_bytes = len(body)
                if ask.wire in COUNTS:
                    settle.calibrate(caller, ask, counted(body), house.estimator)
                await listing.note_answer(
                    ask, body, caller, house, stored=known.effective.output.stored, upstream=known.upstream or "",
                    note=b"" if upload is None else upload.note,
                )  # fmt: skip
            else:
                ended = "upstream_refused"
            response = Whole(
                reply.status, headers(reply, family, entry, house, way.notes), body, unread_s=house.settings.read_timeout
            )
        entry.timings.mark("relay")
        return response
    except UpstreamFault as fault:
        ended, fault_kind = ("upstream_died" if fault.reached else "upstream_unreached"), fault.kind
        if fault.kind == "credentials":
            ended = "upstream_unreached"  # it did nothing for the tenant, and the fault is the operator's
        if response is None:
            raise
        log.warning("upstream_fault", id=entry.id, side="upstream", fault=fault.kind, reason=fault.message)
        await break_off(request, response, family.error_event(answer.refusal_of(fault), entry.id))
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
        log.error("internal_error", id=entry.id, side="gateway", exc=answer.trace(error))
        await break_off(request, response, family.error_event(answer.internal(), entry.id))
        return response
    finally:
        if reply is not None:
            reply.close()
        events, content_bytes = (reader.events, reader.content_bytes) if reader is not None else (0, whole_bytes)
        if reader is not None and usage is None:
            usage = reader.usage
        status = 0 if reply is None else reply.status
        extent = ORDINARY if wire.charges_quote and ended == "upstream_refused" else None  # no batch was made
        if upload is not None:
            extent = uploads.came_to(ask, upload, body, reader)
            if not upload.is_sent and ended != "complete":
                usage = settle.NOTHING  # nobody can have heard or drawn anything yet
        outcome = Outcome(ended, status, usage, events, content_bytes, fault_kind, cut, extent, is_quoted)
        settle.close(hold, caller, ask, outcome, family.name, house.estimator)


def _claims(way: Way, reader: StreamReader) -> Callable[[], Awaitable[bool]] | None:
    """What is done before the client learns the id of an answer that is kept; None: nothing."""
    if way.ask.wire != KEEPS_ANSWERS or way.known.effective.output.stored != listing.OWN:
        return None
    return partial(listing.claim_stream, reader, way.caller, way.house, way.known.upstream or "")


def _leash(way: Way, reader: StreamReader) -> Leash | None:
    """What holds a stream back; None: it may run as far as it was asked for, and all of that is held."""
    ask, limit, hold, house = way.ask, way.limit, way.entry.hold, way.house
    assert hold is not None  # noqa: S101  # `_serve` has opened it
    is_counted = bool(hold.quote.lines) or hold.beside is not None
    if limit is None and (not is_counted or hold.quote.output_tokens >= hold.quote.bound_tokens):
        return None
    ahead = way.known.effective.output.hold_ahead
    return Leash(
        house.holds, hold, reader, ask, way.family.name, house.estimator,
        limit_tokens=None if limit is None else limit * ask.choices,
        step_tokens=(UNBOUNDED_STEP_TOKENS if ahead is None else ahead) * ask.choices,
    )  # fmt: skip
