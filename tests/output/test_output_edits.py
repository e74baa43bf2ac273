"""What a whole policy does to an answer's channels: reasoning, filters, and both together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.output.edits import compile_output
from gateway.output.filters import LOOKBACK_BYTES
from gateway.output.think import LOOKAHEAD_CHARS
from gateway.policy.model import Filter, Output, Place

PLACE = Place("here.yaml", 1)
LONG = "v" * LOOKAHEAD_CHARS


def masks(text, mask="#"):
    return Filter("f", text, "", "mask", mask, PLACE)


def cuts(text):
    return Filter("f", text, "", "cut", "", PLACE)


def edits(**output):
    return compile_output(Output(**output)).edits()


def through(stage, parts):
    return "".join([*map(stage.feed, parts), stage.flush()])


PARTS = [
    *("<think>", "</think>", "<thinking>", "</thinking>", "<", "/think>", "<th", "ink>", "secret", "sec", "ret", "é🍷", "stop"),
    *(" ", "\n\n", "a", "b", "w" * 40, "x" * 127),
]
texts = st.lists(st.sampled_from(PARTS), max_size=14)
policies = st.builds(
    Output,
    reasoning=st.sampled_from([None, "keep", "blank", "shorten"]),
    reasoning_chars=st.sampled_from([1, 3, 8, 50]),
    thinks_first=st.booleans(),
    filters=st.sampled_from([(), (masks("secret"),), (masks("secret", mask=""), cuts("stop")), (cuts("st"),)]),
)


@given(policies, texts)
def test_any_policy_in_any_pieces(output, parts):
    """Every channel's stage: what leaves, and whether it is cut, does not depend on how the text came; nothing leaves of what
    must not."""
    made = compile_output(output).edits()
    if made is None:
        assert not output.filters
        assert output.reasoning in (None, "keep")
        return
    text = "".join(parts)
    for new in (made.text, made.reasoning, made.arguments):
        stages = [new() for _ in range(4)]
        if stages[0] is None:
            continue
        in_parts, at_once, by_letter, asked = stages
        left = through(in_parts, parts)
        assert through(at_once, [text]) == left
        assert through(by_letter, list(text)) == left
        assert "".join([*(part if asked.passes(part) else asked.feed(part) for part in parts), asked.flush()]) == left
        assert in_parts.is_cut == at_once.is_cut == by_letter.is_cut == asked.is_cut
        assert all(each.literal not in left for each in output.filters if each.mask or each.action == "cut")
        assert through(in_parts, []) == ""


@given(policies, texts)
def test_the_fast_path_holds_nothing(output, parts):
    """Yes means that the text leaves as it is, and that whatever was fed before has left."""
    made = compile_output(output).edits()
    stage = made and made.text()
    if stage is None:
        return
    fed = made.text()
    for part in parts:
        left = fed.feed(part)
        if stage.passes(part):
            assert left == part
        else:
            stage.feed(part)


@given(texts)
def test_blanked_reasoning_does_not_leave(parts):
    """Nothing that stands in a block is seen, whatever tags the model writes about."""
    stage = edits(reasoning="blank").text()
    assert through(stage, ["<think>", *(part.replace("/", "") for part in parts)]) == ""


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<think>A</think>\n\nanswer", "answer"),
        ("one <think>A</think> two", "one two"),
        ("<think>A</think> \n<think>B</think>\tanswer ", "answer "),
        (f"<think>A</think>{' ' * 200}answer", "answer"),
        ("<think>A</think>", ""),
        ("no reasoning", "no reasoning"),
        (" \n<think>A</think>answer", " \nanswer"),
    ],
)
def test_blanked_reasoning_leaves_no_trace(text, left):
    """Tags and the white space behind a block go with it, at every split."""
    for point in range(len(text) + 1):
        assert through(edits(reasoning="blank").text(), [text[:point], text[point:]]) == left
    assert edits(reasoning="blank").whole(edits(reasoning="blank").text(), text) == left


@pytest.mark.parametrize(
    ("text", "thinks_first", "left"),
    [
        ("<think>abcdef</think>\n\nanswer", False, "<think>abc…</think>\n\nanswer"),
        ("<think>abc</think>answer", False, "<think>abc</think>answer"),
        ("<THINKING>ab</THINKING>answer", False, "<think>ab</think>answer"),
        ("<think>abcdef", False, "<think>abc…"),
        ("<think>ab</think>c</think>d", False, "<think>abc</think>d"),
        ("<think>abcd</think>one<think>efgh</think>two", False, "<think>abc…</think>one<think>efg…</think>two"),
        ("<think></think>answer", False, "<think></think>answer"),
        ("abcdef</think>answer", True, "abc…</think>answer"),
        ("<think>abcdef</think>answer", True, "abc…</think>answer"),
        ("answer</think>more", False, "answer</think>more"),
    ],
)
def test_shortened_reasoning_stands_in_its_tags(text, thinks_first, left):
    """So many characters of each block, an ellipsis where there was more, and an opening only where the model wrote one."""
    made = edits(reasoning="shorten", reasoning_chars=3, thinks_first=thinks_first)
    for point in range(len(text) + 1):
        assert through(made.text(), [text[:point], text[point:]]) == left
    assert made.whole(made.text(), text) == left


def test_reasoning_with_a_place_of_its_own():
    """Blanked, shortened for each piece, or filtered alone."""
    assert through(edits(reasoning="blank").reasoning(), ["some", "thing"]) == ""
    shorten = edits(reasoning="shorten", reasoning_chars=5)
    assert [through(shorten.reasoning(), parts) for parts in (["ab", "cde", "f"], ["abcde"], [])] == ["abcde…", "abcde", ""]
    assert through(edits(reasoning="keep", filters=(masks("secret"),)).reasoning(), ["a sec", "ret"]) == "a #"
    assert compile_output(Output(reasoning="keep")).edits() is None


def test_a_secret_is_not_shown_by_half():
    """The regression of a shortening that came before the filters: it showed a secret's beginning."""
    made = edits(reasoning="shorten", reasoning_chars=6, filters=(masks("secret"),))
    assert through(made.reasoning(), ["my sec", "ret plan"]) == "my # p…"
    assert through(made.text(), ["<think>my sec", "ret plan</think>x"]) == "<think>my # p…</think>x"


def test_a_block_does_not_split_a_secret():
    """What is joined by taking a block out is filtered as the client would read it."""
    made = edits(reasoning="blank", filters=(masks("secret"),))
    assert through(made.text(), ["a sec<think>", "x</think>", "ret" + LONG]) == "a #" + LONG


def test_a_cut():
    """In the answer it ends the channel; in reasoning only as far as that is shown."""
    blank = edits(reasoning="blank", filters=(cuts("stop"),))
    stage = blank.text()
    assert through(stage, ["<think>stop</think>a st", "op b"]) == "a "
    assert stage.is_cut
    stage = blank.reasoning()
    assert (through(stage, ["stop"]), stage.is_cut) == ("", False)
    shorten = edits(reasoning="shorten", reasoning_chars=4, filters=(cuts("stop"),))
    stage = shorten.text()
    assert (through(stage, ["one <think>a stop</think>b"]), stage.is_cut) == ("one <think>a ", True)
    stage = shorten.text()
    assert (through(stage, ["<think>a long stop</think>b"]), stage.is_cut) == ("<think>a lo…</think>b", False)
    stage = shorten.reasoning()
    assert (through(stage, ["a st", "op b"]), stage.is_cut) == ("a ", True)
    stage = shorten.arguments()
    assert (shorten.whole(stage, '{"a":"stop"}'), stage.is_cut) == ('{"a":"', True)


def test_a_whole_answer_is_known_to_its_end():
    """Reasoning that quotes its tag early: a stream has let go of what came between, a whole answer has not."""
    made = edits(reasoning="blank")
    text = f"<think>The tag </think>ends it. {LONG}</think>\n\nanswer"
    assert made.whole(made.text(), text) == "answer"
    assert through(made.text(), [text]) == f"ends it. {LONG}answer"


def test_arguments_of_tools():
    """Filtered as they are written, and never searched for reasoning."""
    made = edits(reasoning="blank", filters=(masks("secret"),))
    assert through(made.arguments(), ['{"a": "<think>sec', 'ret</think>"}']) == '{"a": "<think>#</think>"}'
    assert edits(reasoning="blank").arguments() is None


def test_memory_is_bounded():
    """An answer of a megabyte holds back no more than the look-ahead and the look-back."""
    made = edits(reasoning="blank", filters=(Filter("p", "", "a.*b", "mask", "#", PLACE),))
    stage = made.text()
    left = sum(len(stage.feed("</think>" + "a" * 100 if at == 0 else "a" * 100)) for at in range(2000))
    assert 200_000 - left <= LOOKBACK_BYTES + LOOKAHEAD_CHARS


def test_policies_that_leave_text_alone():
    """No edits are made where there is nothing to edit: the relay then passes bytes on."""
    for output in (Output(), Output(reasoning="keep", thinks_first=True, max_tokens=5, tokens_per_second=9)):
        assert compile_output(output).edits() is None
    assert compile_output(Output()).pace() is None
    assert compile_output(Output(tokens_per_second=100)).pace().slice_tokens == 2
    assert compile_output(Output(max_tokens=7)).output.max_tokens == 7
