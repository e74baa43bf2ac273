"""A report as a list of blocks: what Markdown and HTML have in common. Made from the tree of `evaluate` alone."""

from __future__ import annotations

from typing import NamedTuple


class Heading(NamedTuple):
    level: int
    text: str


class Text(NamedTuple):
    """One paragraph; ** around what is strong, * around what is stressed, ` around code."""

    text: str


class Items(NamedTuple):
    items: list[str]


class Table(NamedTuple):
    head: list[str]
    rows: list[list[str]]
    numbers_from: int = 1
    """Columns from this one on are numbers, and stand to the right."""


class Figure(NamedTuple):
    name: str
    """Of its file, without .svg."""
    caption: str


Block = Heading | Text | Items | Table | Figure


def percent(value: float | None, digits: int = 1) -> str:
    return "-" if value is None or value != value else f"{100 * value:.{digits}f}%"


def small_percent(value: float) -> str:
    """With as many digits as shares of a thousandth need."""
    return "0" if value == 0 else percent(value, 3)


def number(value: float | None) -> str:
    if value is None or value != value:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.1f}"


def interval(row: dict[str, float]) -> str:
    return f"{percent(row['low'], 0)} to {percent(row['high'], 0)}"


def windows_interval(row: dict[str, float]) -> str:
    """Of windows drawn again within the same families."""
    return f"{percent(row['windows_low'], 0)} to {percent(row['windows_high'], 0)}"
