"""The watch at every way in: the vendors' SDKs, a real store, a real analyst, and what becomes evidence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.tenants import anthropic_of, openai_of, policy_of, serving
from tests.e2e.test_evidence import exported, verified
from tests.e2e.test_watch import watch
from tests.support import Gateway, ModelServer, eventually
from tests.watch.make import generator, honest

COUNT = 60
PLANS = """
  p: {endpoints: [chat/completions, messages, messages/batches, files, batches, realtime, images/*, audio/speech, embeddings]}
"""
TENANTS = dict.fromkeys(("alone", "claude", "filed", "talks", "honest", "large", "other"), "p")
MORE = """models: [{match: "*", max_output_tokens: 100}]
watch: {ladder: slow}
ladders: {slow: {mode: shadow, steps: [{name: notice, score: 90%, notify: true}]}}
"""


@pytest.fixture(scope="module")
def gateway(model: ModelServer) -> Iterator[Gateway]:
    with serving(policy_of(PLANS, TENANTS, MORE), model, "--analyst", "inside") as running:
        yield running


def judged(gateway: Gateway) -> dict[str, dict[str, Any]]:
    return {row["subject"]: row for row in json.loads(watch(gateway, "list", "--all", "--json").stdout or "[]")}


def scores(gateway: Gateway, tenant: str, requests: int) -> dict[str, int]:
    """Of each profile, once so many requests have been judged, or all but the last few: less than a sixteenth may wait."""

    def is_there() -> bool:
        return judged(gateway).get(tenant, {}).get("requests", 0) > requests - requests / 16 - 1

    eventually(is_there, 90)
    return {profile: score for profile, score, *_ in judged(gateway)[tenant]["findings"]}


def submit(gateway: Gateway, tenant: str, bodies: list[dict[str, Any]]) -> None:
    """As a batch of messages."""
    requests: Any = [{"custom_id": f"r{at}", "params": body} for at, body in enumerate(bodies)]
    anthropic_of(gateway, tenant).messages.batches.create(requests=requests)


def file_up(gateway: Gateway, tenant: str, bodies: list[dict[str, Any]]) -> str:
    """As a file of requests, and a batch of it."""
    asked = openai_of(gateway, tenant)
    lines = [
        {"custom_id": f"r{at}", "method": "POST", "url": "/v1/chat/completions", "body": body} for at, body in enumerate(bodies)
    ]
    raw = b"\n".join(json.dumps(line).encode() for line in lines)
    file = asked.files.create(file=("requests.jsonl", raw), purpose="batch").id
    return asked.batches.create(input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h").id


def test_an_attack_looks_the_same_whichever_way_it_comes(gateway: Gateway) -> None:
    """Self-instruct's prompts one by one, as a batch of messages and as a file: one score. In a session: the same profile. And
    an honest batch beside them is none."""
    bodies = [generator(number) for number in range(COUNT)]
    asked = openai_of(gateway, "alone")
    for body in bodies:
        asked.chat.completions.create(**body)
    submit(gateway, "claude", bodies)
    file_up(gateway, "filed", bodies)
    submit(gateway, "honest", [honest(number) for number in range(COUNT)])
    with openai_of(gateway, "talks").realtime.connect(model="demo-small?tokens=2") as session:
        session.session.update(session={"type": "realtime", "instructions": "You are a helpful assistant."})
        for body in bodies[:20]:
            content: Any = [{"type": "input_text", "text": body["messages"][0]["content"]}]
            session.conversation.item.create(item={"type": "message", "role": "user", "content": content})
            session.response.create()
            while session.recv().type != "response.done":
                pass

    alone = scores(gateway, "alone", COUNT)
    found = {tenant: scores(gateway, tenant, COUNT) for tenant in ("claude", "filed", "honest")}
    assert alone["generator"] >= 900
    for way in ("claude", "filed"):
        assert found[way].keys() == alone.keys()
        assert [profile for profile, score in found[way].items() if abs(alone[profile] - score) > 20] == []
    assert max(found["honest"].values()) < 200
    assert scores(gateway, "talks", 20)["generator"] >= 500


def test_a_large_batch_is_sampled_and_says_so(gateway: Gateway) -> None:
    """Of 2,500 requests a thousand are looked at: each is evidence under an id of its own, and says of how many it is one."""
    submit(gateway, "large", [{**honest(number), "max_tokens": 1} for number in range(2_500)])
    file = exported(gateway, "large", 1_000)
    report = verified(gateway, file)
    assert (report["kinds"], report["gaps"]) == ({"begun": 1, "sighting": 1_000}, [])
    entries = [json.loads(line)["body"] for line in file.read_text().splitlines() if '"kind":"sighting"' in line]
    assert {(each["batch_requests"], each["output_tokens"]) for each in entries} == {(2_500, 0)}
    assert (sum(each["stands_for"] for each in entries), {each["stands_for"] for each in entries}) == (2_500, {2, 3})
    places = [int(each["request_id"].partition("/")[2]) for each in entries]
    assert places == sorted(set(places))
    assert (places[0] >= 1, places[-1] <= 2_500, len(set(places))) == (True, True, 1_000)
    assert places != list(range(1, 1_001))


def test_what_is_refused_or_no_language_models_is_not_seen(gateway: Gateway) -> None:
    """A file with a bad line, pictures, speech and embeddings leave no sighting: of five requests there is one, the chat's."""
    asked = openai_of(gateway, "other")
    with pytest.raises(Exception, match="Line 2 of the file"):
        asked.files.create(file=("r.jsonl", json.dumps({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions",
                           "body": generator(1)}).encode() + b"\nno JSON"), purpose="batch")  # fmt: skip
    asked.images.generate(model="gpt-image-1", prompt="Draw a red fox in the snow.")
    asked.audio.speech.create(model="demo-tts", voice="alloy", input="Add the flour. Mix well.")
    asked.embeddings.create(model="demo-embed", input="Write a poem.")
    asked.chat.completions.create(**honest(1))
    file = exported(gateway, "other", 1)
    entries = [json.loads(line)["body"] for line in file.read_text().splitlines() if '"kind":"sighting"' in line]
    assert [each["endpoint"] for each in entries] == ["chat/completions"]
