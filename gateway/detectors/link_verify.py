"""A group looked at as a whole: whether each member is like all the others together. Pure.

Two accounts of 26 requests a day tell little of one another; a hundred tell a good deal of each. So pairs only propose a group,
by links that may be weak, and here every member is held against the group without it: its words against the words of all, its
rate against the middle of their rates, its hours against theirs. Who is not convincing leaves, and the rest is looked at again.

Honest tenants who fill in one public template differ in just these three: in what they fill in, in how much they send (rates of
unrelated tenants span orders of magnitude), and in when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from math import log
from typing import NamedTuple

from gateway.detectors import link_evidence as evidence
from gateway.detectors.link_crowd import HOURS, Others, slots
from gateway.detectors.link_evidence import View
from gateway.detectors.link_graph import Node
from gateway.detectors.link_pairs import Scene
from gateway.detectors.link_strand import DAY_US, Strand
from gateway.detectors.link_tenant import Tenant

WHOLE_MIN = 4.5
"""Weight a member must have against the rest."""
RHYTHM_MIN = 0.6
"""Of it, rates and hours by the group's median: what one public template and one public data set do not explain."""
SIZE_MIN = 8
"""Members from which a group is looked at as a whole; a smaller one stands by its pairs alone."""
SAMPLE = 128
"""Members that stand for a larger group."""
ROUNDS = 4
STOPS = 4
TELLING = 64
"""Words by which others are called that may belong to a group."""
LIFT_FULL = 1.5
SEEN_FULL, LOUDEST = 26, 4.0
BAND = 0.6
"""Share of the members' rates that the band in the middle holds."""
UNEVEN = 2.6
"""Upper end of that band over its lower, from which rates say nothing; they say all they can one below it."""
WHOLE_RATES_MAX, WHOLE_HOURS_MAX = 3.0, 1.5


class Against(NamedTuple):
    """One member against all the others."""

    homogeneity: float
    """As `link_evidence.Likeness`: 1 where its words come from where theirs do."""
    lift: float
    """How much more it has in common with the group than with the crowd (nats)."""
    words: float
    rates: float
    hours: float

    @property
    def rhythm(self) -> float:
        """Rates and hours."""
        return self.rates + self.hours


def against_all(nodes: Sequence[Node], tenants: Mapping[int, Tenant], scene: Scene) -> dict[Node, Against]:
    """Hold each node against the others."""
    strands = {node: strand_of(node, tenants) for node in nodes}
    others = scene.crowd.without({node[0]: tenants[node[0]].spoken for node in nodes})
    views = {node: evidence.view(strand, others) for node, strand in strands.items()}
    rest = _rest(nodes, views, tenants)
    rates = {node: _rate(strand, scene.now_us) for node, strand in strands.items()}
    beats = {node: tenants[node[0]].beat_at(scene.now_us) for node in nodes}
    rate_weight = _rates(rates, others)
    hours = _hours_profile(beats)
    trust = 1 - 4 / len(nodes)
    found = {}
    for node in nodes:
        homogeneity, lift, words = _of_words(views[node], rest, node in rest.sample, others)
        found[node] = Against(
            homogeneity,
            lift,
            trust * words,
            trust * rate_weight[node],
            trust * _of_hours(beats[node], hours, scene),
        )
    return found


class _Rest(NamedTuple):
    """The group's words, as its members are held against them."""

    sample: frozenset[Node]
    spread: Mapping[int, float]
    """Word -> sum of the shares of requests that have it."""
    within: Mapping[int, float]
    """Highest word looked at -> what members have in common with themselves up to there."""


def _rest(nodes: Sequence[Node], views: Mapping[Node, View], tenants: Mapping[int, Tenant]) -> _Rest:
    """What stands for the group: members whose words are kept furthest. Who keeps fewer (it sends many different ones) is
    compared as far as it goes: `within` has a few places to stop at."""
    sample = _sample(nodes, views, tenants)
    top = min((views[node].top for node in sample), default=0)
    spread: dict[int, float] = {}
    for node in sample:
        view = views[node]
        for word, (count, _) in view.words.items():
            if word <= top:
                spread[word] = spread.get(word, 0.0) + count / view.seen
    tops = sorted(min(view.top, top) for view in views.values())
    stops = {tops[len(tops) * place // STOPS] for place in range(STOPS)} | {top}
    return _Rest(
        sample,
        spread,
        {stop: _usual([(_within(views[node], stop), min(views[node].seen, SEEN_FULL)) for node in sample]) for stop in stops},
    )


def _of_words(view: View, rest: _Rest, has_it: bool, usually: Others) -> tuple[float, float, float]:
    """Homogeneity, lift and weight of one member's words; `has_it`: it is in the sample itself."""
    top = max((stop for stop in rest.within if stop <= view.top), default=0)
    within = rest.within.get(top, 0.0)
    others = len(rest.sample) - has_it
    between = squares = usual = 0.0
    for word, (count, rare) in view.words.items():
        if word > top:
            continue
        share = count / view.seen
        part = rare * share * (rest.spread.get(word, 0.0) - share * has_it)
        between += part
        squares += part * part
        usual += rare * share * usually.share_of_word(word)
    if others < 1 or within <= 0:
        return -1.0, 0.0, 0.0
    if between <= 0:
        return 0.0, 0.0, evidence.OTHER_WORDS
    homogeneity = between / others / within
    lift = log(between / others / usual) if usual > 0 else LIFT_FULL
    many = evidence.share(between * between / squares, 1.2, 3.0)
    if homogeneity < evidence.OTHER_BELOW:
        return homogeneity, lift, evidence.OTHER_WORDS
    return (
        homogeneity,
        lift,
        evidence.WORDS_FULL * many * evidence.share(homogeneity, 0.45, 0.75) * evidence.share(lift, 0.5, LIFT_FULL),
    )


def words_of(nodes: AbstractSet[Node], tenants: Mapping[int, Tenant], scene: Scene) -> list[int]:
    """The words that tell most of a group: many of it have them, and few others."""
    sample = sorted(nodes, key=lambda node: (tenants[node[0]].place, node))[:SAMPLE]
    heard: dict[int, float] = {}
    for node in sample:
        for word, (_, rare) in scene.look(strand_of(node, tenants)).words.items():
            heard[word] = heard.get(word, 0.0) + rare
    return sorted(heard, key=lambda word: (-heard[word], word))[:TELLING]


def strand_of(node: Node, tenants: Mapping[int, Tenant]) -> Strand:
    """The strand a node stands for. Of one that stands for all that a tenant sends: its template's, where most of it fills that
    in, for the first requests of each tenant still have their template among their words."""
    tenant = tenants[node[0]]
    return tenant.strands.get(node[1]) or tenant.dominant() or tenant.everything


def _sample(nodes: Sequence[Node], views: Mapping[Node, View], tenants: Mapping[int, Tenant]) -> frozenset[Node]:
    """At most SAMPLE members, of those whose words were kept furthest: half of the group or more."""
    tops = sorted(view.top for view in views.values())
    wide = [node for node in nodes if views[node].top >= tops[len(tops) // 2] and views[node].seen > 1]
    return frozenset(sorted(wide, key=lambda node: (tenants[node[0]].place, node))[:SAMPLE])


def _within(view: View, top: int) -> float:
    pairs = sum(rare * count * (count - 1) for word, (count, rare) in view.words.items() if word <= top)
    return pairs / (view.seen * (view.seen - 1))


def _usual(values: Sequence[tuple[float, int]]) -> float:
    """Weighted mean, in which none counts for more than LOUDEST times what is usual without the highest tenth: members that
    send one thing again and again do not make all the others look unlike."""
    ordered = sorted(values)
    low = _mean(ordered[: len(ordered) - len(ordered) // 10])
    return _mean([(min(value, LOUDEST * low), weight) for value, weight in ordered]) if low > 0 else _mean(ordered)


def _mean(values: Sequence[tuple[float, int]]) -> float:
    total = sum(weight for _, weight in values)
    return sum(value * weight for value, weight in values) / total if total else 0.0


def _rate(strand: Strand, now_us: int) -> int:
    return sum(strand.rate(now_us // DAY_US))


def _rates(rates: Mapping[Node, int], others: Others) -> dict[Node, float]:
    """How much it says that a rate lies in the middle BAND of the group's: the more, the rarer such rates are in the crowd, and
    nothing where that band is wide: customers of one kind may all be small, but only what is dealt out is equal."""
    ordered = sorted(rates.values())
    cut = round(len(ordered) * (1 - BAND) / 2)
    low, high = ordered[cut], ordered[-1 - cut]
    mass = others.share_between(low, high)
    even = evidence.share(UNEVEN - (high + 1) / (low + 1), 0.0, 1.0)
    weight = min(WHOLE_RATES_MAX, even * max(0.0, log(BAND / mass)))
    reach = max(high - low, 2)
    return {
        node: weight
        if low - reach <= rate <= high + reach
        else evidence.OTHER_RATES
        if rate > 4 * high or 4 * rate < low
        else 0.0
        for node, rate in rates.items()
    }


def _hours_profile(beats: Mapping[Node, int]) -> list[int]:
    counts = [0] * HOURS
    for beat in beats.values():
        for slot in slots(beat):
            counts[slot] += 1
    return counts


def _of_hours(beat: int, profile: Sequence[int], scene: Scene) -> float:
    """How much better the group's day explains the member's hours than the crowd's day does."""
    size = beat.bit_count()
    total = sum(profile) - size
    if size < evidence.RATE_MIN or total <= 0:
        return 0.0
    likelier = sum(
        log((profile[slot] - 1 + 0.5) / (total + 0.5 * HOURS) / scene.crowd.hour_share(slot)) for slot in slots(beat)
    )
    return min(WHOLE_HOURS_MAX, max(-1.0, 0.1 * likelier))
