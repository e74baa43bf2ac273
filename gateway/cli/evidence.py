"""`gauger evidence`: hand over what was seen and decided, check it elsewhere, hold it, erase it, and the key that signs it.

Exit codes of `verify`: 0 nothing is wrong; 1 something is; 2 the file cannot be read.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from gateway import settings
from gateway.cli import flags
from gateway.cli.evidence_args import head, lines_of, public, time_us
from gateway.cli.evidence_report import print_list, print_report
from gateway.errors import SettingsError
from gateway.evidence import chain
from gateway.evidence.books import DEPLOYMENT, Books
from gateway.evidence.export import Wanted, export
from gateway.evidence.keys import KeyRing, Signer
from gateway.evidence.orders import give
from gateway.evidence.seal import unseal
from gateway.evidence.verify import verify
from gateway.policy import scalars
from gateway.policy.load import load_dir

STORED = ("data",)
WAIT_S = 30.0
_DESCRIPTION = """\
What was seen and decided, written down so that it can be checked: one chain of entries for each organisation, signed.

  gauger evidence list                               whose evidence there is, and how each chain ends
  gauger evidence export --tenant T --from .. --to ..  make one file of it
  gauger evidence verify FILE --public-key KEY       check a file, anywhere: it needs nothing of the gateway
  gauger evidence open FILE                          the sampled prompts in a file, with the deployment's secret
  gauger evidence hold|release|erase ...             keep, or remove, what a tenant's entries say
  gauger evidence key|rotate                         the public key; another key from now on
"""
_EXPORT = """\
Make one file of evidence: all entries of a tenant that were written from --from up to --to, and of the organisation's other
tenants hashes alone, so that whoever checks it can tell that nothing was left out. Times are UTC, as in 2027-01-31 or
2027-01-31T08:30. What the last second brought is not signed yet and not in it.

example:
  GAUGER_SECRET=... gauger evidence export --tenant acme --from 2027-01-01 --to 2027-02-01 --out acme.evidence
"""
_VERIFY = """\
Check a file of evidence: that no line was changed, removed, added or moved, that it is whole, that no entry of the tenant was
left out, and which policies and rules were in force. Give the public key that `gauger evidence key` prints, from a place
that you trust: without it the file could be anybody's. --head N:LINK checks it against what `gauger evidence list` said once.

exit codes: 0 nothing is wrong, 1 something is, 2 the file cannot be read.
"""
_SECRET = "Needs GAUGER_SECRET (or GAUGER_SECRET_FILE)."  # noqa: S105  # a sentence


def add_parser(subparsers: Any) -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = subparsers.add_parser(
        "evidence", help="hand over what was seen, and check it", description=_DESCRIPTION, formatter_class=raw
    )
    actions = parser.add_subparsers(dest="evidence_action", required=True, metavar="ACTION")

    listing = actions.add_parser("list", help="whose evidence there is", description="Print each chain and how it ends.")
    flags.add(listing, STORED)
    listing.set_defaults(run=run_list)

    making = actions.add_parser("export", help="make one file of it", description=_EXPORT, formatter_class=raw)
    making.add_argument("--tenant", metavar="TENANT", default="", help="whose entries (default: of the whole organisation)")
    making.add_argument("--organisation", metavar="NAME", default="", help="default: the tenant's, by the policies")
    making.add_argument("--from", dest="start", metavar="TIME", type=time_us, default=0, help="default: the beginning")
    making.add_argument("--to", dest="stop", metavar="TIME", type=time_us, help="excluded (default: now)")
    making.add_argument("--out", metavar="FILE", type=Path, help="default: standard output")
    flags.add(making, ("policies", *STORED))
    making.set_defaults(run=run_export)

    checking = actions.add_parser("verify", help="check a file, anywhere", description=_VERIFY, formatter_class=raw)
    checking.add_argument("file", metavar="FILE", help="what `export` made; -: standard input")
    checking.add_argument("--public-key", metavar="KEY", action="append", default=[], help="64 hex digits, or a file of them")
    checking.add_argument("--head", metavar="N:LINK", type=head, help="entry and link that were noted elsewhere")
    checking.add_argument("--policies", metavar="DIR", type=Path, help="policies that should be among those in force")
    checking.add_argument("--json", action="store_true", help="print one JSON object")
    checking.set_defaults(run=run_verify)

    opening = actions.add_parser("open", help="the sampled prompts in a file", description=f"Print them as JSON. {_SECRET}")
    opening.add_argument("file", metavar="FILE", help="what `export` made; -: standard input")
    opening.set_defaults(run=run_open)

    orders = {
        "hold": "keep all entries, however old they are",
        "release": "end a hold",
        "erase": "remove what a tenant's entries say",
    }
    for name, text in orders.items():
        order = actions.add_parser(name, help=text, description=f"{text.capitalize()}. {_SECRET}")
        order.add_argument("--tenant", metavar="TENANT", default="", required=name == "erase", help="whose entries")
        order.add_argument("--organisation", metavar="NAME", default="", help="default: the tenant's, by the policies")
        order.add_argument("--reason", metavar="TEXT", required=True, help="why: it goes on record")
        flags.add(order, ("policies", *STORED))
        order.set_defaults(run=run_order, order=name)

    key = actions.add_parser("key", help="the public key", description="Print the public key that evidence is signed by.")
    flags.add(key, STORED)
    key.set_defaults(run=run_key)
    rotate = actions.add_parser("rotate", help="another key from now on", description=f"Make another key. {_SECRET}")
    rotate.add_argument("--reason", metavar="TEXT", required=True, help="why: it goes on record")
    flags.add(rotate, STORED)
    rotate.set_defaults(run=run_order, order="rotate")


def run_list(args: argparse.Namespace) -> int:
    """Print the chains; 0."""
    root = _root(args)
    print_list(root, _ring(root))
    return 0


def run_export(args: argparse.Namespace) -> int:
    """Write the file; 0. Raises ExportError, SettingsError; then no file is left."""
    root = _root(args)
    organisation = _organisation(args)
    ring = _ring(root)
    now_us = _now_us()
    signer = _signer(ring, now_us)
    key = chain.tenant_key(settings.secret(os.environ), organisation, args.tenant) if args.tenant else b""
    stop_us = now_us if args.stop is None else args.stop
    if args.start >= stop_us:
        raise SettingsError("--from: must be before --to, and before now")
    lines = export(root, ring, signer, Wanted(organisation, args.tenant, key, args.start, stop_us), made_at_us=now_us)
    if args.out is None:
        for line in lines:
            sys.stdout.buffer.write(line)
        return 0
    part = args.out.with_name(f"{args.out.name}.part")
    try:
        with part.open("wb") as file:
            for line in lines:
                file.write(line)
        part.replace(args.out)
    except OSError as error:
        raise SettingsError(f"--out: {args.out} cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
    print(f"{args.out}: signed by {signer.public.hex()}", file=sys.stderr)
    return 0


def run_verify(args: argparse.Namespace) -> int:
    """Print what was found; 0 or 1. Raises SettingsError for a file that cannot be read."""
    anchors = [public(text) for text in args.public_key]
    with closing(lines_of(args.file)) as lines:
        report = verify(lines, anchors=anchors, known_head=args.head)
    problems = list(report.problems)
    if args.policies is not None:
        digest = load_dir(args.policies).digest
        if digest not in report.policies:
            problems.append(f"the policies in {args.policies} ({digest}) are not among those of its entries")
    report = report._replace(problems=tuple(problems))
    if args.json:
        json.dump(report._asdict(), sys.stdout, indent=2)
        print()
    else:
        print_report(report)
    return 1 if problems else 0


def run_open(args: argparse.Namespace) -> int:
    """Print the prompts; 0, or 1 where one of them cannot be opened."""
    secret = settings.secret(os.environ)
    organisation, is_failed = "", False
    with closing(lines_of(args.file)) as lines:
        for number, line in enumerate(lines):
            if number == 0:
                organisation = _organisation_in(line)
                continue
            try:
                entry = chain.read(line.rstrip(b"\n"))
            except chain.Broken:
                continue
            body = entry.body if isinstance(entry, chain.Entry) else None
            if not body or not body.get("sealed"):
                continue
            whose = {"organisation": organisation, "tenant": str(body.get("tenant")), "request_id": str(body.get("request_id"))}
            shown = {"n": body["n"], "tenant": whose["tenant"], "request_id": whose["request_id"]}
            try:
                text = unseal(secret, str(body["sealed"]), **whose).decode("utf-8", "replace")
                print(json.dumps({**shown, "prompt": text}))
            except ValueError as error:
                is_failed = True
                print(f"gauger evidence open: entry {body['n']} {error}", file=sys.stderr)
    return 1 if is_failed else 0


def run_order(args: argparse.Namespace) -> int:
    """Have it done; 0. Raises SettingsError."""
    root = _root(args)
    order = {"do": args.order, "by": _user(), "reason": args.reason, "organisation": "", "tenant": ""}
    if args.order != "rotate":
        order |= {"organisation": _organisation(args), "tenant": args.tenant}
    secret = settings.secret(os.environ)
    try:
        print(give(root, order, open_books=lambda: Books(root, secret, _ring(root), now_us=_now_us), wait=_wait))
    except OSError as error:
        raise SettingsError(f"data: {root}: {error.strerror or error}") from None
    return 0


def run_key(args: argparse.Namespace) -> int:
    """Print the public key; 0. Raises SettingsError where there is none yet."""
    print(_signer(_ring(_root(args)), _now_us()).public.hex())
    return 0


def _root(args: argparse.Namespace) -> Path:
    return flags.load(args).data / "evidence"


def _ring(root: Path) -> KeyRing:
    return KeyRing(root / "keys", given=settings.evidence_key(os.environ))


def _signer(ring: KeyRing, now_us: int) -> Signer:
    signer = ring.current(at_us=now_us, make=False)
    if signer is None:
        raise SettingsError("data: there is no key yet: the analyst makes one at its first start, or set GAUGER_EVIDENCE_KEY")
    return signer


def _organisation(args: argparse.Namespace) -> str:
    """Whose chain is meant. Raises SettingsError, PolicyErrors."""
    if args.organisation:
        try:
            return args.organisation if args.organisation == DEPLOYMENT else scalars.name(args.organisation)
        except ValueError as error:
            raise SettingsError(f"--organisation: {error}") from None
    if not args.tenant:
        raise SettingsError("--tenant or --organisation: one of them is needed")
    tenant = load_dir(flags.load(args).policies).tenants.get(args.tenant)
    if tenant is None:
        raise SettingsError(f"--tenant: the policies have no tenant {args.tenant[:64]!r}: name its --organisation")
    return tenant.organisation


def _organisation_in(line: bytes) -> str:
    try:
        tree = orjson.loads(line)
    except orjson.JSONDecodeError:
        tree = None
    if type(tree) is not dict or "gauger_evidence" not in tree:
        raise SettingsError("FILE: is no file of evidence")
    return str(tree.get("organisation"))


def _wait(is_done: Callable[[], bool]) -> bool:
    until_s = time.monotonic() + WAIT_S
    while not is_done():
        if time.monotonic() > until_s:
            return False
        time.sleep(0.1)
    return True


def _now_us() -> int:
    return time.time_ns() // 1_000


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"
