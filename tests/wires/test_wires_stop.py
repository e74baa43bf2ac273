"""A stream stops at its bound: at the same event however it came, with nothing lost of what follows it."""

import random

import pytest

from tests.wires.streams import TRANSCRIPTS, read, reader, recorded
from tests.wires.test_wires_streams import cut

STREAMS = [name for name, expected in TRANSCRIPTS.items() if expected.events > 2]


def stopped(name, blocks, **bounds):
    """(what was relayed, the reader) of a stream with bounds."""
    follower = reader(name, wants_usage=True)
    for bound, value in bounds.items():
        setattr(follower, bound, value)
    return read(follower, blocks), follower


def long(name, copies=40):
    """The recorded stream with its content events said many times over, so that the fast path has something to do."""
    head = recorded(name)
    pieces = head.split(b"\n\n")
    at = next(i for i, piece in enumerate(pieces) if b'"content":"Hello' in piece or b'"text":"Hello' in piece)
    return b"\n\n".join([*pieces[:at], *([pieces[at]] * copies), *pieces[at + 1 :]])


@pytest.mark.parametrize("name", STREAMS)
def test_every_bound_and_every_split(name):
    """So many content events are relayed and no more, whole events only, cut in two at every byte."""
    stream, events = recorded(name), TRANSCRIPTS[name].events
    for bound in range(events + 2):
        relayed, follower = stopped(name, [stream], stop_events=bound)
        assert follower.events == min(bound, events)
        assert follower.is_cut == (bound < events)
        assert stream.startswith(relayed)
        for point in range(1, len(stream), 7):
            assert stopped(name, [stream[:point], stream[point:]], stop_events=bound)[0] == relayed


@pytest.mark.parametrize("name", ["chat_plain", "messages_text"])
def test_a_long_stream_stops_at_its_bound(name):
    """In blocks of any size, far beyond the events that are decoded anyway."""
    stream = long(name)
    expected, follower = stopped(name, [stream], stop_events=33)
    assert follower.events == 33
    for seed in range(20):
        relayed, again = stopped(name, cut(stream, random.Random(seed).sample(range(len(stream)), seed + 1)), stop_events=33)
        assert (relayed, again.events) == (expected, 33)


@pytest.mark.parametrize("name", STREAMS)
def test_what_was_held_back_goes_on(name):
    """Raising the bound by one, again and again, gives the whole stream, usage and end included."""
    stream = recorded(name)
    follower = reader(name, wants_usage=True)
    follower.stop_events = 0
    relayed = follower.feed(stream)
    while follower.is_cut:
        follower.stop_events += 1
        relayed += follower.resume()
    assert relayed + follower.flush() == stream
    assert (follower.usage, follower.events) == (TRANSCRIPTS[name].usage, TRANSCRIPTS[name].events)


@pytest.mark.parametrize("name", ["chat_plain", "messages_text"])
def test_bytes_bound_too(name):
    """The event that would go beyond the bytes is not relayed."""
    for bound in range(1, 40):
        follower = stopped(name, [recorded(name)], stop_bytes=bound)[1]
        assert follower.content_bytes <= max(bound, 1)
        assert follower.is_cut == (len(TRANSCRIPTS[name].content.encode()) > bound)
