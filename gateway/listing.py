"""Endpoints without a model's work: which models there are, and whose the answers are that the model server has kept.

Rule: ids open nothing by themselves. A tenant sees the models of its plan, and of the kept answers those that it made itself
(`output.stored: own`); anything else is answered as if it did not exist, in the vendor's own words.

Failure policy: while the store is gone nobody's ownership is known, and a kept answer cannot be referred to (503).
"""

from __future__ import annotations

import asyncio

import orjson
import structlog
from aiohttp import web

from gateway import stored
from gateway.budgets.limits import tag
from gateway.downstream import headers
from gateway.endpoints import Endpoint
from gateway.errors import Refusal, StoreFault, UpstreamFault
from gateway.house import House
from gateway.phases import relay
from gateway.phases.curb import BATCHES, FILED, FILES, KEEPS_ANSWERS
from gateway.phases.record import Entry
from gateway.phases.shape import shape_bare
from gateway.policy.resolve import upstream_of
from gateway.snapshot import Snapshot
from gateway.upstream.fleet import Route
from gateway.values import Ask, Caller
from gateway.whole import Headers, Whole
from gateway.wires.base import Family, StreamReader
from gateway.wires.models import joined, listed
from gateway.wires.references import file_ids

log = structlog.get_logger()

OWN = "own"


async def serve(
    request: web.BaseRequest, endpoint: Endpoint, caller: Caller, policy: Snapshot, house: House, family: Family, entry: Entry
) -> web.StreamResponse:
    """Raises Refusal, UpstreamFault and StoreFault."""
    if endpoint.kind == "models":
        return await _list(request, endpoint, caller, policy, house, family, entry)
    if endpoint.kind == "model":
        name = endpoint.item.replace("%2F", "/").replace("%2f", "/").replace("%3A", ":").replace("%3a", ":")
        served_by = upstream_of(policy.policy, name)
        if served_by is None or not policy.may_ask_for(caller, name):
            raise _unknown_model(name)
    else:
        route = house.fleet.route(await _keeper(endpoint.item, caller, house))
        return await stored.serve(request, endpoint, caller, policy, route, house, family, entry)
    status, body, answered = await _fetch(request, endpoint, house.fleet.route(served_by), house, family, entry)
    return Whole(status, answered, body)


async def _fetch(
    request: web.BaseRequest, endpoint: Endpoint, route: Route, house: House, family: Family, entry: Entry
) -> tuple[int, bytes, Headers]:
    """Status, body and headers of one upstream's answer. Raises UpstreamFault."""
    reply = await route.pool.send(*shape_bare(request, endpoint, route.credentials[family.name]))
    try:
        body = await relay.whole(reply, limit_bytes=house.settings.answer_limit_bytes, is_stream=False)
        return reply.status, body, headers(reply, family, entry, house, [])
    finally:
        reply.close()


async def _list(
    request: web.BaseRequest, endpoint: Endpoint, caller: Caller, policy: Snapshot, house: House, family: Family, entry: Entry
) -> Whole:
    """The models of every upstream that answers, each as the one that serves it lists it. Raises UpstreamFault if none does."""

    async def fetch(route: Route) -> tuple[int, bytes, Headers] | UpstreamFault:
        try:
            return await _fetch(request, endpoint, route, house, family, entry)
        except UpstreamFault as fault:
            log.warning(
                "upstream_fault", id=entry.id, side="upstream", upstream=route.name, fault=fault.kind, reason=fault.message
            )
            return fault

    routes = house.fleet.routes
    answers = await asyncio.gather(*(fetch(route) for route in routes))
    lists = [(route, answer) for route, answer in zip(routes, answers) if isinstance(answer, tuple) and answer[0] == 200]
    if lists:
        bodies = [_of_plan(body, caller, policy, route.name) for route, (_, body, _) in lists]
        return Whole(200, lists[0][1][2], joined(bodies))
    first = answers[0]
    if isinstance(first, UpstreamFault):
        raise first
    return Whole(first[0], first[2], first[1])


def _of_plan(body: bytes, caller: Caller, policy: Snapshot, served_by: str) -> bytes:
    def is_shown(name: str) -> bool:
        return policy.may_ask_for(caller, name) and upstream_of(policy.policy, name) == served_by

    try:
        return listed(body, is_shown)
    except ValueError:
        raise UpstreamFault("protocol", "the upstream's list of models is none", reached=True) from None


def _unknown_model(name: str) -> Refusal:
    message = f"The model '{name}' does not exist or you do not have access to it."
    return Refusal("not_found", message, status=404, param="model", code="model_not_found", reason="model_not_allowed")


def may_refer(ask: Ask) -> bool:
    """Whether an ask may name what others own: a kept answer, or a file (its tokens are counted wherever it is)."""
    return ask.wire == KEEPS_ANSWERS or (ask.wire == "openai.chat" and ask.media_tokens > 0)


async def check_owned(ask: Ask, caller: Caller, house: House) -> None:
    """Raises Refusal (404) where an ask refers to a file or a kept answer that is not its tenant's, and StoreFault.

    It only gets here with a reference to an answer if its policy says `stored: own`.
    """
    await _check_files(ask, caller, house)
    if ask.wire != KEEPS_ANSWERS:
        return
    for field in ("previous_response_id", "conversation"):
        item = ask.body.get(field)
        if type(item) is dict:
            item = item.get("id")
        if item is not None:
            await _keeper(str(item), caller, house, field)
    if refers_to_items(ask.body.get("input")):
        # Whose an item is, only its answer tells, and that is not said here.
        message = "input: items are not taken by reference here; send them whole, or give previous_response_id."
        raise Refusal("invalid_request", message, status=400, param="input", code="item_not_found", reason="not_the_owner")


def refers_to_items(given: object) -> bool:
    """Whether an input names kept items instead of saying them; the API lets their type be left out."""
    if type(given) is not list:
        return False
    return any(
        type(item) is dict and (item.get("type") == "item_reference" or (item.get("type") is None and "role" not in item))
        for item in given
    )


async def _keeper(item: str, caller: Caller, house: House, param: str | None = None) -> str:
    """The upstream that keeps a caller's answer. Raises Refusal (404) where it is not the caller's, and StoreFault."""
    upstream = await house.owners.upstream_of(tag(caller.organisation), caller.tenant, item)
    if upstream is None:
        message = "No answer of yours with this id is kept."
        raise Refusal("not_found", message, status=404, param=param, code="response_not_found", reason="not_the_owner")
    return upstream


async def _check_files(ask: Ask, caller: Caller, house: House) -> None:
    """Raises Refusal (404) where an ask refers to a file that is not its tenant's, and StoreFault."""
    for item in file_ids(ask.body):
        if not await house.owners.owns(tag(caller.organisation), caller.tenant, item):
            message = "No such File object of yours: only files that you uploaded here can be referred to."
            raise Refusal("not_found", message, status=404, param="file_id", reason="not_the_owner")


async def note_answer(
    ask: Ask, answer: bytes, caller: Caller, house: House, *, stored: str | None, upstream: str, note: bytes = b""
) -> None:
    """Remember whose answer, batch or file this is, where such are kept, before the client learns its id."""
    is_kept = ask.wire == KEEPS_ANSWERS and stored == OWN and ask.body.get("store") is not False
    if not is_kept and ask.wire not in (BATCHES, FILES, FILED):
        return
    try:
        value = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return
    if type(value) is dict and type(item := value.get("id")) is str:
        await claim(item, caller, house, upstream, note)


async def claim(item: str, caller: Caller, house: House, upstream: str, note: bytes = b"") -> None:
    """The answer `item` is the caller's tenant's. A store that is gone leaves it without an owner: nobody can refer to it."""
    try:
        await house.owners.claim(tag(caller.organisation), caller.tenant, item, upstream, note)
    except StoreFault as fault:
        log.warning("claim_lost", side="store", reason=str(fault))


async def claim_stream(reader: StreamReader, caller: Caller, house: House, upstream: str) -> bool:
    """As soon as a stream has told its answer's id. True: it is done."""
    item = reader.answer_id
    if item:
        await claim(item, caller, house, upstream)
    return bool(item)
