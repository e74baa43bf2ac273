"""`gauger demo`: everything on this machine at once: a model server, the embedded store, the gateway, and what to try."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
from typing import Any

import uvloop

from gateway import app
from gateway.cli import flags
from gateway.demo import server as model_server
from gateway.errors import UpstreamFault
from gateway.settings import Settings, upstream_credentials

MODELS_BYTES_MAX = 4_000_000
SECRET = "demo-secret-not-for-production"  # noqa: S105  # the demo keys' hashes in policies/ are made with it
_DESCRIPTION = """\
Run everything on this machine: a small model server that makes up its answers, a store, and the gateway with the
policies in --policies; then print three commands to try. With --upstream, the gateway stands before a real server
instead (its key in UPSTREAM_API_KEY).
"""
_TRY = """
Gauger listens on http://{listen}{before}. Try, in another terminal:

1. a chat:
   curl http://{listen}/v1/chat/completions -H 'Authorization: Bearer sk-gauger-demo-pro' -H 'Content-Type: application/json' -d '{{"model": "{model}", "max_tokens": 60, "messages": [{{"role": "user", "content": "What does a gauger do?"}}]}}'

2. a stream:
   curl -N http://{listen}/v1/messages -H 'x-api-key: sk-gauger-demo-pro' -H 'anthropic-version: 2023-06-01' -H 'Content-Type: application/json' -d '{{"model": "{model}", "max_tokens": 60, "stream": true, "messages": [{{"role": "user", "content": "Tell me a story."}}]}}'

3. run into a limit (the free plan allows 5 requests a minute):
   for i in 1 2 3 4 5 6; do curl -s -o /dev/stderr -w '%{{http_code}}\\n' http://{listen}/v1/chat/completions -H 'Authorization: Bearer sk-gauger-demo-free' -H 'Content-Type: application/json' -d '{{"model": "{model}", "max_tokens": 10, "messages": [{{"role": "user", "content": "Hi"}}]}}'; done

What is left of the budgets:  {usage}
Ctrl-C stops everything.
"""  # noqa: E501  # each is one command to paste


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "demo",
        help="see it work on this machine",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    flags.add(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run until Ctrl-C; 0."""
    has_server = args.upstream is not None or "GAUGER_UPSTREAM" in os.environ
    uvloop.run(_run(flags.load(args), {"GAUGER_SECRET": SECRET, **os.environ}, has_server=has_server))
    return 0


async def _run(settings: Settings, environ: dict[str, str], *, has_server: bool) -> None:
    gauger = f"GAUGER_SECRET={SECRET} .venv/bin/gauger"
    usage = f"{gauger} usage --tenant demo-free --data {settings.data}\n"
    usage += f"Who looks like what:          {gauger} watch list --all --data {settings.data}"
    if has_server:
        before = f", in front of {settings.upstream}"
        model = await _first_model(settings, environ)
        await app.serve(settings, environ, on_ready=lambda: _show(settings, before, usage, model))
        return
    async with await model_server.start("127.0.0.1", 0) as server:
        settings = dataclasses.replace(settings, upstream=server.base_url)
        await app.serve(settings, environ, on_ready=lambda: _show(settings, "", usage, "demo-small"))


async def _first_model(settings: Settings, environ: dict[str, str]) -> str:
    """A model the upstream lists, for lines that work as pasted; "MODEL" where it lists none."""
    upstream = app.open_upstream(settings)
    credentials = upstream_credentials(environ)
    headers = [*credentials["openai"], *credentials["anthropic"], (b"anthropic-version", b"2023-06-01")]
    try:
        reply = await upstream.send(b"GET", b"/v1/models", headers, b"")
        try:
            return str(json.loads(await reply.read(MODELS_BYTES_MAX))["data"][0]["id"])
        finally:
            reply.close()
    except (UpstreamFault, ValueError, LookupError, TypeError):
        return "MODEL"
    finally:
        await upstream.close()


def _show(settings: Settings, before: str, usage: str, model: str) -> None:
    # A name from outside goes into shell quotes and JSON: anything but a plain one is left to the reader.
    model = model if re.fullmatch(r"[A-Za-z0-9._:/@-]{1,128}", model) else "MODEL"
    print(_TRY.format(listen=settings.listen, before=before, usage=usage, model=model), flush=True)
