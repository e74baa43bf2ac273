"""Refusals: the budget that is named, the wait that is true, the sentence that tells it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.budgets.limits import lines, plan_lines
from gateway.budgets.refusals import duration, refusal, worst
from gateway.values import Extent, Standing
from tests.budgets.make import CALLER, IN_FLIGHT, MONTH, SECRET, TERMS, budget

NOW_US = 1_795_000_000_000_000  # 18 November 2026


EXTENT = Extent(upload_bytes=3_000_000, audio_seconds=90, images=4)


def refused(*pairs, model="demo-1", output_tokens=400, floor_tokens=None):
    budgets = [each for each, _ in pairs]
    plan = plan_lines(budgets, CALLER, model, secret=SECRET)
    made = lines(plan, input_tokens=100, output_tokens=output_tokens, terms=TERMS, now_us=NOW_US, end_user="", extent=EXTENT)
    standings = [standing for _, standing in pairs]
    return refusal(budgets, made, standings, model=model, tenant="acme", floor_tokens=floor_tokens)


def full(used: int, wait_us: int, held: int = 0) -> Standing:
    return Standing(used, held, 0, 0, wait_us)


@pytest.mark.parametrize(
    ("made", "standing", "kind", "retry_after_ms", "message"),
    [
        (
            budget(), full(10, 6_000_000), "rate_limit", 6_000,
            "Rate limit reached for demo-1 in tenant acme on requests per min (RPM) [budget ten-a-minute]: "
            "Limit 10, Used 10, Requested 1. Please try again in 6s.",
        ),
        (
            budget("out", meter="output_tokens", limit=1_000, burst=2_000), full(900, 24_000_001, 800), "rate_limit", 24_001,
            "Rate limit reached for demo-1 in tenant acme on output tokens per min [budget out]: "
            "Limit 1000 (burst 2000), Used 1700, Requested 400. Please try again in 24.001s. "
            "Requests that still run hold 800 of it.",
        ),
        (
            budget("out", meter="output_tokens", limit=1_000), full(0, 12_000_000, 800), "rate_limit", 1_000,
            "Rate limit reached for demo-1 in tenant acme on output tokens per min [budget out]: "
            "Limit 1000, Used 800, Requested 400. Please try again in 1s. Requests that still run hold 800 of it.",
        ),
        (
            IN_FLIGHT, full(0, 1_000_000, held=5), "rate_limit", 1_000,
            "Rate limit reached for demo-1 in tenant acme on concurrent requests [budget in-flight]: "
            "Limit 5, Used 5, Requested 1. Please try again in 1s.",
        ),
        (
            MONTH, full(47_000_000, 1_036_800_000_000), "quota", 1_036_800_000,
            "You exceeded your current quota for demo-1 in tenant acme on USD per month [budget month]: "
            "Limit 0.05 USD, Used 0.047 USD, Requested 0.004125 USD. It resets at 2026-12-01T00:00:00Z.",
        ),
        (
            budget("out", meter="output_tokens", limit=300), full(0, -1), "rate_limit", None,
            "Request too large for demo-1 in tenant acme on output tokens per min [budget out]: "
            "Limit 300, Requested 400. This is more than the budget allows at all: ask for less.",
        ),
        (
            budget("pictures", meter="images"), full(9, 18_000_000), "rate_limit", 18_000,
            "Rate limit reached for demo-1 in tenant acme on images per min [budget pictures]: "
            "Limit 10, Used 9, Requested 4. Please try again in 18s.",
        ),
        (
            budget("sent", meter="upload_bytes", limit=10**7, calendar="day"), full(9_000_000, 1), "quota", 1,
            "You exceeded your current quota for demo-1 in tenant acme on uploaded bytes per day [budget sent]: "
            "Limit 10000000, Used 9000000, Requested 3000000. It resets at 2026-11-19T00:00:00Z.",
        ),
        (
            budget("heard", meter="audio_seconds", limit=60, period_s=3600), full(0, -1), "rate_limit", None,
            "Request too large for demo-1 in tenant acme on seconds of audio per hour [budget heard]: "
            "Limit 60, Requested 90. This is more than the budget allows at all: ask for less.",
        ),
        (
            budget("day", period_s=86_400, kind="rolling"), full(10, 3_723_000_000), "quota", 3_723_000,
            "You exceeded your current quota for demo-1 in tenant acme on requests per day (RPD) [budget day]: "
            "Limit 10, Used 10, Requested 1. Please try again in 1h2m3s.",
        ),
    ],
)  # fmt: skip
def test_messages(made, standing, kind, retry_after_ms, message):
    """A refusal says whose limit it is, what it allows, what is used, what was asked, and when it would fit."""
    got = refused((made, standing), output_tokens=400)
    assert (got.kind, got.status, got.side, got.retry_after_ms, got.message) == (kind, 429, "tenant", retry_after_ms, message)
    assert (got.meter, got.reason) == (made.meter, f"budget:{made.name}")


@pytest.mark.parametrize(
    ("made", "wait_us", "kind"),
    [
        (budget(), 60_000_000, "rate_limit"),
        (budget(), 60_000_001, "rate_limit"),
        (budget(meter="cost"), 60_000_000, "rate_limit"),
        (budget(meter="cost"), 60_000_001, "quota"),
        (budget(period_s=86_400), 60_000_000, "rate_limit"),
        (budget(period_s=86_400), 60_000_001, "quota"),
        (budget(period_s=86_400), -1, "quota"),
        (budget(calendar="day"), 1, "quota"),
        (MONTH, -1, "quota"),
        (IN_FLIGHT, 1_000_000, "rate_limit"),
    ],
)
def test_kinds(made, wait_us, kind):
    """A quota is what waiting a minute does not mend: a calendar window, money, or a window of a day or more."""
    assert refused((made, full(10, wait_us))).kind == kind


def test_names_the_budget_that_keeps_the_caller_longest():
    """Never comes before any wait, a longer wait before a shorter one; a shadow budget is never named."""
    waits = [("short", 1, True), ("long", 9, True), ("never", -1, True), ("never-2", -1, True), ("shadow", -1, False)]
    pairs = [(budget(name, enforce=enforce), full(0, wait_us)) for name, wait_us, enforce in waits]
    assert refused(*pairs).reason == "budget:never"
    assert refused(pairs[0], pairs[1], pairs[4]).reason == "budget:long"


def test_a_refusal_below_the_floor_says_so():
    """Where the request might have been shortened, the message tells why it was not."""
    out = budget("out", meter="output_tokens", limit=1_000, on_exceed="shorten")
    message = refused((out, full(990, 24_000_000)), floor_tokens=16).message
    assert message == (
        "Rate limit reached for demo-1 in tenant acme on output tokens per min [budget out]: "
        "Limit 1000, Used 990, Requested 400. Please try again in 24s. Not even 16 output tokens fit."
    )


def test_store_that_gives_no_wait():
    """Should the store refuse and give no reason, the budget nearest to its limit is named, not none."""
    pairs = [(budget("wide"), Standing(1, 0, 9, 0, 0)), (budget("tight"), Standing(10, 0, 0, 0, 0))]
    assert refused(*pairs).reason == "budget:tight"


def test_nothing_enforced_refuses_nothing():
    """A refusal without an enforced budget is a bug, and is told as one."""
    with pytest.raises(ValueError):
        worst([], [], [])


@given(st.text(max_size=300))
def test_message_is_one_printable_line(model):
    """Nothing in a model's name can forge a line of a log or of a terminal."""
    message = refused((budget(), full(10, 6_000_000)), model=model).message
    assert message.isprintable()
    assert len(message) < 500


@given(st.integers(1, 40 * 86_400 * 10**6))
def test_durations_are_never_early(wait_us):
    """Read back, a duration is at least the wait, and at most a millisecond (from a minute on: a second) more."""
    text, total = duration(wait_us), 0.0
    if text.endswith("ms"):
        total = int(text[:-2]) / 1000
    else:
        for unit, unit_s in (("h", 3600), ("m", 60), ("s", 1)):
            head, found, rest = text.partition(unit)
            if found:
                total, text = total + float(head) * unit_s, rest
    wait_s = wait_us / 1e6
    assert wait_s - 1e-6 <= total <= wait_s + (0.0011 if wait_s <= 60 else 1.001)


def test_durations_read_as_vendors_write_them():
    """As in `x-ratelimit-reset`."""
    waits = (11_001, 999_001, 1_574_000, 59_999_001, 360_000_000, 93_603_000_000)
    assert [duration(wait_us) for wait_us in waits] == ["12ms", "1s", "1.574s", "1m0s", "6m0s", "26h0m3s"]
