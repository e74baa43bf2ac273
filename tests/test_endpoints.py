"""What the table of endpoints lets through, and what it cannot be talked into."""

import pytest

from gateway.endpoints import TABLE, family_of, route
from gateway.errors import Refusal
from gateway.policy.model import DEFAULT_ENDPOINTS, ENDPOINTS
from gateway.wires import WIRES


def test_plans_can_name_every_endpoint_and_no_other() -> None:
    """What a policy may list is what exists."""
    names = {rule.name for methods in TABLE.values() for rule in methods.values()}
    assert names == set(ENDPOINTS)
    assert set(DEFAULT_ENDPOINTS) <= names


def test_every_wire_is_reached() -> None:
    """No endpoint without its wire, and no wire without its endpoint."""
    routed = {rule.wire for methods in TABLE.values() for rule in methods.values() if rule.kind in ("wire", "form")}
    assert set(WIRES) - routed == set()
    assert routed <= set(WIRES)


@pytest.mark.parametrize(
    ("path", "item"),
    [
        ("/v1/models/demo-small", "demo-small"),
        ("/v1/models/meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B"),
        ("/v1/models/ft%3Agpt-4", "ft%3Agpt-4"),
        ("/v1/responses/resp_abc-1", "resp_abc-1"),
    ],
)
def test_ids_in_paths(path: str, item: str) -> None:
    """An id is taken as it came."""
    assert route("GET", path, "openai").item == item


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/models/", "/v1/models/a//b", "/v1/models/../files", "/v1/models/a/../b", "/v1/models/a/", "/v1/models/%2e%2e"),
        *("/v1/responses/a/b", "/v1/responses/{id}", "/v1/responses/a%2Fb", "/v1/models/{id}", "/v1/responses/", "/v1//models"),
        *(
            "/v1/models/.hidden",
            "/v1/models/a..b",
            "/v1/models/" + "a" * 300,
            "/v1/responses/a/cancel/",
            "/V1/models",
            "/models",
        ),
        *(
            "/v1/fine_tuning/jobs",
            "/v1/files/file-1/content/",
            "/v1/batches/b/output",
            "/v1/chat/completions/id",
            "/v1/assistants",
            "*",
        ),
    ],
)
def test_what_no_rule_names_is_refused(path: str) -> None:
    """404 in the vendor's words, for paths that look like known ones too."""
    with pytest.raises(Refusal) as refused:
        route("GET", path, "openai")
    assert (refused.value.status, refused.value.reason) == (404, "unknown_path")


def test_methods() -> None:
    """Another method on a known path is a 405 that says which are allowed."""
    with pytest.raises(Refusal, match="Not allowed to PUT on /v1/responses/resp_1: use GET or DELETE"):
        route("PUT", "/v1/responses/resp_1", "openai")


def test_families() -> None:
    """The path tells whose errors to write; where both vendors have it, the client's headers do."""
    assert family_of({}, "/v1/messages/count_tokens?beta=true") == "anthropic"
    assert family_of({"anthropic-version": "2023-06-01"}, "/v1/models/claude") == "anthropic"
    assert family_of({}, "/v1/models/gpt") == "openai"
    assert family_of({}, "/v1/messages/unknown") == "anthropic"
