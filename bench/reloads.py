"""Reloads a policy over and over while requests run: `python bench/reloads.py`, a Markdown table of failures and memory.

A gateway serves a closed loop of requests and of streams. Meanwhile its policy files are written and read again, `--reloads`
times, each time with another limit; every twentieth set has a mistake, and must be refused. No request may fail, and what the
gateway holds in memory must not grow: exit code 1 where it does. Everything is on 127.0.0.1 and ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import load
import proc
import targets

import policies

HERE = Path(__file__).parent
KEY = "sk-gauger-bench"
RESULTS = HERE / "results" / "reloads.md"
BROKEN_EVERY = 20
GROWTH_MB_MAX = 10.0
"""From a tenth of the reloads on; before that, caches fill."""
SETTLE_S = 1.0
TOKEN = "bench-admin-token"  # of a gateway that ends with this run
GAUGER = f"{targets.GAUGER} --admin 127.0.0.1:{{admin}} --analyst none"
_ENTRY = "limit: 1000000000,"


class Admin:
    """The operator's listener."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def ask(self, method: str, path: str) -> tuple[int, dict[str, Any]]:
        request = Request(self._url + path, headers={"Authorization": f"Bearer {TOKEN}"}, method=method)
        try:
            with urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, json.load(error)


async def run(port: int, admin: Admin, directory: Path, pid: int, args: argparse.Namespace) -> dict[str, Any]:
    """Load, and reload meanwhile; what came of it."""
    loop = asyncio.get_running_loop()
    loads = [load.Load(load.request(port, KEY, is_stream=is_stream), is_open_loop=False) for is_stream in (False, True)]
    connections = []
    for each in loads:
        each.is_measuring = True
        for _ in range(args.connections):
            connections.append((await loop.create_connection(lambda each=each: load.Connection(each), "127.0.0.1", port))[1])  # type: ignore[misc]
    for connection in connections:
        connection.send(time.perf_counter())
    await asyncio.sleep(SETTLE_S)
    plain = (HERE / "policies" / "bench.yaml").read_text()
    assert _ENTRY in plain, "the bench's policy has another limit now"
    rss_mb = [proc.rss_bytes([pid]) / 1e6]
    wrong, began_s = [], time.perf_counter()
    for number in range(1, args.reloads + 1):
        is_broken = number % BROKEN_EVERY == 0
        text = plain.replace(_ENTRY, f"limits: {number}," if is_broken else f"limit: {1_000_000_000 + number},")
        aside = directory / "bench.tmp"
        aside.write_text(text)
        os.replace(aside, directory / "a-bench.yaml")
        status, answer = await asyncio.to_thread(admin.ask, "POST", "/policy/reload")
        if status != (422 if is_broken else 200):
            wrong.append(f"reload {number}: {status} {answer}")
        if number % max(1, args.reloads // 10) == 0:
            rss_mb.append(proc.rss_bytes([pid]) / 1e6)
    seconds = time.perf_counter() - began_s
    for each in loads:
        each.is_over = True
    await asyncio.sleep(SETTLE_S)
    for connection in connections:
        connection.transport.abort()
    state = (await asyncio.to_thread(admin.ask, "GET", "/policy"))[1]
    times = sorted(time_s for each in loads for time_s in each.latencies)
    return {
        "requests": len(loads[0].latencies),
        "streams": len(loads[1].latencies),
        "bad": sum(each.bad for each in loads),
        "wrong": wrong,
        "reloads": state["reloads"],
        "failures": state["failures"],
        "seconds": seconds,
        "p50_ms": times[len(times) // 2] * 1e3,
        "p99_ms": times[len(times) * 99 // 100] * 1e3,
        "rss_mb": rss_mb,
    }


def table(found: dict[str, Any], tenants: int) -> str:
    """As Markdown."""
    rss_mb = found["rss_mb"]
    rows = [
        ("reloads that took a new policy", f"{found['reloads']:,}"),
        ("reloads that were refused, for a mistake", f"{found['failures']:,}"),
        ("seconds", f"{found['seconds']:.0f}"),
        ("requests, streams meanwhile", f"{found['requests']:,}, {found['streams']:,}"),
        ("of them failed", f"{found['bad']:,}"),
        ("their p50, p99, ms", f"{found['p50_ms']:.1f}, {found['p99_ms']:.1f}"),
        ("memory of the gateway before, after a tenth, after all, MB", f"{rss_mb[0]:.0f}, {rss_mb[1]:.0f}, {rss_mb[-1]:.0f}"),
        ("memory at each tenth, MB", " ".join(f"{each:.0f}" for each in rss_mb)),
    ]
    return "\n".join([f"| {tenants:,} tenants | |", "|---|---:|", *(f"| {name} | {value} |" for name, value in rows)])


def main() -> int:
    """Run it once; 1 if a request or a reload failed, or memory grew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reloads", type=int, default=1000)
    parser.add_argument("--tenants", type=int, default=100)
    parser.add_argument("--connections", type=int, default=4, help="of requests, and as many of streams")
    args = parser.parse_args()
    at = targets.Cores(None, None)
    with tempfile.TemporaryDirectory() as place:
        room = Path(place)
        directory = room / "policies"
        directory.mkdir()
        policies.write(directory, args.tenants, is_rich=True)
        (directory / "a-bench.yaml").write_text((HERE / "policies" / "bench.yaml").read_text())
        upstream_port, admin_port = targets.free_port(), targets.free_port()
        os.environ["GAUGER_ADMIN_TOKEN"] = TOKEN
        upstream = targets.start_upstream(upstream_port, room / "upstream.log", None)
        try:
            template = GAUGER.replace("{policies}", str(directory)).replace("{admin}", str(admin_port))
            gateway = targets.start_gauger(template, upstream_port, room, at)
            try:
                found = asyncio.run(run(gateway.port, Admin(admin_port), directory, gateway.process.pid, args))
            finally:
                gateway.stop()
        finally:
            upstream.stop()
    text = table(found, args.tenants)
    print(text)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(f"{text}\n")
    grown_mb = found["rss_mb"][-1] - found["rss_mb"][1]
    missed = found["wrong"][:5]
    if found["bad"]:
        missed.append(f"{found['bad']} requests failed")
    if grown_mb > GROWTH_MB_MAX:
        missed.append(f"memory grew by {grown_mb:.0f} MB")
    if missed:
        print("missed: " + "; ".join(missed), file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
