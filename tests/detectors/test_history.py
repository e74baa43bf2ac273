"""A tenant's own history: what is a change, what is none, and how it is told. Time is an argument."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.detectors import FEATURES, REASONS, History, Past, Window, is_order, look
from gateway.detectors import history as rules
from gateway.detectors.history import BLOCK, DAY_US, LEARN_BLOCKS
from gateway.detectors.history_cells import DUMP_BYTES, WEIGHTS, WIDTH, Sums, cells_of
from gateway.detectors.history_mix import apart, known_of
from gateway.detectors.history_told import DOUBLED, MAY_LACK, PRESENT
from gateway.detectors.window import DUMP_BYTES_MAX
from gateway.values import Sighting
from tests.detectors.make import LENS, chat
from tests.detectors.test_window import SIGHTINGS, invented

START_US = 100 * DAY_US
WORDS = [
    "harbour",
    "fugue",
    "window",
    "glacier",
    "theorem",
    "bakery",
    "orbit",
    "ledger",
    "mosaic",
    "garden",
    "engine",
    "station",
    "colour",
    "number",
    "letter",
]


def support(draw):
    """What a shop's customers ask, behind its system prompt."""
    text = f"Hi, my {draw.choice(WORDS)} {draw.choice(['broke', 'is late'])} and I need help with my {draw.choice(WORDS)}."
    return chat(
        f"{text} Can you tell me what to do, please? Order {draw.randrange(9_999)}.", system="You help customers of a shop."
    )


def classify(draw):
    """What a nightly job sends."""
    text = " ".join(draw.sample(WORDS, 8))
    return chat(f"Label this text as good or bad.\nText: {text}\nLabel:", temperature=0, max_tokens=4)


def attack(draw):
    return invented(100)[draw.randrange(100)]


class Tenant:
    """Sends requests of one kind or another, at one pace."""

    def __init__(self, gap_s=600, seed=1):
        self.history, self.past, self.draw = History(), Past(), random.Random(seed)
        self.at_us, self.gap_us, self.sent = START_US, gap_s * 1_000_000, 0

    def send(self, count, *kinds):
        """Requests, each of one of these kinds. How many came before a change was seen; None: none was."""
        noticed = None
        for number in range(1, count + 1):
            self.at_us += self.gap_us
            sighting = look(self.draw.choice(kinds)(self.draw), self.past, LENS, self.at_us)
            self.history.add(sighting, self.at_us, is_order=is_order(sighting))
            if noticed is None and self.history.change() is not None:
                noticed = number
        return noticed


def test_what_goes_on_is_no_change():
    """Thousands of requests of one kind, and of several at once, change nothing."""
    for kinds in ((support,), (support, classify)):
        assert Tenant().send(2_000, *kinds) is None


def test_half_of_the_traffic_becoming_something_else_is_seen():
    """Within 72 requests, and told by what moved: tasks are invented that were not, in half of the requests."""
    tenant = Tenant()
    assert tenant.send(300, support) is None
    noticed = tenant.send(96, support, attack)
    assert noticed is not None
    assert noticed <= 72
    change = tenant.history.change()
    told = {reason.code: (reason.usual, reason.value) for reason in change.finding.reasons}
    assert told["says_invention"][0] == 0
    assert 300 <= told["says_invention"][1] <= 700
    assert change.finding.profile == "change"
    assert 500 < change.finding.score < 1_000
    assert all(reason.code in REASONS for reason in change.finding.reasons)
    assert (change.past_us, change.is_young) == (START_US + tenant.gap_us, False)


def test_a_cycle_that_is_known_is_no_change():
    """Days of one kind, nights of another, and every mixture of the two between them: nothing is out of what is known."""
    tenant = Tenant(gap_s=300)
    for _ in range(3):
        tenant.send(100, support)
        tenant.send(100, classify)
    for kinds in ((support,), (classify,), (support, support, classify), (support, classify)):
        assert tenant.send(120, *kinds) is None


def test_the_first_night_of_a_busy_tenant_is_marked_young_and_learned():
    """Its first day is too short for its night: that is told as young, ends with the day, and the second night is no change."""
    tenant = Tenant(gap_s=60)
    assert tenant.send(700, support) is None
    assert tenant.send(600, classify) is not None
    assert tenant.history.change().is_young
    tenant.send(400, support)
    assert tenant.history.change() is None
    assert tenant.send(600, classify) is None


def test_a_change_that_stays_is_learned_after_three_days():
    """A new program is a change for three days, then it is what this tenant does; another one is a change again."""
    tenant = Tenant(gap_s=600)
    tenant.send(300, support)
    assert tenant.send(430, classify) is not None
    assert tenant.history.change() is not None
    tenant.send(90, classify)
    assert tenant.history.change() is None
    assert tenant.send(200, support, classify) is None
    assert tenant.send(96, attack) is not None


def test_what_was_told_and_comes_back_is_no_change():
    """A weekly job is told once."""
    tenant = Tenant(gap_s=600)
    tenant.send(300, support)
    assert tenant.send(72, classify) is not None
    tenant.send(900, support)
    assert tenant.history.change() is None
    assert tenant.send(72, classify) is None
    assert tenant.send(600, support, classify) is None


def test_a_drift_is_a_change_at_last():
    """However slowly one kind becomes another: what is known does not move, so the distance only grows."""
    tenant = Tenant(gap_s=3_600)
    tenant.send(300, support)
    noticed = [tenant.send(48, *[support] * (20 - share), *[attack] * share) for share in range(1, 20)]
    first = next(share for share, found in enumerate(noticed, 1) if found is not None)
    assert first <= 12


def test_with_no_history_there_is_no_change():
    """What comes first is what is known, whatever it is; so a tenant that begins with an attack is not seen here."""
    tenant = Tenant()
    assert tenant.send(BLOCK * LEARN_BLOCKS, attack) is None
    assert tenant.send(500, attack) is None


@given(st.lists(SIGHTINGS, max_size=120))
@settings(max_examples=25, deadline=None)
def test_a_history_is_small_and_comes_back(sightings):
    """Whatever is added, a dump is bounded, and what is loaded from it goes on the same."""
    made = History()
    for at, sighting in enumerate(sightings):
        made.add(sighting, START_US + at * 3_600_000_000, is_order=at % 2 == 0)
    data = made.dump()
    assert len(data) <= rules.DUMP_BYTES_MAX
    back = History.load(data)
    assert (back.dump(), back.change()) == (data, made.change())


def test_a_window_and_a_history_of_a_hostile_tenant_are_16_kb():
    """Everything the analyst keeps of one tenant, at its largest."""
    history, window = History(), Window()
    draw = random.Random(7)
    for at in range(3_000):
        high = draw.randrange(2**63, 2**64)
        sketch = tuple(sorted(draw.randrange(2**32) | 1 for _ in range(8)))
        phrases = tuple(f"group-{at * 8 % 64 + i:057d}" for i in range(8))
        features = tuple(draw.choice((999, 1_000)) if at // BLOCK % 2 else draw.choice((0, 251, 501)) for _ in FEATURES)
        one = Sighting(10**9, 5_000, high, high, sketch, high, features, phrases, high, high, high, high)
        window.add(one, START_US + at * 1_000_000_000, 10**6)
        history.add(one, START_US + at * 1_000_000_000, is_order=True)
        if at % 100 == 99:
            assert len(history.dump()) <= rules.DUMP_BYTES_MAX
            assert len(window.dump()) + len(history.dump()) <= DUMP_BYTES_MAX


def test_what_is_no_dump_is_refused():
    """Every beginning of a dump, other versions, and sums of more than their requests."""
    tenant = Tenant()
    tenant.send(200, support)
    data = tenant.history.dump()
    for end in range(0, len(data), 7):
        with pytest.raises(ValueError):
            History.load(data[:end])
    with pytest.raises(ValueError, match="version"):
        History.load(b"\xff" + data[1:])
    with pytest.raises(ValueError):
        History.load(b"")
    with pytest.raises(ValueError, match="more than their requests"):
        Sums.load(b"\x01\x00" + bytes(8) + b"\x02" * (DUMP_BYTES - 10))


SAMPLES = st.lists(st.lists(st.integers(0, WIDTH - 1), unique=True, min_size=1, max_size=30), min_size=2, max_size=30)


def sums_of(requests):
    made = Sums()
    for cells in requests:
        made.add(cells, (0,) * len(FEATURES))
    return made


@given(st.lists(SAMPLES, min_size=1, max_size=5), st.lists(st.floats(0, 1), min_size=5, max_size=5))
@settings(max_examples=60, deadline=None)
def test_the_nearest_mixture_is_no_farther_than_any_other(samples, draws):
    """Shares are shares, and no mixture that is tried is nearer."""
    recent, *others = [sums_of(each) for each in samples]
    known = others if others else [*others, recent]
    found = apart(recent, known_of(known))
    assert sum(found.mix) == pytest.approx(1)
    assert min(found.mix) >= 0
    total = sum(draws[: len(known)]) or 1
    mix = [draw / total for draw in draws[: len(known)]] if sum(draws[: len(known)]) else [1 / len(known)] * len(known)
    point = [sum(a * b for a, b in zip(mix, column)) for column in zip(*[each.shares() for each in known])]
    distance = sum(weight * (a - b) ** 2 for weight, a, b in zip(WEIGHTS, recent.shares(), point))
    assert found.distance <= distance + 1e-3


def test_a_sample_of_the_same_is_at_no_distance():
    """The unbiased estimate is 0 on average, and its noise is what is seen, for independent requests."""
    draw = random.Random(3)
    ratios, excess = [], []
    for _ in range(200):
        one, other = [sums_of([[c for c in range(40) if draw.random() < 0.3] for _ in range(24)]) for _ in range(2)]
        found = apart(one, known_of([other]))
        ratios.append(found.ratio)
        excess.append(found.excess)
    assert sum(excess) / len(excess) == pytest.approx(0, abs=0.05)
    assert sum(ratios) / len(ratios) == pytest.approx(1, abs=0.1)


def test_every_measure_has_its_sentence():
    """Whatever a request is measured by can be told when it changes."""
    codes = {PRESENT.get(each.name) or DOUBLED.get(each.name, (each.name,))[0] for each in FEATURES}
    assert codes | set(MAY_LACK.values()) <= REASONS.keys()


def test_a_feature_out_of_bounds_is_refused():
    """What a gateway of another version writes is no cell."""
    (sighting,) = [look(chat("Say hello."), Past(), LENS, 1)]
    with pytest.raises(IndexError):
        cells_of(sighting._replace(features=(5_000,) * len(FEATURES)), (), is_order=False)
