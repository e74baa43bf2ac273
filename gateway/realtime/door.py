"""What is decided before a session begins, so that a refusal is still HTTP; then the session.

Order: the handshake itself, the model, the policy, the hold, the upstream's session, and only then the client's upgrade. So an
upstream that is gone is a 502 and no session that breaks at once.

A session is one request and one in flight for as long as it is open; each of its responses is held and charged by itself (see
`responses`). What it used beside them (transcripts of what the caller said) is posted while it runs, and at its end.

Refused, because nothing here could count or bound it: a transcription session, joining the call of somebody else (`call_id`),
and sessions under a policy that hides or masks parts of answers: texts leave here as audio too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote

from aiohttp import web
from multidict import CIMultiDict

from gateway.endpoints import Endpoint
from gateway.errors import Refusal, UpstreamFault
from gateway.house import House
from gateway.phases import admit
from gateway.phases.classify import obeyed
from gateway.phases.record import Entry
from gateway.realtime.rules import check_output
from gateway.realtime.session import CLOSE_S, Session
from gateway.realtime.upward import Way
from gateway.snapshot import Snapshot
from gateway.upstream.fleet import Pool, Route
from gateway.upstream.headers import forward_headers, return_headers
from gateway.upstream.websocket import Declined, Socket
from gateway.values import Ask, Caller, Outcome
from gateway.whole import SERVER
from gateway.wires import fields
from gateway.wires.base import BadField, Family
from gateway.wires.openai_realtime import NAME

PROTOCOL = "realtime"
_KEY_PROTOCOL = "openai-insecure-api-key."
_PREVIEW_PROTOCOL = "openai-beta.realtime-v1"
_PREVIEW = "realtime=v1"
_MESSAGE_BYTES_MAX = 16 << 20
"""The vendor's own bound on audio in one event is 15 MiB."""
_PING_S = 30.0
_USER_HEADER = "OpenAI-Safety-Identifier"


def credentials(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers that `identify` reads. A browser can set none, and carries its key as a subprotocol."""
    key = next((name[len(_KEY_PROTOCOL) :] for name in _offered(headers) if name.startswith(_KEY_PROTOCOL)), None)
    if key is None:
        return headers
    carried: CIMultiDict[str] = CIMultiDict()
    if (sent := headers.get("Authorization")) is not None:
        carried["Authorization"] = sent  # two different keys are refused
    carried["x-api-key"] = key
    return carried


async def serve(
    request: web.BaseRequest, endpoint: Endpoint, caller: Caller, policy: Snapshot, house: House, family: Family, entry: Entry
) -> web.StreamResponse:
    """A session, from its handshake to its end. Raises Refusal, UpstreamFault and StoreFault, but only before the upgrade."""
    client = _handshake(request)
    model = _model(endpoint.query)
    known = admit.admission(caller, model, endpoint.name, policy, house.store_now_us(), obeyed(entry.verdict))
    check_output(known.effective.output)
    entry.ask = ask = _ask(model, request.headers)
    held = await admit.hold(house.holds, house.waiting, caller, ask, None, entry.id, known, house.estimator, house.store_now_us)
    entry.hold, entry.limits = held.hold, held.limits
    entry.timings.mark("hold")
    if not held.hold.reserved.admitted:
        raise admit.refused(held.hold, caller, ask, known)
    upstream = await _open(request, model, house.fleet.route(known.upstream or ""), house, family, entry)
    entry.timings.mark("upstream")
    for name, value in ((family.request_id_header, entry.id), ("Server", SERVER), *family.limit_headers(
        held.limits, now_s=house.store_now_us() / 1e6
    )):  # fmt: skip
        client.headers[name] = value
    is_preview = _is_preview(request.headers)
    session = Session(request, Way(client, upstream, caller, ask, family, house, entry, is_preview), policy)
    try:
        await client.prepare(request)
    except BaseException:
        session.unbegun()
        raise
    await session.run()
    return client


def _handshake(request: web.BaseRequest) -> web.WebSocketResponse:
    """The client's side, not yet upgraded. Raises Refusal."""
    client = web.WebSocketResponse(
        timeout=CLOSE_S,
        heartbeat=_PING_S,
        protocols=(PROTOCOL,),
        compress=False,  # a small message must not become a large one
        max_msg_size=_MESSAGE_BYTES_MAX,
        decode_text=False,
    )
    offered = _offered(request.headers)
    if offered and PROTOCOL not in offered:
        # A browser would close a session that takes none of its subprotocols. It also keeps keys out of aiohttp's own log.
        message = f"Sec-WebSocket-Protocol: offer '{PROTOCOL}' beside the others."
    elif request.headers.get("Upgrade", "").strip().lower() != "websocket":
        message = "This endpoint is a WebSocket: ask for it with 'Upgrade: websocket'."
    elif not client.can_prepare(request).ok:
        message = "The WebSocket handshake is not valid: it takes version 13, 'Connection: Upgrade' and a key of 16 bytes."
    else:
        return client
    raise Refusal("invalid_request", message, status=400, code="bad_handshake", reason="bad_handshake")


def _model(query: bytes) -> str:
    """The one parameter there is. Raises Refusal."""
    given = parse_qsl(query.decode("ascii").removeprefix("?"), keep_blank_values=True)
    for name, _ in given:
        if name != "model":
            message = f"The query parameter {name[:40]!r} is not taken here: a session is opened with ?model=MODEL alone."
            raise Refusal("invalid_request", message, status=400, param=name[:40], reason="bad_query")
    if len(given) != 1:
        message = "A session is opened with ?model=MODEL, given once."
        raise Refusal("invalid_request", message, status=400, param="model", code="missing_model", reason="bad_query")
    try:
        return fields.model({"model": given[0][1]})
    except BadField as error:
        raise Refusal("invalid_request", error.message, status=400, param="model", reason="bad_field") from None


def _ask(model: str, headers: Mapping[str, str]) -> Ask:
    """The session itself: a request without input or output of its own."""
    user = headers.get(_USER_HEADER, "")
    if len(user) > fields.END_USER_CHARS_MAX:
        message = f"{_USER_HEADER}: must have at most {fields.END_USER_CHARS_MAX} characters."
        raise Refusal("invalid_request", message, status=400, reason="bad_field")
    return Ask(
        wire=NAME,
        model=model,
        body={},
        text_bytes=0,
        media_tokens=0,
        output_tokens_max=0,
        choices=1,
        is_stream=True,
        wants_usage=True,
        end_user=user,
    )


async def _open(request: web.BaseRequest, model: str, route: Route, house: House, family: Family, entry: Entry) -> Socket:
    """The upstream's session. Raises Refusal and UpstreamFault; the hold is void then."""
    headers = forward_headers(request.raw_headers) + route.credentials[family.name]
    if _PREVIEW_PROTOCOL in _offered(request.headers):
        headers.append((b"openai-beta", _PREVIEW.encode()))
    hold = entry.hold
    assert hold is not None  # noqa: S101  # `serve` has opened it
    try:
        return await _connect(route.pool, f"/v1/realtime?model={quote(model, safe='')}".encode(), headers, house)
    except UpstreamFault as fault:
        hold.outcome = Outcome("upstream_unreached", 0, None, 0, 0, fault.kind)
        raise
    except Declined as declined:
        hold.outcome = Outcome("upstream_refused", declined.status, None, 0, 0)
        raise _declined(declined) from None


async def _connect(pool: Pool, target: bytes, headers: list[tuple[bytes, bytes]], house: House) -> Socket:
    """A session with one of the pool's servers; the next one is asked where one cannot be reached. Raises UpstreamFault."""
    loop = asyncio.get_running_loop()
    for left in reversed(range(len(pool.servers))):
        server = pool.choose()
        try:
            socket = await house.sockets.connect(server.upstream.origin, target, headers, message_bytes_max=_MESSAGE_BYTES_MAX)
        except UpstreamFault as fault:
            server.breaker.note_fault(fault.kind, loop.time())
            if fault.reached or not left:
                raise
        except Declined as declined:
            server.breaker.note_status(declined.status, loop.time())
            raise
        else:
            server.breaker.note_status(101, loop.time())
            return socket
    raise AssertionError("a pool has a server")


def _declined(declined: Declined) -> Refusal | UpstreamFault:
    """What an upstream's status instead of a session means for the client."""
    status = declined.status
    if status in (401, 403):
        return UpstreamFault("credentials", f"the upstream answered {status}: see UPSTREAM_API_KEY", reached=True)
    if status >= 500 or status < 400:
        return UpstreamFault("broken", f"the upstream answered the handshake with {status}", reached=True)
    wait_ms = None
    for name, value in return_headers(declined.headers):
        if name == "retry-after" and value.isdigit():
            wait_ms = min(int(value), 86_400) * 1000
    kind = {404: "not_found", 429: "rate_limit"}.get(status, "invalid_request")
    message = f"The upstream model server declined the session with status {status}."
    return Refusal(kind, message, status=status, side="upstream", retry_after_ms=wait_ms, reason=f"upstream:{status}")


def _offered(headers: Mapping[str, str]) -> list[str]:
    sent = headers.get("Sec-WebSocket-Protocol")
    return [] if sent is None else [name.strip() for name in sent.split(",")]


def _is_preview(headers: Mapping[str, str]) -> bool:
    """Whether the session is asked for in the preview's format."""
    options = [option.strip() for option in headers.get("OpenAI-Beta", "").split(",")]
    return _PREVIEW in options or _PREVIEW_PROTOCOL in _offered(headers)
