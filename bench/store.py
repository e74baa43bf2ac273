"""What the ledger costs: client CPU a call (1 and 64 in flight), and the server's own CPU a script. Run: python -m bench.store

Starts an embedded server of its own. A hold is four lines over two owners: bucket, calendar / rolling, concurrency; and, for
comparison, four buckets. Figures are medians of interleaved rounds, in microseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import resource
import shutil
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path

from gateway.store.embedded import ensure_running
from gateway.store.redis import RedisLedger
from gateway.values import Line

TAG = b"00000000000000ab"
MINUTE_US, DAY_US = 60_000_000, 86_400_000_000


def lines_of(shape: str, now_us: int) -> list[Line]:
    a, b = b"g1:{" + TAG + b"}:o:" + b"a" * 16, b"g1:{" + TAG + b"}:o:" + b"b" * 16
    start_us = now_us - now_us % DAY_US
    large = 10**12
    if shape == "buckets":
        return [
            Line(owner, b"budget-%d" % i, "bucket", large, large, MINUTE_US, True, 400, 0)
            for i, owner in enumerate((a, a, b, b))
        ]
    return [
        Line(a, b"burst", "bucket", large, large, MINUTE_US, True, 1, 1),
        Line(a, b"money", "calendar", large, start_us - DAY_US, start_us + 2 * DAY_US, True, 50_000, 0),
        Line(b, b"tokens", "rolling", large, MINUTE_US, 0, True, 400, 0),
        Line(b, b"parallel", "concurrency", large, 0, 0, True, 1, 0),
    ]


def cpu_us() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1e6


async def script_us(ledger: RedisLedger) -> float:
    """The server's CPU a script since the last CONFIG RESETSTAT."""
    info = await ledger._connection.send((b"INFO", b"commandstats"))
    found = re.search(rb"cmdstat_evalsha:.*?usec_per_call=([0-9.]+)", info)
    return float(found[1]) if found else 0.0


async def one_round(ledger: RedisLedger, lines: list[Line], in_flight: int, count: int, start: int) -> dict[str, float]:
    actual = [min(line.amount, 100) for line in lines]
    spent: dict[str, float] = {}

    async def run(verb: str, step: int) -> None:
        for i in range(start + step, start + count, in_flight):
            hold_id = b"%032d" % i
            if verb == "reserve":
                await ledger.reserve(hold_id, TAG, lines, lease_us=MINUTE_US)
            else:
                await ledger.settle(hold_id, TAG, lines, actual)

    for verb in ("reserve", "settle"):
        await ledger._connection.send((b"CONFIG", b"RESETSTAT"))
        before_us = cpu_us()
        await asyncio.gather(*(run(verb, step) for step in range(in_flight)))
        spent[f"{verb} client"] = (cpu_us() - before_us) / count
        spent[f"{verb} server"] = await script_us(ledger)
    return spent


async def bench(rounds: int, count: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="gg"))
    server = await asyncio.to_thread(ensure_running, folder)
    try:
        ledger = await RedisLedger.connect(server.url, timeout_s=5.0)
        found: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        start = 0
        for _ in range(rounds):
            for shape in ("mixed", "buckets"):
                for in_flight in (1, 64):
                    await ledger._connection.send((b"FLUSHALL",))
                    lines = lines_of(shape, ledger.server_now_us())
                    for name, us in (await one_round(ledger, lines, in_flight, count, start)).items():
                        found[shape, in_flight][name].append(us)
                    start += count
        await ledger.close()
        print(f"{'us a call, 4 lines over 2 owners':34}{'reserve':>18}{'settle':>18}")
        for (shape, in_flight), figures in found.items():
            for side in ("client", "server"):
                cells = [f"{statistics.median(figures[f'{verb} {side}']):.1f}" for verb in ("reserve", "settle")]
                print(f"{f'{shape}, {in_flight} in flight, {side} CPU':34}{cells[0]:>18}{cells[1]:>18}")
    finally:
        server.stop()
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=4000, help="holds a round")
    options = parser.parse_args()
    import uvloop  # the loop the gateway runs on

    uvloop.run(bench(options.rounds, options.count))


if __name__ == "__main__":
    main()
