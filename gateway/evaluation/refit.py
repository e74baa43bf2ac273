"""The watch, fitted again without what it is tested on, by the procedure that its own weights were fitted by.

The weights as shipped were made once; families that they were made on are no test of them. So for each pair of an honest and an
attacking family, profiles are fitted on the windows of all others (`fit_profiles`), the threshold is set on the honest windows
that were fitted on, and the two that were left out are the test. The procedure has to be told which profile an attacking source
is of: the one that the shipped profiles find in most of its windows.

A profile of which no attacking family is left to be fitted on does not judge: so a family that is the only one of its kind is
not caught, and nothing else could be fitted honestly. The shipped weights rest on families written for this project besides,
which are no part of a corpus: `bench/fit_profiles.py` fits with them, and leaves families out likewise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gateway.detectors import Window, judge
from gateway.detectors.weights import Profile
from gateway.evaluation.fit_profiles import PRIOR, Example, example, fit
from gateway.evaluation.held_out import Fold
from gateway.evaluation.watching import Seen


class Sample(NamedTuple):
    """One window, as it is fitted on and as it is judged."""

    example: Example
    window: Window


Samples = dict[str, list[Sample]]
"""By family."""


def samples(streams: Sequence[Seen], family_of: Mapping[str, str], *, is_attack: bool) -> Samples:
    """From what the watch kept of each stream."""
    windows = [Window.load(seen.kept) for seen in streams]
    profiles = _profiles(streams, windows) if is_attack else {}
    found: Samples = {}
    for seen, window in zip(streams, windows):
        source = seen.spec.source
        family = family_of[source]
        found.setdefault(family, []).append(Sample(example(window, family, profiles.get(source, "")), window))
    return found


def _profiles(streams: Sequence[Seen], windows: Sequence[Window]) -> dict[str, str]:
    """By attacking source: the profile that is found in most of its windows."""
    votes: dict[str, Counter[str]] = {}
    for seen, window in zip(streams, windows):
        suspected = [finding.profile for finding in judge(window, frozenset()) if finding.profile in PRIOR]
        votes.setdefault(seen.spec.source, Counter())[suspected[0]] += 1
    return {source: counts.most_common(1)[0][0] for source, counts in votes.items()}


def pair_folds(honest: Samples, attack: Samples) -> list[Fold]:
    """One for each pair of families that has others to be fitted on."""
    made = []
    for honest_name in honest:
        for attack_name in attack:
            others, attacks = _others(honest, honest_name), _others(attack, attack_name)
            if others and attacks:
                kinds = {sample.example.profile for sample in attacks}
                fitted = fit([sample.example for sample in (*others, *attacks)])
                profiles = [profile for profile in fitted if profile.name in kinds]

                def scores(windows: Sequence[Sample], profiles: Sequence[Profile] = profiles) -> list[float]:
                    return [judge(each.window, frozenset(), profiles)[0].exact for each in windows]

                tested = {attack_name: scores(attack[attack_name])}
                made.append(Fold(f"{honest_name}, {attack_name}", sorted(scores(others)), scores(honest[honest_name]), tested))
    return made


def alone(attack: Samples) -> list[str]:
    """Attacking families of which no other is of the same profile."""
    kinds = {name: {sample.example.profile for sample in each} for name, each in attack.items()}
    return sorted(
        name for name, own in kinds.items() if all(own.isdisjoint(theirs) for other, theirs in kinds.items() if other != name)
    )


def _others(found: Samples, but: str) -> list[Sample]:
    return [sample for name, each in found.items() if name != but for sample in each]
