"""What somebody does to be overlooked, each as a change of the stream of text: real requests in, changed requests out.

Whoever reads the source of a detector can do all of these in an afternoon: they are reported one by one, and together. None
makes up text of a task; what is put around tasks (openings, turns between them) is written here, and is what such a script
would carry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from random import Random
from typing import Any, NamedTuple

from gateway.evaluation.corpus import Source
from gateway.evaluation.tenants import Text, texts

Change = Callable[[Iterator[Text], Random], Iterator[Text]]

PREFIXES = (
    "Hi there! Hope your week is going well. I have a quick question for you.",
    "Hey, it's me again. Thanks so much for the help yesterday!",
    "Good morning! Before my coffee kicks in, could you look at this one?",
    "So my sister asked me about this at dinner and I had no idea what to say.",
    "Sorry to bother you, I'm on my phone so this may be a bit messy.",
    "ok next one, and please keep it readable, I'm going to show it to a friend",
    "I'm preparing something for work and got stuck on this part.",
    "Random thought while waiting for the bus:",
    "You explained the last thing really well, so here is another.",
    "Hello! I'm new to this, please bear with me.",
)
"""Ten canned openings, as in a chat."""
_BRIDGES = (
    "Thanks, that helps. Another thing:",
    "Great. And what about this?",
    "Got it. Next:",
    "Perfect, thank you! One more:",
)
_ANSWER = "Sure. Here is what I would say to that, in short; tell me if you want more of it."
PACKED = 5
"""Tasks that are packed into one request, or into one conversation."""
OTHERS = 4
"""Honest sources from which a diluted account draws: a proxy's other customers."""


class Attacker(NamedTuple):
    """One way of being overlooked."""

    name: str
    label: str
    """For the report."""
    prefixes: bool = False
    dilution: int = 0
    """Per cent of the account's requests that are honest ones of others."""
    packed: int = 1
    """Tasks in one request."""
    turns: int = 1
    """Tasks in one conversation, one after another."""
    plain_params: bool = False
    """Sends no parameters but what every client sends."""
    metronome: bool = False
    """Does nothing about its timing: a script's loop. All others come at the times of some real client."""

    def change(self, said: Iterator[Text], honest: Sequence[Source], rng: Random) -> Iterator[Text]:
        """The stream as this attacker would send it."""
        if self.plain_params:
            said = (text._replace(params=None) for text in said)
        if self.packed > 1:
            said = _packed(said, self.packed)
        if self.turns > 1:
            said = _in_turns(said, self.turns, rng)
        if self.prefixes:
            said = _prefixed(said, rng)
        if self.dilution:
            said = _diluted(said, self.dilution, honest, rng)
        return said


PLAIN = Attacker("plain", "nothing: the requests as they are")
DILUTIONS = tuple(range(10, 100, 10))
TARGETED = Attacker("prefixes+dilution50", "canned prefixes and 50% honest dilution", prefixes=True, dilution=50)
ATTACKERS: tuple[Attacker, ...] = (
    PLAIN,
    Attacker("metronome", "no jitter: one request after another at one pace", metronome=True),
    Attacker("params", "no parameters of its own", plain_params=True),
    Attacker("prefixes", "ten canned chat prefixes", prefixes=True),
    Attacker("packing", f"{PACKED} tasks in one request", packed=PACKED),
    Attacker("turns", f"{PACKED} tasks in one conversation", turns=PACKED),
    *(Attacker(f"dilution{share}", f"{share}% honest dilution", dilution=share) for share in DILUTIONS),
    TARGETED,
    Attacker("all", "prefixes, packing, plain parameters and 70% dilution", True, 70, PACKED, 1, True),
)
"""In the order of the report. Splitting over accounts is `hydra`."""


def _prefixed(said: Iterator[Text], rng: Random) -> Iterator[Text]:
    for text in said:
        yield text._replace(messages=with_last(text.messages, lambda task: f"{rng.choice(PREFIXES)}\n\n{task}"))


def with_last(messages: list[dict[str, Any]], change: Callable[[str], str]) -> list[dict[str, Any]]:
    """Copies of the messages, with the text of the user's last one changed. Content in parts is left as it is."""
    for place in range(len(messages) - 1, -1, -1):
        if messages[place]["role"] == "user":
            content = messages[place].get("content")
            if type(content) is not str:
                return messages
            return [*messages[:place], {**messages[place], "content": change(content)}, *messages[place + 1 :]]
    return messages


def _task(text: Text) -> str:
    """What the user says last."""
    for message in reversed(text.messages):
        if message["role"] == "user" and type(content := message.get("content")) is str:
            return content
    return ""


def _before(text: Text) -> list[dict[str, Any]]:
    """The system prompt, if there is one."""
    return [message for message in text.messages[:1] if message["role"] in ("system", "developer")]


def _joined(parts: Sequence[Text], messages: list[dict[str, Any]]) -> Text:
    """One request for several: its answer is as long as theirs together."""
    return parts[0]._replace(
        messages=messages,
        answer_bytes=sum(part.answer_bytes for part in parts),
        is_recycled=any(part.is_recycled for part in parts),
    )


def _packed(said: Iterator[Text], count: int) -> Iterator[Text]:
    while parts := list(islice(said, count)):
        tasks = "\n\n".join(f"{number}. {_task(part)}" for number, part in enumerate(parts, 1))
        message = {"role": "user", "content": f"Please do each of these.\n\n{tasks}"}
        yield _joined(parts, [*_before(parts[0]), message])


def _in_turns(said: Iterator[Text], count: int, rng: Random) -> Iterator[Text]:
    """Tasks as the turns of one conversation, each asked after the one before was answered."""
    while parts := list(islice(said, count)):
        messages = _before(parts[0])
        for place, part in enumerate(parts):
            task = _task(part) if place == 0 else f"{rng.choice(_BRIDGES)}\n\n{_task(part)}"
            messages = [*messages, {"role": "user", "content": task}]
            yield part._replace(messages=messages)
            messages = [*messages, {"role": "assistant", "content": _ANSWER}]


def _diluted(said: Iterator[Text], share: int, honest: Sequence[Source], rng: Random) -> Iterator[Text]:
    """Every request is one of other customers with this chance: each of a workload of its own."""
    chosen = rng.sample(list(honest), min(OTHERS, len(honest)))
    others = [texts(source, rng.choice(sorted(source.groups) or [""]), rng) for source in chosen]
    for text in said:
        while others and rng.random() * 100 < share:
            yield next(rng.choice(others))
        yield text
