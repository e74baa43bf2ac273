"""Weights of profiles, fitted from examples."""

import random

import pytest

from gateway.detectors import REASONS
from gateway.detectors.weights import PROFILES
from gateway.evaluation.fit_profiles import PRIOR, Example, fit


def examples(profile, share, count=40, family="f", **measures):
    """Windows whose streams hold about so large a share, with small differences between them."""
    rng = random.Random(f"{profile}{share}{family}")
    made = []
    for _ in range(count):
        found = {"share": share + rng.randint(-20, 20), **measures}
        made.append(Example(family, profile, {stream: found for stream, _ in PRIOR.values()}, dict(measures)))
    return made


def score(profile, found):
    return profile.bias + sum(term.weight * (found.get(term.name, 0) - term.usual) / 1000 for term in profile.terms)


def test_what_is_fitted_tells_them_apart():
    """Every fitted profile puts its own examples above 0 and the honest ones below, with terms that REASONS tells of."""
    known = examples("", 150, personal=400)
    for name in PRIOR:
        known += examples(name, 900, family=name)
    fitted = {profile.name: profile for profile in fit(known)}
    assert fitted.keys() == {profile.name for profile in PROFILES}
    for name, (stream, prior) in PRIOR.items():
        profile = fitted[name]
        assert (profile.stream, [term.name for term in profile.terms]) == (stream, list(prior))
        assert all(term.name in REASONS for term in profile.terms)
        assert score(profile, {"share": 900}) > 1 > -1 > score(profile, {"share": 150, "personal": 400})


def test_no_weight_has_another_sign_than_its_meaning():
    """Examples in which everything is upside down make weights 0, not the opposite of what they mean."""
    upside_down = examples("", 900, shots=0) + examples("harvest", 150, shots=1000)
    for profile in fit(upside_down):
        for term in profile.terms:
            assert term.weight * PRIOR.get(profile.name, ("", {term.name: term.weight}))[1][term.name] >= 0


def test_a_large_family_weighs_no_more_than_a_small_one():
    """Repeating a family's windows changes nothing: families weigh the same, not windows."""
    small = (
        examples("", 100, count=5, family="a") + examples("", 300, count=5, family="b") + examples("collector", 800, count=5)
    )
    large = small + small[:5] * 9
    assert [profile.bias for profile in fit(large)] == pytest.approx([profile.bias for profile in fit(small)], abs=0.05)


def test_equal_examples_make_equal_weights():
    """Nothing is drawn by chance: a fit can be repeated to the digit."""
    known = examples("", 100) + examples("generator", 800)
    assert fit(known) == fit(known)


def test_attacks_alone_are_no_examples():
    """Without anybody honest nothing can be told apart, and that is said."""
    with pytest.raises(ValueError, match="honest"):
        fit(examples("generator", 800))
