"""What a step of a ladder does to answers, and how a refusal reads, on every wire, streamed and whole, with the vendors' SDKs.

The demo model server's tokens are words, so every count can be made by hand.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple

import anthropic
import openai
import pytest

from gateway.policy.keys import digest
from gateway.values import Rung
from tests.e2e.test_matrix import EVERY, LENGTH, STOP, WORDS, say
from tests.e2e.test_watch import FAR_US, PROBLEM, place
from tests.support import SECRET, Gateway, ModelServer, eventually, key, policies_of, temporary_dir

STEPS = ("notice", "clamp", "strip", "blank", "filter", "slow", "refuse")
LADDER = """
    climb_every: 1m
    steps:
      - {name: notice, score: 50%}
      - {name: clamp, score: 55%, output: {max_tokens: 16}}
      - {name: strip, score: 60%, output: {drop: [logprobs], choices_max: 1, temperature: {max: 0.5}}}
      - {name: blank, score: 65%, output: {reasoning: blank}}
      - {name: filter, score: 70%, output: {filters: [{name: wood, literal: "rod of boxwood", action: mask, mask: "###"}]}}
      - {name: slow, score: 75%, output: {tokens_per_second: 400}}
      - {name: refuse, score: 80%, refuse: true}
"""
KINDS = ("marked", "silent", "shadow")


def policy() -> str:
    tenants = "".join(
        f"  {name}: {{organisation: acme, plan: p, ladder: {kind}, keys: [{{id: {name}, "
        f'hash: "hmac-sha256:{digest(SECRET.encode(), key(name))}"}}]}}\n'
        for kind in KINDS
        for step in STEPS
        for name in (f"{kind}-{step}",)
    )
    ladders = "".join(
        f"  {kind}:\n    mode: {'shadow' if kind == 'shadow' else 'enforce'}\n    marked: "
        f"{'false' if kind == 'silent' else 'true'}{LADDER}"
        for kind in KINDS
    )
    budget = "{name: out, meter: output_tokens, limit: 1M, per: day, window: calendar}"
    return (
        f"version: 1\nladders:\n{ladders}organisations: {{acme: {{}}}}\n"
        f"plans: {{p: {{budgets: [{budget}]}}}}\ntenants:\n{tenants}"
    )


@pytest.fixture(scope="module")
def gateway(model: ModelServer) -> Iterator[Gateway]:
    """Each tenant stands on the step of its ladder that it is called after."""
    with policies_of(policy()) as path, temporary_dir() as data:
        running = Gateway(path, model.url, data)
        place(data, *(Rung(f"{kind}-{step}", kind, step, 0, FAR_US) for kind in KINDS for step in STEPS))
        eventually(lambda: ask(running, "chat", "whole", "marked-refuse").status == 403)
        yield running
        running.close()


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str


PATHS = {"chat": "chat/completions", "completions": "completions", "responses": "responses", "messages": "messages"}


def ask(gateway: Gateway, wire: str, mode: str, tenant: str, **more: Any) -> Answer:
    """One request as it stands on the wire."""
    prompt: dict[str, Any] = {
        "chat": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 30},
        "completions": {"prompt": "Hi", "max_tokens": 30},
        "responses": {"input": "Hi", "max_output_tokens": 30},
        "messages": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 30},
    }[wire]
    body = {"model": "demo-small?tokens=40", "stream": mode == "stream", **prompt, **more}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key(tenant)}"}
    if wire == "messages":
        headers |= {"x-api-key": key(tenant), "anthropic-version": "2023-06-01"}
        del headers["Authorization"]
    request = urllib.request.Request(f"{gateway.url}/v1/{PATHS[wire]}", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return Answer(answer.status, lower(answer.headers), answer.read().decode())
    except urllib.error.HTTPError as error:
        return Answer(error.code, lower(error.headers), error.read().decode())


def lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@EVERY
def test_a_step_is_marked(gateway: Gateway, wire: str, mode: str) -> None:
    """By its name, in the headers, before the first byte of an answer; a ladder that says otherwise marks nothing; nor does one
    that only says what it would do. The answer is the model server's own."""
    for kind, mark in (("marked", "notice"), ("silent", None), ("shadow", None)):
        answer = ask(gateway, wire, mode, f"{kind}-notice")
        assert (answer.status, answer.headers.get("x-gauger-watch")) == (200, mark)
        said = say(gateway, wire, mode, f"{kind}-notice", "tokens=17", 40)
        assert said == (" ".join(WORDS[:17]), "", STOP[wire], 17)


@EVERY
def test_a_clamp_and_its_mark(gateway: Gateway, model: ModelServer, wire: str, mode: str) -> None:
    """Sixteen tokens, whether the model server obeys or has to be cut; told where the ladder is marked; in shadow what was
    asked for."""
    for kind in ("marked", "silent"):
        for script in ("tokens=40", "tokens=40&ignore_max=1"):
            said = say(gateway, wire, mode, f"{kind}-clamp", script, 30)
            assert said == (" ".join(WORDS[:16]), "", LENGTH[wire], 16)
    assert say(gateway, wire, mode, "shadow-clamp", "tokens=40", 30).output_tokens == 30
    told = [ask(gateway, wire, mode, f"{kind}-clamp").headers.get("x-gauger-max-tokens") for kind in KINDS]
    assert told == ["16", None, None]


STRIPPED = {
    "chat": {"logprobs": True, "top_logprobs": 3},
    "completions": {"logprobs": 3},
    "responses": {"top_logprobs": 3, "include": ["message.output_text.logprobs"]},
}


@EVERY
def test_a_strip_and_its_mark(gateway: Gateway, model: ModelServer, wire: str, mode: str) -> None:
    """Fields that tell more than the answer do not reach the model server; which went is told where the ladder is marked. A
    temperature is brought within bounds."""
    for kind in KINDS:
        answer = ask(gateway, wire, mode, f"{kind}-strip", temperature=1, **STRIPPED.get(wire, {}))
        assert answer.status == 200, answer.body
        sent = model.last().json
        if kind == "shadow":
            assert {name: sent[name] for name in STRIPPED.get(wire, {})} == STRIPPED.get(wire, {})
            assert sent["temperature"] == 1
            continue
        assert not {"logprobs", "top_logprobs"} & sent.keys()
        assert "message.output_text.logprobs" not in sent.get("include", [])
        assert sent["temperature"] == 0.5
        dropped = answer.headers.get("x-gauger-dropped", "")
        assert ("logprobs" in dropped) == (kind == "marked" and wire in STRIPPED)


@EVERY
def test_reasoning_is_blanked_by_a_step(gateway: Gateway, wire: str, mode: str) -> None:
    """Reasoning is not shown, and is charged; in shadow it is as it was."""
    if wire == "completions":
        return  # this API has no place for it
    for kind in ("marked", "silent"):
        before = gateway.usage(f"{kind}-blank")["out"]["used"]
        said = say(gateway, wire, mode, f"{kind}-blank", "tokens=15&reasoning=7", 40)
        assert (said.text, said.reasoning, said.finish) == (" ".join(WORDS[:8]), "", STOP[wire])
        assert gateway.usage(f"{kind}-blank")["out"]["used"] - before == 15
    assert say(gateway, wire, mode, "shadow-blank", "tokens=15&reasoning=7", 40).reasoning != ""


@EVERY
def test_filters_and_pace_of_a_step(gateway: Gateway, wire: str, mode: str) -> None:
    """What a step masks does not leave, and a paced answer is the same answer."""
    for step in ("filter", "slow"):
        said = say(gateway, wire, mode, f"marked-{step}", "tokens=15", 40)
        assert "a ### and" in said.text
        assert "boxwood" not in said.text
        assert (said.finish, said.output_tokens) == (STOP[wire], 15)
        assert "boxwood" in say(gateway, wire, mode, f"shadow-{step}", "tokens=15", 40).text


@EVERY
def test_a_refusal_is_the_wires_own(gateway: Gateway, model: ModelServer, wire: str, mode: str) -> None:
    """403 in the vendor's own body, also where a stream was asked for; the registered problem type in a header; not a word of
    what was noticed, nor of a step. The SDK raises what it raises for a permission. Nothing reached the model server."""
    before = len(model.seen)
    for kind in ("marked", "silent"):
        answer = ask(gateway, wire, mode, f"{kind}-refuse")
        assert (answer.status, answer.headers["x-gauger-problem"]) == (403, PROBLEM)
        assert answer.headers["content-type"].startswith("application/json")
        assert "retry-after" not in answer.headers
        tree = json.loads(answer.body)
        if wire == "messages":
            assert tree["type"] == "error"
            assert tree["error"]["type"] == "permission_error"
            assert set(tree) <= {"type", "error", "request_id"}
        else:
            assert tree["error"].keys() == {"message", "type", "param", "code"}
            assert (tree["error"]["code"], tree["error"]["type"]) == ("abnormal_usage_detected", "invalid_request_error")
        told = tree["error"]["message"]
        assert not {word for word in ("generator", "template", "score", "cluster", "ladder", "step", "refuse") if word in told}
        assert answer.headers.get("x-gauger-watch") == ("refuse" if kind == "marked" else None)
        with pytest.raises((openai.PermissionDeniedError, anthropic.PermissionDeniedError)):
            say(gateway, wire, mode, f"{kind}-refuse", "tokens=15", 40)
    assert len(model.seen) == before
    assert ask(gateway, wire, mode, "shadow-refuse").status == 200
