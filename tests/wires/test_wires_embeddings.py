"""Embeddings: what is judged, and usage that is found at the end of megabytes without parsing them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.values import Usage
from gateway.wires import WIRES, fields
from gateway.wires.base import BadField, Judged
from gateway.wires.plain import reported

WIRE = WIRES["openai.embeddings"]
PLAIN = Judged("m", 0, 0, 0, 1, is_stream=False, wants_usage=False, end_user="")
GOOD = [
    ({"input": "hi"}, PLAIN),
    ({"input": ["hi", "ho"]}, PLAIN),
    ({"input": ["hi"] * 2048, "user": "u"}, PLAIN._replace(end_user="u")),
    ({"input": [1, 22, 333]}, PLAIN._replace(media_tokens=3, media_base64_bytes=10)),
    ({"input": [[1, 22], [333]]}, PLAIN._replace(media_tokens=3, media_base64_bytes=14)),
    ({"input": [7] * 300_000}, PLAIN._replace(media_tokens=300_000, media_base64_bytes=600_001)),
    ({"input": "hi", "dimensions": "odd", "encoding_format": 3, "stream": False}, PLAIN),
]
BAD = [
    *(({"input": value}, "input") for value in (None, 3, {}, [], [""] * 2049, [[]], [1.5], ["a", [1]], [True], [None])),
    ({}, "input"),
    ({"input": "hi", "stream": True}, "stream"),
    ({"input": "hi", "stream": 1}, "stream"),
    ({"input": "hi", "user": 3}, "user"),
    ({"input": "hi", "model": None}, "model"),
]


@pytest.mark.parametrize(("asked", "expected"), GOOD, ids=range(len(GOOD)))
def test_what_is_read(asked, expected):
    """Texts and lists of tokens, none of which makes output."""
    assert WIRE.judge({"model": "m", **asked}) == expected


@pytest.mark.parametrize(("asked", "param"), BAD, ids=range(len(BAD)))
def test_what_is_refused(asked, param):
    """Each with its path."""
    with pytest.raises(BadField) as caught:
        WIRE.judge({"model": "m", **asked})
    assert caught.value.param == param


@given(st.lists(st.lists(st.integers(0, 200_000), min_size=1), min_size=1), st.booleans())
def test_lists_of_tokens_are_counted_exactly(lists, flat):
    """Their tokens one by one, and the bytes they take as an SDK writes them."""
    value = [token for each in lists for token in each] if flat else lists
    size = len(json.dumps(value, separators=(",", ":")))
    found = fields.prompts({"input": value}, "input")
    assert found == fields.Prompts((), 1 if flat else len(lists), sum(map(len, lists)), size)


def test_usage_is_the_input():
    """Nothing is output; a report without the count that is charged is none."""
    assert WIRE.usage(b'{"data":[],"usage":{"prompt_tokens":9,"total_tokens":9}}') == Usage(9, 0, 0, 0, is_complete=True)
    assert WIRE.usage(b'{"usage":{"prompt_tokens":9},"data":[]}') == Usage(9, 0, 0, 0, is_complete=True)
    for odd in (b"", b"{}", b'"usage"', b'{"usage":{}}', b'{"usage":{"prompt_tokens":-1}}', b'{"usage":[1]}', b"[" * 9999):
        assert WIRE.usage(odd) is None


@given(
    st.recursive(
        st.one_of(st.integers(-9, 9), st.sampled_from(["usage", '"usage":{}', "x"])),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["usage", "data", 'a"usage"']), inner, max_size=3)
        ),
    ),
    st.booleans(),
)
def test_reported_is_the_answers_own_usage(value, spaced):
    """Whatever stands around it, and under whichever other names `usage` stands deeper down."""
    answer = json.dumps(value, separators=None if spaced else (",", ":")).encode()
    expected = value.get("usage") if isinstance(value, dict) else None
    assert reported(answer) == (expected if isinstance(expected, dict) else None)


def test_vectors_are_not_parsed():
    """What stands before the usage is not looked at: it need not even be JSON."""
    assert reported(b"\xff" * 10_000_000 + b', "usage": {"prompt_tokens": 5}}\n') == {"prompt_tokens": 5}
