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

from gateway import app
from gateway.cli import flags
from gateway.errors import PolicyErrors, SettingsError
from gateway.policy.load import load_dir
from gateway.policy.scalars import duration_s
from gateway.settings import Settings, secret
from gateway.store.watch import WatchStore
from gateway.watch import desk
from gateway.watch.cases import CLUSTER
from gateway.watch.changes import instant
from gateway.watch.facts import FORMATS, NOTHING_DONE, read_facts
from gateway.watch.telling import row_of, shown

PARDON_FOR = "7d"
FACTS_BYTES_MAX = 64 * 1024 * 1024
T = TypeVar("T")

_DESCRIPTION = """\
What the watch says of tenants, and what is done about it.

  gauger watch list                        who looks like what, the most suspicious first
  gauger watch show TENANT                 why, in sentences, and what its step does
  gauger watch pardon TENANT --reason ...  take it off its ladder, at once, and unlink it
  gauger watch facts FILE                  what you know of tenants: what is the same links them

A key that is watched apart from its tenant is TENANT/KEY, a cluster is cluster:ID.
"""
_FACTS = """\
Tell the analyst what you know of tenants: those who share a payment method, a network or a day of sign-up are the likelier
to be one operator. What you write is hashed under the deployment's secret before it leaves this command.

The file is told by the end of its name: .yaml (.yml), .csv, or .jsonl (.ndjson), one object a line:

  tenants:
    acme: {payment: card-4711, network: 203.0.113.0/24, signup: "2027-01-31"}

  tenant,payment,network,signup
  acme,card-4711,203.0.113.0/24,2027-01-31

  {"tenant": "acme", "payment": "card-4711", "network": "203.0.113.0/24", "signup": "2027-01-31"}

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
    listing.add_argument("--organisation", default="", metavar="NAME", help="only its tenants")
    listing.add_argument("--ladder", default="", metavar="NAME", help="only those who are on it")
    listing.add_argument(
        "--step", default="", metavar="NAME", help="only those who stand on it, by themselves or by their cluster"
    )
    listing.add_argument("--cluster", default="", metavar="ID", help="only its members, and itself")
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
    facts.add_argument(
        "file", metavar="FILE", nargs="?", help="YAML, CSV or JSON Lines; -: standard input; none: print of whom what is known"
    )
    facts.add_argument("--format", choices=FORMATS, help="where the file's name does not tell")
    flags.add(facts, flags.STORE)
    facts.set_defaults(run=run_facts)


def run_list(args: argparse.Namespace) -> int:
    """Print who is suspicious; 0."""
    settings = flags.load(args)
    wanted = desk.Wanted(args.all, args.review, args.organisation, args.ladder, args.step, args.cluster)

    async def ask(store: WatchStore, now_us: int) -> tuple[desk.Listed, desk.Analyst, int]:
        return await desk.listing(store, wanted), await desk.analyst(store, now_us), now_us

    (rows, judged, pardons), analyst, now_us = _with_store(settings, ask)
    if args.json:
        json.dump(rows, sys.stdout, indent=2)
        print()
    elif not rows:
        print(f"nobody: {judged} subject{'s have' if judged != 1 else ' has'} been judged")
    else:
        head = ("subject", "score", "looks like", "requests", "step", "mode", "since", "cluster")
        _print_table([head, *(row_of(row, now_us) for row in rows)])
    _warn(analyst, [] if args.json else sorted(pardons))
    return 0


def run_show(args: argparse.Namespace) -> int:
    """Print one subject; 0, or 1 where nothing is known of it."""
    settings, name = flags.load(args), args.subject
    policy = load_dir(settings.policies)

    async def ask(store: WatchStore, now_us: int) -> tuple[Any, bool, desk.Analyst, int]:
        try:
            row: Any = await desk.dossier(store, policy, name, now_us)
        except desk.Unknown as error:
            row = error
        return row, name in await store.pardons(), await desk.analyst(store, now_us), now_us

    row, is_pardoned, analyst, now_us = _with_store(settings, ask)
    if isinstance(row, desk.Unknown):
        if name.startswith(CLUSTER):
            raise row
        desk.known(policy, name, now_us)
        print(row)
        _warn(analyst, [])
        return 1
    if args.json:
        json.dump(row, sys.stdout, indent=2)
        print()
        return 0
    for line in shown(row, policy, now_us):
        print(line)
    _warn(analyst, [name] if is_pardoned else [])
    return 0


def _warn(analyst: desk.Analyst, pardoned: list[str]) -> None:
    """What makes the rest of what was printed old, on standard error."""
    for name in pardoned:
        print(f"{name} has been pardoned since: gateways obey, and the analyst has not read it yet", file=sys.stderr)
    for line in desk.warnings(analyst):
        print(line, file=sys.stderr)


def run_pardon(args: argparse.Namespace) -> int:
    """Pardon one subject; 0."""
    settings, name = flags.load(args), args.subject
    reason = desk.line("--reason", args.reason)
    try:
        excused_s = duration_s(args.excused)
    except ValueError as error:
        raise SettingsError(f"--for: {error}") from None
    policy = load_dir(settings.policies)

    async def ask(store: WatchStore, now_us: int) -> tuple[desk.Pardoned, desk.Analyst]:
        done = await desk.pardon(store, policy, name, by=getpass.getuser(), reason=reason, excused_s=excused_s, now_us=now_us)
        return done, await desk.analyst(store, now_us)

    done, analyst = _with_store(settings, ask)
    members = f" and its {len(done.names) - 1} members" if len(done.names) > 1 else ""
    print(f"{name}{members}: pardoned; gateways know within a second or two, and it does not climb for {args.excused}")
    _warn(analyst._replace(missing=()), [])
    return 0


def run_facts(args: argparse.Namespace) -> int:
    """Tell the analyst, or print what it has been told; 0."""
    settings = flags.load(args)
    if args.file is None:
        known = _with_store(settings, lambda store, _: desk.facts_known(store))
        rows = [(name, ", ".join(said["known"]), said["by"], instant(said["at_us"])) for name, said in known.items()]
        if rows:
            _print_table([("tenant", "known", "stated by", "at"), *rows])
        else:
            print("nothing is known of anybody: gauger watch facts FILE states it")
        return 0
    data, form = _facts_file(args.file, args.format)
    try:
        facts = read_facts(data, form, file=args.file, policy=load_dir(settings.policies))
    except PolicyErrors as errors:
        count = len(errors.mistakes)
        said = "\n".join(map(str, errors.mistakes))
        raise SettingsError(f"{count} mistake{'s' if count != 1 else ''} in the facts; {NOTHING_DONE}\n{said}") from None
    key = secret(os.environ)
    _with_store(settings, lambda store, now_us: desk.state_facts(store, facts, key, by=getpass.getuser(), now_us=now_us))
    print(f"facts of {len(facts)} tenant{'s' if len(facts) != 1 else ''}: the analyst reads them within seconds")
    return 0


def _facts_file(name: str, form: str | None) -> tuple[bytes, str]:
    """What is in it, and in which format. Raises SettingsError."""
    ends = [each for each, suffixes in FORMATS.items() if Path(name).suffix.lower() in suffixes]
    if form is None and not ends:
        raise SettingsError(f"{name}: its name does not tell its format: say --format {' or '.join(FORMATS)}")
    try:
        data = sys.stdin.buffer.read(FACTS_BYTES_MAX + 1) if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise SettingsError(f"{name} cannot be read: {error.strerror}") from None
    if len(data) > FACTS_BYTES_MAX:
        raise SettingsError(f"{name}: a file of facts is at most 64 MiB: bring it in parts")
    return data, form or ends[0]


def _with_store(settings: Settings, ask: Callable[[WatchStore, int], Awaitable[T]]) -> T:
    """What `ask` got of the store; it is told the store's clock."""

    async def connected() -> T:
        async with app.open_ledger(settings) as ledger:
            return await ask(WatchStore(ledger.connection, entries_max=settings.sightings), ledger.server_now_us())

    return asyncio.run(connected())


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
