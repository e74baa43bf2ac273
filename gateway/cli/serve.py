"""`gauger serve`: run the gateway."""

from __future__ import annotations

import argparse
import os
from typing import Any

import uvloop

from gateway import app
from gateway.cli import flags

_DESCRIPTION = """\
Run the gateway in the foreground until SIGTERM or SIGINT; then it finishes what is running and stops.

Needed in the environment:
  GAUGER_SECRET      API keys are hashed under it (or GAUGER_SECRET_FILE: a file that holds it)
  UPSTREAM_API_KEY   the model server's own key, where it wants one (or UPSTREAM_API_KEY_FILE)

example:
  GAUGER_SECRET=... gauger serve --policies policies --upstream http://127.0.0.1:9000 --listen 127.0.0.1:8080
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "serve", help="run the gateway", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flags.add(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop; 0. Errors of the configuration are raised before it listens."""
    uvloop.run(app.serve(flags.load(args), os.environ))
    return 0
