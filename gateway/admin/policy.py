"""The admin side of policies: how the one in force stands, reading it again, and pushing a new set of files."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import structlog
from aiohttp import web

from gateway.admin.server import Route, refused, reply, told
from gateway.errors import GaugerError, Mistake, PolicyErrors
from gateway.policy.install import install
from gateway.policy.source import MISTAKES_LOGGED_MAX, Source, State

log = structlog.get_logger()


def routes(source: Source) -> list[Route]:
    pushing = asyncio.Lock()

    async def show(_request: web.Request) -> web.Response:
        return reply(shown(source.state))

    async def reload(_request: web.Request) -> web.Response:
        return _answer(await source.reload("admin"))

    async def push(request: web.Request) -> web.Response:
        try:
            files = _files(await request.read())
        except ValueError as error:
            return told(400, str(error))
        async with pushing:
            try:
                await asyncio.to_thread(install, source.directory, files, source.check)
            except PolicyErrors as errors:
                return _refused_push(errors.mistakes, source)
            except GaugerError as error:
                return _refused_push([Mistake(str(source.directory), 1, 1, "directory", str(error))], source)
            except OSError as error:
                return told(409, f"the policy directory cannot be written: {error.strerror or error}; change its files instead")
            return _answer(await source.reload("pushed"))

    return [("GET", "/policy", show), ("POST", "/policy/reload", reload), ("PUT", "/policy", push)]


def _refused_push(mistakes: list[Mistake], source: Source) -> web.Response:
    """Said in the log too; the metric is left alone, for the files on disk are still what is in force."""
    some = [str(mistake) for mistake in mistakes[:MISTAKES_LOGGED_MAX]]
    log.error(
        "policy_refused", side="gateway", why="pushed", policy=source.state.digest, count=len(mistakes), mistakes=some
    )  # fmt: skip
    return refused(mistakes)


def shown(state: State) -> dict[str, Any]:
    return {
        "policy": state.digest,
        "loaded_at_s": round(state.loaded_at_s, 3),
        "reloads": state.reloads,
        "failures": state.failures,
        "last_reload": "failed" if state.mistakes else "ok",
        "mistakes": [mistake._asdict() for mistake in state.mistakes],
    }


def _answer(state: State) -> web.Response:
    return refused(state.mistakes) if state.mistakes else reply(shown(state))


def _files(body: bytes) -> dict[str, bytes]:
    """Raises ValueError."""
    how = 'the body is JSON like {"files": {"plans.yaml": "version: 1\\n..."}}: every policy file, by name'
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{how}; this is no JSON: {error}") from None
    files = value.get("files") if type(value) is dict and len(value) == 1 else None
    if type(files) is not dict or not all(type(content) is str for content in files.values()):
        raise ValueError(how)
    return {name: content.encode("utf-8", "surrogatepass") for name, content in files.items()}
