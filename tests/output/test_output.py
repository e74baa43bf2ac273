"""The limits of an answer, and its pace."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.output.clamp import FLOOR_TOKENS, limit_of, shortened
from gateway.output.pace import BURST_S, SLICE_S, Pace
from gateway.policy.model import Output


@pytest.mark.parametrize(
    ("asked", "model_max", "most", "limit"),
    [
        (50, 4096, 100, None),
        (100, 4096, 100, None),
        (101, 4096, 100, 100),
        (None, 4096, 100, 100),
        (None, 100, 100, None),
        (None, 80, 100, None),
        (9000, 4096, None, None),
        (None, 4096, None, None),
    ],
)
def test_limits(asked, model_max, most, limit):
    """What was asked is lowered to the policy's bound and never raised; without a bound in either nothing is set."""
    assert limit_of(asked, model_max, Output(max_tokens=most)) == limit


@pytest.mark.parametrize(
    ("affordable", "floor", "given"),
    [(FLOOR_TOKENS - 1, None, None), (FLOOR_TOKENS, None, FLOOR_TOKENS), (3, 2, 3), (1, 2, None), (0, 1, None), (-5, 1, None)],
)
def test_the_floor(affordable, floor, given):
    """What budgets still hold is given down to the floor, and never nothing."""
    assert shortened(affordable, Output(min_tokens=floor)) == given


@given(st.integers(1, 5000), st.lists(st.tuples(st.integers(1, 40), st.floats(0, 0.2)), min_size=1, max_size=60))
def test_pace(speed, writes):
    """In any span of time no more tokens leave than the pace allows in it and a burst; and none waits longer than it must."""
    pace, now_s = Pace(speed), 100.0
    sent = []
    for tokens, pause_s in writes:
        now_s += pause_s
        wait_s = pace.wait_s(tokens, now_s)
        assert wait_s >= 0
        now_s += wait_s
        sent.append((now_s, tokens))
    for begin in range(len(sent)):
        total = 0
        for at_s, tokens in sent[begin:]:
            # What leaves last takes its time afterwards.
            assert total / speed <= at_s - sent[begin][0] + BURST_S + 1e-6
            total += tokens


def test_a_steady_stream_takes_its_time():
    """A hundred tokens a second, one by one: after the burst each waits for its hundredth, and a second is a second."""
    pace, now_s = Pace(100), 5.0
    waits = []
    for _ in range(100):
        waits.append(pace.wait_s(1, now_s))
        now_s += waits[-1]
    assert waits[:5] == [0.0] * 5
    assert waits[10:] == pytest.approx([0.01] * 90)
    assert now_s - 5.0 == pytest.approx(0.99 - BURST_S)


def test_a_pause_is_not_made_up_for():
    """After a minute of silence the burst is as large as ever."""
    pace = Pace(100)
    assert pace.wait_s(10, 0.0) == 0.0
    assert pace.wait_s(10, 60.0) == 0.0
    assert pace.wait_s(1, 60.0) == pytest.approx(0.1 - BURST_S)


@pytest.mark.parametrize(("speed", "tokens"), [(1, 1), (49, 1), (50, 1), (100, 2), (1000, int(1000 * SLICE_S))])
def test_slices(speed, tokens):
    """So many tokens leave at once as take a fiftieth of a second, and one at least."""
    assert Pace(speed).slice_tokens == tokens
