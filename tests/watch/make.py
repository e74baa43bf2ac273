"""Sightings, windows and policies for the tests of the watch."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from gateway.detectors import PHRASES, Lens, Past, look
from gateway.policy.load import load_dir
from gateway.policy.model import Policy
from gateway.policy.read_phrases import read_phrases
from gateway.values import Ask, Sighting
from gateway.watch.seen import Seen

SECRET = b"watch-secret"
WORDS = (Path(__file__).parent.parent.parent / "LICENSE").read_text().split()
US = 1_000_000
NOW_US = 1_800_000_000 * US


def policy_of(folder: Path, text: str) -> Policy:
    folder.mkdir(exist_ok=True)
    (folder / "p.yaml").write_text(text)
    return load_dir(folder)


def generator(number: int) -> dict[str, Any]:
    """What self-instruct sends: the `number`-th request."""
    draw = random.Random(number)
    tasks = "\n".join(f"{index}. {' '.join(draw.sample(WORDS, 12))}" for index in (1, 2, 3))
    text = (
        "You are asked to come up with a set of 20 diverse task instructions. These task instructions will be given to a GPT "
        f"model and we will evaluate the GPT model for completing the instructions. List of 20 tasks:\n{tasks}\n4."
    )
    return {"model": "demo-small", "max_tokens": 20, "temperature": 1, "messages": [{"role": "user", "content": text}]}


def honest(number: int) -> dict[str, Any]:
    """What somebody asks who has affairs of their own."""
    draw = random.Random(number)
    who, what = draw.choice(["dog", "boss", "car", "son"]), draw.choice(["is late", "broke", "is ill"])
    text = f"Hi, my {who} {what} again and I don't know "
    text += f"what to do about my {draw.choice(WORDS)}. Can you help me, please? I have until {draw.randint(2, 9)} o'clock."
    return {"model": "demo-small", "max_tokens": 20, "messages": [{"role": "user", "content": text}]}


class Eye:
    """Looks at bodies as a gateway does."""

    def __init__(self) -> None:
        self.lens = Lens.of(SECRET, read_phrases(PHRASES))
        self._pasts: dict[str, Past] = {}

    def sighting(self, subject: str, body: dict[str, Any], at_us: int = NOW_US) -> Sighting:
        ask = Ask("openai.chat", "demo-small", body, len(str(body)), 0, 20, 1, False, True, "")
        return look(ask, self._pasts.setdefault(subject, Past()), self.lens, at_us)

    def seen(self, subject: str, body: dict[str, Any], at_us: int = NOW_US) -> Seen:
        tenant = subject.partition("/")[0]
        return Seen(
            at_us, f"req_{at_us:x}", "acme", tenant, f"{tenant}-1", subject, "digest", "chat/completions",
            100, 20, 200, "", False, self.sighting(subject, body, at_us),
        )  # fmt: skip
