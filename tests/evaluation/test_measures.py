"""Figures from scores: thresholds flag no more than they may, areas are chances, and what is held out is held out."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.evaluation import fitted, held_out, measures

scores = st.lists(st.integers(0, 20), min_size=1, max_size=60)


@given(scores, st.floats(0.0, 1.0))
def test_a_threshold_flags_no_more_than_it_may(honest, share):
    """Whatever the ties; and one point lower it would flag more, where it is a score at all."""
    above = measures.threshold(honest, share)
    assert measures.flagged(honest, above) <= share + 1e-9
    if above != float("-inf"):
        assert measures.flagged(honest, above - 0.5) > share - 1e-9


@given(scores, scores)
def test_area_is_the_chance_of_scoring_higher(honest, attack):
    """Counted pair by pair, ties half."""
    pairs = [(a > h) + (a == h) / 2 for a in attack for h in honest]
    assert measures.auc(honest, attack) == pytest.approx(sum(pairs) / len(pairs))


@given(scores, scores)
def test_the_roc_runs_from_corner_to_corner(honest, attack):
    """And never falls; the trapezoids under it are the same area."""
    points = measures.roc(honest, attack)
    assert (points[0], points[-1]) == ((0.0, 0.0), (1.0, 1.0))
    assert points == sorted(points)
    area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points))
    assert area == pytest.approx(measures.auc(honest, attack))


def test_a_family_never_chooses_its_own_threshold():
    """One family scores as high as attacks: a threshold set with it would pass it, one set without it flags it."""
    honest = {"calm": [1.0] * 100, "loud": [9.0] * 100}
    attack = {"a": [8.0] * 10}
    made = held_out.folds(honest, attack)
    assert {fold.held_out: set(fold.chosen_on) for fold in made} == {"calm": {9.0}, "loud": {1.0}}
    point = held_out.at_nominal(held_out.curve(made), 0.01)
    assert (point.flagged, point.caught) == (0.5, 0.5)
    assert held_out.at_flagged(held_out.curve(made), 0.01).caught == 0.0
    flattering = held_out.curve(held_out.random_folds(honest, attack, seed=1))
    assert held_out.at_nominal(flattering, 0.01).flagged == 0.0


def test_a_bootstrap_twin_is_held_out_with_its_twin():
    """A family that was drawn twice is one family still."""
    made = held_out.folds({"a#0": [1.0], "a#1": [2.0], "b#2": [3.0]}, {"x": [1.0]})
    assert [fold.chosen_on for fold in made] == [[3.0], [3.0], [1.0, 2.0]]


def test_a_margin_goes_beyond_the_highest():
    """So that even a family that scores above all others can be spared, at the price of attacks."""
    honest = {"calm": [float(n) for n in range(101)], "loud": [110.0] * 101}
    points = held_out.curve(held_out.folds(honest, {"a": [500.0] * 10}))
    point = held_out.at_flagged(points, 0.01)
    assert point.nominal < 0
    assert (point.flagged, point.caught) == (0.0, 1.0)


@pytest.mark.parametrize(("attacks_score", "area"), [(1000.0, 1.0), (0.0, 0.0)])
def test_area_of_a_curve(attacks_score, area):
    """1 where every attack is above every honest window, 0 where it is below."""
    honest = {"a": [float(n) for n in range(3, 60)], "b": [float(n) for n in range(20, 80)]}
    assert held_out.area(held_out.curve(held_out.folds(honest, {"x": [attacks_score] * 20}))) == pytest.approx(area, abs=0.1)


def test_a_bootstrap_of_few_families_is_wide():
    """Two families that disagree are no evidence of either; many that agree are."""
    groups = ({"a": [0.0] * 50, "b": [1.0] * 50},)

    def share(drawn):
        return measures.mean(measures.pooled(drawn[0]))

    few = measures.bootstrap(groups, share, times=200, seed="s")
    many = measures.bootstrap(({str(n): [0.4, 0.6] for n in range(40)},), share, times=200, seed="s")
    assert (few.value, few.low, few.high) == (0.5, 0.0, 1.0)
    assert many.high - many.low < 0.1
    assert few == measures.bootstrap(groups, share, times=200, seed="s")


@pytest.mark.parametrize(("hits", "of"), [(0, 20), (10, 20), (20, 20)])
def test_an_interval_of_runs_holds_its_share(hits, of):
    """And stays within 0 and 1, though all or none hit."""
    interval = measures.share_interval(hits, of)
    assert 0.0 <= interval.low <= interval.value <= interval.high <= 1.0
    assert interval.high - interval.low > 0.1


def test_fitted_scores_are_tested_on_what_was_not_fitted():
    """A mark that tells attacks of one family only does not help with another's: fitted by pairs it is worth nothing, and the
    random split says it were worth all."""
    rng = Random(5)

    def rows(mark, count=40):
        return [(*mark, rng.random()) for _ in range(count)]

    honest = {"h1": rows((0, 0)), "h2": rows((0, 0))}
    attack = {"a1": rows((1, 0)), "a2": rows((0, 1))}
    by_pair = held_out.curve(fitted.pair_folds(honest, attack))
    by_lot = held_out.curve(fitted.random_pairs(honest, attack, seed=1))
    assert held_out.at_flagged(by_lot, 0.01).caught == 1.0
    assert held_out.at_flagged(by_pair, 0.01).caught < 0.5
