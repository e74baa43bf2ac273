"""Marking a request and finding the mark: the construction that may never change, what a tenant can do, the statistics."""

import hashlib
import json
import math
import random
from fractions import Fraction
from math import comb

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refusal
from gateway.output import watermark_keys
from gateway.output.watermark import ENTRIES_MAX, green, green_size, key_of, mark_of, marked
from gateway.output.watermark_detect import P_LEAST, holm, judge, score, tail
from gateway.output.watermark_keys import KeyFile, TenantKey
from gateway.policy.model import Watermark

SECRET = b"a secret of at least 16 bytes"
USUAL = Watermark(bias_milli=2000, share_milli=250, vocabulary=1000)
MARK = mark_of(SECRET, "acme", USUAL)
GREEN = frozenset(green(key_of(SECRET, "acme"), 1000, 250))
RED = frozenset(range(1000)) - GREEN
BODY = {"model": "m", "messages": [], "max_tokens": 5}


def bias_of(body, mark=MARK):
    """The logit_bias that leaves for a body, as a server reads it."""
    return json.loads(orjson.dumps(marked(body, mark)))["logit_bias"]


def test_the_construction_never_changes():
    """A text that was marked years ago is found: key and list are those of the first release, byte for byte."""
    key = key_of(SECRET, "acme")
    ids = green(key, 1000, 250)
    assert key.hex() == "b831a9113cd2f4e41902b80749cc3d0b5e22afa4b2f24ce997e04943ac033722"
    assert ids[:12] == [4, 5, 9, 11, 12, 14, 15, 18, 24, 37, 39, 40]
    assert hashlib.sha256(repr(ids).encode()).hexdigest() == "b3255cf7882a4f2c8dbf60ed276e36eb63786be425bf101067dd11ddcd738e3f"


def test_keys_are_the_tenants_own():
    """Another tenant or another secret makes another key; a name's length is part of what is hashed."""
    assert len({key_of(SECRET, "acme"), key_of(SECRET, "acm"), key_of(SECRET + b"2", "acme"), key_of(SECRET, "\x00acme")}) == 4


@given(st.binary(min_size=32, max_size=32), st.integers(1, 3000), st.integers(1, 999))
def test_lists_have_exactly_their_share_and_are_nested(key, vocabulary, share_milli):
    """round(share x vocabulary) different ids below the vocabulary, ascending, all of them in the list of a larger share."""
    ids = green(key, vocabulary, share_milli)
    assert (
        len(ids) == green_size(vocabulary, share_milli) == math.floor(Fraction(share_milli * vocabulary, 1000) + Fraction(1, 2))
    )
    assert ids == sorted(set(ids))
    assert not ids or (ids[0] >= 0 and ids[-1] < vocabulary)
    assert set(ids) <= set(green(key, vocabulary, min(999, share_milli + 100)))


def test_a_body_gets_every_green_token_and_nothing_else():
    """The whole list with the policy's bias; the body given is not changed, and what is added is an ordinary JSON object."""
    before = dict(BODY)
    assert bias_of(BODY) == {str(token): 2 for token in sorted(GREEN)}
    assert json.loads(orjson.dumps(marked(BODY, MARK))) == {**BODY, "logit_bias": bias_of(BODY)}
    assert before == BODY
    assert bias_of(BODY, mark_of(SECRET, "acme", Watermark(1500, 250, 1000))) == {str(token): 1.5 for token in sorted(GREEN)}


@pytest.mark.parametrize("nothing", [None, {}])
def test_an_empty_logit_bias_is_none(nothing):
    """null and {} say nothing: only the mark is there."""
    assert bias_of({**BODY, "logit_bias": nothing}) == bias_of(BODY)


def test_a_marks_repr_does_not_tell_the_list():
    """A log that prints one tells nobody how to take the mark out."""
    assert repr(MARK) == "Marked(bias=2.0)"


def test_the_tenants_own_bias_is_added():
    """What it asked for stands beside the mark, also above the vocabulary; nothing leaves -100 to 100."""
    one, other = min(GREEN), min(RED)
    own = {str(one): -1.5, str(other): 3, "150000": -100, str(max(GREEN)): -100}
    found = bias_of({**BODY, "logit_bias": own})
    assert found == {**bias_of(BODY), str(one): 0.5, str(other): 3, "150000": -100, str(max(GREEN)): -98}


@given(st.dictionaries(st.integers(0, 999), st.integers(-(10**30), 10**30) | st.floats(-1e9, 1e9), max_size=40))
def test_a_tenant_cannot_take_the_mark_out(own):
    """Whatever it adds, a green token stands 2 above a red one of the same wish, and all is within -100 to 100.

    The story: 100 on every token changes no text, but had it been clipped only after adding, no mark would have been left.
    """
    found = bias_of({**BODY, "logit_bias": {str(token): bias for token, bias in own.items()}})
    assert all(-100 <= bias <= 100 for bias in found.values())
    for token, bias in own.items():
        wish = min(max(bias, -100), 98)
        assert found[str(token)] == pytest.approx(wish + (2 if token in GREEN else 0))


MESSAGES = (
    "logit_bias must be an object of token ids and numbers.",
    "logit_bias may have at most 300 entries, not 301.",
    "logit_bias has a key that is no token id: write ids as plain decimal numbers.",
    "logit_bias has a value that is no number from -100 to 100.",
)


@pytest.mark.parametrize(
    "own",
    [
        [[5, 1]], "5", 5, True, {"07": 1}, {" 7": 1}, {"7 ": 1}, {"+7": 1}, {"-7": 1}, {"7.0": 1}, {"1_0": 1}, {"": 1},
        {"٧": 1}, {"²": 1}, {"1" * 10: 1}, {"7": "1"}, {"7": None}, {"7": True}, {"7": [1]},
        {str(i): 1 for i in range(ENTRIES_MAX + 1)},
    ],
    ids=lambda own: str(own)[:20],
)  # fmt: skip
def test_a_logit_bias_that_can_be_read_in_two_ways_is_refused(own):
    """`int(" 7")` is 7 to a server in Python: such a key would overwrite the mark's own. The 400 quotes nothing of it."""
    with pytest.raises(Refusal) as caught:
        marked({**BODY, "logit_bias": own}, MARK)
    assert (caught.value.status, caught.value.param, caught.value.kind) == (400, "logit_bias", "invalid_request")
    assert caught.value.message in MESSAGES


# Finding it


def exact(hits, drawn, size, of):
    """The hypergeometric tail in whole numbers."""
    ways = sum(comb(size, k) * comb(of - size, drawn - k) for k in range(max(hits, 0), min(drawn, size) + 1))
    return float(Fraction(ways, comb(of, drawn)))


@given(st.data())
def test_p_values_are_exact(data):
    """As whole-number arithmetic has them, in both tails, to nine digits."""
    of = data.draw(st.integers(1, 400))
    size, drawn = data.draw(st.integers(0, of)), data.draw(st.integers(0, of))
    hits = data.draw(st.integers(0, drawn))
    wanted = max(exact(hits, drawn, size, of), P_LEAST)
    assert tail(hits, drawn=drawn, green=size, of=of) == pytest.approx(wanted, rel=1e-9, abs=1e-290)


@pytest.mark.parametrize(("hits", "p_value"), [(0, 1.0), (1, 1.0), (4000, P_LEAST)])
def test_p_values_of_extremes(hits, p_value):
    """From far below the mean the first term underflows: the sum is still 1. From far above it is the least that is told."""
    assert tail(hits, drawn=4000, green=4096, of=8192) == p_value


@given(st.lists(st.integers(0, 1500), max_size=300), st.randoms())
def test_only_which_tokens_matters(tokens, rng):
    """Order, repetition and ids beyond the vocabulary change nothing but the number of tokens."""
    once = judge(sorted(set(tokens)), GREEN, 1000)
    shuffled = tokens * 3 + [1000, 99_999]
    rng.shuffle(shuffled)
    many = judge(shuffled, GREEN, 1000)
    assert many == once._replace(tokens=len(tokens) * 3 + 2)
    assert many.scored == len({token for token in tokens if token < 1000})


def test_marked_tokens_are_found_and_others_are_not():
    """Forty green tokens are the owner's mark to any doubt; to another tenant's key they are nothing."""
    tokens = sorted(GREEN)[:40]
    mine = score(tokens, key_of(SECRET, "acme"), vocabulary=1000, share_milli=250)
    other = score(tokens, key_of(SECRET, "globex"), vocabulary=1000, share_milli=250)
    assert (mine.scored, mine.green) == (40, 40)
    assert mine.p_value == mine.p_least < 1e-20
    assert mine.z > 10
    assert other.p_value > 0.001


@pytest.mark.parametrize("tokens", [[], [1000], [5_000_000] * 9])
def test_nothing_to_score_is_no_finding(tokens):
    """An empty text, or one of rare tokens only, has p 1 and could have no other."""
    found = judge(tokens, GREEN, 1000)
    assert (found.scored, found.z, found.p_value, found.p_least) == (0, 0.0, 1.0, 1.0)


def test_false_positives_keep_their_word():
    """Any text, under keys that had no part in it: at most a share alpha of the keys accuses it."""
    text = random.Random(1).choices(range(1000), weights=[1 / (rank + 1) for rank in range(1000)], k=300)
    p_values = [score(text, key_of(SECRET, f"t{number}"), vocabulary=1000, share_milli=250).p_value for number in range(1000)]
    for alpha in (0.5, 0.1, 0.01):
        assert sum(p_value <= alpha for p_value in p_values) <= 1000 * alpha + 3 * math.sqrt(1000 * alpha)


def test_holm():
    """The textbook's example: the smallest counts for all, the next for one fewer, and none falls below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=30))
def test_holm_is_between_raw_and_bonferroni(p_values):
    """Never below a p-value, never above it times their number, and in their order."""
    adjusted = holm(p_values)
    for p_value, by_holm in zip(p_values, adjusted, strict=True):
        assert p_value <= by_holm <= min(1.0, len(p_values) * p_value)
    assert [adjusted[i] for i in sorted(range(len(adjusted)), key=p_values.__getitem__)] == sorted(adjusted)


# The file of keys

FILE = KeyFile((TenantKey("acme", bytes(32), 8192, 250), TenantKey("globex", bytes(range(32)), 4096, 500)), "qwen3")


def test_the_file_of_keys_reads_as_written():
    """What `dump` writes, `load` reads, with a tokenizer and without; each key has a line."""
    assert watermark_keys.load(watermark_keys.dump(FILE)) == FILE
    assert watermark_keys.load(watermark_keys.dump(FILE._replace(tokenizer=""))) == FILE._replace(tokenizer="")
    assert watermark_keys.dump(FILE).count(b"\n") == 4


ENTRY = {"tenant": "a", "key": "0" * 64, "vocabulary": 8192, "share_milli": 250}
WHOLE = {"version": 1, "tokenizer": None, "keys": [ENTRY]}


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ([], "must be an object of `version`, `tokenizer` and `keys`"),
        ({**WHOLE, "more": 1}, "must be an object of `version`, `tokenizer` and `keys`"),
        ({**WHOLE, "version": 2}, "version: must be 1"),
        ({**WHOLE, "tokenizer": 5}, "tokenizer: must be a name, or null"),
        ({**WHOLE, "keys": []}, "keys: must be a list of 1 to 100000 keys"),
        ({**WHOLE, "keys": [ENTRY, ENTRY]}, "keys: one of them is there twice; each must be tried once"),
        ({**WHOLE, "keys": [5]}, "keys[0]: must be an object of `tenant`, `key`, `vocabulary` and `share_milli`"),
        ({**WHOLE, "keys": [{**ENTRY, "tenant": "\x1b[2J"}]}, "keys[0].tenant: must be a printable name"),
        ({**WHOLE, "keys": [{**ENTRY, "key": "0" * 63}]}, "keys[0].key: must be 64 hex digits"),
        ({**WHOLE, "keys": [{**ENTRY, "key": "g" * 64}]}, "keys[0].key: must be 64 hex digits"),
        ({**WHOLE, "keys": [{**ENTRY, "key": " " * 32 + "0" * 32}]}, "keys[0].key: must be 64 hex digits"),
        ({**WHOLE, "keys": [{**ENTRY, "vocabulary": 0}]}, "keys[0].vocabulary: must be a whole number from 1 to 1000000"),
        ({**WHOLE, "keys": [{**ENTRY, "vocabulary": True}]}, "keys[0].vocabulary: must be a whole number from 1 to 1000000"),
        ({**WHOLE, "keys": [{**ENTRY, "share_milli": 1000}]}, "keys[0].share_milli: must be a whole number from 1 to 999"),
    ],
)
def test_a_bad_file_of_keys_says_where(tree, message):
    """Each mistake has its sentence, and none quotes a key."""
    with pytest.raises(ValueError) as caught:
        watermark_keys.load(orjson.dumps(tree))
    assert str(caught.value) == message
