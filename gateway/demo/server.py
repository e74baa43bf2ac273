"""The demo server itself: routes, pacing and the ways to die. What is said is `plan`'s, how it is written is the wires'.

Beside the APIs it has, for whoever scripts it from another process: `GET /_seen` (what was asked, oldest first),
`DELETE /_seen`, `POST /_release`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import ModuleType

import orjson
from aiohttp import web

from gateway.demo import anthropic, forms, openai, others, realtime
from gateway.demo.batches import Batches
from gateway.demo.endings import cut, now_s, refusal
from gateway.demo.files import PATHS, Files
from gateway.demo.paths import NAMELESS, SAID, TELLTALES, WIRES, models
from gateway.demo.plan import Plan, plan_of, words
from gateway.demo.script import FIELD, HEADER, BadScript, Script, script_of
from gateway.demo.seen import Seen

BODY_BYTES_MAX = 64 << 20


class Handle:
    """A running server. `async with` closes it."""

    def __init__(self, remember: int) -> None:
        self.seen: deque[Seen] = deque(maxlen=remember)
        """The last requests to the two APIs, oldest first. `GET`s of models are among them."""
        self.base_url = ""
        """Without a path: "http://127.0.0.1:41234"."""
        self._go = asyncio.Event()
        self._is_closing = False
        self._count = 0
        self._batches = Batches()
        self._files = Files()
        self._runner: web.AppRunner | None = None

    def release(self) -> None:
        """Let every stalled answer go on, and the later ones not stall at all."""
        self._go.set()

    async def close(self) -> None:
        """Stop at once: open answers are cut off. Idempotent."""
        self._is_closing = True
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Handle:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _post(self, request: web.Request) -> web.StreamResponse:
        wire = WIRES.get(request.path, openai)
        seen, request_id = await self._remember(request)
        try:
            response = await self._answer(request, wire, seen, request_id)
        except (asyncio.CancelledError, ConnectionError):
            # aiohttp cancels the handler when its client goes (handler_cancellation), and when the server closes
            seen.end("shutdown" if self._is_closing else "client_left", now_s())
            raise
        seen.end("complete", now_s())
        return response

    async def _remember(self, request: web.Request) -> tuple[Seen, str]:
        self._count += 1
        headers = [(key.lower(), value) for key, value in request.headers.items()]
        seen = Seen(request.method, request.raw_path, headers, await request.read(), now_s())
        kind = request.headers.get("content-type", "")
        try:
            seen.json = forms.parse(kind, seen.body) if forms.is_form(kind) else orjson.loads(seen.body)
        except orjson.JSONDecodeError:
            seen.json = None
        self.seen.append(seen)
        return seen, f"req_demo{self._count:08d}"

    async def _answer(self, request: web.Request, wire: ModuleType, seen: Seen, request_id: str) -> web.StreamResponse:
        headers = TELLTALES | {"request-id" if wire is anthropic else "x-request-id": request_id}
        body = seen.json
        said = SAID.get(request.path, "messages")
        kinds = (list,) if said in ("messages", "requests") else (dict,) if said in ("file", "image") else (str, list)
        is_named = request.path in NAMELESS or (isinstance(body, dict) and isinstance(body.get("model"), str))
        if not (isinstance(body, dict) and is_named and isinstance(body.get(said), kinds)):
            return refusal(wire, seen, 400, f"The body must be a JSON object with model and {said}.", headers)
        if request.path == "/v1/messages" and not isinstance(body.get("max_tokens"), int):
            return refusal(wire, seen, 400, "max_tokens: Field required", headers)
        try:
            script = script_of(str(body.get("model", "")), body.get(FIELD), request.headers.get(HEADER))
        except BadScript as error:
            return refusal(wire, seen, 400, str(error), headers)
        await asyncio.sleep(script.first_byte_ms / 1000)
        if script.die_early:
            return cut(request, seen, web.Response())
        if script.status != 200:
            if script.retry_after_s >= 0:
                headers["retry-after"] = str(script.retry_after_s)
            return refusal(wire, seen, script.status, "The demo was told to refuse.", headers)
        if request.path in others.ANSWERS:
            return await self._other(request, seen, script, headers)
        plan = plan_of(body, script)
        if plan.is_stream:
            return await self._stream(request, wire, seen, plan, headers, request_id)
        return await self._whole(request, wire, seen, plan, headers, request_id)

    async def _whole(
        self, request: web.Request, wire: ModuleType, seen: Seen, plan: Plan, headers: dict[str, str], request_id: str
    ) -> web.StreamResponse:
        if plan.script.stall_after >= 0:
            await self._go.wait()
        answer: bytes = wire.whole(plan, request_id)
        if plan.script.die_after < 0:
            seen.tokens = plan.output_tokens
            return web.Response(body=answer, headers=headers, content_type="application/json")
        response = web.StreamResponse(headers=headers | {"content-type": "application/json"})
        response.content_length = len(answer)
        await response.prepare(request)
        await response.write(answer[: len(answer) // 2])
        return cut(request, seen, response)

    async def _stream(
        self, request: web.Request, wire: ModuleType, seen: Seen, plan: Plan, headers: dict[str, str], request_id: str
    ) -> web.StreamResponse:
        script = plan.script
        kind = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
        response = web.StreamResponse(headers=headers | kind)
        await response.prepare(request)
        if script.die_after == 0:
            return cut(request, seen, response)
        for event, tokens in wire.stream(plan, request_id):
            if tokens and script.gap_ms and seen.tokens:
                await asyncio.sleep(script.gap_ms / 1000)
            if tokens and seen.tokens == script.stall_after:
                await self._go.wait()
            await response.write(event)
            seen.tokens += tokens
            if tokens and seen.tokens == script.die_after:
                return cut(request, seen, response)
            if tokens and seen.tokens == script.error_after:
                await response.write(wire.error_event(request_id))
                break
        await response.write_eof()
        return response

    async def _other(self, request: web.Request, seen: Seen, script: Script, headers: dict[str, str]) -> web.StreamResponse:
        """An answer in parts: stalls, pauses and deaths come after so many of them; a single one dies in its middle."""
        body = seen.json
        words_in = script.input_tokens if script.input_tokens >= 0 else max(1, words(body))
        parts, kind = others.ANSWERS[request.path](body, words_in)
        if request.path == "/v1/messages/batches":
            self._batches.note(parts[0], body["requests"])
        if len(parts) == 1 and script.die_after < 0 and script.stall_after < 0:
            return web.Response(body=parts[0], headers=headers, content_type=kind)
        response = web.StreamResponse(headers=headers | {"content-type": kind})
        await response.prepare(request)
        for index, part in enumerate(parts):
            if index == script.die_after or (len(parts) == 1 and script.die_after >= 0):
                await response.write(part[: len(part) // 2] if len(parts) == 1 else b"")
                return cut(request, seen, response)
            if index == script.stall_after:
                await self._go.wait()
            if index and script.gap_ms:
                await asyncio.sleep(script.gap_ms / 1000)
            await response.write(part)
        await response.write_eof()
        return response

    async def _realtime(self, request: web.Request) -> web.StreamResponse:
        """A session, until either side closes it. What the client said is in `Seen.json`, event by event."""
        seen, request_id = await self._remember(request)
        seen.json = []
        headers = TELLTALES | {"x-request-id": request_id}
        model = request.query.get("model", "")
        try:
            script = script_of(model, None, request.headers.get(HEADER))
        except BadScript as error:
            return refusal(openai, seen, 400, str(error), headers)
        if script.status != 200:
            return refusal(openai, seen, script.status, "The demo was told to refuse.", headers)
        ws = web.WebSocketResponse(max_msg_size=BODY_BYTES_MAX, protocols=("realtime",))
        ws.headers.update(headers)
        await ws.prepare(request)

        async def send(event: bytes) -> None:
            await ws.send_str(event.decode())

        session = realtime.Session(model, script, seen, send, self._go)
        try:
            await session.begin()
            reading = asyncio.get_running_loop().create_task(self._read(ws, session))
            await asyncio.wait((reading, session.failure), return_when=asyncio.FIRST_COMPLETED)
            if session.failure.done():
                reading.cancel()
                session.failure.exception()
                return cut(request, seen, ws)
            seen.end("complete" if ws.close_code in (1000, 1001) else "client_left", now_s())
            return ws
        except (asyncio.CancelledError, ConnectionError):
            seen.end("shutdown" if self._is_closing else "client_left", now_s())
            raise
        finally:
            await session.end()

    @staticmethod
    async def _read(ws: web.WebSocketResponse, session: realtime.Session) -> None:
        async for message in ws:
            await session.take(message.data)

    async def _batch(self, request: web.Request) -> web.Response:
        seen, request_id = await self._remember(request)
        seen.end("complete", now_s())
        status, body, kind = self._batches.answer(request.method, request.path, self.base_url, request_id)
        return web.Response(status=status, body=body, headers=TELLTALES | {"request-id": request_id}, content_type=kind)

    async def _file(self, request: web.Request) -> web.Response:
        """Files, and batches made of them."""
        seen, request_id = await self._remember(request)
        seen.end("complete", now_s())
        kind = request.headers.get("content-type", "")
        sent = forms.content(kind, seen.body, "file") if forms.is_form(kind) else b""
        status, body, media = self._files.answer(request.method, request.path, seen.json, sent, request_id)
        return web.Response(status=status, body=body, headers=TELLTALES | {"x-request-id": request_id}, content_type=media)

    async def _models(self, request: web.Request) -> web.Response:
        seen, request_id = await self._remember(request)
        seen.end("complete", now_s())
        is_anthropic = "anthropic-version" in request.headers
        named = TELLTALES | {"request-id" if is_anthropic else "x-request-id": request_id}
        return web.json_response(models(is_anthropic=is_anthropic), headers=named)

    async def _list_seen(self, _request: web.Request) -> web.Response:
        return web.json_response([seen.as_json() for seen in self.seen])

    async def _forget_seen(self, _request: web.Request) -> web.Response:
        self.seen.clear()
        return web.Response(status=204)

    async def _release(self, _request: web.Request) -> web.Response:
        self.release()
        return web.Response(status=204)


async def start(host: str = "127.0.0.1", port: int = 0, *, remember: int = 10_000) -> Handle:
    """Serve on host and port (0: a free one) until `Handle.close`; keeps the last `remember` requests with their bodies.

    Raises OSError when the port is taken.
    """
    handle = Handle(remember)
    app = web.Application(client_max_size=BODY_BYTES_MAX)
    app.add_routes(
        [
            web.post("/v1/chat/completions", handle._post),
            web.post("/v1/responses", handle._post),
            web.post("/v1/messages", handle._post),
            web.post("/v1/completions", handle._post),
            *(web.post(path, handle._post) for path in others.ANSWERS),
            *(web.route("*", f"/v1/messages/batches/{{id}}{tail}", handle._batch) for tail in ("", "/cancel", "/results")),
            *(web.route("*", path, handle._file) for path in PATHS),
            web.get("/v1/models", handle._models),
            web.get("/v1/realtime", handle._realtime),
            web.get("/_seen", handle._list_seen),
            web.delete("/_seen", handle._forget_seen),
            web.post("/_release", handle._release),
        ]
    )
    handle._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await handle._runner.setup()
    site = web.TCPSite(handle._runner, host, port, backlog=1024)
    try:
        await site.start()
    except OSError:
        await handle.close()
        raise
    handle.base_url = f"http://{host}:{handle._runner.addresses[0][1]}"
    return handle
