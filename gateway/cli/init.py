"""`gauger init`: a policy directory to begin with."""

from __future__ import annotations

import argparse
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from gateway.errors import SettingsError
from gateway.policy.schema import json_schema

_DESCRIPTION = """\
Write a commented policy directory to begin with: models and prices, plans, a tenant, tests, and the JSON Schema by which an
editor completes and checks. Nothing that is there already is touched.
"""
SCHEMA = ".schema.json"


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("init", help="write a policy directory to begin with", description=_DESCRIPTION)
    parser.add_argument("directory", metavar="DIR", type=Path, help="a directory that is empty, or not there yet")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0. Raises SettingsError where the directory holds something already."""
    directory: Path = args.directory
    try:
        if directory.exists() and any(directory.iterdir()):
            raise SettingsError(f"{directory} is not empty: name a directory that is, or one that is not there yet")
        directory.mkdir(parents=True, exist_ok=True)
        names = starter()
        for name, text in names.items():
            (directory / name).write_text(text, encoding="utf-8")
        (directory / SCHEMA).write_text(json.dumps(json_schema(), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{directory} cannot be written: {error.strerror or error}") from None
    print(f"written to {directory}: {', '.join(names)}")
    print("next: gauger keys new my-team   (and paste the line it prints below the tenant's `keys`)")
    print(f"      gauger check {directory}; gauger test {directory}")
    return 0


def starter() -> dict[str, str]:
    """The starter's files, by name."""
    folder = files("gateway.policy") / "starter"
    return {entry.name: entry.read_text(encoding="utf-8") for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)}
