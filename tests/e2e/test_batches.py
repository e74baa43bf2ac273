"""Batches of messages by the vendor's SDK: charged when submitted, curbed in each request, and nobody's but their maker's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from tests.e2e.tenants import anthropic_of, policy_of, serving
from tests.support import Gateway, ModelServer

DAY = "per: day, window: calendar"
BUDGETS = (
    f"""[{{name: requests, meter: requests, limit: 10, {DAY}}}, {{name: out, meter: output_tokens, limit: 1000, {DAY}}}]"""
)
PLANS = f"""
  batch: {{endpoints: [messages, messages/batches], budgets: {BUDGETS}}}
  plain: {{}}
  curbed: {{endpoints: [messages/batches], budgets: {BUDGETS}, output: {{max_tokens: 20, drop: [stop], refuse: [tools]}}}}
  blank: {{endpoints: [messages/batches], output: {{reasoning: blank}}}}
  shorten:
    endpoints: [messages/batches]
    budgets: [{{name: out, meter: output_tokens, limit: 100, {DAY}, on_exceed: shorten}}]
"""
TENANTS = {
    **dict.fromkeys(("one", "other", "many", "long"), "batch"),
    **{name: name for name in ("plain", "curbed", "blank", "shorten")},
}


@pytest.fixture(scope="module")
def gateway(model: ModelServer) -> Iterator[Gateway]:
    with serving(policy_of(PLANS, TENANTS), model) as running:
        yield running


def requests(*max_tokens: int, **more: Any) -> Any:
    return [
        {
            "custom_id": f"r{at}",
            "params": {
                "model": "demo-small?tokens=5",
                "max_tokens": most,
                "messages": [{"role": "user", "content": "Hi"}],
                **more,
            },
        }
        for at, most in enumerate(max_tokens)
    ]


def used(gateway: Gateway, tenant: str) -> dict[str, int]:
    return {name: row["used"] for name, row in gateway.usage(tenant).items()}


def test_a_batch(gateway: Gateway, model: ModelServer) -> None:
    """Submitted, it is charged each request at its max_tokens; then it is its tenant's to ask for, to read and to take back."""
    asks = anthropic_of(gateway, "one")
    made = asks.messages.batches.create(requests=requests(30, 50))
    assert made.request_counts.processing == 2
    assert used(gateway, "one") == {"requests": 2, "out": 80}
    ended = asks.messages.batches.retrieve(made.id)
    assert (ended.processing_status, ended.results_url) == ("ended", f"/v1/messages/batches/{made.id}/results")
    results = list(asks.messages.batches.results(made.id))
    assert [(each.custom_id, each.result.type) for each in results] == [("r0", "succeeded"), ("r1", "succeeded")]
    assert model.last().target.endswith("/results")
    assert model.last().header("x-api-key") == "upstream-secret"
    assert asks.messages.batches.cancel(made.id).id == made.id
    assert asks.messages.batches.delete(made.id).id == made.id
    assert used(gateway, "one") == {"requests": 2, "out": 80}


def test_nobody_elses(gateway: Gateway, model: ModelServer) -> None:
    """An id opens nothing for another tenant of the same organisation, and the model server is not even asked."""
    made = anthropic_of(gateway, "one").messages.batches.create(requests=requests(1))
    batches, asked = anthropic_of(gateway, "other").messages.batches, len(model.seen)
    for ask in (batches.retrieve, batches.cancel, batches.delete, batches.results):
        with pytest.raises(anthropic.NotFoundError, match="No batch of yours"):
            ask(made.id)
    with pytest.raises(anthropic.NotFoundError):
        batches.retrieve("msgbatch_unknown")
    assert len(model.seen) == asked
    with pytest.raises(anthropic.APIStatusError) as refused:
        list(batches.list())
    assert refused.value.status_code == 405


def test_budgets_end(gateway: Gateway, model: ModelServer) -> None:
    """What does not fit is a 429 when it is submitted, whole: no part of it goes up or is charged."""
    asked = len(model.seen)
    with pytest.raises(anthropic.RateLimitError, match="requests per day"):
        anthropic_of(gateway, "many").messages.batches.create(requests=requests(*[1] * 11))
    with pytest.raises(anthropic.RateLimitError, match="output tokens per day"):
        anthropic_of(gateway, "long").messages.batches.create(requests=requests(501, 500))
    assert len(model.seen) == asked
    assert (used(gateway, "many"), used(gateway, "long")) == ({"requests": 0, "out": 0}, {"requests": 0, "out": 0})


def test_plans_must_name_them(gateway: Gateway) -> None:
    """A plan that names no endpoints has no batches."""
    with pytest.raises(anthropic.PermissionDeniedError, match="messages/batches is not allowed"):
        anthropic_of(gateway, "plain").messages.batches.create(requests=requests(1))


def test_output_policies_reach_in(gateway: Gateway, model: ModelServer) -> None:
    """In each request max_tokens is lowered and fields are dropped; one that must not be there refuses all, and is named."""
    batches = anthropic_of(gateway, "curbed").messages.batches
    answer = batches.with_raw_response.create(requests=requests(10, 400, stop_sequences=["x"]))
    assert (answer.headers["x-gauger-max-tokens"], answer.headers["x-gauger-dropped"]) == ("20", "stop_sequences")
    sent = [each["params"] for each in model.last().json["requests"]]
    assert [each["max_tokens"] for each in sent] == [10, 20]
    assert all("stop_sequences" not in each for each in sent)
    assert used(gateway, "curbed") == {"requests": 2, "out": 30}
    bad = [*requests(1), *requests(1, tools=[{"name": "f", "input_schema": {"type": "object"}}])]
    with pytest.raises(anthropic.BadRequestError, match=r"requests\[1\].*tools"):
        batches.create(requests=bad)


def test_edited_answers_have_no_batches(gateway: Gateway) -> None:
    """Results would come around the policy that blanks reasoning."""
    with pytest.raises(anthropic.BadRequestError, match="batches are not possible here"):
        anthropic_of(gateway, "blank").messages.batches.create(requests=requests(1))


def test_shortened(gateway: Gateway, model: ModelServer) -> None:
    """Where a budget says shorten, each request is shortened to what fits."""
    anthropic_of(gateway, "shorten").messages.batches.create(requests=requests(90, 90))
    assert [each["params"]["max_tokens"] for each in model.last().json["requests"]] == [50, 50]
    assert used(gateway, "shorten") == {"out": 100}


def test_two_models(gateway: Gateway) -> None:
    """Budgets are a model's: a batch names one."""
    mixed = requests(1, 1)
    mixed[1]["params"]["model"] = "demo-large"
    with pytest.raises(anthropic.BadRequestError, match="same model"):
        anthropic_of(gateway, "one").messages.batches.create(requests=mixed)
