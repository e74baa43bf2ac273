"""`gauger check DIR`: whether a gateway would take a policy directory, and what in it surely is not meant so.

Exit codes: 0 it loads (findings are printed, and do not fail); 1 with --strict, there are findings; 2 there are mistakes, and
no gateway would take it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.detectors import PHRASES
from gateway.errors import Mistake, PolicyErrors
from gateway.policy.excerpts import reported
from gateway.policy.load import load_with_sources
from gateway.policy.model import Policy
from gateway.policy.read_phrases import read_phrases
from gateway.policy.second_look import KINDS, Finding, second_look

LOADS, HAS_FINDINGS, HAS_MISTAKES = 0, 1, 2
FORMATS = ("text", "json", "github")
_DESCRIPTION = """\
Read a policy directory as the gateway does, and say every mistake at once, each with its line. If there is none, look a
second time for what loads and surely is not meant so. Nothing is started, and no secret is needed.

findings:
{kinds}

exit codes:
  0  it loads; findings are printed, and do not fail
  1  with --strict: it loads, and there are findings
  2  there are mistakes: no gateway would take it

examples:
  gauger check policies
  gauger check policies --strict --format github      in a workflow: annotations in the pull request
"""


def add_parser(subparsers: Any) -> None:
    kinds = "\n".join(f"  {kind:<20} {what}" for kind, what in KINDS.items())
    parser = subparsers.add_parser(
        "check",
        help="find what is wrong with a policy directory",
        description=_DESCRIPTION.format(kinds=kinds),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="the policy directory")
    parser.add_argument("--format", choices=FORMATS, default="text", help="text for people, json, or github (annotations)")
    parser.add_argument("--strict", action="store_true", help="fail on findings too")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what was found; one of the three exit codes."""
    policy: Policy | None = None
    findings: list[Finding] = []
    mistakes: Sequence[Mistake] = ()
    try:
        policy, sources = load_with_sources(args.directory)
        read_phrases([*PHRASES, *(args.directory / path for path in policy.watch.phrases)])
    except PolicyErrors as errors:
        policy, mistakes, sources = None, errors.mistakes, errors.sources
    else:
        findings = second_look(policy, time.time_ns() // 1000)
    if args.format == "json":
        json.dump(_as_json(mistakes, findings, policy), sys.stdout, indent=2)
        print()
    elif args.format == "github":
        for mistake in mistakes:
            print(_annotation("error", "mistake", mistake))
        for finding in findings:
            print(_annotation("warning", finding.kind, _as_mistake(finding)))
    else:
        _print_text(mistakes, findings, sources)
        print(_summary(args.directory, mistakes, findings, policy))
    if mistakes:
        return HAS_MISTAKES
    return HAS_FINDINGS if findings and args.strict else LOADS


def _print_text(mistakes: Sequence[Mistake], findings: Sequence[Finding], sources: Mapping[str, bytes]) -> None:
    for text in reported(mistakes, sources):
        print(text)
    for text in reported([_as_mistake(finding, with_kind=True) for finding in findings], sources):
        print(text)


def _summary(directory: Path, mistakes: Sequence[Mistake], findings: Sequence[Finding], policy: Policy | None) -> str:
    if policy is None:
        return f"{directory}: {_number(len(mistakes), 'mistake')}: no gateway would take it"
    holds = ", ".join(
        _number(count, word)
        for count, word in (
            (len(policy.tenants), "tenant"), (len(policy.keys), "key"), (len(policy.plans), "plan"),
            (len(policy.models), "model rule"),
        )
    )  # fmt: skip
    return f"{directory}: loads ({holds}); {_number(len(findings), 'finding')}"


def _number(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _as_mistake(finding: Finding, *, with_kind: bool = False) -> Mistake:
    place = finding.place
    message = f"{finding.message} [{finding.kind}]" if with_kind else finding.message
    return Mistake(place.file, place.line, place.column, finding.path, message)


def _as_json(mistakes: Sequence[Mistake], findings: Sequence[Finding], policy: Policy | None) -> dict[str, Any]:
    return {
        "loads": policy is not None,
        "digest": policy.digest if policy is not None else None,
        "mistakes": [mistake._asdict() for mistake in mistakes],
        "findings": [{"kind": finding.kind, **_as_mistake(finding)._asdict()} for finding in findings],
    }


def _annotation(level: str, title: str, mistake: Mistake) -> str:
    """A workflow command of GitHub Actions; what ends or divides one is escaped as its runner reads it."""
    message = _escaped(f"{mistake.path}: {mistake.message}")
    file = _escaped(mistake.file).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} file={file},line={mistake.line},col={mistake.column},title={title}::{message}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
