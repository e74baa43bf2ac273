"""The parts of `make suites` that decide something: what a type can be answered with, and what counts as a pass."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import openai.types.chat
import openai.types.responses
import pytest
from anthropic.types import Message
from openai._models import validate_type

BENCH = Path(__file__).parent.parent / "bench"
sys.path[:0] = [str(BENCH), str(BENCH / "suites")]

import sdk_suites  # noqa: E402
from mock_api import of_body  # noqa: E402
from sample import sample  # noqa: E402


@pytest.mark.parametrize("kind", [openai.types.chat.ChatCompletion, openai.types.responses.Response, Message])
def test_a_sample_is_what_its_type_says(kind: Any) -> None:
    """The SDK's own strict validation takes it, and its optional fields are filled."""
    made = validate_type(type_=kind, value=sample(kind))
    assert type(made) is kind
    assert [name for name, value in made if value is None] == []


def row(**changes: Any) -> dict[str, Any]:
    return {"method": "POST", "path": "/v1/x", "query": "a=1", "headers": {"x-a": ["1"]}, "body": {"n": 1}} | changes


def got(status: int = 200, refused_by: str = "", **more: Any) -> dict[str, Any]:
    answer = {"method": "POST", "target": "/v1/x?a=1", "headers": ["content-type"], "refused_by": refused_by}
    return {"outcome": "passed", "answers": [answer | {"status": status, "sha256": "s"}]} | more


def test_what_passes_both_ways_is_compared() -> None:
    """Query, headers and body of each request, and the body of its answer: what differs is named."""
    other = got()
    other["answers"][0]["sha256"] = "t"
    sent = row(query="a=2", headers={"x-a": ["2"], "host": ["h"]}, body={"n": 1, "m": 2})
    verdict = sdk_suites.judge({"t": got()}, {"t#1": row()}, {"t": other}, {"t#1": sent})
    assert (verdict.through, verdict.failed, verdict.requests) == ({"t"}, {}, 1)
    assert set(verdict.changed) == {"request: query", "request: header x-a", "request: body, field m added", "answer: body"}


def test_a_refusal_by_rule_is_no_pass_and_no_failure() -> None:
    """Only one that the gateway itself gave, and that is meant; anything else that fails on its way is a failure."""
    refusal = {"code": "unknown_url", "message": "Unknown request URL: POST /v1/x."}
    by_rule = got(404, "tenant", outcome="failed", refusal=refusal)
    theirs = got(404, "upstream", outcome="failed", refusal=refusal, error="NotFoundError")
    unmeant = got(400, "tenant", outcome="failed", refusal={"code": None, "message": "stream: must be true"}, error="Bad")
    missing: dict[str, Any] = {}
    results = {"rule": by_rule, "theirs": theirs, "unmeant": unmeant, "missing": missing}
    direct = {name: got() for name in results} | {"broken": got(outcome="failed"), "offline": got()}
    seen = {f"{name}#1": row() for name in [*results, "broken"]}
    verdict = sdk_suites.judge(direct, seen, results, {})
    assert verdict.direct == set(results)
    assert verdict.unasked == {"broken"}
    assert verdict.through == set()
    assert verdict.refused == {sdk_suites.RULES["unknown_url"]: ["POST /v1/x"]}
    assert set(verdict.failed) == {"theirs", "unmeant", "missing"}


def test_bodies_of_one_meaning_are_equal() -> None:
    """JSON however it is written, and multipart whatever its boundary."""
    assert of_body(b'{"a": 1, "b": 2}', "application/json") == of_body(b'{"b":2,"a":1}', "application/json; charset=utf-8")
    first = of_body(b"--one\r\n\r\nx\r\n--one--", "multipart/form-data; boundary=one")
    assert first == of_body(b"--two\r\n\r\nx\r\n--two--", 'multipart/form-data; boundary="two"')
    assert first != of_body(b"--two\r\n\r\ny\r\n--two--", "multipart/form-data; boundary=two")
