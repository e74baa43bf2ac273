"""What becomes of a request that does not fit, through the whole gateway: it waits, or a smaller model answers; and pools."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from gateway.policy.keys import digest
from tests.e2e.test_contract import one
from tests.support import SECRET, Gateway, ModelServer, key, policies_of


def tenant(name: str, plan: str) -> str:
    return f'{name}: {{organisation: acme, plan: {plan}, keys: [{{id: {name}, hash: "hmac-sha256:{_hash(name)}"}}]}}'


def _hash(name: str) -> str:
    return digest(SECRET.encode(), key(name))


POLICY = f"""
version: 1
models:
  - {{match: "demo-*", max_output_tokens: 1000, price: {{input: 1 USD / 1M tokens, output: 10 USD / 1M tokens}}}}
organisations: {{acme: {{}}}}
plans:
  patient:
    budgets: [{{name: two-a-second, meter: requests, limit: 2, per: second, burst: 1, on_exceed: queue 5s}}]
  hasty:
    budgets: [{{name: one-an-hour, meter: requests, limit: 1, per: hour, on_exceed: queue 5s}}]
  smaller:
    budgets:
      - {{name: large, meter: requests, limit: 1, per: hour, models: [demo-large], on_exceed: downgrade demo-medium}}
      - {{name: medium, meter: requests, limit: 1, per: hour, models: [demo-medium], on_exceed: downgrade demo-small}}
      - {{name: small, meter: requests, limit: 1, per: hour, models: [demo-small]}}
  closed:
    models: [demo-large]
    budgets: [{{name: large, meter: requests, limit: 1, per: hour, on_exceed: downgrade demo-small}}]
tenants:
  {tenant("burst", "patient")}
  {tenant("tokens", "hasty")}
  {tenant("money", "smaller")}
  {tenant("free", "closed")}
"""


def chat(model: str = "demo-small", **fields: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}], **fields}


def test_requests_wait_for_room(fresh: Callable[..., Gateway]) -> None:
    """Four at once against two a second: all are answered, the last ones later; what would take an hour is refused at once."""
    with policies_of(POLICY) as path:
        gateway = fresh(policies=path)
        with ThreadPoolExecutor(4) as threads:
            statuses = list(threads.map(lambda _: one(gateway.url, "burst", chat())[0], range(4)))
        assert statuses == [200] * 4
        waits_us = sorted(gateway.record(number)["timings_us"]["hold"] for number in (1, 2, 3, 4))
        assert all(wait_us > 490_000 * place for place, wait_us in enumerate(waits_us))
        assert [one(gateway.url, "tokens", chat())[0] for _ in range(2)] == [200, 429]
        assert gateway.record(6)["reason"] == "budget:one-an-hour"


def test_a_smaller_model_answers(fresh: Callable[..., Gateway], model: ModelServer) -> None:
    """One step after the other, as long as each budget in the way names one; the answer and the record say which it was."""
    with policies_of(POLICY) as path:
        gateway = fresh(policies=path)
        seen = [one(gateway.url, "money", chat("demo-large")) for _ in range(4)]
        assert [status for status, _, _ in seen] == [200, 200, 200, 429]
        assert [headers.get("x-gauger-model") for _, headers, _ in seen[:3]] == [None, "demo-medium", "demo-small"]
        assert [body["model"] for _, _, body in seen[:3]] == ["demo-large", "demo-medium", "demo-small"]
        records = [gateway.record(number) for number in (1, 2, 3, 4)]
        assert [record.get("downgraded_to") for record in records] == [None, "demo-medium", "demo-small", "demo-small"]
        assert records[3]["reason"] == "budget:small"
        used = {name: row["used"] for name, row in gateway.usage("money", "--model", "demo-medium").items()}
        assert used == {"medium": 1}


def test_a_model_that_the_tenant_may_not_have_answers_nothing(fresh: Callable[..., Gateway]) -> None:
    """A budget that downgrades is no way around a plan's list of models: the refusal is the budget's."""
    with policies_of(POLICY) as path:
        gateway = fresh(policies=path)
        assert [one(gateway.url, "free", chat("demo-large"))[0] for _ in range(2)] == [200, 429]
        assert gateway.record(2)["reason"] == "budget:large"


def test_each_model_goes_to_its_upstream(fresh: Callable[..., Gateway], model: ModelServer, tmp_path: Path) -> None:
    """By the first pool that serves it; a dead server of a pool costs no request; the list shows what each pool serves."""
    other = ModelServer()
    policy = POLICY.replace(
        "organisations:",
        f"""
upstreams:
  small: {{urls: ["http://127.0.0.1:1", "{other.url}"], models: [demo-small]}}
  large: {{urls: ["{model.url}"], models: [demo-large, demo-none]}}
organisations:""",
        1,
    )
    try:
        with policies_of(policy) as path:
            gateway = fresh(policies=path)
            before = (len(model.seen), len(other.seen))
            assert [one(gateway.url, "burst", chat(name))[0] for name in ("demo-small", "demo-large", "demo-small")] == [
                200
            ] * 3
            assert (len(model.seen) - before[0], len(other.seen) - before[1]) == (1, 2)
            status, _, body = one(gateway.url, "burst", chat("demo-medium"))
            assert (status, body["error"]["code"]) == (404, "model_not_found")
            assert gateway.record(4)["reason"] == "model_not_served"
    finally:
        other.close()
