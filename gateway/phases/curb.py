"""What of an ask the output policy lets through: fields taken out or refused, bounds lowered. The request's side of a policy.

Failure policy: what the policy refuses is a 400 that names the field, before anything is held or counted. What it takes out
or lowers is told in headers of the answer (`notes`).
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.errors import Refusal
from gateway.output.clamp import limit_of
from gateway.output.fields import FieldRefused, keep_stored, prepare
from gateway.policy.model import Output
from gateway.values import Ask
from gateway.wires.base import Wire

KEEPS_ANSWERS = "openai.responses"
"""The wire whose answers a model server may keep and be asked for again."""


class Curbed(NamedTuple):
    ask: Ask
    """As it will be forwarded, but for its limit."""
    limit: int | None
    """The most output tokens of one choice, where the policy allows fewer than were asked for; None: what was asked stands."""
    dropped: tuple[str, ...]
    """Fields that were taken out."""


def curb(ask: Ask, wire: Wire, output: Output, model_tokens_max: int) -> Curbed:
    """Apply what `output` says to a request. Raises Refusal (invalid_request, 400)."""
    try:
        prepared = prepare(ask.body, output)
        body = keep_stored(prepared.body, output) if ask.wire == KEEPS_ANSWERS else prepared.body
    except FieldRefused as refused:
        raise Refusal(
            "invalid_request",
            refused.message,
            status=400,
            param=refused.param,
            code="field_not_allowed",
            reason="output_policy",
        ) from None
    if body is not ask.body:
        judged = wire.judge(body)
        ask = ask._replace(body=body, output_tokens_max=judged.output_tokens_max, choices=judged.choices)
    return Curbed(ask, limit_of(ask.output_tokens_max, model_tokens_max, output), prepared.dropped)


def at_model(ask: Ask, model: str) -> Ask:
    """The same ask of another model: a budget that was in its way downgrades it."""
    return ask._replace(model=model, body={**ask.body, "model": model})


def notes(limit: int | None, dropped: tuple[str, ...], downgraded_to: str) -> list[tuple[str, str]]:
    """What was changed in the request, as headers of its answer."""
    headers = []
    if limit is not None:
        headers.append(("x-gauger-max-tokens", str(limit)))
    if dropped:
        headers.append(("x-gauger-dropped", ", ".join(dropped)))
    if downgraded_to:
        headers.append(("x-gauger-model", downgraded_to))
    return headers
