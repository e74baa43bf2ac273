"""Budgets of every scope, meter and window bite through the whole gateway, and are charged what the upstream reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.policy.keys import digest
from tests.e2e.test_contract import one
from tests.support import SECRET, Gateway, eventually, key, policies_of

POLICY = f"""
version: 1
models:
  - {{match: "demo-*", max_output_tokens: 1000, price: {{input: 1 USD / 1M tokens, cached_input: 0.1 USD / 1M tokens,
     output: 10 USD / 1M tokens}}}}
organisations:
  acme: {{}}
plans:
  users:
    budgets: [{{name: a-user, meter: requests, limit: 1, per: hour, scope: [tenant, user]}}]
  models:
    budgets: [{{name: a-model, meter: requests, limit: 1, per: hour, scope: [tenant, model], window: rolling}}]
  days:
    budgets: [{{name: today, meter: total_tokens, limit: 100, per: day, window: calendar, timezone: Pacific/Auckland}}]
  input:
    budgets:
      - {{name: input, meter: input_tokens, limit: 1000, per: hour, window: rolling}}
      - {{name: money, meter: cost, limit: 1 USD, per: month, window: calendar}}
tenants:
  burst: {{organisation: acme, plan: users, keys: [{{id: b, hash: "hmac-sha256:{digest(SECRET.encode(), key("burst"))}"}}]}}
  tokens: {{organisation: acme, plan: models, keys: [{{id: t, hash: "hmac-sha256:{digest(SECRET.encode(), key("tokens"))}"}}]}}
  money: {{organisation: acme, plan: days, keys: [{{id: m, hash: "hmac-sha256:{digest(SECRET.encode(), key("money"))}"}}]}}
  free: {{organisation: acme, plan: input, keys: [{{id: f, hash: "hmac-sha256:{digest(SECRET.encode(), key("free"))}"}}]}}
"""


@pytest.fixture
def gateway(fresh: Callable[..., Gateway]) -> Iterator[Gateway]:
    with policies_of(POLICY) as path:
        yield fresh(policies=Path(path))


def chat(model: str = "demo-small", **fields: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}], **fields}


def test_each_end_user_has_a_counter(gateway: Gateway) -> None:
    """And those who name none share one."""
    asked = [chat(user="ann"), chat(user="ann"), chat(user="bob"), chat(), chat()]
    assert [one(gateway.url, "burst", body)[0] for body in asked] == [200, 429, 200, 200, 429]
    assert gateway.usage("burst", "--user", "ann")["a-user"]["used"] == 1
    assert gateway.usage("burst", "--user", "eve")["a-user"]["used"] == 0
    assert "ann" not in gateway.log_path.read_text()


def test_each_model_has_a_counter(gateway: Gateway) -> None:
    """A rolling window by model."""
    asked = [chat("demo-a"), chat("demo-a"), chat("demo-b")]
    answers = [one(gateway.url, "tokens", body) for body in asked]
    assert [status for status, _, _ in answers] == [200, 429, 200]
    assert 3_500_000 < int(float(answers[1][1]["retry-after"]) * 1000) <= 3_670_000  # an hour, and the slot's minute
    assert answers[1][1]["x-should-retry"] == "false"


def test_a_calendar_day_elsewhere(gateway: Gateway) -> None:
    """What does not fit in the rest of the day is refused until its end, and what was not used comes back."""
    assert one(gateway.url, "money", chat("demo-small?tokens=3&input_tokens=20"))[0] == 200
    status, headers, body = one(gateway.url, "money", chat(max_tokens=45))
    assert (status, body["error"]["code"]) == (429, "insufficient_quota")
    assert 0 < int(headers["retry-after"]) <= 86_400
    eventually(lambda: gateway.usage("money")["today"]["used"] == 23)
    reset_at = gateway.usage("money")["today"]["reset_at"]
    assert reset_at[11:] in ("11:00:00Z", "12:00:00Z")  # midnight in Auckland


def test_cached_input_is_cheap_and_does_not_count(gateway: Gateway) -> None:
    """By default it costs the cached price, and nothing of input_tokens."""
    assert one(gateway.url, "free", chat("demo-small?tokens=4&input_tokens=100&cached=60"))[0] == 200
    eventually(lambda: gateway.usage("free")["input"]["held"] == 0)
    usage = gateway.usage("free")
    assert usage["input"]["used"] == 40
    assert usage["money"]["used"] == 40 * 1000 + 60 * 100 + 4 * 10_000
    assert gateway.record()["cost_nano_usd"] == usage["money"]["used"]


def test_choices_multiply_the_bound(gateway: Gateway) -> None:
    """n answers of max_tokens each must fit; the larger of two aliases counts."""
    assert one(gateway.url, "money", chat(max_tokens=10, n=20))[0] == 429
    assert one(gateway.url, "money", chat(max_tokens=1, max_completion_tokens=200))[0] == 429
    assert one(gateway.url, "money", chat(max_tokens=10, n=2))[0] == 200


def test_no_max_tokens_means_the_models(gateway: Gateway) -> None:
    """1,000 tokens of the model's own do not fit in a day of 100."""
    body = chat()
    del body["max_tokens"]
    status, headers, answer = one(gateway.url, "money", body)
    assert (status, headers["x-should-retry"]) == (429, "false")
    assert "more than the budget allows at all" in answer["error"]["message"]
