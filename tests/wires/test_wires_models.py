"""The list of models: filtered by their ids, and all else as it came."""

import json

import pytest

from gateway.wires.models import joined, listed

OPENAI = {"object": "list", "data": [{"id": name, "object": "model", "owned_by": "x"} for name in ("a", "b", "c")], "extra": 1}
ANTHROPIC = {
    "data": [{"type": "model", "id": name, "display_name": name} for name in ("a", "b", "c")],
    "has_more": True,
    "first_id": "a",
    "last_id": "c",
}


def only(*names):
    return lambda name: name in names


@pytest.mark.parametrize("answer", [OPENAI, ANTHROPIC], ids=["openai", "anthropic"])
def test_nothing_filtered_is_byte_identical(answer):
    """White space and all."""
    raw = json.dumps(answer, indent=3).encode()
    assert listed(raw, only("a", "b", "c")) is raw


def test_the_others_go():
    """Entries and cursors; every other field stays."""
    assert json.loads(listed(json.dumps(OPENAI).encode(), only("b"))) == {**OPENAI, "data": OPENAI["data"][1:2]}
    left = json.loads(listed(json.dumps(ANTHROPIC).encode(), only("a", "b")))
    assert left == {**ANTHROPIC, "data": ANTHROPIC["data"][:2], "first_id": "a", "last_id": "b"}
    none = json.loads(listed(json.dumps(ANTHROPIC).encode(), only()))
    assert none == {**ANTHROPIC, "data": [], "first_id": None, "last_id": None}


def test_what_has_no_id_goes():
    """It could be a model under another name."""
    raw = b'{"data":[{"id":"a"},{"id":3},{"name":"b"},"c",null]}'
    assert json.loads(listed(raw, lambda _name: True)) == {"data": [{"id": "a"}]}


@pytest.mark.parametrize("raw", [b"", b"nonsense", b"[]", b"{}", b'{"data":{}}', b'{"data":null}', b"3", b"[" * 9999])
def test_what_is_no_list_is_an_error(raw):
    """Nothing unfiltered passes."""
    with pytest.raises(ValueError):
        listed(raw, lambda _name: True)


def test_lists_of_several_upstreams_are_one() -> None:
    """Each model once, as the first that lists it does; the frame is the first list's, and there are no more pages."""
    first = b'{"data":[{"id":"a","by":1},{"id":"b"}],"first_id":"a","last_id":"b","has_more":true}'
    second = b'{"data":[{"id":"a","by":2},{"id":"c"}]}'
    assert joined([first]) is first
    assert json.loads(joined([first, second])) == {
        "data": [{"id": "a", "by": 1}, {"id": "b"}, {"id": "c"}],
        "first_id": "a",
        "last_id": "c",
        "has_more": False,
    }
