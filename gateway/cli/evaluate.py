"""`gauger evaluate`: the honest evaluation of the watch over a corpus and traces, as a report. No store is asked, no gateway.

Exit codes: 0 the report is written, whatever it says; 1 and 2 as for every command.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.errors import SettingsError
from gateway.policy.model import NO_LADDER, Ladder

SIZES = ("full", "quick", "smallest")
_DESCRIPTION = """\
Evaluate the watch: simulate tenants from a corpus of real text and traces of real arrivals, let the very code that runs
in the gateway judge them, and write what it catches, what it misses and what it costs the honest.

A corpus is a directory of .jsonl or .jsonl.gz files, one JSON object a line with `source`, `role_mix` ("attack" or
"benign"), `messages`, and sometimes `group`, `params`, `family` and `workload`. Traces are CSV files, known by their
columns. docs/evaluation.md says how to read the report.

example:
  gauger evaluate --corpus corpus --traces traces --out report
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "evaluate",
        help="evaluate the watch on a corpus",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--corpus", metavar="DIR", type=Path, required=True, help="workloads, one .jsonl or .jsonl.gz each")
    parser.add_argument("--traces", metavar="DIR", type=Path, required=True, help="arrivals and sizes, .csv or .csv.gz")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="where the report goes")
    parser.add_argument("--policies", metavar="DIR", type=Path, help="whose `watch.ladder` is walked (the standard one)")
    parser.add_argument("--size", choices=SIZES, default="full", help="how much is simulated (full)")
    parser.add_argument("--quick", action="store_const", const="quick", dest="size", help="the same as --size quick")
    parser.add_argument("--processes", metavar="N", type=_processes, default=0, help="at work at once (one for each core)")
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="of all that is drawn by chance (1)")
    parser.set_defaults(run=run)


def _processes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError("must be a whole number from 1 to 256")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Evaluate, write, print the targets; 0. Raises SettingsError for a corpus, traces or a directory that cannot be used."""
    _require("numpy", "matplotlib", "sklearn")
    # Only this command needs them: the others shall not wait for them.
    from gateway.evaluation import plan, writing
    from gateway.evaluation.evaluate import Asked, evaluate
    from gateway.evaluation.standard import STANDARD
    from gateway.evaluation.the_watch import FITTED_ON, TheWatches

    ladder = STANDARD if args.policies is None else _ladder(args.policies)
    writing.prepare(args.out)
    asked = Asked(
        corpus_dir=args.corpus,
        traces_dir=args.traces,
        plan={"full": plan.FULL, "quick": plan.QUICK, "smallest": plan.SMALLEST}[args.size],
        processes=args.processes or os.cpu_count() or 1,
        seed=args.seed,
        ladder=ladder,
        makes=TheWatches(),
        fitted_on=FITTED_ON,
    )
    with _bars() as bars:

        def progress(name: str, count: int) -> Callable[[], None]:
            if not bars.console.is_terminal:
                bars.console.print(f"{name} ({count})")
            task = bars.add_task(name, total=count)
            return lambda: bars.advance(task)

        tree = evaluate(asked, progress)
    files = writing.write(args.out, tree)
    for target in tree["targets"]:
        digits = 1 if target["at_least"] else 3
        sign = "at least" if target["at_least"] else "at most"
        state = "reached" if target["reached"] else "MISSED"
        print(f"{state:<8}{target['value']:.{digits}%} ({sign} {target['bound']:.{digits}%}): {target['what']}")
    print(f"\n{files[0]}\n{files[1]}\n{files[2]}")
    return 0


def _bars() -> Any:
    """One bar a stage, on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<22}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True))


def _ladder(policies: Path) -> Ladder:
    """The ladder that those policies put everybody on. Raises SettingsError where there is none."""
    from gateway.policy.load import load_dir

    policy = load_dir(policies)
    if policy.watch.ladder == NO_LADDER:
        raise SettingsError(f"--policies: {policies} has no `watch: {{ladder: ...}}`, so nobody meets a ladder")
    return policy.ladders[policy.watch.ladder]


def _require(*modules: str) -> None:
    """Say what is missing before minutes are spent."""
    from importlib.util import find_spec

    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise SettingsError(f"evaluate: needs {', '.join(missing)}: pip install 'gauger[evaluate]'")
