"""A lot drawn from many: how many, which, and by whom it could be known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.detectors.lot import Lot

SEEDS = st.integers(0, 2**64 - 1)


def drawn(seed: int, size: int, many: int) -> list[int]:
    lot: Lot[int] = Lot(seed, size)
    for place in range(1, many + 1):
        if lot.wants():
            lot.keep(place)
    found = lot.drawn()
    assert [place for place, _ in found] == [item for _, item in found]
    assert lot.came == many
    return [place for place, _ in found]


@given(SEEDS, st.integers(1, 40), st.integers(0, 200))
def test_as_many_as_there_are_or_as_may_be(seed: int, size: int, many: int) -> None:
    """All of few, so many of more; each once, in the order in which they came, and the same again under the same seed."""
    found = drawn(seed, size, many)
    assert found == sorted(set(found))
    assert len(found) == min(size, many)
    assert found == drawn(seed, size, many)


@given(SEEDS, st.integers(1, 20), st.integers(0, 100), st.integers(0, 100))
def test_more_that_come_only_displace(seed: int, size: int, many: int, more: int) -> None:
    """Of a longer list the same are drawn, less those that later ones have displaced."""
    longer = drawn(seed, size, many + more)
    assert [place for place in longer if place <= many] == [place for place in drawn(seed, size, many) if place in longer]


@given(SEEDS, st.integers(1, 10), st.sets(st.integers(1, 60)))
def test_what_could_not_be_made_is_not_kept(seed: int, size: int, failing: set[int]) -> None:
    """One that is wanted and never kept leaves its room to the next."""
    lot: Lot[int] = Lot(seed, size)
    for place in range(1, 61):
        if lot.wants() and place not in failing:
            lot.keep(place)
    assert len(lot.drawn()) == min(size, 60 - len(failing))
    assert not failing.intersection(place for place, _ in lot.drawn())


def test_every_place_is_as_likely() -> None:
    """Over ten thousand seeds each of fifty places is drawn about as often: within six standard deviations."""
    counts = [0] * 51
    for seed in range(10_000):
        for place in drawn(seed, 5, 50):
            counts[place] += 1
    assert all(abs(count - 1_000) < 6 * (10_000 * 0.1 * 0.9) ** 0.5 for count in counts[1:])
