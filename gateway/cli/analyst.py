"""`gauger analyst`: judge what gateways have seen, and move tenants on their ladders."""

from __future__ import annotations

import argparse
import os
from typing import Any

import uvloop

from gateway import app
from gateway.cli import flags
from gateway.watch import compose

_DESCRIPTION = """\
Judge what gateways have seen, link tenants that are likely one operator, and move them on the ladders of the policies.
One analyst is active on a store at a time; another waits until it is gone. Gateways start one of their own unless they
are told `--analyst none`.

It reads the same policies and the same store as the gateways, and needs the same GAUGER_SECRET.

example:
  GAUGER_SECRET=... gauger analyst --policies policies --store redis://127.0.0.1:6379/0 --data /var/lib/gauger
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "analyst",
        help="judge what gateways have seen",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)  # ends with the gateway that started it
    flags.add(parser, (*flags.STORE, "sightings"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Work until told to stop; 0."""
    uvloop.run(compose.analyse(flags.load(args), os.environ, app.open_ledger, is_inside=args.inside))
    return 0
