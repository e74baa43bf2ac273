"""Attackers change how work is asked for, not what is asked: every task of the source arrives, whatever is put around it."""

from itertools import islice
from random import Random

import pytest

from gateway.evaluation import asks, attackers, corpus
from gateway.evaluation.attackers import ATTACKERS, PREFIXES, Attacker
from gateway.evaluation.tenants import texts
from tests.evaluation import make


@pytest.fixture
def loaded(tmp_path):
    attack = [
        make.line(f"Task {n} of many.", source="attack_a", role_mix="attack", params={"n": 4, "logit_bias": {"1": 2}})
        for n in range(200)
    ]
    files = {f"benign_{name}": [make.line(f"{name} asks {n}", source=f"benign_{name}") for n in range(50)] for name in "vwxyz"}
    return corpus.load(make.corpus(tmp_path, attack_a=attack, **files))


def sent(loaded, attacker, count=200):
    said = texts(loaded.named("attack_a"), "", Random(1))
    return list(islice(attacker.change(said, loaded.of("benign"), Random(2)), count))


@pytest.mark.parametrize("attacker", ATTACKERS, ids=lambda attacker: attacker.name)
def test_what_attackers_send_the_wire_reads(loaded, attacker):
    """Nobody is overlooked because the gateway would have refused him."""
    for text in sent(loaded, attacker, 50):
        assert asks.ask_of(text.messages, text.params).text_bytes > 0


@pytest.mark.parametrize("attacker", ATTACKERS, ids=lambda attacker: attacker.name)
def test_all_work_is_done(loaded, attacker):
    """Each of the first tasks of the queue is in some request, once."""
    plain = [text.messages[-1]["content"] for text in sent(loaded, attackers.PLAIN, 20)]
    work = [text for text in sent(loaded, attacker, 400) if text.is_extraction and not text.is_recycled]
    asked = "\n".join(text.messages[-1]["content"] for text in work)
    for task in plain:
        assert asked.count(task) == 1


@pytest.mark.parametrize("share", attackers.DILUTIONS)
def test_dilution_is_the_share_that_it_says(loaded, share):
    """Of a thousand requests, give or take five in a hundred; and what dilutes is honest text of several sources."""
    said = sent(loaded, Attacker("d", "", dilution=share), 1000)
    honest = [text for text in said if not text.is_extraction]
    assert abs(len(honest) / 10 - share) < 5
    assert len({text.messages[0]["content"].split()[0] for text in honest}) == attackers.OTHERS


def test_prefixes_are_the_ten(loaded):
    """All of them in turn, before the task and not in its place."""
    found = {text.messages[-1]["content"].partition("\n\n")[0] for text in sent(loaded, Attacker("p", "", prefixes=True))}
    assert found == set(PREFIXES)
    assert len(PREFIXES) == 10


def test_packing_asks_several_at_once(loaded):
    """Five tasks in one message, and one answer as long as five."""
    (first, *_) = sent(loaded, Attacker("p", "", packed=5), 2)
    assert first.messages[-1]["content"].count("Task ") == 5


def test_turns_are_one_growing_conversation(loaded):
    """Five requests, of which each holds the ones before and their answers."""
    said = sent(loaded, Attacker("t", "", turns=5), 6)
    assert [len(text.messages) for text in said] == [1, 3, 5, 7, 9, 1]
    assert [message["role"] for message in said[4].messages] == ["user", "assistant"] * 4 + ["user"]
    assert said[4].messages[:7] == said[3].messages


def test_plain_parameters_are_none(loaded):
    """The mark of the pipeline is gone; the text is not touched."""
    plain, bare = (sent(loaded, attacker, 5) for attacker in (attackers.PLAIN, Attacker("x", "", plain_params=True)))
    assert all(text.params for text in plain)
    assert [text._replace(params=None) for text in plain] == bare


def test_nothing_is_changed_in_place(loaded):
    """The same record is sent by many tenants."""
    before = loaded.named("attack_a").records
    for attacker in ATTACKERS:
        sent(loaded, attacker, 30)
    assert loaded.named("attack_a").records == before
