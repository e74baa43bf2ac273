"""What of an ask the output policy lets through: fields taken out or refused, bounds lowered. The request's side of a policy.

Failure policy: what the policy refuses is a 400 that names the field, before anything is held or counted. What it takes out
or lowers is told in headers of the answer (`notes`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gateway.errors import Refusal
from gateway.output.clamp import limit_of
from gateway.output.fields import FieldRefused, Prepared, keep_stored, prepare
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


BATCHES = "anthropic.batches"
"""The wire whose bodies hold many requests."""


FILES = "openai.files"
"""The wire of files that hold requests: each line was curbed before."""
FILED = "openai.batches"
"""The wire of batches whose requests lie in such a file."""


def curb(ask: Ask, wire: Wire, output: Output, model_tokens_max: int) -> Curbed:
    """Apply what `output` says to a request. Raises Refusal (invalid_request, 400)."""
    try:
        prepared = prepare(ask.body, output) if ask.wire != BATCHES else _prepare_each(ask.body, output)
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
    if ask.wire == FILED:
        return Curbed(ask._replace(body=body), None, prepared.dropped)
    if body is not ask.body:
        judged = wire.judge(body)
        ask = ask._replace(body=body, output_tokens_max=judged.output_tokens_max, choices=judged.choices)
    return Curbed(ask, limit_of(ask.output_tokens_max, model_tokens_max, output), prepared.dropped)


def _prepare_each(body: dict[str, Any], output: Output) -> Prepared:
    """As `prepare`, in each request of a batch. Raises FieldRefused, and where answers are edited: results come without us."""
    if output.filters or output.reasoning in ("blank", "shorten"):
        raise FieldRefused("requests", "batches are not possible here: answers are edited for you, and a batch's cannot be")
    dropped: dict[str, None] = {}
    requests = []
    for index, request in enumerate(body["requests"]):
        try:
            prepared = prepare(request["params"], output)
        except FieldRefused as refused:
            path = f"requests[{index}].params.{refused.param}"
            raise FieldRefused(path, f"requests[{index}]: {refused.message}") from None
        dropped |= dict.fromkeys(prepared.dropped)
        requests.append(request if prepared.body is request["params"] else {**request, "params": prepared.body})
    is_changed = any(after is not before for after, before in zip(requests, body["requests"]))
    return Prepared({**body, "requests": requests} if is_changed else body, tuple(dropped))


def at_model(ask: Ask, model: str) -> Ask:
    """The same ask of another model: a budget that was in its way downgrades it."""
    if ask.wire == BATCHES:
        requests = [{**request, "params": {**request["params"], "model": model}} for request in ask.body["requests"]]
        return ask._replace(model=model, body={**ask.body, "requests": requests})
    return ask._replace(model=model, body={**ask.body, "model": model})


def as_usual(
    asked: Ask, wire: Wire, output: Output, model_tokens_max: int, *, limit: int | None, dropped: tuple[str, ...]
) -> tuple[int | None, tuple[str, ...]]:
    """Of a limit and of fields that were taken out, what `output` alone would have come to: the rest is not to be told."""
    usual = curb(asked, wire, output, model_tokens_max)
    return limit if limit == usual.limit else None, tuple([name for name in dropped if name in usual.dropped])


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
