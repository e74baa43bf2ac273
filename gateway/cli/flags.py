"""Flags for the operator's settings, made from their table: none can be missing here."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping

from gateway import settings

STORE = ("policies", "store", "data", "store_timeout")
"""What a command needs that only reads the store."""


def add(parser: argparse.ArgumentParser, names: Iterable[str] = settings.TABLE) -> None:
    """A flag for each setting of the table, or for the named ones."""
    group = parser.add_argument_group("settings", "each is also GAUGER_NAME in the environment and name: in the --config file")
    group.add_argument("--config", metavar="FILE", help="YAML file of settings")
    for name in names:
        meta = settings.TABLE[name].metadata
        group.add_argument(
            f"--{name.replace('_', '-')}", metavar=meta["metavar"], help=f"{meta['help']} (default: {meta['default']})"
        )


def load(args: argparse.Namespace, environ: Mapping[str, str] | None = None) -> settings.Settings:
    """The settings after flags, environment, file and defaults. Raises SettingsError."""
    flags = {name: getattr(args, name, None) for name in (*settings.TABLE, "config")}
    return settings.load(flags, os.environ if environ is None else environ)
