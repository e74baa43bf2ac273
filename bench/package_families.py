"""What the watch is worth on families that whoever built it never saw: published pipelines' and applications' own prompts.

    .venv/bin/python bench/package_families.py --packages DIR --corpus DIR --out DIR [--traces DIR] [--write-only] [--with-dual]

DIR/NAME holds each package (`pip install --no-deps --target DIR/NAME NAME`; `--pip` prints the lines). --out gets a corpus as
`gauger evaluate` reads it, a second one beside it of the dual families (with `--with-dual` they are in the first, as honest),
and `families.md`: per family what is caught or flagged within 26 and 200 requests at a score of 500, and where 1% of the
windows of held-out honest packages is flagged; plain, and behind canned openings with half the requests an honest other's.
Eight tenants a family, at the times of real clients, through the code that runs in the gateway. Some two minutes of two cores.

What one package's authors wrote is held out together, and drawn together where an interval is made.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from package_attacks import ATTACKS  # noqa: E402
from package_corpus import metadata, source_of, write  # noqa: E402
from package_honest import DUAL, HONEST  # noqa: E402
from package_scores import Row, rows, totals  # noqa: E402
from package_shapes import Family  # noqa: E402
from package_slots import Kinds  # noqa: E402
from package_templates import Missing  # noqa: E402

from gateway.errors import SettingsError  # noqa: E402

TOLD_MIN = 50
"""A score below it has no profile worth a name."""


def pip_lines(packages: Path) -> list[str]:
    """What brings the packages; none of them is imported, so none needs its dependencies."""
    names = sorted({family.package for family in (*ATTACKS, *HONEST, *DUAL)})
    return [f"pip install --no-deps --target {packages / name} {name}" for name in names]


def table(found: list[Row], families: tuple[Family, ...]) -> list[str]:
    """The families of one label, a row each: shares at 500 and at 1% flagged, and the same behind openings and dilution."""
    lines = [
        "| family | package | at 500: 26 | 200 | at 1%: 26 | 200 | median | profile | hidden, 500 | hidden, 1% | hidden, median |",
        "|---|---|---:|---:|---:|---:|---:|---|---:|---:|---:|",
    ]
    by_source = {row.source: row for row in found}
    for family in families:
        row = by_source[source_of(family)]
        cells = [f"{share:.0%}" for share in (row.fixed_26, row.fixed_200, row.held_26, row.held_200)]
        hidden = ["-"] * 3
        if row.hidden is not None:
            hidden = [f"{row.hidden.fixed_200:.0%}", f"{row.hidden.held_200:.0%}", f"{row.hidden.median:.0f}"]
        lines.append(
            "| "
            + " | ".join(
                [
                    family.name,
                    family.package,
                    *cells,
                    f"{row.median:.0f}",
                    row.profile if row.median >= TOLD_MIN else "-",
                    *hidden,
                ]
            )
            + " |"
        )
    return lines


def page(found: list[Row], dual: list[Row], said: list[str], packages: Path) -> str:
    names = sorted({family.package for family in (*ATTACKS, *HONEST, *DUAL)})
    licences = [f"| {name} | {' | '.join(metadata(packages, name))} |" for name in names]
    parts = ["# Families of published packages", "", *said, "", "## Attacking", "", *table(found, ATTACKS)]
    parts += ["", "## Honest", "", *table(found, HONEST), "", "## Dual: in neither rate", "", *table(dual, DUAL)]
    return "\n".join([*parts, "", "## Packages", "", "| package | version | licence |", "|---|---|---|", *licences, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, help="the corpus that slots are filled from")
    parser.add_argument("--traces", type=Path, help="default: a folder `traces` beside the corpus")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--with-dual", action="store_true")
    parser.add_argument("--write-only", action="store_true")
    parser.add_argument("--pip", action="store_true", help="print what brings the packages, and end")
    chosen = parser.parse_args()
    if chosen.pip:
        print("\n".join(pip_lines(chosen.packages)))
        return
    if chosen.corpus is None or chosen.out is None:
        parser.error("--corpus and --out are needed")
    begin = time.monotonic()
    try:
        kinds = Kinds(chosen.corpus, chosen.packages)
        write((*ATTACKS, *HONEST, *(DUAL if chosen.with_dual else ())), chosen.packages, kinds, chosen.out / "corpus")
        write(DUAL, chosen.packages, kinds, chosen.out / "dual")
        print(f"written to {chosen.out} ({time.monotonic() - begin:.0f} s)", file=sys.stderr)
        if chosen.write_only:
            return
        traces = chosen.traces or chosen.corpus.parent / "traces"
        found, tabled = rows(chosen.out / "corpus", traces, seed=chosen.seed, processes=chosen.processes)
        dual, _ = rows(chosen.out / "dual", traces, seed=chosen.seed, processes=chosen.processes, against=tabled)
    except (Missing, SettingsError) as error:
        sys.exit(f"package_families: {error}")
    text = page(found, dual, totals(found, tabled, seed=chosen.seed), chosen.packages)
    (chosen.out / "families.md").write_text(text)
    print(text)
    print(f"{time.monotonic() - begin:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
