"""Measures the gateway beside nginx as a plain proxy, in rounds that take turns: figures drift between runs, ratios do not.

    .venv/bin/python bench/gateway.py            about three minutes; the table goes to bench/results/ too
    .venv/bin/python bench/gateway.py --rounds 1 --seconds 1 --modes sat

The proxy under test has one core to itself; the load generator, the fake upstream and the store share another. Whoever is not
under test is stopped. A measurement during which other programs used more than 0.3 of a core is taken again, once, and left
out of the table if that was no better. CPU is the scheduler's own account of the proxy's processes; the gateway's
embedded store is accounted apart. Everything is on 127.0.0.1 and ends by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import proc
import targets
from fake_upstream import CHUNKS
from table import FOREIGN_MAX, Measured, markdown, remarks
from targets import Target

HERE = Path(__file__).parent
MODES = ("sat", "rate", "stream", "blanked", "filtered")
EDITED = {"blanked": ("sk-gauger-bench-blanked", "bench-think"), "filtered": ("sk-gauger-bench-filtered", "bench-1")}
"""Streams whose tenant has an output policy: key and model. Half of what `bench-think` streams is reasoning."""


def measure(target: Target, mode: str, upstream: Target, args: argparse.Namespace, at: targets.Cores) -> Measured:
    """One run of the load generator against a target that is awake."""
    is_stream = mode == "stream" or mode in EDITED
    command = [sys.executable, str(HERE / "load.py"), "--port", str(target.port), "--mode", "stream" if is_stream else mode]
    if mode in EDITED:
        key, model = EDITED[mode]
        command += ["--key", key, "--model", model]
    command += ["--seconds", str(args.seconds), "--rate", str(args.rate)]
    command += ["--connections", str({"sat": args.connections, "rate": 100}.get(mode, args.streams))]
    own, store, analyst = target.own(), target.store(), target.analyst()
    watched = {"own": own, "store": store, "analyst": analyst, "upstream": upstream.own()}
    for name, pids in watched.items():
        if pids:
            command += ["--watch", f"{name}={','.join(map(str, pids))}"]
    everyone = {*own, *store, *analyst, *upstream.own()}
    before = _account(everyone)
    done = subprocess.run(command, capture_output=True, text=True, timeout=args.seconds + 60, check=False)
    after = _account(everyone)
    if done.returncode:
        raise SystemExit(f"the load generator failed against {target.name}:\n{done.stderr[-2000:]}")
    report = json.loads(done.stdout)
    foreign = ((after[0] - before[0]) - (after[1] - before[1])) / (after[2] - before[2])
    cpu_us, answers, seconds = report["cpu_us"]["own"], max(1, report["answers"]), report["seconds"]
    if mode == "sat":
        values = {"cpu_us": cpu_us / answers, "a_second": answers / seconds, "core_busy": cpu_us / seconds / 1e6}
        if store:
            values["store_cpu_us"] = report["cpu_us"]["store"] / answers
        if analyst:
            values["analyst_cpu_us"] = report["cpu_us"]["analyst"] / answers
    elif mode == "rate":
        values = {"p50_us": report["p50_us"], "p99_us": report["p99_us"]}
    elif mode in EDITED:  # what is hidden is not seen to arrive: counted by whole streams
        values = {"cpu_us_a_chunk": cpu_us / (answers * (CHUNKS + 1))}
    else:
        chunks = max(1, report["chunks"])
        values = {"cpu_us_a_chunk": cpu_us / chunks, "chunks_a_second": chunks / seconds, "rss_mb": proc.rss_bytes(own) / 1e6}
    return Measured(target.name, mode, foreign, report["bad"], values)


def _account(pids: set[int]) -> tuple[float, float, float]:
    """Microseconds: all the machine's busy time, ours (children that have ended included), and the clock."""
    ended = os.times()
    ours = proc.cpu_us(pids) + (ended.children_user + ended.children_system + ended.user + ended.system) * 1e6
    return proc.busy_us(), ours, time.perf_counter() * 1e6


def rounds(chosen: list[Target], upstream: Target, args: argparse.Namespace, at: targets.Cores) -> list[Measured]:
    """All measurements, the targets taking turns within each mode of each round."""
    rows: list[Measured] = []
    for number in range(args.rounds):
        for mode in args.modes:
            for target in chosen:
                if target is upstream and mode != "rate":
                    continue
                if target is not upstream:
                    target.wake()
                row = measure(target, mode, upstream, args, at)
                if row.foreign > FOREIGN_MAX:
                    row = min(row, measure(target, mode, upstream, args, at), key=lambda one: one.foreign)
                if target is not upstream:
                    target.sleep()
                rows.append(row._replace(target="direct") if target is upstream else row)
                figures = "  ".join(f"{key} {value:.1f}" for key, value in row.values.items())
                print(f"round {number + 1}  {rows[-1].target:7} {mode:7} {figures}  foreign {row.foreign:.2f}", flush=True)
    return rows


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement, after a warm-up of 0.5")
    parser.add_argument(
        "--modes", type=lambda text: text.split(","), default=list(MODES), help="sat,rate,stream,blanked,filtered"
    )
    parser.add_argument("--rate", type=float, default=300, help="requests a second in mode rate")
    parser.add_argument("--connections", type=int, default=64, help="in mode sat")
    parser.add_argument("--streams", type=int, default=32, help="at once in mode stream, each of 200 chunks back to back")
    parser.add_argument("--command", default=targets.GAUGER, help="how the gateway is started (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="directory of the written tables")
    args = parser.parse_args()
    if unknown := set(args.modes) - set(MODES):
        parser.error(f"--modes: {', '.join(sorted(unknown))}: allowed are {', '.join(MODES)}")
    return args


def main() -> int:
    """0: measured, every answer was right. 1: some were not."""
    if sys.platform != "linux":
        raise SystemExit("this bench reads CPU from /proc: it needs Linux")
    args, at = parse(), targets.cores()
    if at.others is not None:
        os.sched_setaffinity(0, {at.others})  # the load generator inherits it
    started: list[Target] = []
    with tempfile.TemporaryDirectory(prefix="gb") as name:
        room = Path(name)
        try:
            upstream = targets.start_upstream(targets.free_port(), room / "upstream.log", at.others)
            started.append(upstream)
            chosen = [upstream]
            if (nginx := targets.start_nginx(upstream.port, room, at)) is not None:
                started.append(nginx)
                chosen.append(nginx)
            gauger = targets.start_gauger(args.command, upstream.port, room, at)
            started.append(gauger)
            chosen.append(gauger)
            for target in chosen[1:]:
                target.sleep()
            rows = rounds(chosen, upstream, args, at)
        finally:
            for target in reversed(started):
                target.stop()
    notes = [] if nginx is not None else ["nginx is not installed: there is nothing to compare with."]
    if at.target is None:
        notes.append("This machine has one core: everything shared it.")
    write(rows, notes, args)
    return int(any(row.bad for row in rows))


def write(rows: list[Measured], notes: list[str], args: argparse.Namespace) -> None:
    """The table, to a file of its own and to stdout."""
    when = time.strftime("%Y-%m-%d %H:%M")
    title = f"{when}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    how = (
        f"Median (least-most) of {args.rounds} rounds of {args.seconds:g} s. A chat of 1 KB, an answer of 0.7 KB, kept-alive "
        f"connections; streams of 200 chunks back to back, their requests' own cost included. "
        "A proxy that is not busy while saturated waits for the load generator: its requests a second are a lower bound."
    )
    text = "\n\n".join([f"# {title}", how, markdown(rows, rate=args.rate, streams=args.streams), *remarks(rows), *notes]) + "\n"
    args.results.mkdir(parents=True, exist_ok=True)
    path = args.results / f"{time.strftime('%Y%m%d-%H%M%S')}.md"
    path.write_text(text)
    print(f"\n{text}\nwritten to {path}")


if __name__ == "__main__":
    sys.exit(main())
