"""Cues: what a template asks for, whatever its wording."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.detectors import FEATURES, Past, Window
from gateway.detectors.cues import AS_FEATURES, CHANGES, GRADES, HARD, MAKES, MODELS, NAMES, VARIES, asks_for_input, cues
from gateway.detectors.features import INDEX
from gateway.detectors.kinds import KINDS
from gateway.detectors.lens import MARKS_MAX
from tests.detectors.make import LENS, chat, looks

NOUNS = ["harbour", "fugue", "loom", "tax", "glacier", "theorem", "bakery", "orbit", "ledger", "mosaic"]


def share(asks, kind):
    """How many of these requests are of a kind, in a window of them."""
    window = Window()
    for at, sighting in enumerate(looks(asks)):
        window.add(sighting, at + 1, 100)
    return window.kinds[KINDS.index(kind)][0] / len(asks)


@pytest.mark.parametrize(
    ("piece", "wanted"),
    [
        ("develop 5 user queries for the application.", MAKES),
        ("your mission is to write one example for the task.", MAKES),
        ("write an answer to the question.", 0),
        ("generate a sql statement for the question below.", 0),
        ("the query that was generated for particular questions", 0),
        ("rewrite the student's solution so that it is clearer.", CHANGES),
        ("score each response from 1 to 5.", GRADES),
        ("avoid repetition, and be creative.", VARIES),
        ("an interaction between a user and an ai assistant", MODELS),
        ("you are an ai assistant of our shop.", 0),
        ("it should be more challenging.", HARD),
        ("", 0),
    ],
)
def test_a_cue_is_a_verb_and_what_it_is_done_to(piece, wanted):
    """What is to be made is a question of many; what is given is not made, and whoever is told who he is is spoken to."""
    assert cues(piece) == wanted


@pytest.mark.parametrize(
    ("piece", "wanted"),
    [
        ("[[[user]]]", True),
        ("#rewritten prompt#:", True),
        ("new question:", True),
        ("answer:", False),
        ("user said hello", False),
        ("question: " + "x" * 60 + ":", False),
    ],
)
def test_a_prompt_may_end_where_a_user_would_speak(piece, wanted):
    """A label at the end that names what users send, and not what they get."""
    assert asks_for_input(piece) == wanted


@given(st.text(max_size=900))
def test_any_text_has_cues_that_are_features(text):
    """Whatever stands in a piece, its cues are bits that have their features."""
    assert len(AS_FEATURES[cues(text.lower())]) == len(NAMES)
    assert [feature.name for feature in FEATURES][-len(NAMES) :] == list(NAMES)


def test_only_what_recurs_is_read_for_cues():
    """The same words are a cue in what every request holds, and none in what a slot holds."""
    constant = [
        chat(f"Develop five user queries about the text.\n\nThe {NOUNS[at % 10]} of {at} was sold.") for at in range(40)
    ]
    slots = [chat(f"Answer from the shop's pages.\n\nDevelop {at} user queries about a {NOUNS[at % 10]}.") for at in range(40)]
    assert [looks(each)[-1].features[INDEX["makes"]] for each in (constant, slots)] == [1000, 0]


def test_a_template_that_no_tripwire_knows_is_inventing():
    """A template that asks for examples to be made is of the generator's stream, behind canned openings too."""
    openings = [f"Good day to you, friend number {at}, I hope that you are well." for at in range(10)]
    asks = [
        chat(f"{openings[at % 10]}\n\nYour mission is to write one example for the classifier.\n\nTopic: {NOUNS[at % 10]} {at}")
        for at in range(60)
    ]
    assert not any(sighting.phrases for sighting in looks(asks))
    assert share(asks, "inventing") > 0.9
    documents = [
        chat(f"Answer the question from the text.\n\nText: The {NOUNS[at % 10]} of {at} was sold.") for at in range(60)
    ]
    assert share(documents, "inventing") == 0


def test_bare_examination_problems_are_reasoning():
    """Problems with numbers and a question of quantity are of a harvest's stream without a phrase; a person's sum is not."""
    problems = [
        chat(
            f"A {NOUNS[at % 10]} has {at + 3} rooms with {at % 7 + 2} chairs in each. How many chairs are left for {at} guests?"
        )
        for at in range(60)
    ]
    own = [
        chat(f"My {NOUNS[at % 10]} cost me {at + 30} euros and I paid {at % 7} of it. How much do I still owe of {at}?")
        for at in range(60)
    ]
    assert (share(problems, "reasoning") > 0.9, share(own, "reasoning")) == (True, 0)


def test_what_is_remembered_of_pieces_is_bounded_and_harms_nobody():
    """Somebody who floods the memory of cues only empties it: what is said of others stays the same."""
    asks = [chat(f"Develop five user queries about the text.\n\nThe {NOUNS[at % 10]} of {at} was sold.") for at in range(10)]
    before = looks(asks)
    past = Past()
    for at in range(MARKS_MAX // 60 + 10):
        looks([chat("\n".join(f"line {at} {line}" for line in range(90)))] * 4, past)
    assert len(LENS.cues) <= MARKS_MAX
    assert looks(asks) == before
