"""What the watch sees in one request."""

import tracemalloc

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.detectors import FEATURES, Lens, Past, look
from gateway.detectors.features import INDEX
from gateway.detectors.lens import MARKS_MAX
from gateway.detectors.past import CELLS
from gateway.detectors.text import said
from tests.detectors.make import BOOKS, LENS, ask, chat, looks

TEMPLATE = (
    "Rewrite the sentence as two shorter ones that keep its meaning.\n\nSentence: {}\n\nAnswer with the two sentences only."
)
SLOTS = [
    f"The {word} was found by the river in {1900 + at}"
    for at, word in enumerate(["hat", "boat", "letter", "coin", "kettle", "drum", "shoe"])
]
CANNED = [f"Good day number {at}, I hope that all is well where you are." for at in range(10)]


def feature(sighting, name):
    return sighting.features[INDEX[name]]


def test_a_template_is_taken_out():
    """Once a few requests have come, what recurs is template, and the slot is what differs."""
    seen = looks([chat(TEMPLATE.format(slot)) for slot in SLOTS])
    assert [each.template for each in seen[:2]] == [0, 0]
    assert len({each.template for each in seen[2:]}) == 1
    assert [each.slot_bytes for each in seen[3:]] == [len(slot) for slot in SLOTS[3:]]
    assert all(feature(each, "template") > 600 for each in seen[3:])


def test_two_tenants_of_one_template_have_one_fingerprint():
    """A template's fingerprint depends on the template, not on who uses it or what it is filled with."""
    one = looks([chat(TEMPLATE.format(slot)) for slot in SLOTS])[-1]
    other = looks([chat(TEMPLATE.format(slot[::-1]), system="Be brief.") for slot in SLOTS])[-1]
    assert one.template == other.template != 0
    assert one.content != other.content


def test_canned_openings_in_turn_are_template():
    """Ten canned openings in turn are stripped: what they stand before has the content it has without them."""
    tasks = [
        f"{verb} a {thing}."
        for verb in ("Describe", "Draw", "Sell", "Explain")
        for thing in ("harbour", "fugue", "loom", "tax")
    ]
    bare = looks([chat(task) for task in tasks * 4])
    canned = looks([chat(f"{CANNED[at % 10]}\n{task}") for at, task in enumerate(tasks * 4)])
    assert [each.content for each in bare[-8:]] == [each.content for each in canned[-8:]]


def test_fingerprints_need_the_key():
    """Another deployment's lens makes other fingerprints of the same request, in every field that holds one."""
    asks = [chat(TEMPLATE.format(slot), temperature=1) for slot in SLOTS]
    mine, theirs = looks(asks)[-1], looks(asks, lens=Lens.of(b"another secret", BOOKS))[-1]
    for name in ("template", "content", "habits", "session"):
        assert getattr(mine, name) != getattr(theirs, name), name
    assert not set(mine.sketch) & set(theirs.sketch)
    assert mine.features == theirs.features
    assert looks(asks)[-1] == mine


_VALUES = st.sampled_from([0, 1, 1.0, True, 1 << 61, None, 0.5, "1.0", [1], ["x"], {"7": 2}, {"7": 3}, float("nan")])
_PROGRAMS = st.dictionaries(st.sampled_from(["n", "temperature", "stop", "seed", "logit_bias", "house_field"]), _VALUES)


@settings(max_examples=200)
@given(st.lists(_PROGRAMS, min_size=2, max_size=6))
def test_what_is_remembered_of_a_program_changes_no_fingerprint(bodies):
    """A lens that has met other programs answers as a fresh one does: 1, 1.0 and true are equal, and are other programs."""
    used = Lens.of(b"programs", BOOKS)
    for fields in [*bodies, *bodies]:
        turned = dict(reversed(fields.items()))
        mine = looks([chat("Hello.", **fields)], lens=used)[0].habits
        assert mine == looks([chat("Hello.", **turned)], lens=Lens.of(b"programs", BOOKS))[0].habits


def test_nothing_of_the_text_is_in_a_sighting():
    """A sighting is numbers and the names of tripwires; it goes through JSON and comes back equal."""
    secret = "xylophone quartz 4417"
    sighting = looks([chat(f"Think step by step about {secret}", system=secret)])[0]
    text = orjson.dumps(list(sighting)).decode()
    assert all(word not in text for word in secret.split()[:2])
    assert sighting.phrases == ("steps",)
    assert orjson.loads(orjson.dumps(list(sighting))) == [list(v) if type(v) is tuple else v for v in sighting]


def test_features_are_in_the_order_of_their_names():
    """One number a feature, each in its own place."""
    first = looks([chat("Write a poem about 3 owls.", n=3, logprobs=True, temperature=0, max_tokens=64, tools=[{}])])[0]
    assert len(first.features) == len(FEATURES) == len(INDEX)
    expected = {"tasks": 1000, "questions": 0, "polish": 1000, "samples": 500, "logprobs": 1000, "warm": 0, "tools": 1000}
    assert {name: feature(first, name) for name in expected} == expected
    assert feature(first, "room") == 375
    second = looks([chat("how can i find my card? thanks")])[0]
    assert (feature(second, "tasks"), feature(second, "personal") > 900) == (0, True)


def replay(*before, opening="one"):
    """A body that replays thinking after these user messages."""
    block = {"type": "thinking", "thinking": "hm", "signature": "c2lnbmF0dXJl"}
    asked = [{"role": "user", "content": each} for each in (opening, *before)]
    return ask({"messages": [*asked, {"role": "assistant", "content": [block]}, {"role": "user", "content": "go"}]})


def test_a_replayed_signature_is_seen():
    """Replayed thinking has one fingerprint, and so has what was said before it, in however short a part of a conversation."""
    whole, part, foreign = looks([replay("why?"), replay("why?", opening="later"), replay("how?")])
    assert whole.signature == part.signature == foreign.signature != 0
    assert whole.before == part.before != foreign.before != 0
    assert whole.session != part.session


@pytest.mark.parametrize(
    "body",
    [
        {"input": "Write a poem about owls."},
        {"prompt": "Write a poem about owls."},
        {"prompt": ["Write a poem about owls."]},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Write a poem about owls."}]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Write a poem about owls."}]}], "system": ""},
    ],
)
def test_every_wire_says_the_same(body):
    """What is asked is found wherever a wire puts it."""
    expected = looks([chat("Write a poem about owls.")])[0]
    found = looks([ask(body)])[0]
    assert (found.content, found.features[:10]) == (expected.content, expected.features[:10])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(
        ["role", "content", "text", "type", "thinking", "signature", "tool_calls", "encrypted_content", "user", "x"]
    ), inner, max_size=5),
    max_leaves=20,
)  # fmt: skip
FIELDS = [
    "messages",
    "input",
    "prompt",
    "system",
    "instructions",
    "tools",
    "temperature",
    "n",
    "logprobs",
    "stop",
    "max_tokens",
]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
@settings(max_examples=300, deadline=None)
def test_no_body_makes_it_raise(body):
    """Whatever a body holds, a look is a sighting with every feature between 0 and 1000."""
    sighting = look(ask(body), Past(), LENS, 0)
    assert all(type(value) is int and 0 <= value <= 1000 for value in sighting.features)
    assert len(sighting.sketch) <= 8
    assert all(0 <= value < 2**64 for value in sighting[2:4])


@given(st.lists(st.text(max_size=2000), min_size=1, max_size=30))
@settings(max_examples=30, deadline=None)
def test_a_past_does_not_grow(texts):
    """What a gateway remembers of a tenant has one size, whatever the tenant sends."""
    past = Past()
    looks([chat(text) for text in texts], past)
    held = (past.low, past.high)
    assert [len(each) for each in held] == [CELLS, CELLS]
    assert sum(map(len, held)) < 16_384


@given(texts=st.lists(st.text(alphabet="aB1 .?!:()\n\t\u00e9", max_size=80), min_size=1, max_size=4))
def test_tripwires_meet_the_whole_of_a_short_message(texts):
    """However a message is cut into pieces, tripwires meet all its words in order, in lower case and with single spaces."""

    class Ear(Lens):
        heard = b""

        def phrases(self, text):
            self.heard = text
            return ()

    ear = Ear(bytes(32), [])
    content = "\n".join(texts)
    body = {"messages": [{"role": "system", "content": "Be\tbrief.  Now"}, {"role": "user", "content": content}]}
    look(ask(body), Past(), ear, 0)
    assert ear.heard.split() == f"be brief. now {content}".lower().encode().split()
    assert b"  " not in ear.heard
    assert not set(ear.heard) & set(b"\t\n\r\v\f")


def test_a_long_run_of_lines_hides_nothing_from_tripwires():
    """A message of more lines than are made pieces of is still read for tripwires, from its head."""
    content = "x\n" * 120 + "come up with new tasks\n" + "x\n" * 120
    assert "invention" in looks([chat(content)])[0].phrases


def test_marks_are_the_same_when_they_were_forgotten():
    """A sketch is a function of the words and the key: what the lens remembers of earlier ones, or dropped, changes nothing."""
    lens, fresh = Lens(bytes(32), []), Lens(bytes(32), [])
    words = [b"word%d" % number for number in range(40)]
    first = lens.sketch(words, 8)
    for number in range(MARKS_MAX):
        lens.sketch([b"other%d" % number], 8)
    assert lens.sketch(words, 8) == first == fresh.sketch(words, 8)
    assert len(lens._marks) <= MARKS_MAX
    assert Lens(bytes([1]) * 32, []).sketch(words, 8) != first


def test_the_least_words_do_not_depend_on_their_order():
    """A sketch is of a set of words: eight of the longer ones, ascending, and none of the short."""
    words = [b"word%d" % number for number in range(40)]
    lens = Lens(bytes(32), [])
    found = lens.sketch(words, 8)
    assert found == lens.sketch(words[::-1], 8) == lens.sketch([*words, b"abcd"], 8) == tuple(sorted(found))
    assert len(found) == 8


def test_megabytes_are_not_joined():
    """Eight system messages of a megabyte, and sixteen parts: what is read is bounded, and how long it was is known."""
    systems = [{"role": "system", "content": str(at) * 1_000_000} for at in range(8)]
    parts = [{"type": "text", "text": chr(97 + at) * 1_000_000} for at in range(16)]
    found = said({"messages": [*systems, {"role": "user", "content": parts}]}, 1 << 40, LENS.seed)
    assert (len(found.system) < 1_100, len(found.user) < 2_600) == (True, True)
    assert found.bytes == 24_000_015
    tracemalloc.start()
    said({"messages": [*systems, {"role": "user", "content": parts}]}, 1 << 40, LENS.seed)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300_000
