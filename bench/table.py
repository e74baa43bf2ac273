"""From what was measured to a Markdown table. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

FOREIGN_MAX = 0.3
"""A measurement during which other programs used more than this part of a core is left out."""


class Measured(NamedTuple):
    """One measurement of one target. Units are in the names; foreign is in cores."""

    target: str
    mode: str
    foreign: float
    bad: int
    values: dict[str, float]
    """By the keys of MEASURES."""


class Measure(NamedTuple):
    key: str
    mode: str
    title: str
    digits: int
    is_ratio_useful: bool = True
    aim: float | None = None
    """The most it should be for gauger."""


MEASURES = (
    Measure("cpu_us", "sat", "CPU a request, us", 1, aim=140),
    Measure("store_cpu_us", "sat", "CPU of the store a request, us", 1, is_ratio_useful=False),
    Measure("analyst_cpu_us", "sat", "CPU of the analyst a request, off the path, us", 1, is_ratio_useful=False),
    Measure("a_second", "sat", "requests a second", 0),
    Measure("core_busy", "sat", "busy while saturated, part of its core", 2, is_ratio_useful=False),
    Measure("p50_us", "rate", "latency at {rate:.0f}/s, median, us", 0),
    Measure("p99_us", "rate", "latency at {rate:.0f}/s, 99th per cent, us", 0),
    Measure("cpu_us_a_chunk", "stream", "CPU a streamed chunk, us", 2, aim=1.5),
    Measure("cpu_us_a_chunk", "blanked", "the same, half of it reasoning that is blanked", 2, aim=3),
    Measure("cpu_us_a_chunk", "filtered", "the same, with two literals and a pattern filtered", 2, aim=4),
    Measure("chunks_a_second", "stream", "chunks a second", 0),
    Measure("rss_mb", "stream", "memory with {streams} streams, MB", 0),
)


def added_latency(rows: Sequence[Measured]) -> list[str]:
    """Sentences: what each proxy adds to the latency of no proxy at all."""
    said = []
    direct = kept(rows, "direct", "rate")
    if not direct:
        return []
    for target in targets_of(rows):
        through = kept(rows, target, "rate")
        if target == "direct" or not through:
            continue
        added = {key: _median(through, key) - _median(direct, key) for key in ("p50_us", "p99_us")}
        said.append(f"{target} adds {added['p50_us']:.0f} us at the median and {added['p99_us']:.0f} us at the 99th per cent.")
    return said


def kept(rows: Sequence[Measured], target: str, mode: str) -> list[Measured]:
    """The measurements to count: those on a quiet machine, or all where there was never quiet."""
    all_of = [row for row in rows if (row.target, row.mode) == (target, mode)]
    return [row for row in all_of if row.foreign <= FOREIGN_MAX] or all_of


def targets_of(rows: Sequence[Measured]) -> list[str]:
    return list(dict.fromkeys(row.target for row in rows))


def markdown(rows: Sequence[Measured], *, rate: float, streams: int) -> str:
    """A line for each measure: median (least-most) for each target, gauger's ratio to nginx, and its aim."""
    targets = targets_of(rows)
    lines = [
        "| | " + " | ".join(targets) + " | gauger / nginx | aim |",
        "|---|" + "---:|" * (len(targets) + 2),
    ]
    for measure in MEASURES:
        cells = [_cell(kept(rows, target, measure.mode), measure) for target in targets]
        if not any(cells):
            continue
        ratio = _ratio(rows, measure) if measure.is_ratio_useful else ""
        aim = f"at most {measure.aim:g}" if measure.aim is not None else ""
        lines.append(f"| {measure.title.format(rate=rate, streams=streams)} | " + " | ".join(cells) + f" | {ratio} | {aim} |")
    return "\n".join(lines)


def remarks(rows: Sequence[Measured]) -> list[str]:
    """What a reader must know to trust the table."""
    said = added_latency(rows)
    for target in targets_of(rows):
        for mode in dict.fromkeys(row.mode for row in rows):
            all_of = [row for row in rows if (row.target, row.mode) == (target, mode)]
            loud = [row for row in all_of if row.foreign > FOREIGN_MAX]
            if loud and len(loud) == len(all_of):
                said.append(f"The machine was never quiet for {target} ({mode}): take its figures as upper bounds.")
            elif loud:
                said.append(
                    f"{len(loud)} of {len(all_of)} measurements of {target} ({mode}) left out: the machine was not quiet."
                )
            if bad := sum(row.bad for row in all_of):
                said.append(f"WRONG: {bad} answers of {target} ({mode}) were no 200 or broke off.")
    return said


def _median(rows: Sequence[Measured], key: str) -> float:
    return median(row.values[key] for row in rows)


def _cell(rows: Sequence[Measured], measure: Measure) -> str:
    values = [row.values[measure.key] for row in rows if measure.key in row.values]
    if not values:
        return ""
    middle, least, most = (f"{value:.{measure.digits}f}" for value in (median(values), min(values), max(values)))
    return f"{middle} ({least}-{most})"


def _ratio(rows: Sequence[Measured], measure: Measure) -> str:
    ours, theirs = kept(rows, "gauger", measure.mode), kept(rows, "nginx", measure.mode)
    if not ours or not theirs or not _median(theirs, measure.key):
        return ""
    return f"{_median(ours, measure.key) / _median(theirs, measure.key):.2f}"
