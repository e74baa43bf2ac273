"""When a server of several is left alone: driven by a clock in the test's hand."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.breaker import FAILURES_MAX, REST_MAX_S, REST_S, Breaker


def test_a_server_that_cannot_be_connected_to_rests_at_once():
    """Another can take the request, so nothing is gained by asking it again."""
    breaker = Breaker()
    breaker.note_fault("connect", 100.0)
    assert (breaker.is_resting(100.0 + REST_S - 0.01), breaker.is_resting(100.0 + REST_S)) == (True, False)


def test_broken_answers_count_until_there_are_too_many_in_a_row():
    """One answer that breaks off says little; an answer in between says that it works."""
    breaker = Breaker()
    for _ in range(FAILURES_MAX - 1):
        breaker.note_fault("broken", 0.0)
    breaker.note_status(200, 0.0)
    for _ in range(FAILURES_MAX - 1):
        breaker.note_status(503, 0.0)
    assert not breaker.is_resting(0.0)
    breaker.note_fault("timeout_first_byte", 0.0)
    assert breaker.is_resting(0.0)


def test_rests_double_up_to_a_bound_and_an_answer_ends_that():
    """A dead server is asked ever more rarely, and at once again when it is back."""
    breaker, now_s, rests = Breaker(), 0.0, []
    for _ in range(8):
        breaker.note_fault("connect", now_s)
        rests.append(breaker.rests_until_s - now_s)
        now_s = breaker.rests_until_s
    assert rests == [1, 2, 4, 8, 16, REST_MAX_S, REST_MAX_S, REST_MAX_S]
    breaker.note_status(200, now_s)
    breaker.note_fault("connect", now_s)
    assert breaker.rests_until_s - now_s == REST_S


def test_what_is_not_its_fault_is_not_held_against_it():
    """Too many requests of ours, the operator's wrong key, and a tenant's mistakes say nothing of its health."""
    breaker = Breaker()
    for _ in range(3 * FAILURES_MAX):
        breaker.note_fault("overloaded", 0.0)
        breaker.note_fault("credentials", 0.0)
        breaker.note_status(429, 0.0)
        breaker.note_status(400, 0.0)
    assert not breaker.is_resting(0.0)


@given(st.lists(st.tuples(st.sampled_from(["connect", "broken", "timeout_connect", "200", "503"]), st.floats(0, 10))))
def test_no_rest_is_longer_than_the_bound(events):
    """Whatever happens to a server, it is asked again within the longest rest."""
    breaker, now_s = Breaker(), 0.0
    for what, pause_s in events:
        now_s += pause_s
        if what.isdigit():
            breaker.note_status(int(what), now_s)
        else:
            breaker.note_fault(what, now_s)
        assert breaker.rests_until_s - now_s <= REST_MAX_S
