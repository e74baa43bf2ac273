"""`gauger test`: run the policy tests that lie beside the policies."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from gateway.policy.load import load_dir
from gateway.policy.read_trials import find_trials, read_trials
from gateway.policy.trials import Trial
from gateway.trial.asks import WIRE_OF
from gateway.trial.suite import Result, run_suite

_DESCRIPTION = """\
Run every test in DIR's *.test.yaml files against the policies in DIR: the gateway's own code, and its scripts on a store that
is started for them, under a clock that does not wait. How tests are written is in docs/policies.md.

exit codes: 0 all passed; 1 some failed; 2 the policies or the tests cannot be read
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "test", help="run the tests of a policy directory", description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("directory", metavar="DIR", type=Path, help="directory of the policy files and their tests")
    parser.add_argument("-k", dest="only", metavar="TEXT", default="", help="only tests whose name contains TEXT")
    parser.add_argument("--junit", metavar="FILE", type=Path, help="also write the results as JUnit XML")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0: all passed. 1: some failed, or there are none. Raises PolicyErrors."""
    policy = load_dir(args.directory)
    trials = read_trials(find_trials(args.directory), policy, WIRE_OF)
    chosen = [trial for trial in trials if args.only.lower() in trial.name.lower()]
    if not chosen:
        where = f"whose name contains {args.only!r} " if trials else ""
        print(f"there are no tests {where}in {args.directory}: write some into a file like plans.test.yaml", file=sys.stderr)
        return 1
    results = run_suite(chosen, policy, _show)
    if args.junit is not None:
        args.junit.write_bytes(junit(results))
    failed = sum(not result.is_passed for result in results)
    took_s = sum(result.took_s for result in results)
    print(
        f"{failed} failed, {len(results) - failed} passed in {took_s:.2f} s"
        if failed
        else f"{len(results)} passed in {took_s:.2f} s"
    )
    return 1 if failed else 0


def _show(result: Result) -> None:
    print(f"{'ok    ' if result.is_passed else 'FAILED'} {result.trial.name}")
    for line in told(result):
        print(f"       {line}")


def told(result: Result) -> list[str]:
    """What went wrong in a test, as lines: where, and expected beside seen. Repetitions that failed alike are told once."""
    if result.problem:
        return [result.problem]
    lines = []
    alike = Counter((miss.request.place, miss.request.repeat, miss.differences) for miss in result.misses)
    shown = set()
    for miss in result.misses:
        same = (miss.request.place, miss.request.repeat, miss.differences)
        if same in shown:
            continue
        shown.add(same)
        which = ""
        if miss.request.repeat > 1:
            more = f" and {alike[same] - 1} more" if alike[same] > 1 else ""
            which = f" (repetition {miss.number}{more} of {miss.request.repeat})"
        lines.append(f"{miss.request.place.file}:{miss.request.place.line}{which}")
        for word, expected, seen in miss.differences:
            lines.append(f"  - {word}: {expected}")
            lines.append(f"  + {word}: {seen}")
        if miss.message:
            lines.append(f"    the tenant would be told: {miss.message}")
    return lines


def junit(results: list[Result]) -> bytes:
    """JUnit's XML, a suite for each file."""
    root = ElementTree.Element("testsuites")
    by_file: dict[str, list[Result]] = {}
    for result in results:
        by_file.setdefault(result.trial.place.file, []).append(result)
    for file, members in by_file.items():
        failures = sum(not result.is_passed for result in members)
        suite = ElementTree.SubElement(
            root, "testsuite", name=file, tests=str(len(members)), failures=str(failures), errors="0", skipped="0",
            time=f"{sum(result.took_s for result in members):.3f}",
        )  # fmt: skip
        for result in members:
            _add_case(suite, result.trial, result)
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _add_case(suite: ElementTree.Element, trial: Trial, result: Result) -> None:
    case = ElementTree.SubElement(
        suite, "testcase", name=trial.name, classname=Path(trial.place.file).stem, file=trial.place.file,
        line=str(trial.place.line), time=f"{result.took_s:.3f}",
    )  # fmt: skip
    if not result.is_passed:
        lines = told(result)
        ElementTree.SubElement(case, "failure", message=lines[0]).text = "\n".join(lines)
