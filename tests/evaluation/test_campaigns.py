"""A campaign over accounts, in each way of splitting it; and honest tenants on one public template."""

from collections import Counter
from random import Random

import pytest

from gateway.evaluation import corpus, crowd, publics, traces
from gateway.evaluation.campaigns import WAYS, campaign
from tests.evaluation import make, sample, stubs

ACCOUNTS, EACH = 20, 26


@pytest.fixture(scope="module")
def times():
    return traces.load(sample.HERE / "traces")


@pytest.fixture
def loaded(tmp_path):
    attack = [make.line(f"Task {n} of many.", source="attack_a", role_mix="attack") for n in range(2_000)]
    files = {f"benign_{name}": [make.line(f"{name} asks {n}", source=f"benign_{name}") for n in range(50)] for name in "vwxyz"}
    return corpus.load(make.corpus(tmp_path, attack_a=attack, **files))


def sent(loaded, times, name):
    way = next(way for way in WAYS if way.name == name)
    source, honest = loaded.named("attack_a"), loaded.of("benign")
    return list(campaign(source, honest, times, accounts=ACCOUNTS, each=EACH, rng=Random(1), way=way))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_every_way_sends_about_as_much_in_order(loaded, times, way):
    """Whatever the accounts' shares are, the day is about as large, and in the order of time."""
    requests = sent(loaded, times, way.name)
    at_us = [request.at_us for _, request in requests]
    assert at_us == sorted(at_us)
    assert len(requests) == pytest.approx(ACCOUNTS * EACH, rel=0.35)
    assert len({account for account, _ in requests}) == ACCOUNTS


def test_shares_are_equal_or_are_not(loaded, times):
    """Plain accounts send 26 each; unequal ones do not, and no two ways share that by accident."""
    plain, unequal = (Counter(account for account, _ in sent(loaded, times, way)) for way in ("plain", "unequal"))
    assert set(plain.values()) == {EACH}
    assert max(unequal.values()) > 1.5 * min(unequal.values())


def test_half_of_a_diluted_account_is_others_requests(loaded, times):
    """What is not the campaign's is of honest sources, and about half."""
    extraction = [request.is_extraction for _, request in sent(loaded, times, "dilution50")]
    assert 0.4 < sum(extraction) / len(extraction) < 0.6


def test_every_second_account_rotates(loaded, times):
    """Three texts stand before what it asks, and none before what the others ask."""
    first_lines = {0: Counter(), 1: Counter()}
    for account, request in sent(loaded, times, "rotating"):
        first, _, rest = request.ask.body["messages"][-1]["content"].partition("\n\n")
        first_lines[int(account.partition("/")[2]) % 2][first if rest else ""] += 1
    assert (set(first_lines[0]), len(first_lines[1])) == ({""}, 3)


@pytest.mark.parametrize("kind", publics.KINDS)
@pytest.mark.parametrize("joins", [True, False])
def test_who_is_joined_is_counted(loaded, times, kind, joins):
    """Of 25 honest tenants as many are joined as a linker joins, all or none; nobody of the crowd beside them is."""

    class Makes(stubs.Perfect):
        def linker(self):
            return stubs.Linker(joins=joins, prefix="public/")

    crowded = crowd.crowd(loaded, times, Makes(), each=1, seed="1")
    found = publics.run(kind, loaded, times, Makes(), crowded, number=0, seed="1")
    assert (found.tenants, found.joined, found.crowd_joined) == (25, 25 if joins else 0, 0)
