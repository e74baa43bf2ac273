"""Kept answers: an id opens nothing by itself."""

import pytest

from gateway.listing import refers_to_items


@pytest.mark.parametrize(
    ("given", "refers"),
    [
        ("hello", False),
        ([{"role": "user", "content": "hi"}], False),
        ([{"type": "function_call_output", "call_id": "c", "output": "1"}], False),
        ([{"role": "user", "content": "hi"}, {"type": "item_reference", "id": "msg_1"}], True),
        ([{"id": "rs_1"}], True),
        ([{"type": None, "id": "rs_1"}], True),
    ],
)
def test_items_by_reference_are_seen(given: object, refers: bool) -> None:
    """With their type or without it: they would be another tenant's as easily as one's own."""
    assert refers_to_items(given) is refers
