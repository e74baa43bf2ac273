"""Filters: whatever a stream is cut into, what leaves is what the whole text would have become, and no later than it must."""

import pytest
import re2
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.output.filters import LOOKBACK_BYTES, Filters, check_pattern, filters_of
from gateway.policy.model import Filter, Place

PLACE = Place("here.yaml", 1)
ALPHABET = "ab1 é🍷\n"


def literal(text, action="mask", mask="#"):
    return Filter("f", text, "", action, mask, PLACE)


def pattern(text, action="mask", mask="#"):
    return Filter("p", "", text, action, mask, PLACE)


def through(filters, parts):
    """What leaves of a text in pieces, and whether it was cut."""
    stage = Filters(filters).stream()
    return "".join([*map(stage.feed, parts), stage.flush()]), stage.is_cut


def expected(filters, text):
    """The rules themselves, place by place, with RE2 asked of the whole text: slow, and without any state."""
    data = text.encode()
    bound = max([LOOKBACK_BYTES, *(len(each.literal.encode()) for each in filters)])
    out, at, done = [], 0, 0
    while at < len(data):
        limit = min(len(data), at + bound)
        while limit < len(data) and data[limit] & 0xC0 == 0x80:
            limit -= 1
        found = []
        for each in filters:
            if each.literal:
                end = at + len(each.literal.encode()) if data.startswith(each.literal.encode(), at) else -1
            else:
                match = re2.compile(each.pattern.encode()).match(data, at, limit)
                end = match.end() if match else -1
            if end > at:
                found.append((end, each.action == "cut", each.mask))
        if found:
            end, is_cut, mask = max(found, key=lambda each: each[:2])
            out.append(data[done:at].decode())
            if is_cut:
                return "".join(out), True
            out.append(mask)
            at = done = end
        else:
            at += 1
            while at < len(data) and data[at] & 0xC0 == 0x80:
                at += 1
    return "".join([*out, data[done:].decode()]), False


atoms = st.sampled_from(
    [
        "a",
        "b",
        "1",
        "é",
        "🍷",
        ".",
        r"\d",
        "[ab]",
        "[^a]",
        r"\w",
        r"(?s:.)",
        r"\Qa1\E",
        "(?i:A)",
        r"[[:digit:]]",
        r"\x{61}",
        "]",
        "-",
    ]
)
assertions = st.sampled_from(["^", "$", r"\b", r"\B", r"\A", r"\z", "(?m:^)", "(?m:$)"])


def larger(inner):
    return st.one_of(
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{0,2}?", "{2,}"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
        inner.map(lambda each: f"(?P<name>{each})"),
    )


patterns = st.recursive(st.one_of(atoms, atoms, assertions), larger, max_leaves=6)


def is_good(text):
    try:
        check_pattern(text)
    except ValueError:
        return False
    return True


literals = st.text("ab1é", min_size=1, max_size=4).map(literal)
lists_of_filters = st.lists(st.one_of(literals, patterns.filter(is_good).map(pattern)), min_size=1, max_size=3).map(tuple)
texts = st.lists(st.text(ALPHABET, max_size=8), max_size=10)


@given(lists_of_filters, texts)
@example((pattern(r"\bab\b"),), ["a", "b", "a ab", " ab"])
@example((pattern("^a"), literal("b")), ["b", "a"])
@example((pattern("a.*?1"), literal("a")), ["a", "b1", "1"])
@example((pattern("a$"),), ["a", "b a"])
def test_any_filters_in_any_pieces(filters, parts):
    """Random patterns of RE2's syntax and literals: what leaves is what the rules say of the whole text."""
    text = "".join(parts)
    result = expected(filters, text)
    assert through(filters, parts) == result
    assert through(filters, [text]) == result
    assert through(filters, list(text)) == result


LONG = st.lists(st.sampled_from(["a", "b", "c" * 100, "c" * 250, "d" * 511, "é" * 130, "ab"]), max_size=12)


@given(LONG, st.sampled_from(["a.*b", "a.*?b", "c+b", "a[^a]+", "[cd]{200}", "b.{300,900}"]), st.integers(1, 700))
def test_matches_about_the_bound(parts, text, size):
    """A match takes no more than the bound, at the same place however the text came."""
    filters = (pattern(text), literal("ab"), literal("d" * 600))
    whole = "".join(parts)
    result = expected(filters, whole)
    assert through(filters, parts) == result
    assert through(filters, [whole]) == result
    assert through(filters, [whole[at : at + size] for at in range(0, len(whole), size)]) == result


@pytest.mark.parametrize(
    ("filters", "text", "left"),
    [
        ((literal("secret"),), "a secret, sec, secret", "a #, sec, #"),
        ((literal("ab"), literal("abc")), "ab abc abd", "# # #d"),
        ((literal("ab", mask="L"), pattern("ab+", mask="P")), "ab abb", "L P"),
        ((pattern("sk-[a-z0-9]{4,8}"),), "x sk-abc sk-abcd12345", "x sk-abc #5"),
        ((pattern(r"(?i)zeppelin"),), "ZePpElin", "#"),
        ((literal("🍷é"), literal("日本")), "x🍷é🍷日本日", "x#🍷#日"),
        ((literal("aab"),), "aaab", "a#"),
        ((pattern(r"\b\d{4}\b"),), "12345 1234 a1234", "12345 # a1234"),
        ((pattern("(?s)<k>.*?</k>"),), "a<k>x\ny</k>b</k>", "a#b</k>"),
        ((literal("ab", mask=""),), "aabb", "ab"),
    ],
)
def test_every_split(filters, text, left):
    """Cut in two, and in three, at every place."""
    for one in range(len(text) + 1):
        for two in range(one, len(text) + 1):
            assert through(filters, [text[:one], text[one:two], text[two:]]) == (left, False)


def test_a_mask_is_not_searched():
    """A mask that looks like a match stays, and what it leaves beside it makes no new match."""
    assert through((literal("ab", mask="ab"),), ["xa", "by"]) == ("xaby", False)
    assert through((literal("ab", mask=""),), ["aab", "b"]) == ("ab", False)


@given(st.integers(0, 9), st.integers(0, 9))
def test_a_cut_ends_the_text(one, two):
    """Nothing of the match leaves and nothing after it, wherever the text was split; what was before it does."""
    text = "a secret b"
    cuts = sorted((one, two))
    parts = [text[: cuts[0]], text[cuts[0] : cuts[1]], text[cuts[1] :], "more"]
    assert through((literal("secret", "cut"), literal("b")), parts) == ("a ", True)


def test_a_cut_is_stronger_than_a_mask():
    """Of two filters that match the same text, whichever stands first."""
    for filters in (
        (literal("ab", "cut"), pattern("ab")),
        (pattern("ab"), literal("ab", "cut")),
        (literal("ab"), literal("ab", "cut")),
    ):
        assert through(filters, ["xab"]) == ("x", True)


@given(st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=4), st.text("abcx", max_size=12))
def test_nothing_more_is_held_back(words, text):
    """Of literals only the longest beginning of one at the end of the text waits."""
    stage = Filters([literal(each, mask="") for each in words]).stream()
    left = stage.feed(text)
    whole, _ = expected([literal(each, mask="") for each in words], text)
    waits = max([size for each in words for size in range(len(each)) if text.endswith(each[:size])], default=0)
    assert len(whole) - len(left) <= waits


@given(lists_of_filters, texts)
def test_the_fast_path_is_sure(filters, parts):
    """A stage that is asked first gives what one gives that is only fed, and yes means: as it is, nothing held."""
    compiled = Filters(filters)
    fed, asked = compiled.stream(), compiled.stream()
    for part in parts:
        before = fed.feed("")
        expected_part = before + fed.feed(part)
        if asked.passes(part):
            assert expected_part == part
        else:
            assert asked.feed(part) == expected_part
    assert fed.flush() == asked.flush()


def test_the_fast_path():
    """It says yes to text that has nothing to do with the filters, however long, and no while something waits."""
    stage = Filters([literal("secret"), pattern(r"sk-\w{20}")]).stream()
    assert stage.passes("hello")
    assert stage.passes("hello " * 1000)
    assert stage.passes("")
    assert not stage.passes("it is a s")
    assert stage.feed("it is a s") == "it is a "
    assert not stage.passes("hello")
    assert stage.feed("o") == "so"
    assert stage.passes("hello")


def test_flush_is_idempotent():
    """What waited leaves once; a cut stage has nothing."""
    stage = Filters([literal("secret")]).stream()
    assert (stage.feed("a sec"), stage.flush(), stage.flush()) == ("a ", "sec", "")


@pytest.mark.parametrize("text", ["a.*b", "(?s).+Z", r"(?:\w+\s?)+!"])
def test_memory_is_bounded(text):
    """A pattern that could go on for ever holds back the bound, and no more."""
    stage = Filters([pattern(text)]).stream()
    left = sum(len(stage.feed("a" * 50)) for _ in range(100))
    assert 5000 - left <= LOOKBACK_BYTES


@pytest.mark.parametrize("text", ["(a+)+b", "(a|aa)+b", "(a*)*b", "(?:a?){50}a{50}b", "(.*)(.*)(.*)b", r"(\w+\s?)+!"])
def test_hostile_texts_end(text):
    """Patterns that would take a backtracking engine for ever: a stream of letters goes through them."""
    result, is_cut = through((pattern(text),), ["a" * 5000, "a" * 700, "c"])
    assert (result, is_cut) == ("a" * 5700 + "c", False)


def test_half_characters_of_json_pass():
    """Half a surrogate pair, which JSON can write, is a character like any other, and no reason to fail."""
    assert through((literal("ab"), pattern(r"\bx")), ["\ud83d a", "b\ude00"]) == ("\ud83d #\ude00", False)


def test_as_many_filters_as_a_policy_may_have():
    """A hundred literals of a thousand characters are more than RE2 takes at once: they are searched in several parts."""
    words = [f"{at:02}" + "x" * 998 for at in range(100)]
    filters = [literal(each) for each in words] + [pattern(rf"[a-z]{{500}}{at}[a-z]{{500}}") for at in range(9)]
    text = "y".join(words)
    assert through(filters, [text[at : at + 333] for at in range(0, len(text), 333)]) == ("y".join("#" * 100), False)


def test_equal_filters_are_compiled_once():
    """Callers and models that share a policy share what its filters cost."""
    assert filters_of((literal("x"),)) is filters_of((literal("x"),))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("(", r"missing \): \("),
        ("[a", r"missing \]: \[a"),
        ("(?=a)", r"invalid perl operator: \(\?="),
        (r"(a)\1", r"invalid escape sequence: \\1"),
        ("a**", r"bad repetition operator: \*\*"),
        ("a{1001}", r"invalid repetition size: \{1001\}"),
        ("(?:a{500}){3}", "invalid repetition size"),
        ("a*", "matches the empty string"),
        (r"\b", "matches the empty string"),
        ("x|", "matches the empty string"),
        (r"(?:^|\s?)\B", "matches the empty string"),
        (r"\C", "matches bytes"),
        (r"\pL{900}", "too large"),
        ("\ud800", "surrogate"),
    ],
)
def test_bad_patterns(text, why):
    """Each is refused with a reason: RE2's own, or what is wrong with it as a filter."""
    with pytest.raises(ValueError, match=why):
        check_pattern(text)


@pytest.mark.parametrize(
    "text", ["a", r"\Qa*\E", "[]]", "[[:foo]]", "a{,3}", "(?i)a(?-i)b", r"\bx*y\b", "(?P<a>x)", r"[\]]+", "]"]
)
def test_good_patterns(text):
    """Syntax at the edges is taken."""
    check_pattern(text)
