"""Files of requests: read line by line when uploaded, written anew as the policy leaves them, and their tenant's alone.

A batch is made of a file by its id, and nobody reads the file again: so all that is judged in a request is judged here, before
a byte goes up. What the lines come to together is remembered with the file's owner (`Filed`), and held and charged when a batch
is made of it. The policy may have changed by then: what was decided by is remembered too, and another decision wants another
file.

The watch looks at requests here too, and not when a batch is made of them, for then there is only a file's id. A file without a
batch teaches nobody anything, but nobody uploads one for that.

Failure policy: one bad line refuses the file, is named, and nothing has been counted, nor seen. While the store is gone
nobody's ownership is known (503). An owner that could not be noted leaves a file that nobody can use.
"""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import web

from gateway import answer
from gateway.budgets.limits import tag
from gateway.downstream import begin, break_off, client_of, headers
from gateway.endpoints import Endpoint
from gateway.errors import Refusal, UpstreamFault
from gateway.house import House
from gateway.phases import admit, relay
from gateway.phases.record import Entry
from gateway.phases.shape import shape_bare
from gateway.sieve import LINE_BYTES_MAX, Filed, Sieve, fingerprint, refuse_edited
from gateway.sighted import keep, many_of
from gateway.snapshot import Admission, Snapshot
from gateway.spool import Spooled
from gateway.uploads import Upload
from gateway.values import Ask, Caller, Extent, Verdict
from gateway.whole import Whole
from gateway.wires import form
from gateway.wires.base import Family
from gateway.wires.openai_files import ENDPOINTS

log = structlog.get_logger()

MADE_BY = "batches"
"""The endpoint whose policy holds for the requests of a file."""


async def sift(
    ask: Ask, upload: Upload, caller: Caller, policy: Snapshot, house: House, verdict: Verdict | None, entry: Entry
) -> Ask:
    """Judge the file of an upload, look at its requests, and put what is left of it in its place. Raises Refusal."""
    file = form.files(ask.body, "file")[0]
    may = frozenset(url for url, endpoint in ENDPOINTS.items() if policy.may_use(caller, endpoint))

    def admitted(model: str) -> Admission:
        return admit.admission(caller, model, MADE_BY, policy, house.store_now_us(), verdict)

    watcher = house.watcher
    many = None if watcher is None else many_of(watcher, policy, caller, entry, house.store_now_us())
    sieve = Sieve(admitted, may, many)
    made = house.spool.open(caller.tenant)
    try:
        await _sift(upload, file, sieve, made)
        filed = sieve.filed()
    except BaseException:
        made.close()
        raise
    if watcher is not None and many is not None:
        keep(watcher, entry, many)
    upload.swap(made)
    upload.note = filed.packed()
    file = file._replace(begin=0, size=made.size)
    return ask._replace(
        model=filed.model,
        body={**ask.body, "file": [file]},
        text_bytes=0,
        extent=ask.extent._replace(upload_bytes=made.size),
    )


async def _sift(upload: Upload, file: form.File, sieve: Sieve, made: Spooled) -> None:
    waiting: list[bytes] = []
    size = 0
    async for block in upload.read(file.begin, file.size):
        cut = block.rfind(b"\n") + 1
        if cut:
            waiting.append(block[:cut])
            await made.write(await asyncio.to_thread(sieve.take, b"".join(waiting)))
            waiting, size = [], 0
        waiting.append(block[cut:])
        size += len(block) - cut
        if size > LINE_BYTES_MAX:
            raise sieve.too_long()
    await made.write(await asyncio.to_thread(sieve.take, b"".join(waiting)))


async def filled(ask: Ask, caller: Caller, house: House) -> tuple[Ask, Filed]:
    """A batch as what its file comes to. Raises Refusal (400, 404) and StoreFault."""
    item = ask.body["input_file_id"]
    kept = await house.owners.kept(tag(caller.organisation), caller.tenant, item)
    if kept is None:
        raise no_such_file("input_file_id")
    filed = Filed.unpacked(kept.note)
    if filed is None:
        message = "input_file_id: must be a file of requests that you uploaded."
        raise Refusal("invalid_request", message, status=400, param="input_file_id", reason="bad_field")
    if filed.url != ask.body["endpoint"]:
        message = f"endpoint: the requests of this file are for {filed.url}."
        raise Refusal("invalid_request", message, status=400, param="endpoint", reason="bad_field")
    asked = ask._replace(
        model=filed.model,
        text_bytes=filed.text_bytes,
        media_tokens=filed.media_tokens,
        output_tokens_max=filed.output_tokens,
        extent=Extent(requests=filed.requests),
    )
    return asked, filed


def check_current(filed: Filed, caller: Caller, policy: Snapshot, house: House, verdict: Verdict | None) -> None:
    """Raises Refusal where a file that was uploaded under another policy would not be what it is under this one."""
    admit.permit(policy, caller, ENDPOINTS[filed.url])
    known = admit.admission(caller, filed.model, MADE_BY, policy, house.store_now_us(), verdict)
    refuse_edited(known)
    if fingerprint(known) != filed.decided_by:
        message = "input_file_id: what holds for its requests has changed since this file was uploaded: upload it again."
        raise Refusal("invalid_request", message, status=400, param="input_file_id", reason="policy_changed")


def no_such_file(param: str | None = None) -> Refusal:
    """The same for one that is somebody else's."""
    return Refusal("not_found", "No such File object of yours.", status=404, param=param or "id", reason="not_the_owner")


async def serve(
    request: web.BaseRequest, endpoint: Endpoint, caller: Caller, house: House, family: Family, entry: Entry
) -> web.StreamResponse:
    """Give out, describe or delete a tenant's own file. Raises Refusal, UpstreamFault and StoreFault."""
    kept_by = await house.owners.upstream_of(tag(caller.organisation), caller.tenant, endpoint.item)
    if kept_by is None:
        raise no_such_file()
    route = house.fleet.route(kept_by)
    reply = await route.pool.send(*shape_bare(request, endpoint, route.credentials[family.name]))
    try:
        if reply.status == 200 and endpoint.path.endswith(b"/content"):
            response = await begin(request, headers(reply, family, entry, house, []))
            spout = relay.Spout(response, client_of(request), unread_s=house.settings.read_timeout, pace=None)
            try:
                await relay.raw(reply, spout)
            except UpstreamFault as fault:
                log.warning("upstream_fault", id=entry.id, side="upstream", fault=fault.kind, reason=fault.message)
                await break_off(request, response, family.error_body(answer.refusal_of(fault), entry.id))
            return response
        body = await relay.whole(reply, limit_bytes=house.settings.answer_limit_bytes, is_stream=False)
        return Whole(reply.status, headers(reply, family, entry, house, []), body)
    finally:
        reply.close()
