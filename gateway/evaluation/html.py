"""A document as one HTML file that needs nothing else: its style and its figures stand in it, and no script."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from gateway.evaluation.document import Block, Figure, Heading, Items, Table, Text

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 70rem; margin: 2rem auto;
  overflow-wrap: break-word;
  padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; margin-top: 2em; }
h1 { margin-top: 0; }
table { border-collapse: collapse; margin: 1em 0; display: block; overflow-x: auto; font-size: .85rem; }
th, td { padding: .25em .75em; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #888; }
.n { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1.5em 0; }
figure svg { max-width: 100%; height: auto; }
figcaption { font-size: .9rem; color: #444; }
code { background: #f3f3f3; padding: 0 .2em; }
.reached, .missed { font-weight: 600; color: #0a6b2d; }
.missed { color: #b00020; }
"""


def render(title: str, blocks: Sequence[Block], figures: Mapping[str, str]) -> str:
    """`figures`: the SVG of each figure that is named, without an XML declaration."""
    body = "\n".join(_block(block, figures) for block in blocks)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _block(block: Block, figures: Mapping[str, str]) -> str:
    match block:
        case Heading(level, text):
            return f"<h{level}>{_inline(text)}</h{level}>"
        case Text(text):
            return f"<p>{_inline(text)}</p>"
        case Items(items):
            return "<ul>\n" + "\n".join(f"<li>{_inline(item)}</li>" for item in items) + "\n</ul>"
        case Table(head, rows, numbers_from):
            lines = [_cells("th", head, numbers_from), *(_cells("td", row, numbers_from) for row in rows)]
            return "<table>\n" + "\n".join(lines) + "\n</table>"
        case Figure(name, caption):
            return f"<figure>\n{figures[name]}\n<figcaption>{_inline(caption)}</figcaption>\n</figure>"


def _cells(tag: str, cells: Sequence[str], numbers_from: int) -> str:
    made = []
    for place, cell in enumerate(cells):
        names = ["n"] if place >= numbers_from else []
        if cell in ("reached", "missed"):
            names.append(cell)
        attribute = f' class="{" ".join(names)}"' if names else ""
        made.append(f"<{tag}{attribute}>{_inline(cell)}</{tag}>")
    return f"<tr>{''.join(made)}</tr>"


def _inline(text: str) -> str:
    text = escape(text, quote=False)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)
    return re.sub(r"\*([^*\s][^*]*)\*", r"<em>\1</em>", text)
