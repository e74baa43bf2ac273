"""What the demo server knows of its paths: who writes their answers, what bodies must have, and which models there are."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from gateway.demo import anthropic, completions, responses
from gateway.demo.script import MODELS

WIRES: dict[str, ModuleType] = {
    **dict.fromkeys(("/v1/messages", "/v1/messages/count_tokens", "/v1/messages/batches"), anthropic),
    "/v1/responses": responses,
    "/v1/completions": completions,
}
"""By path; all others write as chat completions do, if only their errors."""
SAID = {
    "/v1/completions": "prompt",
    **dict.fromkeys(("/v1/images/generations", "/v1/images/edits"), "prompt"),
    **dict.fromkeys(("/v1/audio/transcriptions", "/v1/audio/translations"), "file"),
    "/v1/images/variations": "image",
    "/v1/messages/batches": "requests",
    **dict.fromkeys(
        ("/v1/responses", "/v1/responses/input_tokens", "/v1/embeddings", "/v1/moderations", "/v1/audio/speech"), "input"
    ),
}
"""By path: the field that must be there; everywhere else it is `messages`."""
NAMELESS = ("/v1/moderations", "/v1/messages/batches")
"""Paths whose bodies need name no model."""
TELLTALES = {
    "server": "demo",
    "set-cookie": "upstream=secret",
    "openai-organization": "org-upstream-secret",
    "anthropic-organization-id": "org-upstream-secret",
    "x-ratelimit-remaining-requests": "31337",
    "anthropic-ratelimit-requests-remaining": "31337",
}
"""Headers of the kind a gateway must keep to itself: a test that finds one of these values downstream has found a leak."""
CREATED = 1_760_000_000


def models(*, is_anthropic: bool) -> dict[str, Any]:
    """The list of models, as either vendor writes it."""
    data: list[dict[str, Any]]
    if is_anthropic:
        when = "2026-01-01T00:00:00Z"
        data = [{"type": "model", "id": name, "display_name": name, "created_at": when} for name in MODELS]
        return {"data": data, "has_more": False, "first_id": data[0]["id"], "last_id": data[-1]["id"]}
    data = [{"id": name, "object": "model", "created": CREATED, "owned_by": "demo"} for name in MODELS]
    return {"object": "list", "data": data}
