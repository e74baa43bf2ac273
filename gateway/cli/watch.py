"""`gauger watch`: what the watch says of tenants, why, and what is done about it; a pardon; what you know of them yourself."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import orjson

from gateway import app
from gateway.cli import flags
from gateway.cli.watch_facts import read_facts
from gateway.cli.watch_show import print_table, row_of, shown, steps_of
from gateway.errors import SettingsError
from gateway.logs import printable
from gateway.policy.load import load_dir
from gateway.policy.model import Policy
from gateway.policy.scalars import duration_s
from gateway.policy.watched import watched_as
from gateway.settings import Settings, secret
from gateway.store.watch import WatchStore
from gateway.values import Rung
from gateway.watch.cases import CLUSTER
from gateway.watch.watcher import write_rung

PARDON_FOR = "7d"
RUNG_KEPT_US = 3_600_000_000
T = TypeVar("T")

_DESCRIPTION = """\
What the watch says of tenants, and what is done about it.

  gauger watch list                        who looks like what, the most suspicious first
  gauger watch show TENANT                 why, in sentences, and what its step does
  gauger watch pardon TENANT --reason ...  take it off its ladder, at once
  gauger watch facts FILE                  what you know of tenants: what is the same links them

A key that is watched apart from its tenant is TENANT/KEY, a cluster is cluster:ID.
"""
_FACTS = """\
Tell the analyst what you know of tenants: those who share a payment method, a network or a day of sign-up are the likelier
to be one operator. What you write is hashed under the deployment's secret before it leaves this command.

The file:

  tenants:
    acme: {payment: card-4711, network: 203.0.113.0/24, signup: "2027-01-31"}

What a tenant's entry does not say is forgotten; tenants that the file does not name stay as they are.
"""


def add_parser(subparsers: Any) -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = subparsers.add_parser(
        "watch", help="who looks like an extraction, and what is done", description=_DESCRIPTION, formatter_class=raw
    )
    actions = parser.add_subparsers(dest="watch_action", required=True, metavar="ACTION")

    listing = actions.add_parser("list", help="who looks like what", description="Print subjects and clusters by their score.")
    listing.add_argument("--review", action="store_true", help="only those whose step asks for somebody to look at them")
    listing.add_argument("--all", action="store_true", help="those too that stand on no step and score below 50%%")
    listing.add_argument("--json", action="store_true", help="print a JSON array")
    flags.add(listing, flags.STORE)
    listing.set_defaults(run=run_list)

    show = actions.add_parser("show", help="why, and what its step does", description="Print all that is known of one subject.")
    show.add_argument("subject", metavar="TENANT", help="tenant, TENANT/KEY or cluster:ID")
    show.add_argument("--json", action="store_true", help="print a JSON object")
    flags.add(show, flags.STORE)
    show.set_defaults(run=run_show)

    pardon = actions.add_parser(
        "pardon",
        help="take a tenant off its ladder",
        description="Take a tenant off its ladder at once, and forget what was seen of it; of a cluster, all members too.",
    )
    pardon.add_argument("subject", metavar="TENANT", help="tenant, TENANT/KEY or cluster:ID")
    pardon.add_argument("--reason", required=True, metavar="TEXT", help="why: it goes on record")
    how_long = f"how long it does not climb again (default: {PARDON_FOR})"
    pardon.add_argument("--for", dest="excused", default=PARDON_FOR, metavar="TIME", help=how_long)
    flags.add(pardon, flags.STORE)
    pardon.set_defaults(run=run_pardon)

    facts = actions.add_parser("facts", help="what you know of tenants", description=_FACTS, formatter_class=raw)
    facts.add_argument("file", metavar="FILE", type=Path, help="YAML file")
    flags.add(facts, flags.STORE)
    facts.set_defaults(run=run_facts)


def run_list(args: argparse.Namespace) -> int:
    """Print who is suspicious; 0."""
    settings = flags.load(args)

    async def ask(store: WatchStore) -> tuple[dict[str, bytes], dict[str, bytes], str]:
        return await store.dossiers(), await store.pardons(), await store.holder()

    (found, pardons, holder), _ = _with_store(settings, ask)
    rows = [row for row in map(_read, found.values()) if row]
    if args.review:
        rows = [row for row in rows if row.get("review")]
    elif not args.all:
        rows = [row for row in rows if row["score"] >= 500 or steps_of(row) or row.get("cluster")]
    rows.sort(key=lambda row: (-row["score"], row["subject"]))
    if args.json:
        json.dump(rows, sys.stdout, indent=2)
        print()
    elif not rows:
        print(f"nobody: {len(found)} subject{'s have' if len(found) != 1 else ' has'} been judged")
    else:
        head = ("subject", "score", "looks like", "requests", "step", "mode", "since", "cluster")
        print_table([head, *map(row_of, rows)])
    if not args.json:
        _warn(holder, [row["subject"] for row in rows if row["subject"] in pardons])
    return 0


def run_show(args: argparse.Namespace) -> int:
    """Print one subject; 0, or 1 where nothing is known of it."""
    settings = flags.load(args)
    name = args.subject

    async def ask(store: WatchStore) -> tuple[bytes | None, dict[str, bytes], str]:
        return await store.dossier(name), await store.pardons(), await store.holder()

    (data, pardons, holder), now_us = _with_store(settings, ask)
    row = None if data is None else _read(data)
    if row is None:
        policy = load_dir(settings.policies)
        if not name.startswith(CLUSTER):
            _known(policy, name, now_us)
        print(f"{printable(name)}: nothing has been judged yet (five requests are needed, and an analyst that runs)")
        _warn(holder, [])
        return 1
    if args.json:
        json.dump(row, sys.stdout, indent=2)
        print()
        return 0
    for line in shown(row, load_dir(settings.policies), now_us):
        print(line)
    _warn(holder, [name] if name in pardons else [])
    return 0


def _warn(holder: str, pardoned: list[str]) -> None:
    """What makes the rest of what was printed old, on standard error."""
    for name in pardoned:
        print(f"{name} has been pardoned since: gateways obey, and the analyst has not read it yet", file=sys.stderr)
    if not holder:
        print("no analyst is active on this store: nothing is judged, and steps lapse within an hour", file=sys.stderr)


def run_pardon(args: argparse.Namespace) -> int:
    """Pardon one subject; 0."""
    settings = flags.load(args)
    reason = args.reason.strip()
    if not reason or not reason.isprintable() or len(reason) > 200:
        raise SettingsError("--reason: a line of 1 to 200 printable characters: who asks later will read it")
    try:
        excused_s = duration_s(args.excused)
    except ValueError as error:
        raise SettingsError(f"--for: {error}") from None
    policy, name = load_dir(settings.policies), args.subject

    async def pardon(store: WatchStore, now_us: int) -> list[str]:
        names = [name]
        if name.startswith(CLUSTER):
            data = await store.dossier(name)
            row = None if data is None else _read(data)
            if row is None:
                raise SettingsError(f"there is no cluster {printable(name)}: `gauger watch list` shows those that are")
            names += row.get("members", [])
        else:
            _known(policy, name, now_us)
        said = {"at_us": now_us, "until_us": now_us + excused_s * 1_000_000, "by": getpass.getuser(), "reason": reason}
        for each in names:
            nothing = Rung(each, "", "", now_us, now_us + RUNG_KEPT_US)
            await store.pardon(each, orjson.dumps(said), write_rung(nothing))
        return names

    pardoned, _ = _with_store(settings, pardon, with_clock=True)
    members = f" and its {len(pardoned) - 1} members" if len(pardoned) > 1 else ""
    print(f"{name}{members}: pardoned; gateways know within a second or two, and it does not climb for {args.excused}")
    return 0


def run_facts(args: argparse.Namespace) -> int:
    """Tell the analyst; 0."""
    settings = flags.load(args)
    facts = read_facts(args.file, load_dir(settings.policies), secret(os.environ))
    _with_store(settings, lambda store: store.state_facts(facts))
    print(f"facts of {len(facts)} tenant{'s' if len(facts) != 1 else ''}: the analyst reads them within seconds")
    return 0


def _known(policy: Policy, name: str, now_us: int) -> None:
    """Raises SettingsError for a subject that the policies do not have."""
    if watched_as(policy, name, now_us) is None:
        raise SettingsError(
            f"there is no tenant {printable(name)!r} in the policies (a key that is watched apart is TENANT/KEY)"
        )


def _with_store(settings: Settings, ask: Callable[..., Awaitable[T]], *, with_clock: bool = False) -> tuple[T, int]:
    """What `ask` got of the store, and the store's clock."""

    async def connected() -> tuple[T, int]:
        async with app.open_ledger(settings) as ledger:
            store, now_us = WatchStore(ledger.connection, entries_max=settings.sightings), ledger.server_now_us()
            return await (ask(store, now_us) if with_clock else ask(store)), now_us

    return asyncio.run(connected())


def _read(data: bytes) -> dict[str, Any] | None:
    try:
        row = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("score"), int) and isinstance(row.get("subject"), str) else None
