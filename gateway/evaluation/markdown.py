"""A document as Markdown; its figures are files beside it."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.evaluation.document import Block, Figure, Heading, Items, Table, Text


def render(blocks: Sequence[Block]) -> str:
    parts = []
    for block in blocks:
        match block:
            case Heading(level, text):
                parts.append(f"{'#' * level} {text}")
            case Text(text):
                parts.append(text)
            case Items(items):
                parts.append("\n".join(f"- {item}" for item in items))
            case Table(head, rows, numbers_from):
                rules = ["---:" if place >= numbers_from else "---" for place in range(len(head))]
                parts.append("\n".join(_row(row) for row in (head, rules, *rows)))
            case Figure(name, caption):
                parts.append(f"![{caption}]({name}.svg)")
    return "\n\n".join(parts) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
