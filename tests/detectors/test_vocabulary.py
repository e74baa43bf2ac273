"""Vocabularies: distinct words, their growth, and what two requests share, from sketches alone."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.detectors import vocabulary as rules
from gateway.detectors.vocabulary import UNKNOWN, Vocabulary
from tests.detectors.make import LENS


def word(number):
    return b"word%d" % number


def read(slots):
    made = Vocabulary()
    for slot in slots:
        made.add(LENS.sketch({word(number) for number in slot}, 8))
    return made


@pytest.mark.parametrize("size", [300, 2_000, 8_000])
def test_distinct_words_are_counted(size):
    """All words of a vocabulary, though only eight of each slot are told: within a third, over several draws."""
    found = []
    for seed in range(5):
        draw = random.Random(seed)
        found.append(read([[seed * 10**6 + draw.randrange(size) for _ in range(20)] for _ in range(950)]).spread().words)
    expected = size * (1 - (1 - 1 / size) ** (20 * 950))
    assert sum(found) / len(found) == pytest.approx(expected, rel=0.33)


def test_long_slots_are_counted_no_less():
    """A slot of a hundred long words tells eight of them, and the sample is not thinned much by that."""
    draw = random.Random(2)
    assert read([[draw.randrange(3_000) for _ in range(100)] for _ in range(900)]).spread().words == pytest.approx(
        3_000, rel=0.4
    )


def test_growth_is_of_new_words():
    """Near 1000 where every word is new, near 0 where all came before, between them for words as languages have them."""
    draw = random.Random(4)
    new = read([range(20 * at, 20 * at + 20) for at in range(900)]).spread().growth
    old = read([[draw.randrange(100) for _ in range(20)] for _ in range(900)]).spread().growth
    zipf = read([[int(draw.paretovariate(0.7)) for _ in range(20)] for _ in range(900)]).spread().growth
    assert old < 150 < zipf < new
    assert new > 750


def test_common_is_what_two_requests_share():
    """Of twenty words out of a hundred another request has a fifth; out of ten thousand nearly none; of the same, all."""
    draw = random.Random(5)
    few = read([draw.sample(range(100), 20) for _ in range(900)]).spread().common
    many = read([draw.sample(range(10_000), 20) for _ in range(900)]).spread().common
    assert few == pytest.approx(200, rel=0.4)
    assert many < 20
    assert read([range(200, 240)] * 300).spread().common > 500


def test_nothing_is_said_of_little():
    """Of no request, and of three, nothing is known; an epoch that begins keeps the numbers of the last."""
    assert Vocabulary().spread() == UNKNOWN == read([[1, 2, 3]] * 3).spread()
    made = read([range(20 * at, 20 * at + 20) for at in range(rules.EPOCH + 5)])
    assert made.requests == 5
    assert made.spread().words > 10_000


SKETCHES = st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=8, unique=True), max_size=80)


@given(SKETCHES)
@settings(max_examples=40, deadline=None)
def test_a_vocabulary_is_small_and_comes_back(sketches):
    """Whatever is added: bounded, and the same after a dump."""
    made = Vocabulary()
    for sketch in sketches * 3:
        made.add(tuple(sketch))
    data = made.dump()
    assert len(data) <= rules.DUMP_BYTES_MAX
    back = Vocabulary.load(data)
    assert (back.dump(), back.spread()) == (data, made.spread())
    for end in range(len(data)):
        with pytest.raises(ValueError):
            Vocabulary.load(data[:end])
