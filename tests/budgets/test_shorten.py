"""How much output fits: never a token more than the store would hold, and never one less."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, example, given
from hypothesis import strategies as st

from gateway.budgets.limits import lines, plan_lines
from gateway.budgets.meters import METERS, Terms
from gateway.budgets.shorten import TOKENS_MAX, affordable_output, extension, with_output
from gateway.policy.model import Price
from gateway.store.local import LocalLedger
from gateway.values import Extent, Reserved, Standing
from tests.budgets.make import CALLER, IN_FLIGHT, MONTH, PRICE, SECRET, TERMS, budget

NOW_US = 1_795_000_000_000_000
METERED = sorted(name for name in METERS if name != "concurrency")
prices = st.integers(0, 10**11)
terms = st.builds(Terms, st.none() | st.builds(Price, prices, prices, prices, prices), st.booleans())
extents = st.builds(Extent, *[st.integers(0, 50)] * 5)
sizes = st.integers(0, 10**5)
counts = st.integers(1, 8)
limits = st.integers(1, 10**4) | st.integers(1, 10**12)
metered = st.lists(
    st.builds(
        lambda meter, limit, kind, enforce: (meter, {"limit": limit, "kind": kind, "enforce": enforce}),
        st.sampled_from(METERED),
        limits,
        st.sampled_from(["bucket", "rolling"]),
        st.integers(0, 4).map(bool),
    ),
    min_size=1,
    max_size=5,
).map(lambda made: [budget(f"b{i}", meter=meter, **fields) for i, (meter, fields) in enumerate(made)] + [IN_FLIGHT])


def quoted(budgets, input_tokens, output_tokens, terms, extent):
    plan = plan_lines(budgets, CALLER, "demo-1", secret=SECRET)
    return lines(
        plan, input_tokens=input_tokens, output_tokens=output_tokens, terms=terms, now_us=NOW_US, end_user="", extent=extent
    )


def at_once(call):
    """A call of the local ledger, which waits for nothing."""
    try:
        call.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the local ledger has waited")


class Store:
    """A ledger whose clock stands still."""

    def __init__(self):
        self.ledger = LocalLedger(now_us=lambda: NOW_US)

    def reserve(self, hold_id, lines) -> Reserved:
        return at_once(self.ledger.reserve(hold_id, b"t", lines, lease_us=10**7))

    def extend(self, hold_id, lines) -> Reserved:
        return at_once(self.ledger.extend(hold_id, b"t", lines, lease_us=10**7))

    def use(self, lines, amounts):
        """Post amounts, into debt where they are more than the limits."""
        free = [line._replace(enforce=False) for line in lines]
        self.reserve(b"used", free)
        at_once(self.ledger.settle(b"used", b"t", free, amounts))


@given(st.data(), metered, sizes, st.integers(1, 10**6), counts, terms, extents)
def test_what_is_affordable_is_what_the_store_holds(data, budgets, input_tokens, asked, choices, terms, extent):
    """Of a refused request, the affordable bound is admitted and one token more is not; 0: not even one token is."""
    store = Store()
    made = quoted(budgets, input_tokens, asked * choices, terms, extent)
    amounts = [data.draw(st.integers(0, 2 * line.a)) if line.kind != "concurrency" else 0 for line in made]
    store.use(made, amounts)
    refused = store.reserve(b"h", made)
    assume(not refused.admitted)
    known = {"input_tokens": input_tokens, "choices": choices, "terms": terms, "extent": extent}
    fits = affordable_output(budgets, made, refused.standings, **known)
    assert 0 <= fits < asked
    assert not store.reserve(b"h", quoted(budgets, input_tokens, (fits + 1) * choices, terms, extent)).admitted
    if fits:
        assert store.reserve(b"h", quoted(budgets, input_tokens, fits * choices, terms, extent)).admitted


@given(st.data(), metered, sizes, sizes, st.integers(0, 10**4), terms, extents)
def test_an_extension_is_what_the_store_holds(data, budgets, input_tokens, held, room, terms, extent):
    """Of a refused extension, what is told to fit is admitted, and one token more is not; debt takes nothing away."""
    store = Store()
    asked = quoted(budgets, input_tokens, held, terms, extent)
    # What is held fits all of them, and leaves at most `room` tokens of one.
    budgets = [
        replace(each, limit=line.amount + each.limit, burst=line.amount + each.limit) for each, line in zip(budgets, asked)
    ]
    budgets.append(budget("out", meter="output_tokens", limit=held + room + 1))
    made = quoted(budgets, input_tokens, held, terms, extent)
    assert store.reserve(b"h", made).admitted
    known = {"input_tokens": input_tokens, "terms": terms, "extent": extent}
    store.use(made, [0 if x.kind == "concurrency" else data.draw(st.integers(0, 2 * (x.a - x.amount))) for x in made])
    wanted = held + room + 2
    refused = store.extend(b"h", with_output(budgets, made, output_tokens=wanted, **known))
    assert not refused.admitted
    fits = extension(budgets, made, refused.standings, held_tokens=held, **known)
    assert held <= fits < wanted
    assert not store.extend(b"h", with_output(budgets, made, output_tokens=fits + 1, **known)).admitted
    assert store.extend(b"h", with_output(budgets, made, output_tokens=fits, **known)).admitted


@given(metered, sizes, sizes, sizes, terms, extents)
def test_lines_with_another_output_are_those_of_a_new_quote(budgets, input_tokens, before, after, terms, extent):
    """Nothing has to be planned anew to know what a longer or shorter answer may cost."""
    made = quoted(budgets, input_tokens, before, terms, extent)
    changed = with_output(budgets, made, input_tokens=input_tokens, output_tokens=after, terms=terms, extent=extent)
    assert changed == quoted(budgets, input_tokens, after, terms, extent)


@given(st.integers(0, 10**9), st.integers(0, 10**9), counts)
@example(input_tokens=7, remaining=7, choices=1)
def test_total_tokens_leave_what_the_input_does_not_take(input_tokens, remaining, choices):
    """A budget of both gives the output what is left beside the input, shared by all choices."""
    budgets = [budget(meter="total_tokens", limit=10**9)]
    made = quoted(budgets, input_tokens, 10**10, TERMS, Extent())
    standings = [Standing(0, 0, remaining, 0, 0)]
    fits = affordable_output(budgets, made, standings, input_tokens=input_tokens, choices=choices, terms=TERMS, extent=Extent())
    assert fits == max(0, remaining - input_tokens) // choices


def test_money_is_rounded_as_it_is_quoted():
    """At 10 USD a million tokens and a millionth of a nano-USD a token more, the last token is not given away."""
    paid = Terms(replace(PRICE, output=10_000_000_001), counts_cached_input=False)
    made = quoted([MONTH], 0, 10**9, paid, Extent())
    remaining = 50_000 * 10_000  # 50,000 tokens cost a twentieth of a nano-USD more than this
    fits = affordable_output(
        [MONTH], made, [Standing(0, 0, remaining, 0, 0)], input_tokens=0, choices=1, terms=paid, extent=Extent()
    )
    assert fits == 49_999


def test_what_is_free_has_no_bound():
    """A model without a price takes nothing of a cost budget, however long it answers."""
    free = Terms(None, counts_cached_input=False)
    made = quoted([MONTH, IN_FLIGHT], 10, 10, free, Extent())
    standings = [Standing(0, 0, 0, 0, 0), Standing(0, 0, 1, 0, 0)]
    fits = affordable_output([MONTH, IN_FLIGHT], made, standings, input_tokens=10, choices=2, terms=free, extent=Extent())
    assert fits == TOKENS_MAX


def test_budgets_that_no_shorter_answer_fits():
    """Requests, input and concurrency that are used up leave room for no output at all."""
    for made in (budget(), budget(meter="input_tokens"), IN_FLIGHT):
        standings = [Standing(0, 0, 0, 0, 0)]
        asked = quoted([made], 5, 10, TERMS, Extent())
        assert affordable_output([made], asked, standings, input_tokens=5, choices=1, terms=TERMS, extent=Extent()) == 0
