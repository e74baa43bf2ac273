"""Simulated tenants: real text of one workload at the times of one real client.

A tenant is text (`texts`), perhaps changed by whoever wants to be overlooked (`attackers`), at arrivals (`traces`), as
requests that the real wire has read. Every draw is from a generator of its own, seeded by the tenant's name: a tenant does
not change when others are added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from random import Random
from typing import Any, NamedTuple

import orjson

from gateway.evaluation import asks
from gateway.evaluation.corpus import BadLine, Source, turns
from gateway.evaluation.traces import Client, Traces, arrivals
from gateway.values import Ask

BYTES_A_TOKEN = 4
"""Of an answer whose text is known: what estimates use for English."""


class Text(NamedTuple):
    """What one request says. Nobody changes `messages` in place."""

    messages: list[dict[str, Any]]
    params: dict[str, Any] | None
    answer_bytes: int
    """Of the answer that the corpus holds; 0: it holds none."""
    is_extraction: bool
    """Whether its answer is what an extraction is after."""
    is_recycled: bool
    """This tenant, or this campaign, has sent it before: the source has no more text."""


class Request(NamedTuple):
    """One request of a simulated tenant."""

    at_us: int
    ask: Ask
    output_tokens: int
    """Of all choices together."""
    is_extraction: bool
    is_recycled: bool


class Spec(NamedTuple):
    """Who a simulated tenant is: enough to make its requests again."""

    name: str
    source: str
    group: str
    """"": it draws from the whole source."""
    number: int


def specs(source: Source, count: int) -> list[Spec]:
    """`count` tenants of a source: of its groups in turn where it has such, else of the whole.

    Groups differ in size; each gets as many tenants as any other, so that no template is all that is seen of a source.
    """
    groups = sorted(source.groups)
    Random(f"groups/{source.name}").shuffle(groups)
    groups = groups or [""]
    return [Spec(f"{source.name}/{n}", source.name, groups[n % len(groups)], n) for n in range(count)]


def texts(source: Source, group: str, rng: Random) -> Iterator[Text]:
    """Everything of a source, or of one of its groups, in random order, and again from the start when it is used up.

    The turns of a conversation follow one another, and between them come those of another: a tenant has several users.
    """
    places = list(source.groups[group] if group else range(len(source.records)))
    laps = _laps(places, rng)
    open_conversations: list[Iterator[Text]] = []
    at_once = rng.randint(1, 4)
    while True:
        while len(open_conversations) < at_once:
            place, is_recycled = next(laps)
            open_conversations.append(_requests_of(source, place, is_recycled=is_recycled))
        chosen = rng.randrange(at_once)
        text = next(open_conversations[chosen], None)
        if text is None:
            del open_conversations[chosen]
        else:
            yield text


def _laps(places: list[int], rng: Random) -> Iterator[tuple[int, bool]]:
    is_recycled = False
    while True:
        rng.shuffle(places)
        for place in places:
            yield place, is_recycled
        is_recycled = True


def _requests_of(source: Source, place: int, *, is_recycled: bool) -> Iterator[Text]:
    record = orjson.loads(source.records[place])
    messages = record["messages"]
    for end in turns(messages):
        answer = messages[end].get("content") if end < len(messages) else None
        answer_bytes = len(answer.encode("utf-8", "replace")) if type(answer) is str else 0
        yield Text(messages[:end], record.get("params"), answer_bytes, source.is_attack, is_recycled)


def requests(
    said: Iterable[Text], at_us: Iterable[int], traces: Traces, rng: Random, client: Client | None = None
) -> Iterator[Request]:
    """Text at times: each as the wire reads it, with an answer as long as that client's are, or as logged ones where it is
    None. What the wire refuses is left out."""
    times = iter(at_us)
    for text in said:
        try:
            ask = asks.ask_of(text.messages, text.params)
        except BadLine:
            continue
        at = next(times, None)
        if at is None:
            return
        tokens = -(-text.answer_bytes // BYTES_A_TOKEN) or traces.output_tokens(rng, client)
        if ask.output_tokens_max is not None:
            tokens = min(tokens, ask.output_tokens_max)
        yield Request(at, ask, max(1, tokens) * ask.choices, text.is_extraction, text.is_recycled)


def stream(source: Source, spec: Spec, traces: Traces, count: int, *, seed: int = 0) -> list[Request]:
    """The first `count` requests of a tenant that does nothing to be overlooked, at the times of some real client.

    An honest tenant's answers are as long as that client's; an extraction's as logged answers of any length, because whoever
    wants answers does not ask for single words.
    """
    rng = rng_of(spec, seed)
    client = traces.client(rng)
    said = texts(source, spec.group, rng)
    sized = None if source.is_attack else client
    return list(islice(requests(said, arrivals(client, rng), traces, rng, sized), count))


def rng_of(spec: Spec, seed: int, what: str = "") -> Random:
    """A tenant's own chance, for one purpose."""
    return Random(f"{seed}/{spec.name}/{what}")
