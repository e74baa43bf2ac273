"""Where things are written, kept until the whole directory has been read: what only the whole shows is reported there."""

from __future__ import annotations

from typing import NamedTuple

from gateway.policy.fields import Report
from gateway.policy.model import Place
from gateway.policy.yaml_tree import Node


class Written(NamedTuple):
    """A name, and where it was written."""

    report: Report
    node: Node
    path: str
    name: str


def spot(place: Place) -> tuple[str, int, int]:
    """A place as something to look up by: two words may stand on one line."""
    return place.file, place.line, place.column


def written_at(place: Place) -> str:
    """`at FILE:LINE`, for messages."""
    return f"at {place.file}:{place.line}"
