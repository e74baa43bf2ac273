"""Reasoning in visible text: however it is tagged and however it comes in pieces, nothing of it is taken for an answer."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.output.think import LOOKAHEAD_CHARS, ThinkSplitter

TAG = re.compile(r"<\s{0,4}(/?)\s{0,4}think(?:ing)?\s{0,4}>", re.IGNORECASE)
LONG = "v" * LOOKAHEAD_CHARS

PARTS = [
    *("<think>", "</think>", "<think>", "</think>", "<thinking>", "</ THINK >", "<", "</", "th", "ink>", "i", "ng>", ">"),
    *("<thin", "< t h", "<b>", " ", "\n", "a", "b ", "é🍷", "x" * 60, "y" * 127),
]
texts = st.lists(st.sampled_from(PARTS), max_size=14)


def split(parts, *, thinks_first=False):
    """(visible, reasoning) of a text that comes in these pieces."""
    splitter = ThinkSplitter(thinks_first=thinks_first)
    pairs = [*map(splitter.feed, parts), splitter.flush()]
    return "".join(visible for visible, _ in pairs), "".join(reasoning for _, reasoning in pairs)


def whole(text, *, thinks_first=False):
    pieces = ThinkSplitter(thinks_first=thinks_first).whole(text)
    return tuple("".join(text for kind, text in pieces if kind == wanted) for wanted in ("visible", "reasoning"))


def expected(text, *, thinks_first=False):
    """The rules, by looking as far ahead as they say, and with no state but the depth."""
    parts = [part for part in re.split(f"({TAG.pattern.replace('(/?)', '/?')})", text, flags=re.IGNORECASE) if part]
    visible, reasoning = [], []
    depth = int(thinks_first)
    at_beginning = thinks_first
    after_close = False
    for at, part in enumerate(parts):
        tag = TAG.fullmatch(part)
        if tag and tag[1]:
            depth = max(0, depth - 1)
            after_close = after_close or depth == 0
        elif tag:
            depth += not at_beginning
            after_close = False
        elif depth:
            reasoning.append(part)
        else:
            following = parts[at + 1 : at + 2]
            is_quoted = after_close and len(part) < LOOKAHEAD_CHARS and following and TAG.fullmatch(following[0])[1]
            (reasoning if is_quoted else visible).append(part)
            after_close = False
        at_beginning = at_beginning and not tag and part.isspace()
    return "".join(visible), "".join(reasoning)


@given(texts, st.booleans())
@example(["<think>", "a", "</think>", "b", "</think>", "c", "</think>", "d"], False)
@example(["<think>", "a", "</think>", LONG, "</think>", "d"], False)
@example([" \n", "<think>", "a", "</think>", "d"], True)
def test_any_text_in_any_pieces(parts, thinks_first):
    """As it comes, at once, and letter by letter: what the rules say of the whole text."""
    text = "".join(parts)
    result = expected(text, thinks_first=thinks_first)
    assert split(parts, thinks_first=thinks_first) == result
    assert split([text], thinks_first=thinks_first) == result
    assert split(list(text), thinks_first=thinks_first) == result


@given(texts, st.booleans())
def test_a_whole_text(parts, thinks_first):
    """What begins in a block is reasoning up to the last close that nothing opened; else it is as in a stream."""
    text = "".join(parts)
    first = TAG.match(text.lstrip())
    begins = thinks_first or (first is not None and not first[1])
    depth, last, at_beginning = int(thinks_first), 0, thinks_first
    for tag in TAG.finditer(text):
        at_beginning = at_beginning and not text[: tag.start()].strip()
        if not tag[1]:
            depth += not at_beginning
        elif depth:
            depth -= 1
        else:
            last = tag.end()
        at_beginning = False
    visible, reasoning = whole(text, thinks_first=thinks_first)
    if begins and last:
        later = expected("<think></think>" + text[last:])
        assert (visible, reasoning) == (later[0], TAG.sub("", text[:last]) + later[1])
    else:
        assert (visible, reasoning) == expected(text, thinks_first=thinks_first)


@pytest.mark.parametrize(
    ("text", "visible", "reasoning"),
    [
        ("<think>A</think>answer", "answer", "A"),
        ("<think>A<think>B</think>C</think>answer", "answer", "ABC"),
        ("<think>A</think>B</think>answer", "answer", "AB"),
        ("<think>A</think>B</think>C</think>answer", "answer", "ABC"),
        ("<think>A</think>one<think>B</think>two", "onetwo", "AB"),
        ("<think>A", "", "A"),
        ("one<think>A", "one", "A"),
        ("<think>A<think>B</think>C", "", "ABC"),
        ("<think></think>answer", "answer", ""),
        ("plain < text </b> <thinker>", "plain < text </b> <thinker>", ""),
        ("<THINK >A</ Think>answer", "answer", "A"),
        ("<thinking>A</thinking>answer", "answer", "A"),
        (f"<think>A</think>{LONG}</think>y", f"{LONG}y", "A"),
        (f"<think>A</think>{LONG[1:]}</think>y", "y", f"A{LONG[1:]}"),
        ("<thin", "<thin", ""),
        ("<think>A</thin", "", "A</thin"),
        ("answer</think>more", "answermore", ""),
        ("<   think>A</   think   >b", "b", "A"),
        ("<         think>b", "<         think>b", ""),
    ],
)
def test_every_split(text, visible, reasoning):
    """Nested, repeated, quoted, unclosed, and what only looks like a tag: cut at every place."""
    for point in range(len(text) + 1):
        assert split([text[:point], text[point:]]) == (visible, reasoning)
    assert split(list(text)) == (visible, reasoning)


@pytest.mark.parametrize(
    ("text", "visible", "reasoning"),
    [
        ("A</think>answer", "answer", "A"),
        ("<think>A</think>answer", "answer", "A"),
        ("\n<think>A</think>answer", "answer", "\nA"),
        ("A<think>B</think>C</think>answer", "answer", "ABC"),
        ("A</think>B</think>answer", "answer", "AB"),
        ("A", "", "A"),
        ("", "", ""),
    ],
)
def test_a_template_that_opens_the_block(text, visible, reasoning):
    """The text begins inside of it, whether or not the model writes the opening once more."""
    for point in range(len(text) + 1):
        assert split([text[:point], text[point:]], thinks_first=True) == (visible, reasoning)
    assert whole(text, thinks_first=True) == (visible, reasoning)


def test_a_whole_text_is_known_to_its_end():
    """The regression of a model that quotes the tag early in long reasoning: a stream has shown what came between, and a
    whole answer has no excuse to."""
    text = f"<think>The tag </think> ends it. {LONG}</think>answer"
    assert whole(text) == ("answer", f"The tag  ends it. {LONG}")
    assert whole(f"An answer about </think>, {LONG}</think>.")[0] == f"An answer about , {LONG}."


def test_an_answer_waits_for_the_look_ahead_and_no_longer():
    """After a close so many characters are held back; then, and before any block, every piece leaves at once."""
    splitter = ThinkSplitter()
    assert splitter.feed("one ") == ("one ", "")
    assert splitter.feed("<think>A</think>") == ("", "A")
    assert splitter.feed(LONG[1:]) == ("", "")
    assert splitter.feed("w") == (LONG[1:] + "w", "")
    assert splitter.feed("two") == ("two", "")
    assert splitter.feed("2 < 3") == ("2 < 3", "")
    assert splitter.feed("a <") == ("a ", "")
    assert splitter.flush() == ("<", "")
    assert splitter.flush() == ("", "")


def test_shortcuts_are_sure():
    """A text that need not be fed is all visible, or all reasoning."""
    splitter = ThinkSplitter()
    assert splitter.is_visible("a b")
    assert not splitter.is_visible("a < b")
    splitter.feed("<thi")
    assert not splitter.is_visible("a")
    splitter.feed("nk>")
    assert splitter.is_reasoning("a")
    assert not splitter.is_reasoning("</")
    splitter.feed("</think>")
    assert not splitter.is_visible("a")
    assert not splitter.is_reasoning("a")
    assert not ThinkSplitter(thinks_first=True).is_reasoning(" ")


def test_memory_is_bounded():
    """Tags and almost-tags without end: what is held back stays small, so what is fed comes out."""
    splitter = ThinkSplitter()
    out = sum(
        len(visible) + len(reasoning) for visible, reasoning in (splitter.feed("</think>x<   think") for _ in range(2000))
    )
    assert out > 2000
    splitter = ThinkSplitter()
    shown = sum(len(splitter.feed("<" + " " * 50)[0]) for _ in range(100))
    assert 5100 - shown <= 60
