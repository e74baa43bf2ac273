"""What a large policy directory costs: `python bench/policies.py`, a Markdown table of ten thousand tenants.

Two directories are made: `plain`, where nearly all is said by plans, and `rich`, where every tenant has budgets, models and an
output policy of its own. Each round loads one in a new process, so that memory is what the load left behind, caches and all.
Seconds are CPU: what else runs on the machine waits its turn. Medians of the rounds are printed.
"""

import argparse
import gc
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent))

from gateway.policy.load import load_dir
from gateway.policy.resolve import resolve
from gateway.policy.second_look import second_look
from gateway.snapshot import Snapshot
from gateway.values import Caller

TENANTS = 10_000
TENANTS_A_FILE = 1_000
TENANTS_AN_ORGANISATION = 20
PLANS = 5
KEYS = 2
MODELS = ("big-1", "small-1", "other-1")
NOW_US = 1_800_000_000_000_000
RESULTS = Path(__file__).parent / "results" / "policies.md"
ROWS = (
    ("load_s", "load, s", 2, None),
    ("look_s", "second look, s", 2, None),
    ("check_s", "load and check, s", 2, 5.0),
    ("resolve_us", "resolve, us a call", 1, 20.0),
    ("first_us", "snapshot: a caller's first request, us", 1, None),
    ("kept_us", "snapshot: each later request, us", 2, None),
    ("snapshot_mb", "memory of the snapshot, MB", 0, 100.0),
    ("peak_mb", "memory of the whole process at its peak, MB", 0, None),
)
"""Key, title, digits, and the most it should be."""

_BASE = """version: 1
models:
  - {match: big-*, max_output_tokens: 16k, price: {input: 3 USD / 1M tokens, output: 15 USD / 1M tokens}}
  - {match: "*", max_output_tokens: 4k, price: {input: 1 USD / 1M tokens, output: 5 USD / 1M tokens}}
"""
_COST = "{name: cost-a-month, meter: cost, limit: 500 USD, per: month, window: calendar, timezone: Europe/Berlin}"
_PLAN = """  plan-%d:
    models: [big-*, small-*]
    output: {max_tokens: 2k}
    budgets:
      - {name: requests-a-minute, meter: requests, limit: %d, per: minute}
      - {name: output-a-minute, meter: output_tokens, limit: 200k, per: minute}
      - {name: tokens-a-day, meter: total_tokens, limit: 20M, per: day, window: calendar}
      - {name: in-flight, meter: concurrency, limit: 20}
"""
_RICH = """    models: [big-*, small-%d]
    output: {max_tokens: 1k, drop: [logprobs]}
    budgets:
      - {name: in-flight, meter: concurrency, limit: %d, override: true}
      - {name: at-night, meter: requests, limit: 9, per: minute, when: {hours: "22:00-06:00", timezone: Europe/Berlin}}
"""


def write(directory: Path, tenants: int, *, is_rich: bool) -> None:
    """Make a policy directory of so many tenants."""
    organisations = range(-(-tenants // TENANTS_AN_ORGANISATION))
    base = [_BASE, "organisations:\n", *(f"  org-{index}: {{budgets: [{_COST}]}}\n" for index in organisations)]
    base += ["plans:\n", *(_PLAN % (index, 100 + index) for index in range(PLANS))]
    (directory / "base.yaml").write_text("".join(base))
    for start in range(0, tenants, TENANTS_A_FILE):
        lines = ["version: 1\ntenants:\n"]
        for index in range(start, min(tenants, start + TENANTS_A_FILE)):
            organisation = index // TENANTS_AN_ORGANISATION
            lines.append(f"  tenant-{index}:\n    organisation: org-{organisation}\n    plan: plan-{index % PLANS}\n")
            if is_rich:
                lines.append(_RICH % (index, 21 + index % 30))
            lines.append("    keys:\n")
            for key in range(KEYS):
                digest = hashlib.sha256(f"{index} {key}".encode()).hexdigest()
                lines.append(f'      - {{id: tenant-{index}-{key}, hash: "hmac-sha256:{digest}"}}\n')
        (directory / f"tenants-{start:06d}.yaml").write_text("".join(lines))


def measure(directory: Path) -> dict[str, float]:
    """One round, in this process."""
    gc.collect()
    before_mb = status_mb("VmRSS")
    start = time.process_time()
    policy = load_dir(directory)
    loaded = time.process_time()
    gc.collect()
    snapshot_mb = status_mb("VmRSS") - before_mb
    look = time.process_time()
    found = second_look(policy, NOW_US)
    looked = time.process_time()
    assert found == [], f"the directory must be right: {found[:3]}"

    callers = [Caller(each.organisation, each.name, key.id, each.plan) for each in policy.tenants.values() for key in each.keys]
    random.Random(5).shuffle(callers)
    asked = [(caller, MODELS[index % len(MODELS)]) for index, caller in enumerate(callers)]
    resolving = time.process_time()
    for (organisation, tenant, key_id, _), model in asked:
        resolve(
            policy, organisation=organisation, tenant=tenant, key_id=key_id, model=model, endpoint="messages", now_us=NOW_US
        )
    resolved = time.process_time()
    snapshot = Snapshot(policy, b"a secret of the bench")
    times = []
    for _ in range(2):
        first = time.process_time()
        for caller, model in asked:
            snapshot.admission(caller, model, "messages", NOW_US)
        times.append((time.process_time() - first) / len(asked) * 1e6)
    return {
        "load_s": loaded - start,
        "look_s": looked - look,
        "check_s": loaded - start + looked - look,
        "resolve_us": (resolved - resolving) / len(asked) * 1e6,
        "first_us": times[0],
        "kept_us": times[1],
        "snapshot_mb": snapshot_mb,
        "peak_mb": status_mb("VmHWM"),
    }


def status_mb(word: str) -> float:
    """A line of this process' status, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{word}:"):
            return int(line.split()[1]) / 1000
    raise OSError(f"/proc/self/status has no {word}")


def table(columns: dict[str, list[dict[str, float]]], tenants: int) -> str:
    """A Markdown table: medians, and the aim where there is one."""
    lines = [
        f"| {tenants:,} tenants, {tenants * KEYS:,} keys | {' | '.join(columns)} | aim |",
        f"|---|{'---:|' * len(columns)}---:|",
    ]
    for key, title, digits, aim in ROWS:
        cells = [f"{median(each[key] for each in rounds):.{digits}f}" for rounds in columns.values()]
        lines.append(f"| {title} | {' | '.join(cells)} | {'' if aim is None else f'< {aim:g}'} |")
    return "\n".join(lines)


def main() -> int:
    """Measure both directories in turns, print the table and keep it in results/; 1 if an aim was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=int, default=TENANTS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure is not None:
        print(json.dumps(measure(args.measure)))
        return 0
    columns: dict[str, list[dict[str, float]]] = {"plain": [], "rich": []}
    with tempfile.TemporaryDirectory() as place:
        for name in columns:
            (Path(place) / name).mkdir()
            write(Path(place) / name, args.tenants, is_rich=name == "rich")
        for _ in range(args.rounds):
            for name, rounds in columns.items():
                command = [sys.executable, __file__, "--measure", str(Path(place) / name)]
                rounds.append(json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout))
    text = table(columns, args.tenants)
    print(text)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(f"{text}\n")
    missed = [
        title
        for key, title, _, aim in ROWS
        if aim is not None and any(median(each[key] for each in rounds) > aim for rounds in columns.values())
    ]
    if missed:
        print(f"missed: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
