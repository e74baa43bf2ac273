"""One campaign over many accounts, in the ways in which one may be split; and *mimics*, which want somebody joined to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from gateway.evaluation.attackers import PLAIN, Attacker, with_last
from gateway.evaluation.corpus import Corpus, Source
from gateway.evaluation.crowd import Honest, Makes, Note, half_of, noted, when
from gateway.evaluation.tenants import Request, Spec, Text, requests, texts
from gateway.evaluation.traces import Traces, spread_over_day

ACCOUNT_REQUESTS = 26
"""A day, of one account of the largest campaign that was reported."""
_TURNS = (
    "You are the engine of a study aid. Work on what follows and leave nothing out of it.",
    "Consider the material below with great care before you put anything into words.",
    "Below stands one item of a longer list. Treat it as if it were the only one there is.",
)


class Way(NamedTuple):
    """How a campaign is split over accounts."""

    name: str
    label: str
    """For the report."""
    attacker: Attacker = PLAIN
    uneven: float = 0.0
    """Standard deviation of the logarithms of the accounts' rates."""
    rotates: bool = False
    """Every second account puts one of three prompts before each text, in turn by lot."""


WAYS = (
    Way("plain", "equal shares"),
    Way("unequal", "shares that differ by a factor of two or so (log-normal, 0.5)", uneven=0.5),
    Way("dilution50", "half of each account's requests are other customers'", Attacker("dilution50", "", dilution=50)),
    Way("rotating", "half of the accounts rotate three templates", rotates=True),
)


def campaign(
    source: Source, honest: Sequence[Source], traces: Traces, *, accounts: int, each: int, rng: Random, way: Way = WAYS[0]
) -> Iterator[tuple[str, Request]]:
    """One queue of work, sent by accounts in the order of time: no text is sent twice before all of it was sent.

    What an attacker does to its text it does on each account alike; dilution is by requests of others on every account.
    """
    said = way.attacker.change(texts(source, "", rng), honest, rng)
    counts = [max(1, round(each * rng.lognormvariate(-(way.uneven**2) / 2, way.uneven))) for _ in range(accounts)]
    if not way.uneven:
        counts = [each] * accounts
    times = sorted((at_us, account) for account, count in enumerate(counts) for at_us in spread_over_day(count, rng))
    if way.rotates:
        said = _rotating(said, (account for _, account in times), rng)
    stream = requests(said, (at_us for at_us, _ in times), traces, rng)
    for (_, account), request in zip(times, stream):
        yield f"account/{account}", request


def _rotating(said: Iterator[Text], accounts: Iterator[int], rng: Random) -> Iterator[Text]:
    for account, text in zip(accounts, said):
        yield filled(text, rng.choice(_TURNS)) if account % 2 else text


def filled(text: Text, template: str) -> Text:
    """The text as one template asks it."""
    return text._replace(messages=with_last(text.messages, lambda task: f"{template}\n\n{task}"))


def mimics(victims: Sequence[Honest], corpus: Corpus, traces: Traces, makes: Makes, crowd_seed: str, rng: Random) -> list[Note]:
    """For each victim an account that sends its prompts and, every second time, an extraction's."""
    attacks = corpus.of("attack")
    notes: list[Note] = []
    for number, victim in enumerate(victims):
        source = corpus.named(victim.source)
        own = Random(f"{crowd_seed}/crowd/{victim.name}")
        traces.client(own)  # drawn as the victim's was: what follows is its very text
        theirs = half_of(source, victim.group, int(victim.name.rpartition("/")[2]) % 2, own)
        mine = texts(rng.choice(attacks), "", rng)
        said = (next(theirs) if turn % 2 else next(mine) for turn in range(2 * ACCOUNT_REQUESTS))
        name = f"mimic/{number}"
        stream = requests(said, spread_over_day(2 * ACCOUNT_REQUESTS, rng), traces, rng)
        notes += noted(name, stream, makes.watcher(Spec(name, source.name, victim.group, number)))
    return sorted(notes, key=when)
