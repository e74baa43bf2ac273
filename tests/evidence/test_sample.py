"""Which prompts are kept, and how much of them."""

from pathlib import Path

import pytest

from gateway.evidence.seal import unseal
from gateway.phases import sample as phase
from gateway.phases.sample import PROMPT_BYTES_MAX, sample
from gateway.snapshot import Snapshot
from gateway.values import Ask, Caller
from tests.evidence.make import SECRET
from tests.watch.make import policy_of

CALLER = Caller("org", "acme", "k", "p")


def snapshot(tmp_path: Path, share: str) -> Snapshot:
    return Snapshot(policy_of(tmp_path / "p", f"version: 1\nwatch: {{sample_prompts: {share}}}\n"), SECRET)


def ask(text: str) -> Ask:
    body = {"model": "m", "max_tokens": 5, "system": "be brief", "messages": [{"role": "user", "content": text}]}
    return Ask("openai.chat", "m", body, len(text), 0, 5, 1, False, True, "")


def opened(sealed: str) -> bytes:
    return unseal(SECRET, sealed, organisation="org", tenant="acme", request_id="r1")


def test_the_texts_are_kept_and_nothing_else(tmp_path: Path) -> None:
    """What the request says, without its parameters."""
    kept = opened(sample(snapshot(tmp_path, "100%"), CALLER, ask("hello"), "r1"))
    assert kept == b'{"system":"be brief","messages":[{"role":"user","content":"hello"}]}'


def test_the_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a thousand draws as many are kept as the policy says; of 0% none."""
    for share, count in (("0%", 0), ("0.5%", 5), ("30%", 300), ("100%", 1000)):
        policy, drawn = snapshot(tmp_path, share), iter(range(1000))
        monkeypatch.setattr(phase, "randbelow", lambda _, drawn=drawn: next(drawn))
        assert sum(bool(sample(policy, CALLER, ask("x"), "r1")) for _ in range(1000)) == count


def test_a_long_prompt_is_kept_in_part(tmp_path: Path) -> None:
    """Its beginning and its end, and how much is missing; of one beyond measure nothing."""
    policy = snapshot(tmp_path, "100%")
    kept = opened(sample(policy, CALLER, ask("a" * 20_000 + "the end"), "r1"))
    assert kept.startswith(b'{"system":"be brief"')
    assert kept.endswith(b'the end"}]}')
    whole = len(b'{"system":"be brief","messages":[{"role":"user","content":"the end"}]}') + 20_000
    assert b" [... %d bytes ...] " % (whole - PROMPT_BYTES_MAX) in kept
    assert len(kept) < PROMPT_BYTES_MAX + 40
    assert sample(policy, CALLER, ask("a" * 1_000_001), "r1") == ""
