"""Estimates: rarely short, never absurd, learned for each tenant apart, in bounded memory."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.budgets.estimate import OVERHEAD_TOKENS, Estimator
from gateway.budgets.output_quantile import OutputQuantile, _bucket, _top
from gateway.budgets.text_rate import CLASSES, size_class

SAMPLE = Path(__file__).parent.parent / "data" / "school_maths.jsonl"
sizes = st.integers(1, 200_000)


def requests() -> list[tuple[int, int]]:
    """(bytes of the body, tokens) of real questions asked as chat requests."""
    asked = []
    for line in SAMPLE.read_text().splitlines():
        question = json.loads(line)
        body = {"model": "demo-1", "messages": [{"role": "user", "content": question["text"]}]}
        asked.append((len(json.dumps(body, separators=(",", ":"))), question["o200k_tokens"] + 7))
    return asked


def test_cold_start_on_real_text():
    """Before anything is learned, no real question falls short, and none is taken for three times what it is."""
    estimator = Estimator()
    assert all(tokens <= estimator.input_tokens("demo-1", size, 0) < 3 * tokens for size, tokens in requests())


def test_learned_on_real_text():
    """Taught by real questions, about one in a hundred estimates falls short, and they are a quarter too high at most."""
    estimator = Estimator()
    asked = requests() * 10
    random.Random(7).shuffle(asked)
    short, over = 0, 0.0
    for count, (size, tokens) in enumerate(asked):
        if count >= 100:
            estimate = estimator.input_tokens("demo-1", size, 0, tenant="acme")
            short += estimate < tokens
            over += estimate / tokens - 1
        estimator.learn_input("demo-1", size, 0, tokens, tenant="acme")
    counted = len(asked) - 100
    assert short / counted < 0.015
    assert over / counted < 0.25


@pytest.mark.parametrize("kind", ["normal", "two kinds", "rare and long", "drifting"])
def test_one_in_a_hundred_falls_short_whatever_the_distribution(kind):
    """The share of short estimates is held, for distributions that mean and spread alone would get wrong."""
    chance = random.Random(kind)
    rate = {
        "normal": lambda _: chance.gauss(0.25, 0.02),
        "two kinds": lambda _: 0.2 if chance.random() < 0.95 else 0.6,
        "rare and long": lambda _: 0.2 * chance.paretovariate(6),
        "drifting": lambda count: chance.gauss(0.15 + 0.4 * count / 20_000, 0.01),
    }[kind]
    estimator, short = Estimator(), 0
    for count in range(20_000):
        size = chance.randint(300, 4_000)
        tokens = max(1, int(size * rate(count)))
        short += estimator.input_tokens("m", size, 0) < tokens
        estimator.learn_input("m", size, 0, tokens)
    assert short / 20_000 < 0.015


@given(st.lists(st.tuples(sizes, st.integers(-5, 10**12)), max_size=30), sizes, st.integers(0, 10**6))
def test_estimate_has_bounds(taught, size, media):
    """Whatever was learned, an estimate is at least 1 and never above a token a byte, the overhead and the media."""
    estimator = Estimator()
    for text_bytes, tokens in taught:
        estimator.learn_input("m", text_bytes, 0, tokens)
    assert 1 + media <= estimator.input_tokens("m", size, media) <= size + OVERHEAD_TOKENS + media


def test_media_teach_nothing():
    """Media's tokens are a bound: what is left of the count after taking them off is no text's count."""
    estimator = Estimator()
    for _ in range(100):
        estimator.learn_input("m", 1_000, 5_000, 700)
    assert estimator.input_tokens("m", 1_000, 5_000) == Estimator().input_tokens("m", 1_000, 0) + 5_000


def test_tenants_teach_themselves():
    """A tenant whose text is all odd raises its own estimates, and not those of a tenant that has taught its own."""
    estimator = Estimator()
    for _ in range(50):
        estimator.learn_input("m", 1_000, 0, 200, tenant="plain")
    before = estimator.input_tokens("m", 1_000, 0, tenant="plain")
    for _ in range(500):
        estimator.learn_input("m", 1_000, 0, 1_000, tenant="odd")
    assert estimator.input_tokens("m", 1_000, 0, tenant="plain") == before
    assert estimator.input_tokens("m", 1_000, 0, tenant="odd") >= 1_000
    assert estimator.input_tokens("m", 1_000, 0, tenant="new") > 2 * before


def test_cold_start_knows_families():
    """A model's family is known by its name's last part, whatever the case; any other name gets the default."""
    estimate = {name: Estimator().input_tokens(name, 24_000, 0) for name in ("claude-x", "Vendor/CLAUDE-x", "demo", "x/y/demo")}
    assert estimate == {"claude-x": 10_016, "Vendor/CLAUDE-x": 10_016, "demo": 7_516, "x/y/demo": 7_516}


def test_size_classes():
    """Each class spans two octaves, and the last is open."""
    edges = [1, 255, 256, 1023, 1024, 4095, 4096, 16_383, 16_384, 10**9]
    assert [size_class(size) for size in edges] == [0, 0, 1, 1, 2, 2, 3, 3, CLASSES - 1, CLASSES - 1]


@given(st.integers(0, 2**26 - 1))
def test_buckets_are_a_quarter_octave(tokens):
    """A bucket's top is at least what fell into it and at most a quarter more; the next number is in the next bucket."""
    bucket = _bucket(tokens)
    assert tokens <= _top(bucket) <= tokens * 1.25
    assert _bucket(_top(bucket) + 1) == bucket + 1 or _top(bucket) == 2**26 - 1


def test_output_bound_is_the_99th_percentile():
    """Of a thousand answers at most one in a hundred is above the bound, and the bound is at most a quarter too high."""
    chance = random.Random(3)
    answers = [int(chance.lognormvariate(5, 1)) for _ in range(1_000)]
    estimator = Estimator()
    for count, tokens in enumerate(answers):
        assert count >= 30 or estimator.output_bound("acme", "m", 4_096) == 4_096
        estimator.learn_output("acme", "m", tokens)
    bound = estimator.output_bound("acme", "m", 4_096)
    assert sum(tokens > bound for tokens in answers) <= 10 + 1
    assert bound <= 1.25 * sorted(answers)[-11]
    assert (estimator.output_bound("acme", "m", 50), estimator.output_bound("other", "m", 4_096)) == (50, 4_096)


def test_output_bound_forgets():
    """What was usual some thousands of answers ago is no longer held."""
    quantile = OutputQuantile()
    for tokens in [4_000] * 2_000 + [100] * 12_000:
        quantile.learn(tokens)
    assert quantile.bound < 130


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**7))), st.integers(0, 10**5), st.integers(0, 10**6))
def test_delivered_has_bounds(taught, events, content_bytes):
    """A broken-off answer is worth at least a token an event, and at most that or a token a byte."""
    estimator = Estimator()
    for taught_bytes, tokens in taught:
        estimator.learn_delivered("m", 1, taught_bytes, tokens)
    for family in ("openai", "anthropic", "other"):
        assert events <= estimator.delivered_tokens("m", family, events, content_bytes) <= max(events, content_bytes)


def test_delivered_cold_and_learned():
    """At first by family; then by what the model's complete streams came to, in all."""
    estimator = Estimator()
    cold = [estimator.delivered_tokens("m", family, events, 800) for family in ("openai", "anthropic") for events in (1, 250)]
    assert cold == [100, 250, 200, 250]
    estimator.learn_delivered("m", 10, 3_000, 900)
    estimator.learn_delivered("m", 10, 1_000, 100)
    assert estimator.delivered_tokens("m", "openai", 10, 800) == 200


taught_streams = st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), max_size=8)


@given(taught_streams, st.sampled_from(["openai", "anthropic", "other"]), st.integers(0, 10**6), st.integers(0, 10**6))
def test_so_many_tokens_are_so_many_bytes(taught, family, tokens, events):
    """Up to the bytes told, an answer is worth no more than so many tokens (or its events); a byte more is worth more."""
    estimator = Estimator()
    for content_bytes, output_tokens in taught:
        estimator.learn_delivered("m", 1, content_bytes, output_tokens)
    most = estimator.tokens_to_bytes("m", family, tokens)
    assert estimator.delivered_tokens("m", family, events, most) <= max(tokens, events)
    grows = estimator.delivered_tokens("m", family, 0, 10**9) > 0  # else all streams so far were all but empty
    assert estimator.delivered_tokens("m", family, 0, most + 1) > tokens or not grows


def test_reasoning_that_was_hidden_is_not_delivered():
    """A thousand tokens of hidden reasoning for twenty bytes of answer don't make a byte worth fifty tokens."""
    estimator = Estimator()
    for _ in range(100):
        estimator.learn_delivered("m", 3, 20, 1_000)
    assert estimator.delivered_tokens("m", "openai", 3, 20) == 20


def test_state_is_bounded():
    """Ever new names push out what was taught longest ago, and what is in use stays."""
    estimator = Estimator(models_max=10, pairs_max=20)
    for number in range(1_000):
        for model in ("kept", f"m{number}"):
            estimator.learn_input(model, 1_000, 0, 900, tenant="acme")
            estimator.learn_output("acme", model, 7)
            estimator.learn_delivered(model, 1, 2_000, 1_000)
    assert (len(estimator._models), len(estimator._pairs), len(estimator._delivered)) == (10, 20, 10)
    assert estimator.output_bound("acme", "kept", 4_096) == 7
    assert estimator.input_tokens("kept", 1_000, 0, tenant="acme") > 900
