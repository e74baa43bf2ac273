"""Where commands print tables: as wide as the terminal, or wide enough for every column where there is none."""

from __future__ import annotations

import sys

from rich.console import Console

PIPED_COLUMNS = 200


def console() -> Console:
    return Console(width=None if sys.stdout.isatty() else PIPED_COLUMNS)
