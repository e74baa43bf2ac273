"""What tests by SDK share: a policy of one organisation's tenants, a gateway under it, and the vendors' clients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import anthropic
import openai

from gateway.policy.keys import digest
from tests.support import SECRET, Gateway, ModelServer, key, policies_of, temporary_dir

_clients: list[anthropic.Anthropic | openai.OpenAI] = []


def policy_of(plans: str, tenants: Mapping[str, str], more: str = "") -> str:
    """`plans`: YAML indented by two; `tenants`: each with its plan; `more`: whole sections."""
    written = "".join(
        f"  {name}: {{organisation: acme, plan: {plan}, keys: "
        f'[{{id: {name}-1, hash: "hmac-sha256:{digest(SECRET.encode(), key(name))}"}}]}}\n'
        for name, plan in tenants.items()
    )
    return f"version: 1\norganisations: {{acme: {{}}}}\n{more}plans:\n{plans}\ntenants:\n{written}"


@contextmanager
def serving(policy: str, model: ModelServer, *flags: str) -> Iterator[Gateway]:
    """A gateway with counters of its own. Clients that were made meanwhile are closed with it."""
    with policies_of(policy) as path, temporary_dir() as data:
        running = Gateway(path, model.url, data, *flags)
        try:
            yield running
        finally:
            while _clients:
                _clients.pop().close()
            running.close()


def openai_of(gateway: Gateway, tenant: str, timeout: float = 60) -> openai.OpenAI:
    made = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key(tenant), max_retries=0, timeout=timeout)
    _clients.append(made)
    return made


def anthropic_of(gateway: Gateway, tenant: str, timeout: float = 60) -> anthropic.Anthropic:
    made = anthropic.Anthropic(base_url=gateway.url, api_key=key(tenant), max_retries=0, timeout=timeout)
    _clients.append(made)
    return made


def used(gateway: Gateway, tenant: str) -> dict[str, int]:
    return {name: row["used"] for name, row in gateway.usage(tenant).items() if row["used"]}
