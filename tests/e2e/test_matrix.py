"""Each wire, streamed and whole, under each output policy, with the vendors' own SDKs: every answer is parsed without an
exception, says why it ended in its own words, and the ledger has what was delivered.

The demo model server's tokens are words and its streams have one event a token, so every count below can be made by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import anthropic
import openai
import pytest

from gateway.policy.keys import digest
from tests.support import SECRET, Gateway, ModelServer, key, policies_of

WORDS = [
    "The",
    "gauger",
    "came",
    "at",
    "noon",
    "with",
    "a",
    "rod",
    "of",
    "boxwood",
    "and",
    "a",
    "quiet",
    "face.",
    "He",
    "dipped",
    "each",
    "cask,",
]
SIGNATURE = "c2lnbmVkIGJ5IHRoZSBkZW1v"
PLANS = """
  plain: {budgets: [BUDGET]}
  clamp: {budgets: [BUDGET], output: {max_tokens: 16}}
  blank: {budgets: [BUDGET], output: {reasoning: blank}}
  mask: {budgets: [BUDGET], output: {filters: [{name: wood, literal: "rod of boxwood", action: mask, mask: "###"}]}}
  pattern: {budgets: [BUDGET], output: {filters: [{name: wood, pattern: "b.xw[a-z]+d", action: mask, mask: "###"}]}}
  filter: {budgets: [BUDGET], output: {filters: [{name: wood, literal: "rod of boxwood", action: cut}]}}
  pace: {budgets: [BUDGET], output: {tokens_per_second: 400}}
  ahead: {budgets: [{name: out, meter: output_tokens, limit: 20, per: day, window: calendar}], output: {hold_ahead: 16}}
  shorten: {budgets: [{name: out, meter: output_tokens, limit: 20, per: day, window: calendar, on_exceed: shorten}]}
"""
BUDGET = "{name: out, meter: output_tokens, limit: 1M, per: day, window: calendar}"
NAMES = [line.split(":")[0].strip() for line in PLANS.strip().splitlines()]
WIRES = ("chat", "completions", "responses", "messages")


def policy() -> str:
    tenants = "".join(
        f"  {name}-{wire}-{mode}: {{organisation: acme, plan: {name}, keys: [{{id: {name}-{wire}-{mode}, "
        f'hash: "hmac-sha256:{digest(SECRET.encode(), key(f"{name}-{wire}-{mode}"))}"}}]}}\n'
        for name in NAMES
        for wire in WIRES
        for mode in ("whole", "stream")
    )
    return f"version: 1\norganisations: {{acme: {{}}}}\nplans:{PLANS.replace('BUDGET', BUDGET)}tenants:\n{tenants}"


@pytest.fixture(scope="module")
def gateway(model: ModelServer) -> Iterator[Gateway]:
    from tests.support import temporary_dir

    with policies_of(policy()) as path, temporary_dir() as data:
        running = Gateway(path, model.url, data)
        yield running
        running.close()


class Said(NamedTuple):
    """What an SDK made of an answer."""

    text: str
    reasoning: str
    finish: str
    output_tokens: int | None
    """None: the wire did not say."""


def say(gateway: Gateway, wire: str, mode: str, tenant: str, script: str, max_tokens: int) -> Said:
    model = f"demo-small?{script}"
    if wire == "messages":
        with anthropic.Anthropic(base_url=gateway.url, api_key=key(tenant), max_retries=0, timeout=20) as client:
            return by_messages(client, model, max_tokens, is_stream=mode == "stream")
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key(tenant), max_retries=0, timeout=20) as client:
        by = {"chat": by_chat, "completions": by_completions, "responses": by_responses}[wire]
        return by(client, model, max_tokens, is_stream=mode == "stream")


def by_messages(client: anthropic.Anthropic, model: str, max_tokens: int, *, is_stream: bool) -> Said:
    asked: Any = {"model": model, "max_tokens": max_tokens, "messages": [{"role": "user", "content": "Hi"}]}
    if is_stream:
        with client.messages.stream(**asked) as stream:
            final = stream.get_final_message()
    else:
        final = client.messages.create(**asked)
    text = "".join(block.text for block in final.content if block.type == "text")
    thoughts = [block for block in final.content if block.type == "thinking"]
    assert all(block.signature == SIGNATURE for block in thoughts)
    return Said(text, "".join(block.thinking for block in thoughts), str(final.stop_reason), final.usage.output_tokens)


def by_chat(client: openai.OpenAI, model: str, max_tokens: int, *, is_stream: bool) -> Said:
    asked: Any = {"model": model, "max_tokens": max_tokens, "messages": [{"role": "user", "content": "Hi"}]}
    if not is_stream:
        answer = client.chat.completions.create(**asked)
        message = answer.choices[0].message
        assert answer.usage is not None
        thought = getattr(message, "reasoning_content", None) or ""
        return Said(message.content or "", thought, answer.choices[0].finish_reason, answer.usage.completion_tokens)
    text, thought, finish, tokens = "", "", "", None
    for chunk in client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}):
        if chunk.usage is not None:
            tokens = chunk.usage.completion_tokens
        for choice in chunk.choices:
            text += choice.delta.content or ""
            thought += getattr(choice.delta, "reasoning_content", None) or ""
            finish = choice.finish_reason or finish
    return Said(text, thought, finish, tokens)


def by_completions(client: openai.OpenAI, model: str, max_tokens: int, *, is_stream: bool) -> Said:
    asked: Any = {"model": model, "max_tokens": max_tokens, "prompt": "Hi"}
    if not is_stream:
        answer = client.completions.create(**asked)
        assert answer.usage is not None
        return Said(answer.choices[0].text, "", answer.choices[0].finish_reason, answer.usage.completion_tokens)
    text, finish, tokens = "", "", None
    for chunk in client.completions.create(**asked, stream=True, stream_options={"include_usage": True}):
        tokens = chunk.usage.completion_tokens if chunk.usage is not None else tokens
        for choice in chunk.choices:
            text += choice.text
            finish = choice.finish_reason or finish
    return Said(text, "", finish, tokens)


def by_responses(client: openai.OpenAI, model: str, max_tokens: int, *, is_stream: bool) -> Said:
    asked: Any = {"model": model, "max_output_tokens": max_tokens, "input": "Hi"}
    if is_stream:
        numbers, final = [], None
        for event in client.responses.create(**asked, stream=True):
            numbers.append(event.sequence_number)
            if event.type in ("response.completed", "response.incomplete"):
                final = event.response
        assert numbers == sorted(set(numbers))
    else:
        final = client.responses.create(**asked)
    assert final is not None
    thoughts = [item for item in final.output if item.type == "reasoning"]
    thought = "".join(part.text for item in thoughts for part in [*item.summary, *(item.content or [])])
    assert final.usage is not None
    reason = final.incomplete_details.reason if final.incomplete_details is not None else None
    return Said(final.output_text, thought, str(reason or final.status), final.usage.output_tokens)


LENGTH = {"chat": "length", "completions": "length", "responses": "max_output_tokens", "messages": "max_tokens"}
STOP = {"chat": "stop", "completions": "stop", "responses": "completed", "messages": "end_turn"}
FILTERED = {"chat": "content_filter", "completions": "content_filter", "responses": "content_filter", "messages": "refusal"}
EVERY = pytest.mark.parametrize(("wire", "mode"), [(wire, mode) for wire in WIRES for mode in ("whole", "stream")])


@EVERY
def test_plain(gateway: Gateway, wire: str, mode: str) -> None:
    """Without an output policy an answer is what the model server sent."""
    said = say(gateway, wire, mode, tenant := f"plain-{wire}-{mode}", "tokens=17", 40)
    assert said == Said(" ".join(WORDS[:17]), "", STOP[wire], 17)
    assert gateway.usage(tenant)["out"]["used"] == 17


@EVERY
@pytest.mark.parametrize("script", ["tokens=40", "tokens=40&ignore_max=1"])
def test_clamp_and_cut(gateway: Gateway, model: ModelServer, wire: str, mode: str, script: str) -> None:
    """A limit of 16 tokens holds, whether the model server obeys the lowered max_tokens or has to be cut."""
    before = gateway.usage(tenant := f"clamp-{wire}-{mode}")["out"]["used"]
    said = say(gateway, wire, mode, tenant, script, 30)
    assert said == Said(" ".join(WORDS[:16]), "", LENGTH[wire], 16)
    assert gateway.usage(tenant)["out"]["used"] - before == 16
    body = model.last().json
    assert [body[name] for name in ("max_tokens", "max_completion_tokens", "max_output_tokens") if name in body] == [16]
    if mode == "stream" and "ignore" in script:
        assert model.over(model.last()) in ("client_left", "complete")


@EVERY
def test_reasoning_is_blanked(gateway: Gateway, wire: str, mode: str) -> None:
    """Reasoning is charged and not shown; signatures stay."""
    if wire == "completions":
        return  # this API has no place for it
    said = say(gateway, wire, mode, tenant := f"blank-{wire}-{mode}", "tokens=17&reasoning=7", 40)
    assert said == Said(" ".join(WORDS[:10]), "", STOP[wire], 17)
    assert gateway.usage(tenant)["out"]["used"] == 17


@EVERY
@pytest.mark.parametrize(
    ("plan", "expected"), [("mask", "The gauger came at noon with a ### and"), ("pattern", "a rod of ### and")]
)
def test_filters_mask(gateway: Gateway, wire: str, mode: str, plan: str, expected: str) -> None:
    """What must not leave is masked across any borders of chunks, and the rest is as it was."""
    said = say(gateway, wire, mode, f"{plan}-{wire}-{mode}", "tokens=17", 40)
    assert expected in said.text
    assert "boxwood" not in said.text
    assert said.text.endswith(WORDS[16])
    assert (said.finish, said.output_tokens) == (STOP[wire], 17)


@EVERY
def test_filters_cut(gateway: Gateway, wire: str, mode: str) -> None:
    """The answer ends before what must not leave, and says so as the vendor does."""
    said = say(gateway, wire, mode, f"filter-{wire}-{mode}", "tokens=17", 40)
    assert said.text.rstrip() == "The gauger came at noon with a"
    assert said.finish == FILTERED[wire]


@EVERY
def test_pace(gateway: Gateway, wire: str, mode: str) -> None:
    """A paced answer is the same answer."""
    said = say(gateway, wire, mode, f"pace-{wire}-{mode}", "tokens=17", 40)
    assert said == Said(" ".join(WORDS[:17]), "", STOP[wire], 17)


@EVERY
def test_shorten(gateway: Gateway, wire: str, mode: str) -> None:
    """A request that asks for more than its budget holds gets what is there; the next one is refused."""
    said = say(gateway, wire, mode, tenant := f"shorten-{wire}-{mode}", "tokens=40", 30)
    assert (said.finish, said.output_tokens) == (LENGTH[wire], 20)
    assert gateway.usage(tenant)["out"]["used"] == 20
    with pytest.raises((openai.RateLimitError, anthropic.RateLimitError)):
        say(gateway, wire, mode, tenant, "tokens=40", 30)


@pytest.mark.parametrize("wire", WIRES)
def test_a_budget_that_ends_in_mid_stream(gateway: Gateway, model: ModelServer, wire: str) -> None:
    """A stream that holds 16 tokens ahead is cut at the 20th, the budget's last; it says so, and the ledger has those."""
    for _ in range(2):  # teaches how long this model's tokens are
        say(gateway, wire, "stream", f"mask-{wire}-stream", "tokens=200&gap_ms=2", 500)
    said = say(gateway, wire, "stream", tenant := f"ahead-{wire}-stream", "tokens=200&gap_ms=2", 100)
    assert (said.text.count(" ") + 1, said.finish, said.output_tokens) == (20, LENGTH[wire], 20)
    assert gateway.usage(tenant)["out"]["used"] == 20
    assert model.over(model.last()) == "client_left"
    assert gateway.records()[-1]["cut"] == "budget"


def test_a_stream_that_came_at_once_is_held_in_steps_too(fresh: Callable[..., Gateway]) -> None:
    """A block that holds more than what is held ahead is no reason to cut while the budget has more."""
    text = policy().replace("limit: 20", "limit: 1000")
    with policies_of(text) as path:
        gateway = fresh(policies=path)
        said = say(gateway, "chat", "stream", "ahead-chat-stream", "tokens=300", 300)
        assert (said.finish, said.output_tokens) == ("stop", 300)
        assert gateway.usage("ahead-chat-stream")["out"]["used"] == 300
