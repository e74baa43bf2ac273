"""Fields of requests: what a policy drops is gone under all its names, what it refuses is named, and nothing else changes."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.output.fields import FIELDS, FieldRefused, keep_stored, prepare
from gateway.policy.model import Output

INCLUDED = "message.output_text.logprobs"

values = st.one_of(st.none(), st.booleans(), st.integers(-2, 3), st.floats(0, 2), st.just([]), st.just({}), st.just("x"))
bodies = st.dictionaries(
    st.sampled_from([*FIELDS, "model", "top_logprobs", "stop_sequences", "n_probs", "other"]), values, max_size=8
)
names = st.lists(st.sampled_from([*FIELDS]), unique=True, max_size=4).map(tuple)


@given(bodies, names)
def test_any_body(body, drop):
    """The body that came is never changed; it is returned itself if nothing had to be; and what was dropped is told."""
    before = copy.deepcopy(body)
    made = prepare(body, Output(drop=drop))
    assert body == before
    assert made.body == {key: value for key, value in body.items() if key not in made.dropped}
    assert (made.body is body) == (made.dropped == ())
    assert prepare(made.body, Output(drop=drop, refuse=drop)).body is made.body


@given(bodies, names)
def test_any_refusal(body, names):
    """What would have been dropped is refused, by a field that is there."""
    dropped = prepare(body, Output(drop=names)).dropped
    if not dropped:
        assert prepare(body, Output(refuse=names)).body is body
        return
    with pytest.raises(FieldRefused) as caught:
        prepare(body, Output(refuse=names))
    assert caught.value.param == dropped[0]
    assert f"`{dropped[0]}`" in caught.value.message


@pytest.mark.parametrize(
    ("name", "body", "left"),
    [
        ("logprobs", {"logprobs": True, "top_logprobs": 3, "m": 1}, {"m": 1}),
        ("logprobs", {"logprobs": 0}, {}),
        ("logprobs", {"n_probs": 5}, {}),
        ("logprobs", {"include": [INCLUDED, "x"]}, {"include": ["x"]}),
        ("logprobs", {"include": [INCLUDED, INCLUDED]}, {}),
        ("top_logprobs", {"logprobs": True, "top_logprobs": 3}, {"logprobs": True}),
        ("n", {"n": 3}, {}),
        ("best_of", {"best_of": 3, "n": 2}, {"n": 2}),
        ("stop", {"stop_sequences": ["a"]}, {}),
        ("skip_special_tokens", {"skip_special_tokens": False}, {}),
        ("structured_outputs", {"guided_regex": "a", "guided_json": {"type": "object"}}, {}),
        ("temperature", {"temperature": 0}, {}),
        ("seed", {"seed": 0}, {}),
        ("tools", {"tools": [{}], "functions": [{}]}, {}),
    ],
)
def test_what_is_dropped(name, body, left):
    """Under all the names that ask for the same; and refusing it finds the same."""
    assert prepare(body, Output(drop=(name,))).body == left
    with pytest.raises(FieldRefused):
        prepare(body, Output(refuse=(name,)))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("logprobs", {"logprobs": False}),
        ("logprobs", {"logprobs": None, "top_logprobs": None, "include": ["x"]}),
        ("echo", {"echo": False}),
        ("n", {"n": 1}),
        ("logit_bias", {"logit_bias": {}}),
        ("stop", {"stop": []}),
        ("skip_special_tokens", {"skip_special_tokens": True}),
        ("logprobs", {"include": "message.output_text.logprobs"}),
        ("priority", {"priority": 0}),
    ],
)
def test_what_says_nothing_passes(name, body):
    """SDKs write defaults out: that is no reason to refuse or to tell of it."""
    assert prepare(body, Output(drop=(name,))) == (body, ())
    assert prepare(body, Output(refuse=(name,))).body is body


def test_what_was_dropped_is_told_once():
    """By the fields' own names, in the policy's order."""
    body = {"top_logprobs": 2, "logprobs": True, "echo": True, "include": [INCLUDED]}
    made = prepare(body, Output(drop=("echo", "logprobs", "top_logprobs")))
    assert made == ({}, ("echo", "logprobs", "top_logprobs", INCLUDED))


def test_a_refusal_names_the_field_and_not_its_value():
    """The message is whole English, and carries nothing of the request."""
    with pytest.raises(FieldRefused) as caught:
        prepare({"logit_bias": {"50256": -100}}, Output(refuse=("logit_bias",)))
    assert caught.value.param == "logit_bias"
    assert caught.value.message.startswith("`logit_bias` (weights of single tokens")
    assert "50256" not in caught.value.message
    with pytest.raises(FieldRefused) as caught:
        prepare({"include": [INCLUDED]}, Output(refuse=("logprobs",)))
    assert (caught.value.param, INCLUDED in caught.value.message) == ("include", True)


@pytest.mark.parametrize(
    ("body", "is_allowed"),
    [
        ({}, True),
        ({"n": None}, True),
        ({"n": 2, "best_of": 2}, True),
        ({"n": 3}, False),
        ({"best_of": 3}, False),
        ({"n": "1"}, False),
        ({"n": 1.0}, False),
        ({"n": True}, False),
    ],
)
def test_choices(body, is_allowed):
    """Up to the bound, and integers only: what cannot be compared is no way around it."""
    if is_allowed:
        assert prepare(body, Output(choices_max=2)).body is body
    else:
        with pytest.raises(FieldRefused):
            prepare(body, Output(choices_max=2))


@pytest.mark.parametrize(
    ("asked", "made"), [(0, 0.2), (0.2, 0.2), (0.5, 0.5), (1, 1), (1.001, 1.0), (2, 1.0), (None, None), (10**400, 1.0)]
)
def test_temperature(asked, made):
    """What is outside is moved to the nearer end; what is inside is not touched, and none stays none."""
    body = {"temperature": asked}
    prepared = prepare(body, Output(temperature_milli=(200, 1000))).body
    assert prepared == {"temperature": made}
    assert (prepared is body) == (asked == made)
    assert prepare({}, Output(temperature_milli=(200, 1000))).body == {}


@pytest.mark.parametrize("asked", ["1", True, [1]])
def test_a_temperature_that_is_no_number(asked):
    """Is refused where there are bounds: a server may read it as one."""
    with pytest.raises(FieldRefused):
        prepare({"temperature": asked}, Output(temperature_milli=(0, 1000)))
    assert prepare({"temperature": asked}, Output()).body == {"temperature": asked}


def test_a_dropped_temperature_needs_no_bounds():
    """It is gone before it would be moved."""
    assert prepare({"temperature": 2}, Output(drop=("temperature",), temperature_milli=(0, 500))).body == {}


KEPT = Output(stored="own")


@pytest.mark.parametrize(
    ("body", "output", "made"),
    [
        ({}, Output(), {"store": False}),
        ({"store": None}, Output(), {"store": False}),
        ({"store": True}, Output(), {"store": False}),
        ({"store": True}, Output(stored="drop"), {"store": False}),
        ({}, Output(stored="refuse"), {"store": False}),
        (
            {"background": False, "previous_response_id": None},
            Output(),
            {"background": False, "previous_response_id": None, "store": False},
        ),
        ({"input": [{"type": "message", "id": "m", "content": []}]}, Output(), None),
    ],
)
def test_answers_are_not_kept(body, output, made):
    """Unless the policy says so, whatever the request asks for."""
    assert keep_stored(body, output) == ({**body, "store": False} if made is None else made)


@pytest.mark.parametrize(
    "body",
    [
        {"store": False},
        {"store": False, "input": "text"},
    ],
)
def test_what_is_not_kept_anyway_is_untouched(body):
    """The very same object."""
    assert keep_stored(body, Output()) is body


@pytest.mark.parametrize(
    "body", [{}, {"store": True}, {"previous_response_id": "r"}, {"input": [{"type": "item_reference", "id": "i"}]}]
)
def test_a_policy_that_keeps_answers_touches_nothing(body):
    """Whose they are is not this room's to know."""
    assert keep_stored(body, KEPT) is body


@pytest.mark.parametrize(
    ("body", "output", "param"),
    [
        ({"previous_response_id": "r"}, Output(), "previous_response_id"),
        ({"conversation": {"id": "c"}}, Output(stored="drop"), "conversation"),
        ({"input": ["x", {"type": "item_reference", "id": "i"}]}, Output(), "input[1]"),
        ({"input": [{"id": "i"}]}, Output(), "input[0]"),
        ({"store": True}, Output(stored="refuse"), "store"),
        ({"store": 1}, Output(), "store"),
        ({"background": True}, Output(), "background"),
        ({"background": True}, KEPT, "background"),
        ({"background": True}, Output(stored="own", background="refuse"), "background"),
        ({"background": True}, Output(background="charge"), "background"),
        ({"background": "true"}, Output(stored="own", background="charge"), "background"),
    ],
)
def test_what_needs_kept_answers_is_refused(body, output, param):
    """By the field that needs them, with what to do instead."""
    with pytest.raises(FieldRefused) as caught:
        keep_stored(body, output)
    assert caught.value.param == param


def test_background_answers_that_are_charged():
    """Pass where answers are kept, for they are asked for later."""
    body = {"background": True, "store": True}
    assert keep_stored(body, Output(stored="own", background="charge")) is body


def test_every_field_is_described():
    """Names are single words of JSON; each says what it asks for, in a phrase that fits into a message."""
    for name, field in FIELDS.items():
        assert name.isidentifier()
        assert 0 < len(field.what) < 100
        assert not field.what.endswith(".")
