"""What answers may be, of several levels put together: which word is obeyed, and the laws of putting together."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import PolicyErrors
from gateway.policy.load import load_dir
from gateway.policy.model import DEFAULT_ENDPOINTS, NO_OUTPUT, Filter, Output, Place, Watermark
from gateway.policy.outputs import effective_output, over, stricter
from gateway.policy.resolve import Effective, resolve

SCALARS = ("max_tokens", "min_tokens", "hold_ahead", "choices_max", "tokens_per_second")
NOON_US = 1_800_000_000_000_000
NAMES = ("echo", "logit_bias", "logprobs", "top_logprobs")


def filter_of(name: str, literal: str, line: int) -> Filter:
    return Filter(name, literal, "", "mask", "***", Place("p.yaml", line))


limits = st.none() | st.integers(1, 5)
filters = st.dictionaries(st.sampled_from("fgh"), st.tuples(st.sampled_from("xy"), st.integers(1, 2)), max_size=3).map(
    lambda by_name: tuple(filter_of(name, *rest) for name, rest in sorted(by_name.items()))
)
fates = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["drop", "refuse"]))


@st.composite
def outputs(draw: st.DrawFn) -> Output:
    """What one level can say: as `load` makes it."""
    fate = draw(fates)
    reasoning = draw(st.sampled_from([None, "keep", "shorten", "blank"]))
    output = Output(
        **{word: draw(limits) for word in SCALARS},
        drop=tuple(sorted(name for name in fate if fate[name] == "drop")),
        refuse=tuple(sorted(name for name in fate if fate[name] == "refuse")),
        temperature_milli=draw(
            st.none() | st.tuples(st.integers(0, 4), st.integers(0, 4)).map(lambda ends: (min(ends), max(ends)))
        ),
        reasoning=reasoning,
        reasoning_chars=draw(st.integers(1, 3)) if reasoning == "shorten" else 0,
        thinks_first=draw(st.booleans()),
        filters=draw(filters),
        watermark=draw(st.none() | st.builds(Watermark, st.integers(1, 2), st.integers(1, 2), st.integers(300, 301))),
        background=draw(st.sampled_from([None, "charge", "refuse"])),
        stored=draw(st.sampled_from([None, "own", "drop", "refuse"])),
    )
    return draw(st.sampled_from([output, NO_OUTPUT]))


@given(outputs(), outputs(), outputs())
def test_stricter_is_a_least_upper_bound(a: Output, b: Output, c: Output) -> None:
    """Neither order nor grouping nor repetition changes what holds; who says nothing changes nothing."""
    assert stricter(a, b) == stricter(b, a)
    assert stricter(stricter(a, b), c) == stricter(a, stricter(b, c))
    assert stricter(a, a) == stricter(a, dataclasses.replace(a)) == a
    assert stricter(a, NO_OUTPUT) == a


def allows_no_more(a: Output, b: Output) -> bool:
    """Whether whatever passes `a` passes `b`, word by word."""
    order = {"reasoning": [None, "keep", "shorten", "blank"], "background": [None, "charge", "refuse"]}
    order["stored"] = [None, "own", "drop", "refuse"]
    ranks = all(words.index(getattr(a, word)) >= words.index(getattr(b, word)) for word, words in order.items())
    bounds = all(
        getattr(b, word) is None or (getattr(a, word) is not None and getattr(a, word) <= getattr(b, word))
        for word in SCALARS
        if word != "min_tokens"
    )
    heat = b.temperature_milli is None or (a.temperature_milli is not None and a.temperature_milli[1] <= b.temperature_milli[1])
    fields = {*a.refuse} >= {*b.refuse} and {*a.refuse, *a.drop} >= {*b.drop}
    return ranks and bounds and heat and fields and (a.min_tokens or 0) >= (b.min_tokens or 0) and {*a.filters} >= {*b.filters}


@given(outputs(), outputs(), outputs())
def test_stricter_never_allows_more(a: Output, b: Output, c: Output) -> None:
    """What is put on top only takes away, and a level that allows less leaves less."""
    both = stricter(a, b)
    assert allows_no_more(both, a)
    assert allows_no_more(both, b)
    assert allows_no_more(stricter(both, c), stricter(a, c))


@given(outputs(), outputs())
def test_temperatures_that_both_allow(a: Output, b: Output) -> None:
    """A temperature inside of both ranges stays inside, and none outside of either gets in where they meet."""
    both, ranges = stricter(a, b).temperature_milli, [x.temperature_milli for x in (a, b) if x.temperature_milli is not None]
    for heat in range(5):
        inside = all(least <= heat <= most for least, most in ranges)
        if both is None or inside:
            assert inside
            assert both is None or both[0] <= heat <= both[1]
    if both is not None:
        assert both[0] <= both[1]


@given(outputs(), outputs())
def test_over_obeys_the_special_level(general: Output, special: Output) -> None:
    """Each word is the special level's where it says it, and else the general one's."""
    merged = over(general, special)
    for field in dataclasses.fields(Output):
        said, rest = getattr(special, field.name), getattr(general, field.name)
        if field.name == "reasoning_chars":
            said, rest = (said, rest) if special.reasoning else (0, rest)
            expected = said if special.reasoning else rest
        else:
            expected = rest if said in (None, (), False) else said
        if field.name in ("drop", "refuse") and not said:
            expected = tuple(name for name in rest if name not in (*special.drop, *special.refuse))
        assert getattr(merged, field.name) == expected, field.name


@given(outputs(), outputs())
def test_over_is_its_own_identity(a: Output, b: Output) -> None:
    """Saying the same again, or nothing, changes nothing."""
    assert over(a, NO_OUTPUT) == over(NO_OUTPUT, a) == over(a, a) == a
    assert over(over(a, b), b) == over(a, b)


@given(st.lists(outputs(), min_size=5, max_size=5))
def test_nothing_is_dropped_and_refused(levels: list[Output]) -> None:
    """Whoever applies an output policy need not ask which of the two lists comes first."""
    actual = effective_output(levels[:3], levels[3:])
    assert {*actual.drop} & {*actual.refuse} == set()


@given(st.lists(outputs(), min_size=5, max_size=5))
def test_the_most_special_watermark(levels: list[Output]) -> None:
    """Key, tenant, plan, then model rule and organisation: whose mark is set, all its words are."""
    marks = [level.watermark for level in (*reversed(levels[:3]), *levels[3:])]
    assert effective_output(levels[:3], levels[3:]).watermark == next((mark for mark in marks if mark), None)


def test_nobody_says_anything() -> None:
    """The usual policy costs a few comparisons: nothing is made."""
    assert effective_output((NO_OUTPUT,) * 3, (NO_OUTPUT,) * 2) is NO_OUTPUT


def test_ranges_that_do_not_meet() -> None:
    """The lower range's end holds, whichever level it is of."""
    low, high = Output(temperature_milli=(0, 200)), Output(temperature_milli=(800, 1000))
    assert stricter(low, high).temperature_milli == stricter(high, low).temperature_milli == (200, 200)


POLICY = """version: 1
models:
  - match: thinker
    output: {thinks_first: true, max_tokens: 300, reasoning: blank}
organisations:
  acme:
    output: {max_tokens: 400, refuse: [logprobs], filters: [{name: name, literal: Project Zeppelin, action: cut}]}
plans:
  free:
    endpoints: ["chat/*", models]
    output: {max_tokens: 500, hold_ahead: 64, drop: [logprobs, echo], reasoning: shorten, reasoning_chars: 80}
  open: {}
tenants:
  plain:
    organisation: acme
    plan: free
    keys: [{id: p, hash: "hmac-sha256:0000000000000000000000000000000000000000000000000000000000000001"}]
  special:
    organisation: acme
    plan: free
    output: {max_tokens: 600, drop: [seed]}
    keys:
      - id: s
        hash: "hmac-sha256:0000000000000000000000000000000000000000000000000000000000000002"
        output: {max_tokens: 100, reasoning: keep, watermark: {}}
"""


@pytest.fixture(scope="module")
def effective(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str, str], Effective]:
    directory = tmp_path_factory.mktemp("policy")
    (directory / "p.yaml").write_text(POLICY)
    policy = load_dir(directory)

    def of(tenant: str, key_id: str, model: str) -> Effective:
        return resolve(policy, organisation="acme", tenant=tenant, key_id=key_id, model=model, now_us=NOON_US)

    return of


def test_levels(effective: Callable[[str, str, str], Effective]) -> None:
    """A tenant raises its plan's limit as far as its organisation lets it; what the organisation refuses stays refused."""
    plain = effective("plain", "p", "any").output
    assert (plain.max_tokens, plain.hold_ahead, plain.reasoning, plain.reasoning_chars) == (400, 64, "shorten", 80)
    assert (plain.drop, plain.refuse, [each.name for each in plain.filters]) == (("echo",), ("logprobs",), ["name"])
    special = effective("special", "", "any").output
    assert (special.max_tokens, special.drop, special.refuse, special.watermark) == (400, ("seed",), ("logprobs",), None)
    key = effective("special", "s", "any").output
    assert (key.max_tokens, key.reasoning, key.watermark) == (100, "keep", Watermark(2000, 250, 4096))


def test_a_model_rule_is_put_on_top(effective: Callable[[str, str, str], Effective]) -> None:
    """What a model's rule says holds for every tenant that asks for the model, beside what else holds for it."""
    key = effective("special", "s", "thinker").output
    assert (key.max_tokens, key.reasoning, key.thinks_first) == (100, "blank", True)
    assert effective("plain", "p", "thinker").output.max_tokens == 300


def test_endpoints_are_the_plans(tmp_path: Path) -> None:
    """What a plan names, and where it names none, what is counted by tokens or harmless."""
    (tmp_path / "p.yaml").write_text("version: 1\nplans: {open: {}, few: {endpoints: [chat/*, models]}}\n")
    plans = load_dir(tmp_path).plans
    assert (plans["open"].endpoints, plans["few"].endpoints) == (DEFAULT_ENDPOINTS, ("chat/*", "models"))


DAMAGED = b"""version: 1
plans:
  free:
    endpoints: [chat/*, models]
    output:
      max_tokens: 500
      min_tokens: 50
      drop: [logprobs]
      refuse: [echo]
      temperature: {min: 0.25, max: 1}
      reasoning: shorten
      reasoning_chars: 80
      filters: [{name: a, literal: "x", mask: ""}, {name: b, pattern: "[a-z]+x", action: cut}]
      watermark: {bias: 2.5, share: 0.5, vocabulary: 1k}
      background: charge
      stored: own
    budgets: [{name: b, meter: upload_bytes, limit: 20MB, per: day, on_exceed: reject}]
"""


@given(
    st.integers(0, len(DAMAGED) - 1),
    st.integers(0, 8),
    st.binary(max_size=6) | st.sampled_from([b"[", b"{}", b": ", b"[]", b"-1", b"0.5", b'"', b"(", b"\\", b"\n  "]),
)
@settings(max_examples=300, deadline=None)
def test_a_damaged_output_is_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, at: int, cut: int, patch: bytes
) -> None:
    """With any few bytes replaced it loads, or raises PolicyErrors in printable words: never another exception."""
    directory = tmp_path_factory.mktemp("damaged")
    (directory / "p.yaml").write_bytes(DAMAGED[:at] + patch + DAMAGED[at + cut :])
    message = ""
    try:
        load_dir(directory)
    except PolicyErrors as errors:
        message = str(errors) or "no mistake is named \0"
    assert message.replace("\n", "").isprintable()
