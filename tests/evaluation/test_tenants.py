"""Simulated tenants: the same again under the same seed, real text once before any twice, at a real client's pace."""

from itertools import islice, pairwise
from random import Random

import pytest

from gateway.errors import SettingsError
from gateway.evaluation import asks, corpus, tenants, traces
from tests.evaluation import make


@pytest.fixture
def parts(tmp_path):
    lines = [make.line(f"Tell me about number {n}.", params={"max_tokens": 60, "n": 2}) for n in range(120)]
    text = corpus.load(make.corpus(tmp_path / "corpus", benign_x=lines)).sources[0]
    return text, traces.load(make.traces(tmp_path / "traces"))


def test_a_tenant_is_the_same_under_the_same_seed(parts):
    """And another under another."""
    source, trace = parts
    (spec,) = tenants.specs(source, 1)
    first, again, other = (tenants.stream(source, spec, trace, 50, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert [each.ask.body for each in first] != [each.ask.body for each in other]


def test_text_comes_once_before_it_comes_twice(parts):
    """Each of the 120 records is sent unmarked the first time, and marked as sent before from then on."""
    source, trace = parts
    sent = tenants.stream(source, tenants.Spec("t", "benign_x", "", 0), trace, 200)
    said = [each.ask.body["messages"][0]["content"] for each in sent]
    assert len(set(said)) == 120
    assert [each.is_recycled for each in sent] == [text in said[:place] for place, text in enumerate(said)]
    assert not any(each.is_recycled for each in sent[:115])


def test_requests_are_what_the_wire_reads(parts):
    """Parameters arrive in the Ask, and answers stay within them: for all choices together."""
    source, trace = parts
    for each in tenants.stream(source, tenants.Spec("t", "benign_x", "", 0), trace, 50):
        assert (each.ask.output_tokens_max, each.ask.choices) == (60, 2)
        assert 2 <= each.output_tokens <= 120
        assert each.ask.text_bytes > 50


def test_what_the_wire_refuses_is_no_request():
    """A record that a gateway would answer with 400 is a bad one."""
    messages = [{"role": "user", "content": "x"}]
    with pytest.raises(corpus.BadLine, match="refuse `max_tokens`"):
        asks.ask_of(messages, {"max_tokens": -1})
    assert asks.ask_of(messages, {"model": "mine", "stream": True}).is_stream is False


@pytest.mark.parametrize("dist", ["Gamma", "Weibull"])
@pytest.mark.parametrize("cv", [0.5, 1.0, 2.0])
def test_arrivals_have_the_rate_and_spread_of_their_windows(tmp_path, dist, cv):
    """Over many gaps the mean is 1/rate to 10%, and the cv the window's to 20%."""
    client = traces.load(make.traces(tmp_path, rate_rps=5.0, cv=cv, dist=dist)).clients[0]
    times = list(islice(traces.arrivals(client, Random(7)), 20_000))
    gaps = [(later - earlier) / 1e6 for earlier, later in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    spread = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5 / mean
    assert times[0] == 0
    assert times == sorted(times)
    assert 0.18 < mean < 0.22
    assert 0.8 * cv < spread < 1.2 * cv


def test_nights_are_kept(tmp_path):
    """A client with an hour of traffic a day is silent for the other 23, and begins again when its trace ends."""
    rows = [f"c,{day * 86_400 + start},0.01,1,Gamma,1,1" for day in range(2) for start in range(0, 3600, 600)]
    (tmp_path / "clients.csv").write_text("\n".join((make.WINDOWS, *rows)))
    (tmp_path / "log.csv").write_text("timestamp_s,input_tokens,output_tokens\n1,1,1\n")
    client = traces.load(tmp_path).clients[0]
    times = list(islice(traces.arrivals(client, Random(3)), 300))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert any(gap > 22 * 3600 * 1_000_000 for gap in gaps)
    assert times == sorted(times)


def test_traces_are_known_by_their_columns(tmp_path):
    """Whatever a file is called; rows that cannot be used are counted, files of no known trace are told."""
    make.traces(tmp_path)
    (tmp_path / "more.csv").write_text("timestamp_s,input_tokens,output_tokens\n1,2,x\n1,2,3\n1,2,-3\n")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    found = {each.file: each for each in traces.load(tmp_path).files}
    assert (found["more.csv"].rows, found["more.csv"].bad_rows) == (3, 2)
    assert found["other.csv"].what == "not used: columns of no known trace"


@pytest.mark.parametrize(("missing", "message"), [("clients.csv", "no windows of clients"), ("log.csv", "tells no sizes")])
def test_traces_without_what_is_drawn_from(tmp_path, missing, message):
    """Nothing is made up in their place."""
    make.traces(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(SettingsError, match=message):
        traces.load(tmp_path)


def test_groups_have_tenants_in_turn(tmp_path):
    """Every template of a source is seen before any is seen twice."""
    lines = [make.line(f"{n}", group=f"g{n % 4}") for n in range(400)]
    (source,) = corpus.load(make.corpus(tmp_path, benign_x=lines)).sources
    groups = [spec.group for spec in tenants.specs(source, 8)]
    assert sorted(groups[:4]) == ["g0", "g1", "g2", "g3"]
    assert groups[:4] == groups[4:]
