"""Tenants that turn to something else: what they send, and what the real history makes of it."""

from random import Random

import pytest

from gateway.evaluation import own_history
from gateway.evaluation.corpus import load
from gateway.evaluation.own_history import RELEASE, SETTINGS, TURNS, Turned, tell
from gateway.evaluation.tenants import Spec
from gateway.evaluation.the_watch import TheWatches
from gateway.evaluation.traces import load as load_traces
from tests.evaluation import sample

CORPUS, TRACES = sample.HERE / "corpus", sample.HERE / "traces"
NAMED = {turn.name: turn for turn in TURNS}


class Listener:
    """Remembers what is sent."""

    def __init__(self):
        self.asks = []

    def see(self, ask, at_us):
        self.asks.append((at_us, ask))
        return 0, False


@pytest.fixture(scope="module")
def parts():
    corpus, traces = load(CORPUS), load_traces(TRACES)
    honest, attacks = corpus.of("benign"), corpus.of("attack")
    return honest[0], honest[1], attacks[0], traces


def sent(parts, turn, historian, seed=1):
    source, other, attack, traces = parts
    spec = Spec(f"{source.name}/0", source.name, "", 0)
    return own_history.run(source, other, attack, spec, NAMED[turn], traces, historian, seed=seed)


def test_a_redeployment_changes_the_last_day_only(parts):
    """The system prompt and the settings of a release are in all requests of the third day, and in none before."""
    listener = Listener()
    found = sent(parts, "redeployed", listener)
    assert found.requests == len(listener.asks) == 450
    for at_us, ask in listener.asks:
        is_released = ask.body["messages"][0]["content"] == RELEASE
        assert is_released == (at_us >= 2 * 86_400_000_000) == (SETTINGS.items() <= ask.body.items())


def test_a_pivot_of_all_is_all(parts):
    """From the third day on nothing of the honest source is sent any more; before, nothing else."""
    listener = Listener()
    sent(parts, "pivot100", listener)
    first = {str(ask.body["messages"]) for at_us, ask in listener.asks if at_us < 2 * 86_400_000_000}
    last = {str(ask.body["messages"]) for at_us, ask in listener.asks if at_us >= 2 * 86_400_000_000}
    assert last
    assert not first & last


def test_the_same_seed_is_the_same_tenant(parts):
    """And another is another."""
    found = []
    for seed in (1, 1, 2):
        listener = Listener()
        sent(parts, "pivot50", listener, seed)
        found.append([(at_us, str(ask.body)) for at_us, ask in listener.asks])
    assert found[0] == found[1] != found[2]


def test_the_real_history_notices_a_pivot_and_no_cycle(parts):
    """Within four blocks; nothing is told of a tenant that does what it did."""
    source = parts[0]
    for turn in ("same", "cycle"):
        assert sent(parts, turn, TheWatches().historian(Spec("x", source.name, "", 0))).before == 0
    assert 0 < sent(parts, "pivot100", TheWatches().historian(Spec("x", source.name, "", 0))).delay <= 96


def test_figures_are_what_was_counted():
    """Shares over tenants, medians over those that were noticed, false ones per thousand requests."""
    draw = Random(1)
    rows = [Turned("s", "chat", "pivot50", 400, 250, 0, 0, delay) for delay in (48, 72, -1, 96)]
    rows += [Turned("s", "chat", "same", 500, 500, told, 1, -1) for told in (0, 1)]
    draw.shuffle(rows)
    found = tell(rows)
    same, pivot = found["turns"]
    assert (pivot["noticed"], pivot["delay"], pivot["delay_most"]) == (0.75, 72.0, 96.0)
    assert found["honest"]["chat"] == {"tenants": 6, "requests": 2_000, "told": 1, "per_1000": 0.5, "young": 2}
    assert same["label"] == "one program, as it was"
