"""The report's files: `evaluation.json`, `report.md` with its figures beside it, and `report.html`, which stands alone.

Failure policy: a directory that cannot be written raises SettingsError before anything is evaluated (`prepare`); each file is
written whole or not at all.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson

from gateway.errors import SettingsError
from gateway.evaluation import html, markdown, plots, report


def prepare(directory: Path) -> None:
    """Make the directory, and see that files can be made in it."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / ".gauger-evaluate"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise SettingsError(f"--out: {directory} cannot be written: {error.strerror}") from None


def write(directory: Path, tree: dict[str, Any]) -> list[Path]:
    """All files of a report. Returns them, the one to open first."""
    # Through JSON, so that what is rendered is what the JSON holds: lists for tuples, no NaN.
    data = orjson.dumps(tree, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)
    tree = orjson.loads(data)
    figures = plots.draw(tree)
    blocks = report.blocks(tree)
    files = {
        "report.html": html.render(report.TITLE, blocks, figures).encode(),
        "report.md": markdown.render(blocks).encode(),
        "evaluation.json": data + b"\n",
        **{f"{name}.svg": _standalone(svg) for name, svg in figures.items()},
    }
    for name, content in files.items():
        half = directory / f".{name}.part"
        half.write_bytes(content)
        os.replace(half, directory / name)
    return [directory / name for name in files]


def _standalone(svg: str) -> bytes:
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + svg.encode() + b"\n"
