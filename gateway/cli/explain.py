"""`gauger explain`: what holds for a request, and from which line; or why one was refused."""

from __future__ import annotations

import argparse
import json
import os
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.cli.console import console
from gateway.errors import SettingsError
from gateway.policy.explain import Row, explain
from gateway.policy.fields import among
from gateway.policy.load import load_dir
from gateway.policy.model import ENDPOINTS, Policy
from gateway.policy.sentences import instant

_DESCRIPTION = """\
Tell everything that decides about a request of a tenant, each with the line of the policy that says so:

  gauger explain policies --tenant acme --model gpt-4o --endpoint chat/completions

Or tell why a request was refused, by the id that its answer carried: from the gateway that refused it (its admin listener, with
GAUGER_ADMIN_TOKEN in the environment), or from its log:

  gauger explain --request req_... --admin http://127.0.0.1:8081
  gauger explain --request req_... --log gauger.log
"""
ADMIN_S = 10.0


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "explain", help="what holds for a request, and from which line", description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("directory", metavar="DIR", type=Path, nargs="?", help="directory of the policy files")
    parser.add_argument("--tenant", metavar="TENANT", help="whose request it is")
    parser.add_argument("--key", metavar="ID", default="", help="by which of its keys (default: whatever the key)")
    parser.add_argument("--model", metavar="MODEL", default="", help="which model it asks for")
    parser.add_argument("--endpoint", metavar="ENDPOINT", default="chat/completions", help="default: chat/completions")
    parser.add_argument("--at", metavar="SECONDS", type=float, help="at this time, since the epoch (default: now)")
    parser.add_argument("--request", metavar="ID", help="why this request was refused")
    parser.add_argument("--admin", metavar="URL", help="the admin listener of the gateway that refused it")
    parser.add_argument("--log", metavar="FILE", type=Path, help="the log of the gateway that refused it")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0; 1: the request is not known. Raises SettingsError and PolicyErrors."""
    if args.request is not None:
        return _explain_request(args)
    if args.directory is None or args.tenant is None or not args.model:
        raise SettingsError("explain takes DIR, --tenant and --model; or --request with --admin or --log")
    policy = load_dir(args.directory)
    _check(policy, args)
    at_us = round((time.time() if args.at is None else args.at) * 1e6)  # noqa: TID251  # the command's own clock
    rows = explain(policy, tenant=args.tenant, key=args.key, model=args.model, endpoint=args.endpoint, now_us=at_us)
    if args.json:
        print(json.dumps([_as_json(row) for row in rows], indent=2))
        return 0
    out = console()
    out.print(
        f"{escape(args.model)} on {args.endpoint} for the tenant {args.tenant}, at {instant(at_us)}, policy {policy.digest}"
    )
    out.print(_table(rows))
    return 0


def _check(policy: Policy, args: argparse.Namespace) -> None:
    """Raises SettingsError for names that are none, with the nearest one."""
    if args.tenant not in policy.tenants:
        raise SettingsError(f"--tenant: there is no tenant {args.tenant!r}; {among(args.tenant, policy.tenants)}")
    keys = [key.id for key in policy.tenants[args.tenant].keys]
    if args.key and args.key not in keys:
        raise SettingsError(f"--key: the tenant {args.tenant} has no key {args.key!r}; {among(args.key, keys)}")
    if args.endpoint not in ENDPOINTS:
        raise SettingsError(f"--endpoint: {args.endpoint!r} is none; {among(args.endpoint, ENDPOINTS)}")


def _as_json(row: Row) -> dict[str, Any]:
    place = None if row.place is None else {"file": row.place.file, "line": row.place.line}
    return {"part": row.part, "word": row.word, "value": row.value, "level": row.level, "from": place, "note": row.note}


def _table(rows: list[Row]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    table.add_column("", no_wrap=True)
    for name in ("what holds", "who says so", "from"):
        table.add_column(name, overflow="fold")
    part = ""
    for row in rows:
        if part and row.part != part:
            table.add_section()
        value = escape(row.value) + (f"\n[dim]{escape(row.note)}[/]" if row.note else "")
        where = "" if row.place is None else f"{row.place.file}:{row.place.line}"
        is_idle = row.part == "budgets" and row.note and not row.note.startswith("in place")
        table.add_row(
            row.part if row.part != part else "", escape(row.word), value, escape(row.level), escape(where),
            style="dim" if is_idle else "",
        )  # fmt: skip
        part = row.part
    return table


def _explain_request(args: argparse.Namespace) -> int:
    if (args.admin is None) == (args.log is None):
        raise SettingsError("--request takes either --admin URL or --log FILE")
    found = _from_log(args.log, args.request) if args.log is not None else _from_admin(args.admin, args.request)
    if found is None:
        print(f"no request {args.request} was found there")
        return 1
    if args.json:
        print(json.dumps(found, indent=2))
    else:
        _print_request(found, console())
    return 0


def _from_admin(url: str, request_id: str) -> dict[str, Any] | None:
    token = os.environ.get("GAUGER_ADMIN_TOKEN", "")
    if not url.startswith(("http://", "https://")):
        raise SettingsError(f"--admin: {url!r} is no URL like http://127.0.0.1:8081")
    if not request_id.replace("_", "").isalnum():
        raise SettingsError(f"--request: {request_id!r} is no request's id")
    request = urllib.request.Request(f"{url.rstrip('/')}/requests/{request_id}", headers={"Authorization": f"Bearer {token}"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=ADMIN_S) as answer:  # noqa: S310  # the scheme is looked at above
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        if error.code == 401:
            raise SettingsError("GAUGER_ADMIN_TOKEN is not the gateway's") from None
        raise SettingsError(f"--admin: {url} answered {error.code}") from None
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise SettingsError(f"--admin: {url} cannot be asked: {getattr(error, 'reason', error)}") from None


def _from_log(path: Path, request_id: str) -> dict[str, Any] | None:
    needle = request_id.encode()
    try:
        with path.open("rb") as file:
            for line in file:
                if needle in line:
                    fields = json.loads(line)
                    if fields.get("event") == "request" and fields.get("id") == request_id:
                        return dict(fields)
    except (OSError, ValueError) as error:
        raise SettingsError(f"--log: {path} cannot be read: {error}") from None
    return None


def _print_request(found: dict[str, Any], out: Console) -> None:
    names = {name: found.get(name) for name in ("key_id", "tenant", "organisation", "plan")}
    who = "the key {key_id} of the tenant {tenant}, organisation {organisation}, plan {plan}".format_map(names)
    out.print(escape(f"{found['id']}: {found.get('status')} for {found.get('model')} on {found.get('endpoint')}"))
    out.print(escape(f"{who}; policy {found.get('policy')}"))
    if found.get("reason"):
        out.print(escape(f"refused: {found['reason']} (side: {found.get('side')})"))
    if found.get("message"):
        out.print(escape(found["message"]))
    if not found.get("budgets"):
        return
    table = Table(title="budgets at that moment", title_justify="left")
    for name in ("budget", "meter", "from"):
        table.add_column(name, overflow="fold")
    for name in ("limit", "used", "held", "asked", "wait"):
        table.add_column(name, justify="right")
    for budget in found["budgets"]:
        wait = "never" if budget["wait_us"] < 0 else f"{budget['wait_us'] / 1e6:g}s"
        table.add_row(
            escape(budget["name"]), f"{budget['meter']}{'' if budget['mode'] == 'enforce' else ' (shadow)'}",
            escape(f"{budget['file']}:{budget['line']}"),
            *(f"{budget[name]:,}" for name in ("limit", "used", "held", "asked")), wait,
            style="bold red" if budget["is_in_the_way"] else "",
        )  # fmt: skip
    out.print(table)
