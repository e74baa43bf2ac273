"""Lines: which counter a request meets, and with what amounts."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.budgets.limits import field, limit_views, lines, owner_key, plan_lines, tag
from gateway.budgets.meters import METERS
from gateway.budgets.windows import calendar_window
from gateway.policy.model import SCOPES
from gateway.values import ORDINARY, Caller, Limit, Standing
from tests.budgets.make import CALLER, IN_FLIGHT, MONTH, SECRET, TERMS, budget

NOW_US = 1_790_000_000_000_000
scopes = st.sets(st.sampled_from(SCOPES), min_size=1).map(lambda chosen: tuple(scope for scope in SCOPES if scope in chosen))
# Few letters, so that the same text turns up at different places.
names = st.text("ab:;1\ud800", max_size=3)


def made(*budgets, caller=CALLER, model="demo-1", user="", secret=SECRET, input_tokens=100, output_tokens=400):
    plan = plan_lines(budgets, caller, model, secret=secret)
    return lines(plan, input_tokens=input_tokens, output_tokens=output_tokens, terms=TERMS, now_us=NOW_US, end_user=user)


@given(st.lists(st.tuples(scopes, st.tuples(*[names] * 4)), min_size=2, max_size=2))
def test_counters_are_shared_only_by_the_same_scope_values(pair):
    """Two requests meet on one counter if, and only if, budget and all values of its scope are the same."""

    def counter(scope, values):
        tenant, key, model, user = values
        caller = Caller("solo", tenant.replace("\ud800", "x"), key.replace("\ud800", "x"), "open")
        line = made(budget(scope=scope), caller=caller, model=model, user=user)[0]
        all_values = {"organisation": "solo", "tenant": caller.tenant, "key": caller[1:3], "model": model, "user": user}
        return line.owner, tuple((name, all_values[name]) for name in scope)

    (one, one_values), (other, other_values) = (counter(*each) for each in pair)
    assert (one == other) is (one_values == other_values)


def test_one_organisation_is_one_slot_and_no_other_ones():
    """Every key carries the organisation's tag, and tells no name."""
    owners = [line.owner for line in made(*(budget(scope=(scope,)) for scope in SCOPES), user="alice@example.com")]
    assert all(re.fullmatch(rb"g1:\{%b\}:b:[0-9a-f]{20}" % tag("solo"), owner) for owner in owners)
    assert len({*owners, *(line.owner for line in made(budget(), caller=Caller("pair", *CALLER[1:])))}) == len(SCOPES) + 1


def test_planned_and_direct_keys_agree():
    """The key of a user's counter is the same whether planned ahead or made at once."""
    line = made(budget(scope=("tenant", "user")), user="alice")[0]
    assert line.owner == owner_key(tag("solo"), [("tenant", "acme"), ("user", "alice")], secret=SECRET)


def test_secret_hides_users_and_models_and_nothing_else():
    """A new secret gives users and models new counters; those of tenants and keys stay."""
    budgets = [budget(scope=(scope,)) for scope in SCOPES]
    old, new = made(*budgets, user="alice"), made(*budgets, user="alice", secret=b"another")
    changed = [scope for scope, before, after in zip(SCOPES, old, new) if before.owner != after.owner]
    assert changed == ["model", "user"]


def test_same_scope_shares_one_owner():
    """Budgets of one scope are in one hash, which makes the store's script cheap."""
    by_user = ("tenant", "user")
    budgets = [budget(), budget("b", meter="cost"), budget("c", scope=by_user), budget("d", scope=by_user)]
    assert [line.owner for line in made(*budgets)] == [made(budget())[0].owner] * 2 + [made(budgets[2])[0].owner] * 2


def test_field_knows_what_is_counted_but_not_the_limit():
    """A changed limit, burst, mode or model list keeps what was used; another name, meter, kind or window does not."""
    base = budget()
    same = [replace(base, limit=99, burst=500), replace(base, enforce=False), replace(base, models=("a*",))]
    assert {field(each) for each in same} == {field(base)}
    others = [
        budget("other"),
        budget(meter="cost"),
        budget(kind="rolling"),
        budget(period_s=61),
        budget(calendar="day"),
        budget(calendar="month"),
        budget(calendar="day", timezone="Asia/Tokyo"),
    ]
    fields = {field(each) for each in [base, *others]}
    assert len(fields) == len(others) + 1
    assert {len(each) for each in fields} == {8}


def test_shapes():
    """Each kind's `a`, `b`, `c` are what the store expects of it."""
    budgets = [budget(burst=50), budget(kind="rolling"), MONTH, IN_FLIGHT]
    start_us, end_us = calendar_window(NOW_US, "month", "UTC")
    assert [line[2:6] for line in made(*budgets)] == [
        ("bucket", 50, 10, 60_000_000),
        ("rolling", 10, 60_000_000, 0),
        ("calendar", 50_000_000, start_us, end_us),
        ("concurrency", 5, 0, 0),
    ]


def test_amounts_are_the_meters():
    """Each line holds its meter's worst case, and counts its certain part at once."""
    budgets = [budget(name, meter=name) for name in METERS]
    expected = [(meter.quote(100, 400, TERMS, ORDINARY), meter.certain(100, 400, TERMS, ORDINARY)) for meter in METERS.values()]
    assert [(line.amount, line.certain) for line in made(*budgets)] == expected


def test_views():
    """A caller sees the policy's limit, or the burst where `remaining` can be more."""
    budgets = [budget(burst=50), budget(burst=2), MONTH, IN_FLIGHT]
    standing = Standing(used=1, held=2, remaining=3, reset_us=4, wait_us=5)
    seen = limit_views(budgets, made(*budgets), [standing] * 4)
    assert seen[0] == Limit("ten-a-minute", "requests", 50, 1, 2, 3, 4, 5, 60, enforce=True)
    assert [(limit.limit, limit.window_s) for limit in seen] == [(50, 60), (10, 60), (50_000_000, 30 * 86_400), (5, 0)]
