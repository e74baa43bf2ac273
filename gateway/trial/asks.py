"""Requests that nobody sent: the ask that a policy test or a line of a trace stands for, judged by the wire's own code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.budgets.estimate import Estimator
from gateway.endpoints import TABLE
from gateway.errors import Refusal
from gateway.policy.model import Policy
from gateway.values import Ask, Caller
from gateway.wires import WIRES
from gateway.wires.base import BadField, Wire, asked

_MESSAGES: dict[str, Any] = {"messages": [{"role": "user", "content": "."}]}
_LEAST: dict[str, dict[str, Any]] = {
    "openai.chat": _MESSAGES,
    "anthropic.messages": {"max_tokens": 1024, **_MESSAGES},
    "anthropic.count": _MESSAGES,
    "openai.responses": {"input": "."},
    "openai.count": {"input": "."},
    "openai.completions": {"prompt": "."},
    "openai.embeddings": {"input": "."},
    "openai.moderations": {"input": "."},
}
"""The least that a request's body must say beside its model."""
_BOUND_BY = {"openai.responses": "max_output_tokens"}
"""The field that bounds the output; `max_tokens` where none stands here."""

WIRE_OF: Mapping[str, str] = {
    rule.name: rule.wire
    for methods in TABLE.values()
    for rule in methods.values()
    if rule.kind == "wire" and rule.wire in _LEAST
}
"""The wire of each endpoint that can be tried."""


class GivenTokens(Estimator):
    """Takes what an ask's `text_bytes` says for its tokens: whoever tries a policy says how many there are."""

    def input_tokens(self, model: str, text_bytes: int, media_tokens: int, *, tenant: str = "") -> int:
        return text_bytes + media_tokens

    def learn_input(self, model: str, text_bytes: int, media_tokens: int, input_tokens: int, *, tenant: str = "") -> None:
        return


def caller_of(policy: Policy, tenant: str, key: str = "") -> Caller:
    """A tenant's caller, by its first key where none is named; a tenant without keys has one without a name."""
    who = policy.tenants[tenant]
    return Caller(who.organisation, tenant, key or (who.keys[0].id if who.keys else ""), who.plan)


def make_ask(
    endpoint: str, model: str, *, input_tokens: int, max_tokens: int | None, user: str, fields: Mapping[str, Any]
) -> tuple[Wire, Ask]:
    """Raises Refusal (400) for fields that the wire does not take."""
    wire = WIRES[WIRE_OF[endpoint]]
    body = {"model": model, **_LEAST[wire.name]}
    if max_tokens is not None:
        body[_BOUND_BY.get(wire.name, "max_tokens")] = max_tokens
    if user:
        body |= {"metadata": {"user_id": user}} if wire.family == "anthropic" else {"user": user}
    body |= fields
    try:
        judged = wire.judge(body)
    except BadField as error:
        raise Refusal("invalid_request", error.message, status=400, param=error.param, reason="bad_field") from None
    return wire, asked(wire, body, judged._replace(media_tokens=0), text_bytes=input_tokens)
