"""Replays: what a policy would have done to a trace, told the same by the table, the JSON and the page."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gateway.cli.main import main
from gateway.policy.load import load_dir
from gateway.trial.replay import replay
from gateway.trial.tallies import SLICES_MAX, Curve, Tally
from gateway.trial.trace import Arrival, Missing, Trace, TraceError

POLICY = """
version: 1
models: [{match: "*", max_output_tokens: 100, price: {input: 1 USD / 1M tokens, output: 10 USD / 1M tokens}}]
organisations: {solo: {}, duo: {}}
plans:
  open:
    budgets:
      - {name: requests, meter: requests, limit: LIMIT, per: minute}
      - {name: shadow, meter: requests, limit: 1, per: minute, mode: shadow}
  patient: {budgets: [{name: at-once, meter: concurrency, limit: 1, on_exceed: queue 5s}]}
tenants:
  acme: {organisation: solo, plan: open}
  other: {organisation: duo, plan: open}
"""
CSV = "timestamp,tenant,model,input_tokens,output_tokens\n" + "".join(
    f"{100 + number},{tenant},m,1000,100\n" for number in range(4) for tenant in ("acme", "other", "who")
)


def policies(path: Path, limit: int = 3, *, name: str = "p", text: str = POLICY) -> Path:
    (path / name).mkdir()
    (path / name / "p.yaml").write_text(text.replace("LIMIT", str(limit)))
    return path / name


def trace(path: Path, text: str = CSV, name: str = "t.csv") -> Path:
    data = text.encode()
    (path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path / name


def arrivals(path: Path) -> list[Arrival]:
    return list(Trace(path, Missing()))


def run(path: Path, directory: Path) -> Tally:
    policy = load_dir(directory)
    return replay(Trace(path, Missing()), policy, on_progress=lambda number: None, is_mine=lambda organisation: True)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_would_have_been_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], jobs: str) -> None:
    """For each tenant and budget, beside what an older policy would have refused; in one process or several."""
    old = policies(tmp_path, 1, name="old")
    args = ["replay", str(trace(tmp_path)), "--policies", str(policies(tmp_path)), "--against", str(old), "--jobs", jobs]
    assert main([*args, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    for name in ("acme", "other"):
        now, was = told["tenants"][name], told["against"][name]
        assert (now["requests"], now["admitted"], now["refused"], was["refused"]) == (4, 3, 1, 3)
        assert now["cost_nano_usd"] == 3 * (1000 * 1_000 + 100 * 10_000)
        assert (now["budgets"]["requests"]["refused"], now["budgets"]["shadow"]["would_refuse"]) == (1, 3)
        assert now["worst_hour"]["refused"] == 1
    assert (told["requests"], told["unknown_tenants"]) == (8, {"who": 4})


def test_the_table_and_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A person reads the same numbers; the page stands by itself, and its charts are drawings of these very numbers."""
    html = tmp_path / "page.html"
    args = ["replay", str(trace(tmp_path, name="t.csv.gz")), "--policies", str(policies(tmp_path)), "--html", str(html)]
    assert main(args) == 0
    out = capsys.readouterr().out
    assert "8 requests of 2 tenants" in out
    assert "who" in out
    page = html.read_text()
    assert "<td>acme</td><td>4</td><td>1</td>" in page
    figures = re.findall(r"(?s)<figure><figcaption>([^<]*)</figcaption>(<svg.*?</svg>)\s*</figure>", page)
    assert len(figures) == 4
    assert all(ElementTree.fromstring(svg).tag.endswith("svg") for _, svg in figures)
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(set(ids)) == len(ids)
    assert "src=" not in page
    assert "<script" not in page


def test_requests_that_wait(tmp_path: Path) -> None:
    """In the trace's time: the second waits for the first, the third for both, and the fourth would wait too long."""
    directory = policies(
        tmp_path, text=POLICY.replace("acme: {organisation: solo, plan: open}", "acme: {organisation: solo, plan: patient}")
    )
    text = "timestamp,tenant,model,input_tokens,output_tokens,duration_ms\n" + "".join(
        f"{number / 10},acme,m,10,10,{duration_ms}\n" for number, duration_ms in enumerate((2000, 3500, 1000, 1000))
    )
    acme = run(trace(tmp_path, text), directory).tenants["acme"]
    assert (acme.requests, acme.admitted, acme.refused, acme.delayed) == (4, 2, 2, 1)
    assert acme.delay_us == 1_900_000


def test_the_gateways_own_log(tmp_path: Path) -> None:
    """As `gauger serve` writes it: other lines are passed over, and requests are put in the order they began in."""
    line = {
        "event": "request",
        "at": "2027-01-01T00:00:10Z",
        "tenant": "acme",
        "key_id": "k",
        "model": "m",
        "endpoint": "messages",
        "quote": {"input_tokens": 5, "output_tokens": 50},
        "timings_us": {"total": 4_000_000},
        "usage": {"input_tokens": 7, "output_tokens": 9},
    }
    lines = [
        {"event": "serving"},
        line,
        {**line, "at": "2027-01-01T00:00:11Z", "timings_us": {"total": 9_000_000}},
        {"event": "request"},
    ]
    found = arrivals(trace(tmp_path, "".join(json.dumps(each) + "\n" for each in lines), "t.log"))
    assert [(each.at_us % 60_000_000, each.input_tokens, each.output_tokens, each.max_tokens) for each in found] == [
        (2_000_000, 7, 9, 50),
        (6_000_000, 7, 9, 50),
    ]


def test_the_log_says_what_was_asked_not_what_was_made_of_it(tmp_path: Path) -> None:
    """A request that waited, was shortened and was asked of a smaller model is replayed as it came. Once its wait counted as
    running, what was held as what it asked for, and its cached input at the full price."""
    line = {
        "event": "request", "at": "2027-01-01T00:00:10Z", "tenant": "acme", "key_id": "k", "model": "small",
        "endpoint": "chat/completions", "downgraded_to": "small", "max_tokens": 40,
        "asked": {"model": "m", "max_tokens": 500, "choices": 2},
        "quote": {"input_tokens": 5, "output_tokens": 80},
        "timings_us": {"read": 1, "hold": 3_000_000, "total": 4_000_000},
        "usage": {"input_tokens": 7, "cached_input_tokens": 6, "cache_write_tokens": 0, "output_tokens": 9},
    }  # fmt: skip
    path = trace(tmp_path, json.dumps(line) + "\n", "t.log")
    (found,) = arrivals(path)
    assert (found.model, found.max_tokens, found.choices, found.duration_us) == ("m", 500, 2, 1_000_000)
    cached = "cached_input: 0.1 USD / 1M tokens, output"
    directory = policies(tmp_path, text=POLICY.replace(", output: 10 USD", f", {cached}: 10 USD"))
    assert cached in (directory / "p.yaml").read_text()
    acme = run(path, directory).tenants["acme"]
    assert acme.cost_nano_usd == 1 * 1_000 + 6 * 100 + 9 * 10_000


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_endpoints_that_cannot_be_replayed_are_not_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], jobs: str
) -> None:
    """What was in a form is in no trace: once, every transcription of a log counted as refused by the new policy."""
    text = "timestamp,tenant,model,endpoint,input_tokens,output_tokens\n" + "".join(
        f"{100 + number},acme,m,{endpoint},1,1\n"
        for number, endpoint in enumerate(("audio/transcriptions", "chat/completions", "audio/transcriptions"))
    )
    args = ["replay", str(trace(tmp_path, text)), "--policies", str(policies(tmp_path)), "--jobs", jobs]
    assert main([*args, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["requests"], told["tenants"]["acme"]["refused"]) == (1, 0)
    assert told["untried_endpoints"] == {"audio/transcriptions": 2}
    assert main(args) == 0
    assert "2 of audio/transcriptions" in capsys.readouterr().out


def test_budgets_by_end_user_of_a_trace_without_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All requests share the counter of those that name nobody: whoever reads the numbers is told."""
    text = POLICY.replace("limit: LIMIT, per: minute", "limit: LIMIT, per: minute, scope: [tenant, user]")
    args = ["replay", str(trace(tmp_path)), "--policies", str(policies(tmp_path, text=text)), "--json", "--jobs", "1"]
    assert main(args) == 0
    assert json.loads(capsys.readouterr().out)["blind_budgets"] == ["requests"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,tokens\n", "t.csv:1: the CSV's header line lacks: timestamp, input_tokens, output_tokens, tenant (or --tenant)"),
        ("timestamp,tenant,model,input_tokens,output_tokens\n1,a,m,x,2\n", "t.csv:2: input_tokens is 'x'"),
        ("timestamp,tenant,model,input_tokens,output_tokens\nsoon,a,m,1,2\n", "t.csv:2: the time is 'soon'"),
        ("timestamp,tenant,model,input_tokens,output_tokens\n1,a\n", "t.csv:2: list index out of range"),
        ('{"event": "request", "quote": {}, "model": "m"}\n', "t.csv:1: the gateway's request log has"),
    ],
)
def test_a_trace_that_cannot_be_read(tmp_path: Path, text: str, said: str) -> None:
    """The first line that is wrong is told, and nothing is made of the rest."""
    with pytest.raises(TraceError) as caught:
        arrivals(trace(tmp_path, text))
    assert said in str(caught.value)


def test_a_curve_stays_small() -> None:
    """However long a trace is: its slices grow, the most that was used is kept, and no refusal is lost."""
    curve = Curve()
    for minute in range(100_000):
        curve.note(minute * 60_000_000, minute, 5, is_refused=True)
    assert len(curve.used) <= SLICES_MAX
    assert (max(curve.used.values()), sum(curve.refused.values())) == (99_999, 100_000)
