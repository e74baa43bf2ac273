"""`gauger replay`: what a policy would have done to traffic that has been."""

from __future__ import annotations

import argparse
import os
import sys
import zlib
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from gateway.cli.console import console
from gateway.errors import SettingsError
from gateway.policy.load import load_dir
from gateway.policy.scalars import NANO_USD
from gateway.trial.replay import replay
from gateway.trial.tallies import Tally, TenantTally
from gateway.trial.trace import Missing, Trace

_DESCRIPTION = """\
Run a trace through the policies in DIR, in the trace's own time, and tell for each tenant and budget what would have been
refused, shortened, delayed and spent. TRACE is the gateway's own request log, or CSV with a header line: timestamp, tenant,
model, input_tokens, output_tokens, and where they are known key, endpoint, user, max_tokens, duration_ms; .gz is unpacked.
With --against, the same for an older set of policies, and the difference.

examples:
  gauger replay yesterday.log --policies policies --against /etc/gauger/policies
  gauger replay trace.csv.gz --policies policies --tenant acme --model demo-small --html report.html
"""
SHOWN_MAX = 40


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "replay", help="what a policy would have done to a trace", description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("trace", metavar="TRACE", type=Path, help="a request log, or CSV; .gz too")
    parser.add_argument("--policies", metavar="DIR", type=Path, required=True, help="the policies to try")
    parser.add_argument("--against", metavar="DIR", type=Path, help="older policies, to compare with")
    parser.add_argument("--tenant", metavar="NAME", default="", help="whose requests they are, where the trace does not say")
    parser.add_argument("--model", metavar="NAME", default="", help="which model they ask for, where the trace does not say")
    parser.add_argument("--endpoint", metavar="NAME", default="chat/completions", help="default: chat/completions")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--html", metavar="FILE", type=Path, help="also write a page with charts (needs gauger[report])")
    parser.add_argument("--jobs", metavar="N", type=int, default=min(2, os.cpu_count() or 1), help="processes; default: 2")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0. Raises PolicyErrors, TraceError and SettingsError."""
    page = _page() if args.html is not None else None
    missing = Missing(args.tenant, args.model, args.endpoint)
    if not args.trace.is_file():
        raise SettingsError(f"{args.trace} is no file: a request log or a CSV file is expected")
    jobs = max(1, min(args.jobs, 64))
    after = _run_all(args.trace, missing, args.policies, jobs, "replaying")
    before = _run_all(args.trace, missing, args.against, jobs, "replaying the older policies") if args.against else None
    if args.json:
        sys.stdout.buffer.write(orjson.dumps(as_json(after, before), option=orjson.OPT_INDENT_2) + b"\n")
    else:
        _print(after, before, console())
    if page is not None:
        args.html.write_text(page(args.trace.name, after, before), encoding="utf-8")
        print(f"written: {args.html}", file=sys.stderr)
    return 0


def _page() -> Any:
    try:
        from gateway.trial.page import page
    except ModuleNotFoundError as error:
        raise SettingsError(f"--html needs {error.name}: install gauger[report]") from None
    return page


def _is_mine(organisation: str, *, share: int, jobs: int) -> bool:
    return zlib.crc32(organisation.encode()) % jobs == share


def _run_share(trace: Path, missing: Missing, policies: Path, share: int, jobs: int) -> Tally:
    """One process's part: whole organisations, because their budgets are shared."""
    reading = Trace(trace, missing)
    is_mine = partial(_is_mine, share=share, jobs=jobs)
    tally = replay(reading, load_dir(policies), on_progress=lambda number: None, is_mine=is_mine)
    tally.late = reading.late
    return tally


def _run_all(trace: Path, missing: Missing, policies: Path, jobs: int, what: str) -> Tally:
    policy = load_dir(policies)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[done]}"))
    shown = Console(stderr=True)
    hidden = not shown.is_terminal  # in a file it would be empty lines
    with (
        ProcessPoolExecutor(max(1, jobs - 1)) as pool,
        Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=shown, transient=True, disable=hidden) as bar,
    ):
        others = [pool.submit(_run_share, trace, missing, policies, share, jobs) for share in range(1, jobs)]
        task = bar.add_task(what, total=1.0, done="")
        reading = Trace(trace, missing)

        def told(number: int) -> None:
            bar.update(task, completed=reading.position, done=f"{number:,} requests")

        tally = replay(reading, policy, on_progress=told, is_mine=partial(_is_mine, share=0, jobs=jobs))
        tally.late = reading.late
        for other in others:
            tally.merge(other.result())
    return tally


def _print(after: Tally, before: Tally | None, out: Console) -> None:
    span_h = (after.last_us - after.first_us) / 3.6e9
    tenants = f"{len(after.tenants):,} tenant{'s' if len(after.tenants) != 1 else ''}"
    out.print(f"{after.requests:,} requests of {tenants} over {span_h:.1f} hours")
    if after.unknown:
        total = sum(after.unknown.values())
        names = ", ".join(sorted(after.unknown)[:5])
        out.print(f"[yellow]{total:,} requests are of tenants that the policies do not have ({len(after.unknown)}): {names}[/]")
    if after.untried:
        counts = ", ".join(f"{count:,} of {name or 'no endpoint'}" for name, count in sorted(after.untried.items())[:5])
        out.print(f"[yellow]not replayed, for a trace does not say what was in them: {counts}[/]")
    if after.late:
        out.print(f"[yellow]{after.late:,} lines were far out of order, and count as if they had come later[/]")
    if after.blind:
        names = ", ".join(after.blind)
        out.print(f"[yellow]the trace names no end users, so all share one counter: {names} refuses more here than it would[/]")
    out.print(_tenants(after, before))
    if any(tenant.budgets for tenant in after.tenants.values()):
        out.print(_budgets(after, before))


def _tenants(after: Tally, before: Tally | None) -> Table:
    table = Table(title="tenants", title_justify="left")
    table.add_column("tenant")
    for name in ("requests", "refused", "shortened", "delayed", "downgraded", "cost USD"):
        table.add_column(name, justify="right")
    table.add_column("worst hour")
    rows = sorted(after.tenants.items(), key=lambda item: (-item[1].refused, -item[1].requests, item[0]))
    for name, tenant in rows[:SHOWN_MAX]:
        was = None if before is None else before.tenants.get(name, TenantTally())
        table.add_row(
            name,
            f"{tenant.requests:,}",
            _changed(tenant.refused, None if was is None else was.refused),
            _changed(tenant.shortened, None if was is None else was.shortened),
            _changed(tenant.delayed, None if was is None else was.delayed),
            _changed(tenant.downgraded, None if was is None else was.downgraded),
            _money(tenant.cost_nano_usd, None if was is None else was.cost_nano_usd),
            _worst(tenant),
        )
    if len(rows) > SHOWN_MAX:
        table.caption = f"and {len(rows) - SHOWN_MAX} more: --json has them all"
    return table


def _budgets(after: Tally, before: Tally | None) -> Table:
    table = Table(title="budgets that refused, or would have", title_justify="left")
    for name in ("tenant", "budget", "meter"):
        table.add_column(name)
    for name in ("refused", "would refuse"):
        table.add_column(name, justify="right")
    table.add_column("fullest", justify="right")
    table.add_column("written at")
    rows = []
    for tenant, tally in after.tenants.items():
        for name, budget in tally.budgets.items():
            old = None if before is None else before.tenants.get(tenant, TenantTally()).budgets.get(name)
            was = None if before is None else old.refused if old is not None else 0
            if budget.refused or budget.would_refuse or was:
                most = max(budget.curve.used.values(), default=0)
                fullest = f"{most / budget.curve.limit:.0%}" if budget.curve.limit else ""
                key = (-(budget.refused + budget.would_refuse), tenant, name)
                counts = (_changed(budget.refused, was), f"{budget.would_refuse:,}", fullest)
                rows.append((key, (tenant, name, budget.meter, *counts, budget.place)))
    for _, cells in sorted(rows)[:SHOWN_MAX]:
        table.add_row(*cells)
    if not rows:
        table.caption = "none"
    return table


def _changed(now: int, was: int | None) -> str:
    return f"{now:,}" if was is None or was == now else f"{now:,} ({now - was:+,})"


def _money(now: int, was: int | None) -> str:
    text = f"{now / NANO_USD:,.2f}"
    return text if was is None or was == now else f"{text} ({(now - was) / NANO_USD:+,.2f})"


def _worst(tenant: TenantTally) -> str:
    if (worst := tenant.worst_hour) is None:
        return ""
    at_us, count = worst
    return f"{datetime.fromtimestamp(at_us / 1e6, UTC):%Y-%m-%d %H:%M} ({count:,} refused)"


def as_json(after: Tally, before: Tally | None) -> dict[str, Any]:
    value: dict[str, Any] = {
        "requests": after.requests,
        "first_s": after.first_us / 1e6,
        "last_s": after.last_us / 1e6,
        "unknown_tenants": after.unknown,
        "untried_endpoints": after.untried,
        "late": after.late,
        "blind_budgets": after.blind,
        "tenants": {name: _tenant_json(tenant) for name, tenant in sorted(after.tenants.items())},
    }
    if before is not None:
        value["against"] = {name: _tenant_json(tenant) for name, tenant in sorted(before.tenants.items())}
    return value


def _tenant_json(tenant: TenantTally) -> dict[str, Any]:
    worst = tenant.worst_hour
    names = (
        *("requests", "admitted", "refused", "refused_otherwise", "shortened", "cut_tokens", "delayed", "downgraded"),
        *("input_tokens", "output_tokens", "cost_nano_usd"),
    )
    return {
        **{name: getattr(tenant, name) for name in names},
        "delay_ms": tenant.delay_us // 1000,
        "worst_hour": None if worst is None else {"at_s": worst[0] // 1_000_000, "refused": worst[1]},
        "budgets": {
            name: {
                "meter": budget.meter,
                "mode": "enforce" if budget.enforce else "shadow",
                "written_at": budget.place,
                "refused": budget.refused,
                "would_refuse": budget.would_refuse,
                "limit": budget.curve.limit,
                "most_used": max(budget.curve.used.values(), default=0),
            }
            for name, budget in tenant.budgets.items()
        },
    }
