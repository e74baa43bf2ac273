"""`gauger usage`: what a tenant has used of each of its budgets, read from the store."""

from __future__ import annotations

import argparse
import asyncio
import difflib
import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

from gateway import app
from gateway.budgets.meters import METERS, show
from gateway.cli import flags
from gateway.errors import SettingsError
from gateway.phases import admit
from gateway.policy.load import load_dir
from gateway.settings import Settings, secret
from gateway.snapshot import Snapshot
from gateway.values import Caller, Limit

_DESCRIPTION = """\
Print what a tenant has used of each of its budgets, what open requests hold, and what remains.
Budgets that count each model or end user apart are shown for the one that --model or --user names.

example:
  gauger usage --tenant acme --policies policies --store redis://127.0.0.1:6379
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "usage", help="show a tenant's budgets", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tenant", required=True, metavar="TENANT", help="name of the tenant in the policies")
    parser.add_argument("--key", metavar="ID", help="key id, for budgets of a key (default: each of the tenant's)")
    parser.add_argument("--model", metavar="MODEL", help="model, for budgets that count each model apart")
    parser.add_argument("--user", metavar="USER", default="", help="end user, for budgets that count each user apart")
    parser.add_argument("--json", action="store_true", help="print a JSON array, amounts in the meter's own unit")
    flags.add(parser, flags.STORE)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the table or the JSON; 0."""
    settings = flags.load(args)
    rows, now_us = asyncio.run(_read(args, settings))
    if args.json:
        json.dump([_as_json(limit, now_us) for limit in rows], sys.stdout, indent=2)
        print()
    elif not rows:
        print(f"tenant {args.tenant} has no budgets")
    else:
        _print_table(rows, now_us)
    return 0


async def _read(args: argparse.Namespace, settings: Settings) -> tuple[list[Limit], int]:
    policy = load_dir(settings.policies)
    tenant = policy.tenants.get(args.tenant)
    if tenant is None:
        near = difflib.get_close_matches(args.tenant, policy.tenants, n=1)
        raise SettingsError(f"--tenant: there is no tenant {args.tenant!r}" + (f": did you mean {near[0]!r}?" if near else ""))
    keys = [key.id for key in tenant.keys if args.key in (None, key.id)]
    if args.key is not None and not keys:
        raise SettingsError(f"--key: tenant {args.tenant!r} has no key {args.key!r}")
    snapshot = Snapshot(policy, secret(os.environ))
    async with app.open_ledger(settings) as ledger:
        found: dict[tuple[bytes, bytes], Limit] = {}
        now_us = 0
        for key_id in keys or [""]:
            caller = Caller(tenant.organisation, tenant.name, key_id, tenant.plan)
            now_us = ledger.server_now_us()
            now_us, rows = await admit.standings(snapshot, ledger, caller, args.model, args.user, now_us)
            for line, limit in rows:
                found.setdefault((line.owner, line.field), limit)
        return list(found.values()), now_us


def _reset_at(limit: Limit, now_us: int) -> str:
    return datetime.fromtimestamp((now_us + limit.reset_us) / 1e6, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _as_json(limit: Limit, now_us: int) -> dict[str, Any]:
    return {
        "name": limit.name,
        "meter": limit.meter,
        "unit": METERS[limit.meter].unit,
        "limit": limit.limit,
        "used": limit.used,
        "held": limit.held,
        "remaining": limit.remaining,
        "reset_at": _reset_at(limit, now_us),
        "mode": "enforce" if limit.enforce else "shadow",
    }


def _print_table(rows: list[Limit], now_us: int) -> None:
    head = ("budget", "meter", "limit", "used", "held", "remaining", "resets at")
    table = [head]
    for limit in rows:
        amounts = (show(limit.meter, amount) for amount in (limit.limit, limit.used, limit.held, limit.remaining))
        name = limit.name if limit.enforce else f"{limit.name} (shadow)"
        table.append((name, limit.meter, *amounts, _reset_at(limit, now_us)))  # type: ignore[arg-type]  # four amounts
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
