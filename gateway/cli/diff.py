"""`gauger diff`: what changes for whom from one policy directory to another, in words."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from gateway.policy.differ import Change, changes
from gateway.policy.load import load_dir

_DESCRIPTION = """\
Say in words what changes for whom from the policies in OLD to those in NEW. What is compared is what holds, not how it is
written.

exit codes: 0 nothing changes; 1 something does; 2 a directory cannot be read
"""
NAMED_MAX = 5


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "diff", help="what changes for whom between two policy directories", description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("old", metavar="OLD", type=Path)
    parser.add_argument("new", metavar="NEW", type=Path)
    parser.add_argument("--json", action="store_true", help="print a JSON array")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0: nothing changes. 1: something does. Raises PolicyErrors."""
    found = changes(load_dir(args.old), load_dir(args.new))
    if args.json:
        print(json.dumps([change._asdict() for change in found], indent=2))
    else:
        print("\n".join(lines(found)) if found else "nothing changes for anybody")
    return 1 if found else 0


def lines(found: list[Change]) -> list[str]:
    """One paragraph for each whose something changes."""
    told: list[str] = []
    whose = ""
    for change in found:
        if change.whose != whose:
            whose = change.whose
            told.append(f"{whose}{_concerned(change)}")
        told.append(f"  {change.what}")
    return told


def _concerned(change: Change) -> str:
    if change.tenants == (change.whose.removeprefix("tenant "),):
        return ""
    if not change.tenants:
        return " (concerns nobody)"
    names = ", ".join(change.tenants[:NAMED_MAX])
    more = len(change.tenants) - NAMED_MAX
    return f" (concerns {names}{f' and {more} more' if more > 0 else ''})"
