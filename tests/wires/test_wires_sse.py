"""Where events end and what they say, however the bytes were cut."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wires.sse import EVENT_BYTES_MAX, Decoder, Event, EventTooLong, Splitter, parse, pieces

PARTS = (
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\r\n\r\n",
    b"data: a",
    b"data:b",
    b"data",
    b"event: e",
    b": note",
    b"id: 1",
    b"\xc3\xa9",
)
streams = st.lists(st.sampled_from(PARTS), max_size=30).map(b"".join)


def by_the_book(stream):
    """The event stream algorithm of WHATWG HTML, line by line; a last event needs no blank line."""
    events, name, data = [], "", []
    for line in [*re.split(rb"\r\n|\n|\r", stream), b""]:
        if line == b"":
            if data and b"\n".join(data):
                events.append(Event(name, b"\n".join(data)))
            name, data = "", []
            continue
        field, _, value = line.partition(b":")
        value = value[1:] if value[:1] == b" " else value
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return events


def cut(stream, points):
    """The stream in blocks, cut at the points."""
    edges = [0, *sorted(point % (len(stream) + 1) for point in points), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


@settings(max_examples=400, deadline=None)
@given(streams, st.lists(st.integers(0, 10_000), max_size=6))
def test_events_are_those_of_the_standard_however_it_is_cut(stream, points):
    """Any mixture of line ends, cut anywhere, gives the events that the standard's algorithm gives."""
    decoder = Decoder()
    got = [event for block in cut(stream, points) for event in decoder.decode(block)] + decoder.flush()
    assert got == by_the_book(stream)


@settings(max_examples=200, deadline=None)
@given(streams, st.lists(st.integers(0, 10_000), max_size=6))
def test_splitting_loses_and_adds_nothing(stream, points):
    """Heads and the flushed rest, joined, are the stream; so are the pieces of each head."""
    splitter = Splitter()
    heads = [splitter.split(block) for block in cut(stream, points)]
    assert b"".join([*heads, splitter.flush()]) == stream
    assert all(b"".join(pieces(head)) == head for head in heads)
    assert splitter.flush() == b""


def test_a_block_of_whole_events_is_passed_on_itself():
    """No copy is made where nothing is cut."""
    splitter = Splitter()
    for block in (b"data: a\n\n", b"data: a\r\n\r\n", b"data: a\r\rdata: b\r\r"):
        assert splitter.split(block) is block


def test_a_cr_that_may_be_half_of_a_crlf_is_waited_for():
    """CR LF CR is not yet the end of an event: the LF that completes it is part of it."""
    splitter = Splitter()
    assert splitter.split(b"data: a\r\n\r") == b""
    assert splitter.split(b"\ndata: b") == b"data: a\r\n\r\n"
    assert splitter.flush() == b"data: b"


def test_an_event_that_never_ends_is_bounded():
    """Held back is at most the bound, also when it comes byte by byte in small blocks."""
    splitter = Splitter()
    for _ in range(EVENT_BYTES_MAX // 4096):
        assert splitter.split(b"x" * 4096) == b""
    with pytest.raises(EventTooLong):
        splitter.split(b"x")


def test_an_event_is_read_whole():
    """Data is joined over its lines; the mark at the stream's start, comments and unknown fields are passed over."""
    assert parse(b"\xef\xbb\xbf: hi\r\nevent: x\r\nid: 7\r\ndata: {\r\ndata:}\r\nfoo\r\n\r\n") == Event("x", b"{\n}")
    assert parse(b"data\n\n") == Event("", b"")
    assert parse(b"data:  two spaces\n\n") == Event("", b" two spaces")
