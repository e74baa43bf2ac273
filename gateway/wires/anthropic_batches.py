"""Anthropic's batches of messages: many requests in one, answered within a day. What is judged in them.

Fields: https://docs.anthropic.com/en/api/creating-message-batches. Nobody is there when a batch ends, so what was quoted is
charged when it is submitted: every request at its max_tokens.

All requests of a batch name one model: budgets, prices and the plan's models are the model's. A bound counts for each request,
so a batch is quoted as so many answers of its largest max_tokens; `asked_tokens` tells what its requests ask for together.
"""

from __future__ import annotations

from typing import Any

import orjson

from gateway.values import Ask, Extent
from gateway.wires.anthropic_messages import AnthropicMessages
from gateway.wires.base import BadField, Judged, asked
from gateway.wires.plain import Plain

REQUESTS_MAX = 10_000
_MESSAGES = AnthropicMessages()


class AnthropicBatches(Plain):
    name = "anthropic.batches"
    family = "anthropic"
    charges_quote = True
    many = "requests"
    """Where the requests are; each has its body under `params`."""

    def judge(self, body: dict[str, Any]) -> Judged:
        """Read what the gateway judges in every request; what it does not name is the upstream's to judge. Raises BadField."""
        requests = body.get("requests")
        if type(requests) is not list or not 0 < len(requests) <= REQUESTS_MAX:
            raise BadField("requests", f"requests: must be a list of 1 to {REQUESTS_MAX} requests.")
        each = [_judge(request, f"requests[{index}]") for index, request in enumerate(requests)]
        model = each[0].model
        for index, judged in enumerate(each):
            if judged.model != model:
                path = f"requests[{index}].params.model"
                raise BadField(path, f"{path}: all requests of a batch must name the same model here.")
        return Judged(
            model=model,
            media_base64_bytes=sum(judged.media_base64_bytes for judged in each),
            media_tokens=sum(judged.media_tokens for judged in each),
            output_tokens_max=max(judged.output_tokens_max or 0 for judged in each),
            choices=len(each),
            is_stream=False,
            wants_usage=False,
            end_user="",
            extent=Extent(requests=len(each)),
        )

    def clamp(self, body: dict[str, Any], limit: int) -> dict[str, Any]:
        """As for messages, in each request."""
        requests = [_clamped(request, limit) for request in body["requests"]]
        if all(lowered is request for lowered, request in zip(requests, body["requests"])):
            return body
        return {**body, "requests": requests}


def message_of(request: dict[str, Any]) -> Ask:
    """One request of a judged body, as if it had come by itself."""
    params = request["params"]
    judged = _MESSAGES.judge(params)
    return asked(_MESSAGES, params, judged, text_bytes=len(orjson.dumps(params)) - judged.media_base64_bytes)


def asked_tokens(body: dict[str, Any], limit: int | None = None) -> int:
    """Output tokens that the requests of a judged body ask for together, each at most `limit`."""
    asked = (request["params"]["max_tokens"] for request in body["requests"])
    return sum(asked) if limit is None else sum(min(each, limit) for each in asked)


def moved(body: dict[str, Any]) -> dict[str, Any]:
    """An answer about a batch, whose results are to be had from where the batch was asked for: SDKs follow the URL in it, and
    would take the tenant's key to the model server. A path is enough: they put their own base before it."""
    if body.get("results_url") is None or type(body.get("id")) is not str:
        return body
    return {**body, "results_url": f"/v1/messages/batches/{body['id']}/results"}


def _judge(request: Any, path: str) -> Judged:
    if type(request) is not dict or type(request.get("params")) is not dict:
        raise BadField(path, f"{path}: must be an object with 'custom_id' and 'params'.")
    try:
        judged = _MESSAGES.judge(request["params"])
    except BadField as error:
        path = f"{path}.params."
        raise BadField(path + error.param, path + error.message) from None
    if judged.is_stream:
        raise BadField(f"{path}.params.stream", f"{path}.params.stream: answers of a batch are not streamed: leave it out.")
    return judged


def _clamped(request: dict[str, Any], limit: int) -> dict[str, Any]:
    params = _MESSAGES.clamp(request["params"], limit)
    return request if params is request["params"] else {**request, "params": params}
