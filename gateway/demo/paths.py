"""What the demo server knows of its paths: who writes their answers, and what their bodies must have."""

from __future__ import annotations

from types import ModuleType

from gateway.demo import anthropic, completions, responses

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
