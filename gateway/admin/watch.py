"""The admin side of the watch: who stands where and why, a pardon, and what the operator knows of tenants.

What is asked and told here is what `gauger watch` asks and tells: both are `watch.desk`. Whoever changes something names
themself (`by`), for everybody has the same token; that goes into this gateway's log and, by the analyst, into the evidence.

Failure policy: nothing is changed by a body with any mistake in it. While the store is gone everything here is 503.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import structlog
from aiohttp import web

from gateway.admin.server import Handler, Route, refused, reply, told
from gateway.errors import PolicyErrors, SettingsError, StoreFault
from gateway.policy.model import Policy
from gateway.store.watch import WatchStore
from gateway.watch import desk
from gateway.watch.cases import CLUSTER
from gateway.watch.changes import instant
from gateway.watch.facts import NOTHING_DONE, read_facts
from gateway.watch.telling import brief, shown

log = structlog.get_logger()

PARDON_BYTES_MAX = 16 * 1024
FACTS_BYTES_MAX = 32 * 1024 * 1024
DAYS_MAX = 366
ROWS_MAX = 1_000
"""In one answer; the most suspicious come first, and filters find the rest."""
FORMS = {"application/json": "json", "text/csv": "csv", "application/x-ndjson": "jsonl", "application/yaml": "yaml"}
FLAGS = {"1": True, "true": True, "0": False, "false": False}
FILTERS = ("all", "review", "organisation", "ladder", "step", "cluster", "score")


def routes(store: WatchStore, policy: Callable[[], Policy], secret: bytes, now_us: Callable[[], int]) -> list[Route]:
    """`policy`: the one in force. `now_us`: the store's clock."""

    async def listing(request: web.Request) -> web.Response:
        wanted = _wanted(request)
        found = await desk.listing(store, wanted)
        rows = [brief(row) | {"is_pardoned": row["subject"] in found.pardons} for row in found.rows[:ROWS_MAX]]
        more = {"judged": found.judged, "left_off": len(found.rows) - len(rows)}
        return reply({"subjects": rows, **more, **await _analyst()})

    async def show(request: web.Request) -> web.Response:
        name = _subject(request)
        row = await desk.dossier(store, policy(), name, now_us())
        if name.startswith(CLUSTER):
            found = await desk.listing(store, desk.Wanted(cluster=name.removeprefix(CLUSTER)))
            row["standings"] = [brief(each) for each in found.rows if each["subject"] != name][:ROWS_MAX]
        more = {"is_pardoned": name in await store.pardons(), **await _analyst()}
        return reply({**row, "words": shown(row, policy(), now_us()), **more})

    async def pardon(request: web.Request) -> web.Response:
        name, body = _subject(request), await _body(request, PARDON_BYTES_MAX)
        by, reason, excused_s = _pardon(body)
        done = await desk.pardon(store, policy(), name, by=by, reason=reason, excused_s=excused_s, now_us=now_us())
        log.warning("watch_pardon_given", subject=name, by=by, reason=reason, members=len(done.names) - 1)
        return reply({"pardoned": done.names, "excused_until": instant(done.until_us), **await _analyst()})

    async def facts(_request: web.Request) -> web.Response:
        found = await desk.facts_known(store)
        rows = {name: {"known": said["known"], "by": said["by"], "at": instant(said["at_us"])} for name, said in found.items()}
        return reply({"tenants": rows})

    async def state(request: web.Request) -> web.Response:
        form = FORMS.get(request.content_type)
        if form is None:
            return told(415, f"Content-Type: {request.content_type[:60]!r} is not known; allowed: {', '.join(FORMS)}")
        data, by = await _body(request, FACTS_BYTES_MAX), request.query.get("by", "")
        _only(request, ("by",))
        if form == "json":
            data, by = _stated(data, by)
        by = desk.line("by", by)
        try:
            known = read_facts(data, form, file="body", policy=policy())
        except PolicyErrors as errors:
            return refused(errors.mistakes, what=f"in the facts; {NOTHING_DONE}")
        return await _stated_by(by, known)

    async def forget(request: web.Request) -> web.Response:
        _only(request, ("by",))
        by, tenant = desk.line("by", request.query.get("by", "")), request.match_info.get("tenant")
        there = list(await desk.facts_known(store))
        if tenant is not None and tenant not in there:
            raise desk.Unknown(f"nothing is known of {tenant[:80]!r}: GET /watch/facts says of whom something is")
        return await _stated_by(by, {each: {} for each in there if tenant in (None, each)})

    async def _stated_by(by: str, known: dict[str, dict[str, str]]) -> web.Response:
        await desk.state_facts(store, known, secret, by=by, now_us=now_us())
        log.warning("watch_facts_stated", by=by, tenants=len(known), forgotten=sum(not said for said in known.values()))
        return reply({"tenants": len(known)})

    async def _analyst() -> dict[str, Any]:
        analyst = await desk.analyst(store, now_us())
        missing = [{"at": instant(at_us), "why": why, "requests": count} for at_us, why, count in analyst.missing]
        said = {"is_active": analyst.is_active, "behind_s": analyst.behind_s, "missing": missing}
        return {"analyst": said, "warnings": desk.warnings(analyst)}

    made: list[Route] = [
        ("GET", "/watch", listing),
        ("GET", "/watch/facts", facts),
        ("PUT", "/watch/facts", state),
        ("DELETE", "/watch/facts", forget),
        ("DELETE", "/watch/facts/{tenant}", forget),
        ("GET", "/watch/clusters/{cluster}", show),
        ("POST", "/watch/clusters/{cluster}/pardon", pardon),
        ("GET", "/watch/{tenant}", show),
        ("GET", "/watch/{tenant}/{key}", show),
        ("POST", "/watch/{tenant}/pardon", pardon),
        ("POST", "/watch/{tenant}/{key}/pardon", pardon),
    ]
    return [(method, path, _answering(handler)) for method, path, handler in made]


def _answering(handler: Handler) -> Handler:
    async def answering(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except desk.Unknown as error:
            return told(404, str(error))
        except SettingsError as error:
            return told(400, str(error))
        except StoreFault as fault:
            return told(503, f"the store does not answer: {fault}; nothing may have been changed, or all: ask again")

    return answering


def _subject(request: web.Request) -> str:
    found = request.match_info
    if "cluster" in found:
        return CLUSTER + found["cluster"]
    return f"{found['tenant']}/{found['key']}" if "key" in found else str(found["tenant"])


async def _body(request: web.Request, bytes_max: int) -> bytes:
    """Raises SettingsError; a body above the limit is not read to its end."""
    found = bytearray()
    async for chunk in request.content.iter_chunked(64 * 1024):
        found += chunk
        if len(found) > bytes_max:
            raise web.HTTPRequestEntityTooLarge(bytes_max, len(found), reason=f"the body is above {bytes_max} bytes")
    return bytes(found)


def _pardon(body: bytes) -> tuple[str, str, int]:
    """By whom, why, and for how many seconds. Raises SettingsError."""
    fields = _object(body, ("reason", "by", "days"), 'as {"reason": "called, a school class", "by": "ann", "days": 7}')
    for word in ("reason", "by"):
        if type(fields.get(word)) is not str:
            raise SettingsError(f"{word}: is {'to be a text' if word in fields else 'missing'}: it goes on record")
    days = fields.get("days", desk.PARDON_S / 86_400)
    if type(days) not in (int, float) or not 0 < days <= DAYS_MAX:
        raise SettingsError(f"days: for so long it does not climb again: a number above 0, up to {DAYS_MAX}")
    return desk.line("by", fields["by"]), desk.line("reason", fields["reason"]), max(1, round(days * 86_400))


def _stated(body: bytes, by: str) -> tuple[bytes, str]:
    """The part of it that is facts, and by whom. Raises SettingsError."""
    fields = _object(body, ("by", "tenants"), 'as {"by": "ann", "tenants": {"acme": {"payment": "card-4711"}}}')
    by = fields.get("by", by)
    if type(by) is not str:
        raise SettingsError("by: is to be a text: it goes on record")
    if "tenants" not in fields:
        raise SettingsError("tenants: is missing")
    return orjson.dumps(fields["tenants"]), by


def _object(body: bytes, words: tuple[str, ...], how: str) -> dict[str, Any]:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise SettingsError(f"the body is no JSON: {error}; it is an object, {how}") from None
    if type(fields) is not dict:
        raise SettingsError(f"the body is to be an object, {how}")
    for word in fields:
        if word not in words:
            raise SettingsError(f"{word[:40]!r}: is not known; allowed: {', '.join(words)}")
    return fields


def _wanted(request: web.Request) -> desk.Wanted:
    """Raises SettingsError."""
    _only(request, FILTERS)
    query = request.query
    flags = {}
    for word in ("all", "review"):
        if query.get(word, "0") not in FLAGS:
            raise SettingsError(f"{word}: is to be one of {', '.join(FLAGS)}")
        flags[word] = FLAGS[query.get(word, "0")]
    score = query.get("score", "0")
    if not (score.isascii() and score.isdigit() and int(score[:5]) <= 1_000):
        raise SettingsError("score: the least, per mille: 0 to 1000")
    return desk.Wanted(
        flags["all"], flags["review"], query.get("organisation", ""), query.get("ladder", ""), query.get("step", ""),
        query.get("cluster", ""), int(score),
    )  # fmt: skip


def _only(request: web.Request, words: tuple[str, ...]) -> None:
    for word in request.query:
        if word not in words:
            raise SettingsError(f"?{word[:40]}: is not known; allowed: {', '.join(words)}")
