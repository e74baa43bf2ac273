"""The second look: one file for each finding in second/, and the laws it stands on.

The `# expect:` lines at a file's top are all that is found in it on 2027-03-01, to the letter; a file without any is as it
should be.
"""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.policy.globs import covers, matcher, overlap
from gateway.policy.load import load_dir
from gateway.policy.model import EVERYTHING, Budget, Place
from gateway.policy.second_look import KINDS, second_look
from gateway.policy.tighter import never_binds

SECOND = sorted(Path(__file__).with_name("second").glob("*.yaml"))
NOW_US = 1_803_902_400_000_000
"""2027-03-01 12:00 in UTC."""


def expected(path: Path) -> list[str]:
    return [line.removeprefix("# expect: ") for line in path.read_text().splitlines() if line.startswith("# expect: ")]


@pytest.mark.parametrize("path", SECOND, ids=lambda path: path.stem)
def test_findings(path: Path, tmp_path: Path) -> None:
    """Each finding is reported once, with its place; where a reader may doubt, nothing is."""
    (tmp_path / path.name).write_text(path.read_text())
    actual = [
        f"{found.place.line}:{found.place.column}: {found.path}: {found.message} [{found.kind}]".replace(f"{tmp_path}/", "")
        for found in second_look(load_dir(tmp_path), NOW_US)
    ]
    assert expected(path) == actual


def test_every_kind_is_shown() -> None:
    """There is a file for each kind of finding, and the files whose name says so have none."""
    found = {line.rpartition("[")[2].removesuffix("]") for path in SECOND for line in expected(path)}
    assert found == KINDS.keys()
    assert not any(expected(path) for path in SECOND if "-not-" in path.stem.replace("model-not-", "") or "-but-" in path.stem)


def test_the_shipped_example_is_clean() -> None:
    """What is there to be copied has no findings."""
    assert second_look(load_dir(Path(__file__).parents[2] / "policies"), NOW_US) == []


globs = st.text(st.sampled_from("ab*?[!]"), min_size=1, max_size=5)
names = st.text(st.sampled_from("ab"), max_size=5)


@given(globs, globs, names)
@example("*b", "a*", "ab")
@example("[!a]", "?", "b")
@example("[]a]", "]", "]")
def test_globs_that_share_a_name_overlap(one: str, other: str, name: str) -> None:
    """Whatever both match is found, and the order makes no difference."""
    assert overlap(one, other) == overlap(other, one)
    if matcher((one,))(name) and matcher((other,))(name):
        assert overlap(one, other)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("gpt-*", "*-mini", True), ("gpt-*", "o*", False), ("a?c", "abc", True), ("a?c", "ac", False), ("*", "x", True),
        ("[ab]*", "[!ab]*", False), ("*a", "*b", False), ("a*b*c", "abc", True), ("", "*", True),
    ],
)  # fmt: skip
def test_overlaps(one: str, other: str, expected: bool) -> None:
    """Two globs overlap if there is a name for both."""
    assert overlap(one, other) is expected


@given(st.lists(globs, min_size=1, max_size=3), st.lists(globs, min_size=1, max_size=3), names)
def test_what_is_covered_is_matched(several: list[str], others: list[str], name: str) -> None:
    """Lists that cover others match all that they do."""
    if covers(tuple(several), tuple(others)) and matcher(tuple(others))(name):
        assert matcher(tuple(several))(name)


# A budget that never binds, against windows as plainly as they can be written: seconds are days here.

DAY_S = 86_400


def window(kind: str, limit: int, period_s: int, burst: int) -> Budget:
    return Budget(
        name=f"{kind}-{limit}", meter="requests", limit=limit, kind=kind, period_s=DAY_S if kind == "calendar" else period_s,  # type: ignore[arg-type]
        burst=burst if kind == "bucket" else limit, calendar="day" if kind == "calendar" else "",
        timezone="UTC" if kind == "calendar" else "", scope=("tenant",), enforce=True, models=EVERYTHING, place=Place("f", 1),
    )  # fmt: skip


class Counted:
    """One counter, in exact arithmetic: amounts are multiplied by the period."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.level = budget.burst * budget.period_s
        self.at_s = 0
        self.taken: list[tuple[int, int]] = []

    def has_room(self, now_s: int, amount: int) -> bool:
        budget = self.budget
        if budget.kind == "bucket":
            self.level = min(budget.burst * budget.period_s, self.level + (now_s - self.at_s) * budget.limit)
            self.at_s = now_s
            return amount * budget.period_s <= self.level
        if budget.kind == "rolling":
            used = sum(taken for at_s, taken in self.taken if at_s > now_s - budget.period_s)
        else:
            used = sum(taken for at_s, taken in self.taken if at_s // DAY_S == now_s // DAY_S)
        return used + amount <= budget.limit

    def take(self, now_s: int, amount: int) -> None:
        self.level -= amount * self.budget.period_s
        self.taken.append((now_s, amount))


windows = st.builds(
    window,
    st.sampled_from(["bucket", "rolling", "calendar"]),
    st.integers(1, 12),
    st.sampled_from([3600, 43_200, DAY_S, 172_800]),
    st.integers(1, 12),
)
gaps_s = st.sampled_from([0, 1, 3599, 3600, 43_199, 43_200, 86_399, DAY_S])
arrivals = st.lists(st.tuples(gaps_s, st.integers(1, 6)), max_size=40)


@given(windows, windows, arrivals)
@example(window("bucket", 12, DAY_S, 12), window("calendar", 6, DAY_S, 6), [(86_399, 6), (1, 6)])
@example(window("rolling", 2, 172_800, 2), window("rolling", 1, DAY_S, 1), [(0, 1), (DAY_S, 1), (DAY_S, 1)])
def test_a_budget_that_never_binds_never_refuses(loose: Budget, tight: Budget, gaps: list[tuple[int, int]]) -> None:
    """Whatever comes in whatever order: what the tighter one lets through, the other does too."""
    if not never_binds(loose, EVERYTHING, tight, EVERYTHING):
        return
    first, second = Counted(tight), Counted(loose)
    now_s = 0
    for gap_s, amount in gaps:
        now_s += gap_s
        if first.has_room(now_s, amount):
            assert second.has_room(now_s, amount)
            first.take(now_s, amount)
            second.take(now_s, amount)


def test_proofs_are_found() -> None:
    """The law above is not empty: of the windows that it draws a good share covers another."""
    several = [window(kind, limit, 3600, 12) for kind in ("bucket", "rolling", "calendar") for limit in (1, 6, 12)]
    found = [(one.name, other.name) for one in several for other in several if never_binds(one, EVERYTHING, other, EVERYTHING)]
    assert ("rolling-12", "rolling-6") in found
    assert ("bucket-12", "rolling-6") in found
    assert ("calendar-1", "bucket-1") not in found
    assert len(found) > len(several)
