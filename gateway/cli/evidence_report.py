"""What `gauger evidence list` and `verify` print. Whatever comes out of a file is made printable first."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from gateway.errors import SettingsError
from gateway.evidence.books import checker, directory_of, organisations
from gateway.evidence.export_format import STATEMENT
from gateway.evidence.keys import KeyRing
from gateway.evidence.notices import holds
from gateway.evidence.segments import recover, segments
from gateway.evidence.verify import Report
from gateway.logs import printable

SHOWN_MAX = 20


def print_list(root: Path, ring: KeyRing) -> None:
    """Each chain, how much of it there is, and the head to be noted elsewhere. Raises SettingsError."""
    rows = [("organisation", "entries", "since", "MB", "held", "head")]
    check = checker(ring)
    for organisation in organisations(root):
        directory = directory_of(root, organisation)
        try:
            files = segments(directory)
            end = recover(files[-1].path, organisation, check) if files else None
            size = sum(each.path.stat().st_size for each in files)
        except OSError as error:
            raise SettingsError(f"data: {directory} cannot be read: {error.strerror}") from None
        held = ",".join(each.tenant or "all" for each in holds(directory)) or "-"
        if end is None:
            rows.append((organisation, "?", files[0].day if files else "-", f"{size / 1e6:.1f}", held, "cannot be relied on"))
            continue
        first = files[0].first
        rows.append((
            organisation, f"{first}-{end.n}" if first > 1 else str(end.n), files[0].day, f"{size / 1e6:.1f}", held,
            f"{end.n}:{end.link.hex()}",
        ))  # fmt: skip
    if len(rows) == 1:
        print(f"there is no evidence in {root}")
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def print_report(report: Report) -> None:
    """What a file says of itself, what is wrong with it, and what it is evidence of."""
    whose = f"tenant {report.tenant} of {report.organisation}" if report.tenant else f"organisation {report.organisation}"
    if report.organisation:
        print(f"evidence of {printable(whose)}, entries {report.first} to {report.last}")
        print(f"  signed from {_when(report.from_us)} to {_when(report.to_us)}, head {report.last}:{report.link}")
        kinds = ", ".join(f"{count} {printable(kind)}" for kind, count in sorted(report.kinds.items())) or "none"
        print(f"  shown: {kinds}; of other tenants, as hashes: {report.others}; removed with notice: {report.removed}")
        _names("policies", report.policies)
        for name, rules in list(report.rules.items())[:SHOWN_MAX]:
            print(printable(f"  rules {name}: {_rules(rules)}", limit=400))
        for key, public in report.signers.items():
            print(f"  signed by {printable(key)}: {public}")
    for gap in report.gaps[:SHOWN_MAX]:
        print(f"  gap: {printable(_gap(gap), limit=400)}")
    if len(report.gaps) > SHOWN_MAX:
        print(f"  gap: and {len(report.gaps) - SHOWN_MAX} more")
    for note in report.notes:
        print(f"  note: {printable(note, limit=400)}")
    for problem in report.problems[:SHOWN_MAX]:
        print(f"  WRONG: {printable(problem, limit=400)}")
    if len(report.problems) > SHOWN_MAX:
        print(f"  WRONG: and {len(report.problems) - SHOWN_MAX} more")
    print("\nNOT GOOD: this file must not be relied on." if report.problems else f"\ngood. {STATEMENT}")


def _rules(rules: object) -> str:
    said = rules if isinstance(rules, dict) else {}
    features, phrases = said.get("features"), said.get("phrases")
    count = len(features) if isinstance(features, list) else 0
    lists = ", ".join(map(str, phrases)) if isinstance(phrases, list) else ""
    return f"gauger {said.get('gauger')}, {count} features, phrase lists {lists or 'none'}"


def _gap(body: dict[str, object]) -> str:
    if body["kind"] == "opened":
        lost = f"{body.get('cut_bytes')} bytes cut, {body.get('unsigned')} entries found unsigned"
        damage = ", damaged before that" if body.get("damaged") or body.get("put_aside") else ""
        return f"entry {body['n']}, {_when(body['at_us'])}: the log was not closed before ({lost}{damage})"
    count, why = body.get("numbers") or "nobody knows how many", f"{body.get('why')}, run {body.get('run')}"
    return f"entry {body['n']}, {_when(body['at_us'])}: {count} sightings are missing ({why})"


def _names(what: str, names: tuple[str, ...]) -> None:
    if names:
        more = f" and {len(names) - SHOWN_MAX} more" if len(names) > SHOWN_MAX else ""
        print(printable(f"  {what}: {', '.join(names[:SHOWN_MAX])}{more}", limit=600))


def _when(at_us: object) -> str:
    try:
        at = datetime.fromtimestamp(at_us / 1_000_000, UTC) if isinstance(at_us, int) else None
    except (OverflowError, ValueError, OSError):
        at = None
    return "an unknown time" if at is None else at.strftime("%Y-%m-%d %H:%M:%S UTC")
