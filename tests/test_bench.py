"""The bench measures what it says: counts, CPU and the arithmetic of its table. Not a measurement."""

import hashlib
import hmac
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.policy.load import load_dir

BENCH = Path(__file__).parent.parent / "bench"
sys.path.append(str(BENCH))

import load  # noqa: E402  # the bench is a folder of programs, not a package
import proc  # noqa: E402
import table  # noqa: E402
import targets  # noqa: E402
from fake_upstream import CHUNKS  # noqa: E402
from table import Measured  # noqa: E402

import policies  # noqa: E402

sys.path.remove(str(BENCH))


def row(target, mode="sat", foreign=0.0, bad=0, **values):
    return Measured(target, mode, foreign, bad, values)


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    target = targets.start_upstream(targets.free_port(), tmp_path_factory.mktemp("bench") / "log", None)
    yield target
    target.stop()


@pytest.mark.parametrize("mode", ["sat", "rate", "stream"])
def test_the_load_generator_counts_answers_and_chunks(upstream, mode):
    """Each mode gets right answers only; a stream is its chunks, its finish, and no others; CPU is seen."""
    command = [sys.executable, str(BENCH / "load.py"), "--port", str(upstream.port), "--mode", mode, "--connections", "4"]
    command += ["--seconds", "0.3", "--warm-up", "0.1", "--rate", "200", "--watch", f"up={upstream.process.pid}"]
    report = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=20).stdout)
    assert report["bad"] == 0
    assert report["answers"] > 10
    assert 0 < report["p50_us"] <= report["p99_us"]
    assert report["cpu_us"]["up"] > 0
    if mode == "stream":
        a_stream = CHUNKS + 1  # the finish is a chunk too
        assert abs(report["chunks"] - report["answers"] * a_stream) <= 4 * a_stream  # those at the window's two edges
    if mode == "rate":
        assert 40 <= report["answers"] <= 70


def test_the_request_is_a_kilobyte_of_json():
    """Both bodies have the size the table speaks of, and say which they are."""
    for is_stream in (False, True):
        body = load.request(80, "sk-x", is_stream=is_stream).partition(b"\r\n\r\n")[2]
        assert len(body) == load.BODY_BYTES
        assert json.loads(body).get("stream", False) is is_stream


def test_the_bench_policy_knows_the_bench_key():
    """bench.yaml loads, has two budgets, and holds the hash of the key that the load generator sends."""
    policy = load_dir(BENCH / "policies")
    digest = hmac.new(b"bench-secret", b"sk-gauger-bench", hashlib.sha256).hexdigest()
    assert policy.keys[digest].tenant == "bench"
    assert len(policy.plans["bench"].budgets) == 2


def test_the_table_is_medians_and_their_ratio():
    """Median with least and most; the ratio is that of the medians; the aim stands beside."""
    rows = [row("nginx", cpu_us=us) for us in (10, 20, 12)] + [row("gauger", cpu_us=us) for us in (90, 120, 130)]
    line = "| CPU a request, us | 12.0 (10.0-20.0) | 120.0 (90.0-130.0) | 10.00 | at most 140 |"
    assert line in table.markdown(rows, rate=300, streams=32).splitlines()


def test_a_loud_machine_is_left_out_or_said():
    """Measurements with foreign CPU do not count where there are quiet ones; where there are none, the reader is told."""
    rows = [row("nginx", cpu_us=1), row("nginx", foreign=0.5, cpu_us=9), row("gauger", foreign=0.5, bad=2, cpu_us=5)]
    assert [one.values["cpu_us"] for one in table.kept(rows, "nginx", "sat")] == [1]
    assert table.remarks(rows) == [
        "1 of 2 measurements of nginx (sat) left out: the machine was not quiet.",
        "The machine was never quiet for gauger (sat): take its figures as upper bounds.",
        "WRONG: 2 answers of gauger (sat) were no 200 or broke off.",
    ]


def test_without_nginx_there_is_no_ratio():
    """nginx is optional: its column and the ratio are then empty, and nothing fails."""
    text = table.markdown([row("gauger", cpu_us=100)], rate=300, streams=32)
    assert "| CPU a request, us | 100.0 (100.0-100.0) |  | at most 140 |" in text.splitlines()


def test_added_latency_is_over_none_at_all():
    """What a proxy adds is its latency less that of the way without one."""
    rows = [row("direct", "rate", p50_us=100, p99_us=200), row("gauger", "rate", p50_us=350, p99_us=900)]
    assert table.added_latency(rows) == ["gauger adds 250 us at the median and 700 us at the 99th per cent."]


def test_a_family_is_a_process_and_its_children():
    """Descendants count as the proxy's own CPU and memory."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert {os.getpid(), child.pid} <= set(proc.family(os.getpid()))
        assert proc.rss_bytes([child.pid]) > 0
        child.communicate(b"\n")
    assert proc.cpu_us([child.pid]) == 0


@pytest.mark.parametrize("is_rich", [False, True])
def test_the_large_directory_is_what_its_table_says(tmp_path, is_rich):
    """So many tenants with two keys each, without a finding; each row of the table has a figure, and the aims are told."""
    policies.write(tmp_path, 45, is_rich=is_rich)
    policy = load_dir(tmp_path)
    assert (len(policy.tenants), len(policy.keys), len(policy.organisations)) == (45, 90, 3)
    assert all(bool(tenant.budgets) is is_rich for tenant in policy.tenants.values())
    measured = policies.measure(tmp_path)
    assert measured.keys() == {key for key, *_ in policies.ROWS}
    lines = policies.table({"plain": [measured], "rich": [measured]}, 45).splitlines()
    assert lines[0] == "| 45 tenants, 90 keys | plain | rich | aim |"
    assert [line.count("|") for line in lines] == [5] * len(lines)
    assert next(line for line in lines if "| < 20 |" in line).startswith("| resolve, us a call |")
