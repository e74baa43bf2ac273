"""Windows of sightings, and what they look like."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.detectors import EXPLAINS, FEATURES, PROFILES, REASONS, Window, judge
from gateway.detectors.kinds import KINDS
from gateway.detectors.window import DUMP_BYTES_MAX
from gateway.values import Sighting
from tests.detectors.make import chat, looks

EVERYTHING = frozenset(EXPLAINS)


def window(sightings, gap_us=1_000_000):
    made = Window()
    for at, sighting in enumerate(sightings):
        made.add(sighting, (at + 1) * gap_us, 100)
    return made


def invented(count):
    """Requests that ask for tasks to be invented, around seeds that vary."""
    nouns = ["harbour", "fugue", "loom", "tax", "glacier", "theorem", "bakery", "orbit", "ledger", "mosaic"]
    return [
        chat(
            f"Come up with a set of 20 diverse task instructions.\n\nSeed: {nouns[at % 10]} {nouns[at // 10 % 10]} of {at}",
            max_tokens=3000,
        )
        for at in range(count)
    ]


NUMBERS = st.integers(0, 2**64 - 1)
SIGHTINGS = st.builds(
    Sighting,
    prompt_bytes=st.integers(0, 10**7),
    slot_bytes=st.integers(0, 10**4),
    template=NUMBERS,
    content=NUMBERS,
    sketch=st.lists(st.integers(0, 2**32 - 1), max_size=8, unique=True).map(lambda found: tuple(sorted(found))),
    habits=NUMBERS,
    features=st.tuples(*[st.integers(0, 1000)] * len(FEATURES)),
    phrases=st.lists(st.text("abc", min_size=1, max_size=3), max_size=3, unique=True).map(tuple),
    signature=NUMBERS,
    session=NUMBERS,
    system=NUMBERS,
    before=NUMBERS,
)


def test_invention_looks_like_a_generator():
    """A stream that asks for tasks to be invented is a generator's, with reasons that say so; nothing else ranks above it."""
    first = judge(window(looks(invented(60))), frozenset())[0]
    assert (first.profile, first.score > 500, first.requests) == ("generator", True, 60)
    assert "says_invention" in [reason.code for reason in first.reasons]


def test_a_declared_purpose_explains():
    """What was agreed with a tenant changes no score: it marks the findings that it explains."""
    made = window(looks(invented(60)))
    plain, declared = judge(made, frozenset()), judge(made, frozenset({"synthetic_data"}))
    assert [(each.profile, each.score) for each in plain] == [(each.profile, each.score) for each in declared]
    assert {each.profile for each in declared if each.explained} == EXPLAINS["synthetic_data"]
    assert not any(each.explained for each in plain)


def test_nobody_is_judged_by_nothing():
    """A window with few requests has findings of no score and no reason."""
    for made in (Window(), window(looks(invented(3)))):
        assert [(each.score, each.reasons) for each in judge(made, EVERYTHING)] == [(0, ())] * len(PROFILES)


def test_every_reason_has_its_sentence():
    """Each term of each profile is told in words."""
    assert {term.name for profile in PROFILES for term in profile.terms} <= REASONS.keys()
    assert all(profile.terms for profile in PROFILES)


@given(st.lists(SIGHTINGS, max_size=60))
@settings(max_examples=40, deadline=None)
def test_a_window_is_small_and_comes_back(sightings):
    """Whatever is added, a dump is at most 16 KB, and what is loaded from it judges and dumps the same."""
    made = window(sightings)
    data = made.dump()
    assert len(data) <= DUMP_BYTES_MAX
    back = Window.load(data)
    assert back.dump() == data
    assert judge(back, EVERYTHING) == judge(made, EVERYTHING)


def test_a_hostile_window_stays_small():
    """Thousands of requests with every number at its largest: the dump and the memory stay under 16 KB."""
    made = Window()
    for at in range(3000):
        high = 2**64 - 1 - at
        sketch = tuple(range(2**32 - 8 * at - 8, 2**32 - 8 * at))
        phrases = tuple(f"group-{at * 8 % 64 + i:057d}" for i in range(8))
        made.add(
            Sighting(10**9, 5000, high, high, sketch, high, (1000,) * len(FEATURES), phrases, high, high), at + 1, 10**6, 10**9
        )
    assert len(made.dump()) <= DUMP_BYTES_MAX
    arrays = [*made.kinds, *made.templates.values(), made.contents, made.sketches, made.signatures, made.bits]
    assert sum(map(sys.getsizeof, arrays)) <= DUMP_BYTES_MAX
    assert made.requests < 1000


@given(st.lists(SIGHTINGS, max_size=30), st.lists(SIGHTINGS, max_size=30))
@settings(max_examples=30, deadline=None)
def test_a_cluster_has_its_members_requests(ones, others):
    """A merged window counts both, and judging it does not depend on whose requests were whose."""
    one, other = window(ones), window(others)
    one.merge(other)
    assert one.requests == len(ones) + len(others)
    assert len(one.dump()) <= DUMP_BYTES_MAX


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b'{"version": 1}', b"\xff", Window().dump()[:-9] + b"}", b'{"version":9,"width":1}']
)
def test_what_is_no_dump_is_refused(data):
    """A dump that is damaged or of another version is a ValueError, never half a window."""
    with pytest.raises(ValueError):
        Window.load(data)


def test_replayed_thinking_of_another_session():
    """A signature that comes back in its own session is nothing; in another session it is relay."""
    base = looks([chat("hello")])[0]
    own = window([base._replace(signature=5, before=1)] * 40)
    foreign = window([base._replace(signature=5, before=at) for at in range(1, 41)])
    scores = [{each.profile: each.score for each in judge(made, frozenset())}["relay"] for made in (own, foreign)]
    assert scores[0] < 100 < 900 < scores[1]


def test_a_tenant_cannot_raise_anothers_score():
    """State belongs to one tenant: what another sends, even its very prompts, changes nothing of what is seen of it."""
    honest = [chat(f"my card number {at} was blocked, can you help me?") for at in range(40)]
    alone = window(looks(honest)).dump()
    looks(honest * 3)  # somebody else, with the same prompts and a past of its own
    looks(invented(100))
    assert window(looks(honest)).dump() == alone


def test_profiles_look_at_streams_that_exist():
    """Each profile looks at a kind of requests that windows keep, and no term of it is there twice."""
    assert {profile.stream for profile in PROFILES} <= set(KINDS)
    assert all(len({term.name for term in profile.terms}) == len(profile.terms) for profile in PROFILES)
    assert {profile.name for profile in PROFILES} == {"generator", "collector", "harvest", "relay"}


def test_honest_requests_beside_it_do_not_hide_a_generator():
    """Two honest requests of three leave the generator's stream what it is: it is judged alone."""
    honest = looks([chat(f"my parcel {at} is late again, what can i do about it?") for at in range(120)])
    mixed = [sighting for at, own in enumerate(looks(invented(60))) for sighting in (own, *honest[2 * at : 2 * at + 2])]
    first = judge(window(mixed), frozenset())[0]
    assert (first.profile, first.score > 500, first.requests) == ("generator", True, 60)
    assert judge(window(honest), frozenset())[0].score < 100


def test_a_job_over_documents_is_no_collector():
    """One order over many documents is a template: what is asked is not varied, whatever the documents say."""
    words = ["harbour", "fugue", "loom", "tax", "glacier", "theorem", "bakery", "orbit", "ledger", "mosaic"]
    job = [
        chat(f"Summarise the text in two sentences.\n\nText: The {words[at % 10]} of {at} was sold to a {words[at // 10]}.")
        for at in range(100)
    ]
    assert judge(window(looks(job)), frozenset())[0].score < 50


def test_varied_orders_are_a_collectors():
    """Whole tasks for anybody, each another, are what a collector sends; canned openings in turn do not change that."""
    verbs, forms = ["Write", "Compose", "Draft", "Design", "Outline"], ["a fable", "a menu", "a lesson", "a letter", "an ode"]
    subjects = ["bridges in winter", "the price of salt", "an honest thief", "a quiet harbour", "two rival bakers", "lost keys"]
    tasks = [f"{verb} {form} about {subject}." for subject in subjects for form in forms for verb in verbs]
    openings = [f"Good day to you, friend number {at}, I hope that you are well." for at in range(10)]
    for asked in (tasks, [f"{openings[at % 10]}\n\n{task}" for at, task in enumerate(tasks)]):
        first = judge(window(looks([chat(task) for task in asked])), frozenset())[0]
        assert (first.profile, first.score > 500) == ("collector", True)
