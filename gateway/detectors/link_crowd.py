"""What is usual among all tenants: how rare a word, a rate, a habit or an hour is. Pure, bounded.

Everything here is counted over *speakers*: at most FEW tenants speak for a template, and at most MANY for tenants that share
their parameters and have no template. So a pool of a thousand accounts cannot make its own words, rates and habits look usual
by being many, and neither do the thousand customers of one framework.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from math import exp, log

from gateway.detectors.link_strand import Strand

FEW, MANY = 4, 16
Shares = dict[int, float]
"""Word -> share of requests that have it."""
Seat = tuple[int, int, int]
"""(template, habits where there is no template, part)."""
SPEAKERS_MAX = 65_536
_BUCKETS = 2**16
_COMMON = log(5)
"""A word that every fifth speaker uses tells nothing."""
RATES = 96
HOURS = 144
"""Slots of ten minutes in the last day."""


class Crowd:
    """Counts over speakers."""

    __slots__ = ("speakers", "habits", "_words", "_rates", "_rate_of", "_hours", "_active", "_heard", "_shares")

    def __init__(self) -> None:
        self.speakers: dict[Seat, int] = {}
        """Seat -> tenant."""
        self.habits: dict[int, int] = {}
        """Parameter habits -> speakers that have them."""
        self._words = array("I", bytes(4 * _BUCKETS))
        self._rates = [0] * RATES
        self._rate_of: dict[int, int] = {}
        """Speaker -> at what rate it sent when that was last looked at."""
        self._hours = [0] * HOURS
        self._active = 0
        self._heard: dict[int, Shares] = {}
        """Speaker -> its words, of those that stand for all."""
        self._shares: Shares = {}

    def seat(self, template: int, habits: int, tenant: int, place: int) -> Seat | None:
        """The seat from which the tenant speaks from now on; None where another has it or all are taken."""
        seat = (template, 0, place % FEW) if template else (0, habits, place % MANY)
        return seat if self.take(seat, habits, tenant) else None

    def take(self, seat: Seat, habits: int, tenant: int) -> bool:
        """Sit down there, if it is free."""
        if seat in self.speakers or len(self.speakers) >= SPEAKERS_MAX:
            return False
        self.speakers[seat] = tenant
        self.habits[habits] = self.habits.get(habits, 0) + 1
        return True

    def leave(self, key: Seat, habits: int, words: Iterable[int]) -> None:
        """A speaker is gone."""
        self.speakers.pop(key, None)
        left = self.habits.get(habits, 0) - 1
        if left > 0:
            self.habits[habits] = left
        else:
            self.habits.pop(habits, None)
        self.speak((), words)

    def speak(self, new: Iterable[int], gone: Iterable[int]) -> None:
        """A speaker's words changed."""
        counts = self._words
        for word in new:
            counts[word % _BUCKETS] += 1
        for word in gone:
            if counts[word % _BUCKETS]:
                counts[word % _BUCKETS] -= 1

    def rarity(self, word: int) -> float:
        """How much it says that two have this word: 0 where every fifth speaker has it, and more the rarer it is (nats)."""
        return max(0.0, log((len(self.speakers) + 1) / (self._words[word % _BUCKETS] + 0.5)) - _COMMON)

    def rarity_of_habits(self, habits: int) -> float:
        """The same for parameter habits."""
        return max(0.0, log((len(self.speakers) + 2) / (self.habits.get(habits, 0) + 1)))

    def survey(self, rates: Mapping[int, int], hours: Iterable[int]) -> None:
        """Count anew at what rates speakers send, and in which slots (bit maps of HOURS bits) they do."""
        self._rate_of = dict(rates)
        self._rates = [0] * RATES
        for rate in rates.values():
            self._rates[_bucket(rate)] += 1
        self._hours = [0] * HOURS
        for beat in hours:
            for slot in slots(beat):
                self._hours[slot] += 1
        self._active = sum(self._hours)

    def rarity_of_rate(self, rate: int, spread: int) -> float:
        """How much it says that another sends within `spread` of `rate` requests."""
        return log((sum(self._rates) + 2) / (self._near(rate, spread) + 1))

    def near_rate(self, rate: int, spread: int) -> int:
        """How many of a thousand speakers send within `spread` of `rate` requests."""
        return round(1000 * self._near(rate, spread) / max(sum(self._rates), 1))

    def _near(self, rate: int, spread: int) -> int:
        return sum(self._rates[_bucket(max(rate - spread, 0)) : _bucket(rate + spread) + 1])

    def listen(self, strands: Mapping[int, Strand]) -> None:
        """Take these speakers' words for everybody's."""
        self._heard = {}
        self._shares = {}
        for number, strand in strands.items():
            part = 1 / max(strand.seen, 1)
            shares = self._heard[number] = {word: count * part for word, count in zip(strand.words, strand.counts)}
            for word, share in shares.items():
                self._shares[word] = self._shares.get(word, 0.0) + share

    def without(self, spoken: Mapping[int, AbstractSet[int]]) -> Others:
        """The crowd as it is without these tenants; of each the words it speaks (none: it has no seat)."""
        return Others(self, spoken)

    def hour_share(self, slot: int) -> float:
        """Share of the crowd's activity that falls into a slot, never quite 0."""
        return (self._hours[slot] + 0.5) / (self._active + 0.5 * HOURS)

    def expected_overlap(self, beat: int, size: int) -> float:
        """Slots that a tenant active in `size` of them would share with `beat` if it followed the crowd's day."""
        if not self._active:
            return float(size)
        return size * sum(self._hours[slot] for slot in slots(beat)) / self._active


class Others:
    """What is usual among all but a few, who are held against the others: however small the crowd is, nobody is measured by
    what is his own."""

    __slots__ = ("_counts", "_crowd", "_gone", "_heard", "_left", "_rarities", "_rates", "_rates_sum", "_shares")

    def __init__(self, crowd: Crowd, spoken: Mapping[int, AbstractSet[int]]) -> None:
        self._crowd = crowd
        self._gone: dict[int, int] = {}
        for words in spoken.values():
            for word in words:
                bucket = word % _BUCKETS
                self._gone[bucket] = self._gone.get(bucket, 0) + 1
        self._counts = crowd._words
        self._left = len(crowd.speakers) - sum(1 for words in spoken.values() if words)
        telling = int((self._left + 1) / exp(_COMMON) + 1)
        self._rarities = [max(0.0, log((self._left + 1) / (count + 0.5)) - _COMMON) for count in range(telling)]
        unheard = [crowd._heard[number] for number in spoken if number in crowd._heard]
        self._heard = len(crowd._heard) - len(unheard)
        self._shares: Shares = {}
        for shares in unheard:
            for word, share in shares.items():
                self._shares[word] = self._shares.get(word, 0.0) + share
        self._rates = list(crowd._rates)
        for number in spoken:
            if number in crowd._rate_of:
                self._rates[_bucket(crowd._rate_of[number])] -= 1
        self._rates_sum = sum(self._rates)

    def rarity(self, word: int) -> float:
        """As `Crowd.rarity`."""
        bucket = word % _BUCKETS
        count = self._counts[bucket]
        if bucket in self._gone:
            count = max(count - self._gone[bucket], 0)
        return self._rarities[count] if count < len(self._rarities) else 0.0

    def share_of_word(self, word: int) -> float:
        """Share of a speaker's requests that have it, by the mean of those listened to."""
        return max(0.0, self._crowd._shares.get(word, 0.0) - self._shares.get(word, 0.0)) / max(self._heard, 1)

    def share_between(self, low: int, high: int) -> float:
        """Share of speakers that send so many requests, never quite 0."""
        return (sum(self._rates[_bucket(low) : _bucket(high) + 1]) + 1) / (self._rates_sum + 2)


def _bucket(rate: int) -> int:
    """Each rate by itself up to 63, octaves above."""
    return rate if rate < 64 else min(RATES - 1, 57 + rate.bit_length())


def slots(beat: int) -> Iterator[int]:
    """The slots of a bit map, ascending."""
    while beat:
        low = beat & -beat
        yield low.bit_length() - 1
        beat ^= low
