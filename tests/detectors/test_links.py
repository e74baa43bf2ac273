"""Clusters: what joins tenants, what does not, and what each of them can do to another."""

from __future__ import annotations

from random import Random

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.detectors import FEATURES, REASONS, Links
from gateway.detectors.features import INDEX
from gateway.detectors.link_strand import DAY_US, WORDS_MAX, Strand
from gateway.detectors.link_suspects import unjudged
from gateway.detectors.link_tenant import HABITS_MAX, PEERS_MAX, PENDING_MAX, STRANDS_MAX
from gateway.values import Sighting

START_US = 20_000 * DAY_US


def sighting(sketch=(), *, template=0, habits=1, content=0, signature=0):
    return Sighting(
        prompt_bytes=200,
        slot_bytes=100,
        template=template,
        content=content,
        sketch=tuple(sorted(sketch)),
        habits=habits,
        features=(),
        phrases=(),
        signature=signature,
    )


class Source:
    """A text of its own vocabulary: a few words in many requests, many in few."""

    def __init__(self, rng, words=400):
        self.rng = rng
        self.words = [rng.getrandbits(32) for _ in range(words)]

    def sketch(self):
        return {self.words[int(len(self.words) * self.rng.random() ** 2)] for _ in range(8)}


def a_day(rng, count, start_us=START_US):
    return [start_us + int(rng.random() * DAY_US) for _ in range(count)]


def crowd(rng, count=120):
    """Tenants that have nothing to do with one another: texts, templates, parameters and rates of their own."""
    for number in range(count):
        source = Source(rng)
        for at_us in a_day(rng, int(rng.lognormvariate(4, 1)) + 1):
            yield at_us, f"own-{number}", sighting(source.sketch(), template=10_000 + number, habits=number % 30)


def accounts(rng, names, source, *, template, each=26, habits=7, start_us=START_US):
    for name in names:
        for at_us in a_day(rng, each, start_us):
            yield at_us, name, sighting(source.sketch(), template=template, habits=habits)


def run(*streams, links=None, at_us=START_US + DAY_US, judge=unjudged):
    links = links or Links()
    for when, name, seen in sorted((note for stream in streams for note in stream), key=lambda note: note[:2]):
        links.note(name, seen, when)
    return links, links.clusters(at_us, comparisons=None, judge=judge)


def suspects(*prefixes):
    """Judges as the windows would: what is mostly theirs looks like an extraction, all else like honest work."""
    return lambda names: 950 if 2 * sum(name.startswith(prefixes) for name in names) > len(names) else 10


def unequal(rng, prefix, count, source, *, template, spread):
    """Accounts whose rates are log-normal."""
    return [
        note
        for name in names(prefix, count)
        for note in accounts(rng, [name], source, template=template, each=max(2, int(26 * rng.lognormvariate(0, spread))))
    ]


def names(prefix, count):
    return [f"{prefix}-{number}" for number in range(count)]


def together(clusters, *tenants):
    return any(set(tenants) <= set(cluster.tenants) for cluster in clusters)


def joined(clusters, prefix):
    return {name for cluster in clusters for name in cluster.tenants if name.startswith(prefix)}


def test_a_pool_is_linked_within_a_day():
    """A hundred accounts of 26 requests are one cluster after their first day, and nobody else is in it."""
    rng = Random(1)
    _, clusters = run(crowd(rng), accounts(rng, names("pool", 100), Source(rng, 2000), template=5))
    assert len(clusters) == 1
    assert len(joined(clusters, "pool")) >= 95
    assert joined(clusters, "own") == set()


def test_reasons_can_be_read():
    """A cluster says why: how many accounts, by what template, words and rates, each beside what is usual; every code has its
    sentence."""
    rng = Random(2)
    _, clusters = run(crowd(rng), accounts(rng, names("pool", 30), Source(rng, 800), template=5))
    reasons = {reason.code: reason for reason in clusters[0].reasons}
    assert reasons["linked_accounts"].value == 30
    assert reasons["linked_template"].value == 1000
    assert reasons["linked_words"].value > 700
    assert reasons["linked_rates"].value > 2 * reasons["linked_rates"].usual
    assert reasons.keys() <= REASONS.keys()


@pytest.mark.parametrize("count", [2, 8, 40])
def test_a_public_template_joins_nobody(count):
    """Honest tenants who fill in one public template with texts of their own are not joined, not even at equal rates."""
    rng = Random(3)
    public = [note for name in names("public", count) for note in accounts(rng, [name], Source(rng), template=5)]
    _, clusters = run(crowd(rng), public)
    assert clusters == ()


@pytest.mark.parametrize("count", [2, 8, 40])
def test_one_template_and_one_text_join_nobody_at_rates_of_their_own(count):
    """Honest tenants who run one public template over one public data set are told apart from a pool by how much they send."""
    rng = Random(4)
    source = Source(rng, 800)
    rates = {name: int(rng.lognormvariate(4, 1.4)) + 3 for name in names("public", count)}
    public = [note for name, rate in rates.items() for note in accounts(rng, [name], source, template=5, each=rate)]
    _, clusters = run(crowd(rng), public)
    assert clusters == ()


def test_who_is_copied_is_not_joined():
    """Accounts that send a tenant's very prompts, with its template, parameters and rate, are joined without it: it was there
    first."""
    rng = Random(5)
    source = Source(rng, 800)
    victim = list(accounts(rng, ["victim"], source, template=5))
    later = [
        (when + DAY_US + number, name, seen)
        for number, name in enumerate(names("copy", 20))
        for when, _, seen in sorted(victim)
    ]
    victim += accounts(rng, ["victim"], source, template=5, start_us=START_US + DAY_US)
    _, clusters = run(crowd(rng), victim, later, at_us=START_US + 2 * DAY_US)
    assert len(joined(clusters, "copy")) == 20
    assert joined(clusters, "victim") == set()


def test_a_newcomer_who_resembles_a_pool_is_not_joined_to_it():
    """One tenant that takes up what a pool has been sending is in no cluster: it may be a customer of one public template."""
    rng = Random(6)
    source = Source(rng, 800)
    links, _ = run(crowd(rng), accounts(rng, names("pool", 30), source, template=5))
    more = accounts(rng, [*names("pool", 30), "newcomer"], source, template=5, start_us=START_US + DAY_US)
    _, clusters = run(more, links=links, at_us=START_US + 2 * DAY_US)
    assert len(joined(clusters, "pool")) == 30
    assert joined(clusters, "newcomer") == set()


def test_one_account_in_two_pools_does_not_merge_them():
    """An account that carries the traffic of two pools is no bridge: they stay two."""
    rng = Random(7)
    one, two = Source(rng, 800), Source(rng, 800)
    _, clusters = run(
        crowd(rng),
        accounts(rng, [*names("one", 30), "bridge"], one, template=5),
        accounts(rng, [*names("two", 30), "bridge"], two, template=6),
    )
    assert not together(clusters, "one-0", "two-0")
    assert {len(cluster.tenants) >= 30 for cluster in clusters} == {True}
    assert len(clusters) == 2


def test_an_account_that_also_serves_others_is_linked():
    """Hydra: accounts half of whose traffic is that of unrelated customers are linked by the other half."""
    rng = Random(8)
    pool = names("pool", 60)
    others = [note for name in pool for note in accounts(rng, [name], Source(rng), template=rng.getrandbits(60))]
    _, clusters = run(crowd(rng), accounts(rng, pool, Source(rng, 800), template=5), others)
    assert len(joined(clusters, "pool")) >= 48
    assert joined(clusters, "own") == set()


def test_accounts_that_rotate_templates_stay_with_the_others():
    """Half of a pool sends one template, half of it three in turn: it is one cluster."""
    rng = Random(9)
    source = Source(rng, 800)
    rotating = [
        (when, name, seen._replace(template=5 + rng.randrange(3)))
        for when, name, seen in accounts(rng, names("pool-r", 40), source, template=5)
    ]
    _, clusters = run(crowd(rng), accounts(rng, names("pool-s", 40), source, template=5), rotating)
    assert max(len(joined([cluster], "pool")) for cluster in clusters) >= 64


def test_one_payer_on_one_template():
    """Two accounts that pay by one means and fill in one template are one operator; neither of the two would do."""
    rng = Random(10)
    links = Links()
    for name, template in [("a", 5), ("b", 5), ("c", 6), ("d", 5)]:
        for when, _, seen in sorted(accounts(rng, [name], Source(rng), template=template), key=lambda note: note[0]):
            links.note(name, seen, when)
    for name in ("a", "b", "c"):
        links.facts(name, {"payment": "card 1"}, START_US)
    clusters = links.clusters(START_US + DAY_US)
    assert [cluster.tenants for cluster in clusters] == [("a", "b")]
    assert "linked_payment" in {reason.code for reason in clusters[0].reasons}


def test_a_network_that_everybody_has_links_nobody():
    """A fact that holds of many tenants (a cloud's network, a reseller's day) weighs nothing."""
    rng = Random(11)
    public = [note for name in names("public", 80) for note in accounts(rng, [name], Source(rng), template=5)]
    links, _ = run(public)
    for name in names("public", 80):
        links.facts(name, {"network": "cloud", "signup": "2026-01-01"}, START_US)
    assert links.clusters(START_US + DAY_US, comparisons=None) == ()


def test_replayed_thinking_links_those_who_replay():
    """Accounts that send back one another's signed thinking are linked; whose thinking it was first is not, by that."""
    rng = Random(12)
    links = Links()
    source = Source(rng, 800)
    for turn in range(20):
        for number, name in enumerate(["origin", *names("replay", 5)]):
            seen = sighting(source.sketch(), template=5, signature=1000 + turn)
            links.note(name, seen, START_US + turn * 3_600_000_000 + number)
    clusters = links.clusters(START_US + DAY_US)
    assert joined(clusters, "replay") == set(names("replay", 5))
    assert joined(clusters, "origin") == set()


def test_unknown_facts_are_refused():
    """A fact that is none of the three is told with its name, and changes nothing."""
    links = Links()
    with pytest.raises(ValueError, match="acme: no such fact: colour"):
        links.facts("acme", {"colour": "red"}, START_US)
    assert len(links) == 0


def test_an_id_lasts_while_a_majority_stays():
    """The cluster keeps its id while accounts come and go, and loses it when most have gone."""
    rng = Random(13)
    source = Source(rng, 800)
    links, (before,) = run(crowd(rng), accounts(rng, names("pool", 40), source, template=5))
    fewer = accounts(rng, names("pool", 40)[:30], source, template=5, start_us=START_US + 7 * DAY_US)
    _, after = run(crowd(rng), fewer, links=links, at_us=START_US + 8 * DAY_US)
    assert [cluster.id for cluster in after] == [before.id]
    assert len(after[0].tenants) == 30


def test_silence_dissolves():
    """Who has sent nothing for a week is in no cluster."""
    rng = Random(14)
    links, clusters = run(crowd(rng), accounts(rng, names("pool", 40), Source(rng, 800), template=5))
    assert len(clusters) == 1
    assert links.clusters(START_US + 9 * DAY_US) == ()


def test_a_pool_that_moved_continues_the_old_cluster():
    """New accounts that take up the traffic of a cluster fallen silent carry its id on."""
    rng = Random(15)
    source = Source(rng, 800)
    links, (before,) = run(crowd(rng), accounts(rng, names("pool", 40), source, template=5))
    moved = accounts(rng, names("moved", 40), source, template=5, start_us=START_US + 2 * DAY_US)
    _, after = run(crowd(rng), moved, links=links, at_us=START_US + 3 * DAY_US)
    assert len(joined(after, "moved")) >= 36
    assert next(cluster.id for cluster in after if "moved-0" in cluster.tenants) == before.id


def test_newcomers_beside_an_active_pool_say_whom_they_follow():
    """While the old accounts are still active the new ones are a cluster of their own, which names the one it follows."""
    rng = Random(16)
    source = Source(rng, 800)
    links, (before,) = run(crowd(rng), accounts(rng, names("pool", 40), source, template=5))
    more = accounts(rng, [*names("pool", 40), *names("new", 40)], source, template=5, start_us=START_US + DAY_US)
    _, clusters = run(more, links=links, at_us=START_US + 2 * DAY_US)
    new = next(cluster for cluster in clusters if "new-0" in cluster.tenants)
    assert (new.after, joined([new], "pool")) == (before.id, set())


def test_the_order_of_notes_at_one_moment_does_not_matter():
    """Gateways' batches arrive in any order: the same notes in another order within a moment give the same clusters."""
    rng = Random(17)
    notes = [
        (when // 3_600_000_000 * 3_600_000_000, name, seen)
        for when, name, seen in [*crowd(rng, 40), *accounts(rng, names("pool", 20), Source(rng, 400), template=5)]
    ]
    found = []
    for seed in range(3):
        Random(seed).shuffle(notes)
        links = Links()
        for when, name, seen in sorted(notes, key=lambda note: note[0]):
            links.note(name, seen, when)
        found.append([cluster.tenants for cluster in links.clusters(START_US + DAY_US, comparisons=None)])
    assert len(found[0]) == 1
    assert found[1:] == found[:1] * 2


def test_work_in_one_call_is_bounded():
    """A call compares no more tenants than it may; the others wait, and come next."""
    rng = Random(18)
    links = Links()
    for when, name, seen in sorted(accounts(rng, names("pool", 30), Source(rng), template=5), key=lambda note: note[0]):
        links.note(name, seen, when)
    assert links.waiting == 30
    links.clusters(START_US + DAY_US, comparisons=20)
    assert links.waiting == 10
    links.clusters(START_US + DAY_US, comparisons=20)
    assert links.waiting == 0


def test_the_tenant_silent_longest_is_forgotten_first():
    """No more tenants are kept than allowed; who makes room is the one that sent least lately."""
    links = Links(tenants_max=3)
    for name in ["a", "b", "c", "a", "d"]:
        links.note(name, sighting({1, 2}), START_US)
    assert len(links) == 3
    links.forget("b")
    assert len(links) == 3
    links.forget("a")
    assert len(links) == 2


def test_a_suspect_pool_needs_no_equal_rates():
    """Accounts that together look like an extraction are linked whatever their rates are; the same accounts where they look
    like honest work are not, and neither are they where nobody judges."""
    rng = Random(30)
    pool = unequal(rng, "pool", 60, Source(rng, 800), template=5, spread=1.0)
    others = list(crowd(rng))
    found = [run(others, pool, judge=judge)[1] for judge in (suspects("pool"), suspects("nobody"), unjudged)]
    assert len(joined(found[0], "pool")) >= 54
    assert joined(found[0], "own") == set()
    assert found[1:] == [(), ()]


def test_suspicion_alone_joins_nobody():
    """Customers of one public generator, each with data of its own, are not joined, however much like an attack each looks."""
    rng = Random(31)
    public = [note for name in names("public", 40) for note in accounts(rng, [name], Source(rng), template=5)]
    _, clusters = run(crowd(rng), public, judge=suspects("public"))
    assert clusters == ()


def test_who_looks_honest_alone_is_not_joined_by_what_others_send():
    """A tenant with a pool's very template and text, that began with it, has been judged alone and looks honest, stays out."""
    rng = Random(32)
    source = Source(rng, 800)
    pool = unequal(rng, "pool", 60, source, template=5, spread=0.7)
    _, clusters = run(crowd(rng), pool, accounts(rng, ["bystander"], source, template=5), judge=suspects("pool"))
    assert len(joined(clusters, "pool")) >= 54
    assert joined(clusters, "bystander") == set()


def test_whose_prompts_are_copied_from_the_first_on_is_not_joined():
    """Accounts that send a small tenant's prompts a moment after it, among an extraction's, are a cluster without it: it is too
    small to be judged alone, but it was first with every prompt that they have in common."""
    rng = Random(33)
    theirs, extraction = Source(rng, 300), Source(rng, 800)
    said = [(when, theirs.sketch(), 4 * number + 4) for number, when in enumerate(sorted(a_day(rng, 20)))]
    notes = [(when, "victim", sighting(words, template=5, content=content)) for when, words, content in said]
    for name in names("copy", 12):
        for when, words, content in said:
            notes.append((when + rng.randrange(60_000_000), name, sighting(words, template=5, content=content)))
            notes.append((when + 90_000_000, name, sighting(extraction.sketch(), template=6)))
    _, clusters = run(crowd(rng), notes, judge=suspects("copy"))
    assert len(joined(clusters, "copy")) >= 10
    assert joined(clusters, "victim") == set()


def test_a_small_group_that_looks_honest_is_none():
    """Five tenants that fill in one template with one text at one rare rate are a cluster only where they look like one."""
    rng = Random(34)
    source = Source(rng, 200)
    few = [(when, name, seen) for when, name, seen in accounts(rng, names("few", 5), source, template=5, each=400)]
    others = list(crowd(rng))
    assert joined(run(others, few, judge=suspects("few"))[1], "few") == set(names("few", 5))
    assert joined(run(others, few, judge=suspects("nobody"))[1], "few") == set()


def test_a_large_pool_is_linked_before_any_account_has_sent_eight():
    """Six hundred accounts of 26 requests a day: half of them are linked after four hours, when each has sent about four."""
    rng = Random(35)
    pool = accounts(rng, names("pool", 600), Source(rng, 2000), template=5)
    early = [note for note in [*crowd(rng), *pool] if note[0] < START_US + DAY_US // 6]
    _, clusters = run(early, at_us=START_US + DAY_US // 6, judge=suspects("pool"))
    assert len(joined(clusters, "pool")) >= 300
    assert joined(clusters, "own") == set()


def test_orders_are_told_apart_from_what_else_an_account_carries():
    """Half of each account's requests are whole tasks that fill in no template, half are those of a customer of its own: the
    tasks link them."""
    rng = Random(36)
    source = Source(rng, 600)
    features = [0] * len(FEATURES)
    features[INDEX["opens"]] = features[INDEX["polish"]] = 1000
    pool = names("pool", 40)
    tasks = [
        (when, name, seen._replace(features=tuple(features)))
        for when, name, seen in accounts(rng, pool, source, template=0, each=26)
    ]
    customers = [note for name in pool for note in accounts(rng, [name], Source(rng), template=rng.getrandbits(60) + 2)]
    _, clusters = run(crowd(rng), tasks, customers, judge=suspects("pool"))
    assert len(joined(clusters, "pool")) >= 32
    assert joined(clusters, "own") == set()


def test_groups_are_looked_for_in_slices():
    """What one call does is bounded: groups are found over several, and are those that one call would have found."""
    rng = Random(37)
    notes = [*crowd(rng, 200), *accounts(rng, names("pool", 700), Source(rng, 2000), template=5)]
    links, at_once = run(notes, judge=suspects("pool"))
    links.forget("own-0")  # begin anew
    again = Links.load(links.dump())
    calls = 0
    while again.waiting or again.is_grouping or not calls:
        found = again.clusters(START_US + DAY_US, judge=suspects("pool"))
        calls += 1
    assert calls > 1
    assert joined(found, "pool") == joined(at_once, "pool")


def test_who_is_forgotten_while_groups_are_looked_for_is_in_none():
    """A pardon in the middle of a search for groups is not undone by its end."""
    rng = Random(38)
    links, _ = run([*crowd(rng, 200), *accounts(rng, names("pool", 700), Source(rng, 2000), template=5)])
    at_us = START_US + DAY_US + 700_000_000
    links.clusters(at_us, judge=suspects("pool"))
    assert links.is_grouping
    links.forget("pool-3")
    found = links.clusters(at_us, judge=suspects("pool"))
    while links.is_grouping:
        found = links.clusters(at_us, judge=suspects("pool"))
        assert "pool-3" not in joined(found, "pool")
    assert len(joined(found, "pool")) > 600


def test_whoever_is_forgotten_starts_as_new():
    """A member that is forgotten is in no cluster at once, while the others stay in theirs under the same id; it is not drawn
    in again by what it had sent, nor by being like those who were there before it."""
    rng = Random(19)
    source = Source(rng, 800)
    links, (before,) = run(crowd(rng), accounts(rng, names("pool", 30), source, template=5))
    links.forget("pool-3")
    assert links.clusters(START_US + DAY_US)[0].tenants == tuple(sorted(set(before.tenants) - {"pool-3"}))
    (again,) = links.clusters(START_US + DAY_US + 3_600_000_000, comparisons=None)
    assert (again.id, "pool-3" in again.tenants) == (before.id, False)
    more = accounts(rng, names("pool", 30), source, template=5, start_us=START_US + DAY_US)
    _, clusters = run(more, links=links, at_us=START_US + 2 * DAY_US)
    assert len(joined(clusters, "pool")) >= 28
    assert "pool-3" not in joined(clusters, "pool")


def test_a_cluster_of_whom_one_is_left_is_none():
    """Of two accounts that a payer linked one is forgotten: no cluster of one tenant remains."""
    rng = Random(20)
    links = Links()
    for name in ("a", "b"):
        links.facts(name, {"payment": "card 1"}, START_US)
    run(accounts(rng, ["a", "b"], Source(rng), template=5), links=links)
    assert len(links.clusters(START_US + DAY_US)) == 1
    links.forget("a")
    assert links.clusters(START_US + DAY_US) == ()


def test_what_the_operator_stated_is_not_forgotten():
    """A forgotten tenant's facts hold on: once it has sent enough anew, its payer links it again."""
    rng = Random(21)
    links = Links()
    for name in ("a", "b"):
        links.facts(name, {"payment": "card 1"}, START_US)
    run(accounts(rng, ["a", "b"], Source(rng), template=5), links=links)
    links.forget("a")
    assert links.clusters(START_US + DAY_US + 3_600_000_000) == ()
    more = accounts(rng, ["a", "b"], Source(rng), template=5, start_us=START_US + DAY_US)
    _, clusters = run(more, links=links, at_us=START_US + 2 * DAY_US)
    assert [cluster.tenants for cluster in clusters] == [("a", "b")]


WORDS = st.lists(st.integers(0, 2**32 - 1), max_size=8).map(lambda words: tuple(sorted(set(words))))
SIGHTINGS = st.builds(
    sighting,
    WORDS,
    template=st.one_of(st.integers(0, 12), st.integers(0, 2**64 - 1)),
    habits=st.integers(0, 9),
    content=st.integers(0, 40),
    signature=st.integers(0, 3),
)


def whole(links):
    """All that is kept; in what order who sent what is told does not matter."""
    dumped = orjson.loads(links.dump())
    return {**dumped, "sent": {kind: sorted(entries) for kind, entries in dumped["sent"].items()}}


TURNS = st.sampled_from(["note", "forget", "keep", "look"])
NOTES = st.lists(st.tuples(st.sampled_from("abcdefgh"), SIGHTINGS, st.integers(0, 40 * DAY_US)), min_size=1, max_size=120)


@settings(deadline=None, max_examples=60)
@given(NOTES, st.integers(0, 60 * DAY_US))
def test_whatever_is_sent_state_is_bounded_and_a_dump_comes_back(notes, at_us):
    """No sighting, no clock that runs backward, makes it raise or a tenant's state grow beyond its bounds; a dump is the same
    after it was loaded, and so are the clusters."""
    links = Links(tenants_max=6)
    for name, seen, when in notes:
        links.note(name, seen, when)
        links.facts(name, {"payment": str(seen.habits), "network": str(seen.template % 3)}, when)
    links.clusters(at_us)
    for name, seen, when in notes[::2]:
        links.note(name, seen, when)
    assert len(links) <= 6
    for tenant in links._tenants.values():
        assert len(tenant.strands) <= STRANDS_MAX
        assert len(tenant.pending) <= PENDING_MAX
        assert len(tenant.habits) <= HABITS_MAX
        assert len(tenant.peers) <= PEERS_MAX
        assert all(len(strand.words) <= WORDS_MAX for strand in (tenant.everything, *tenant.strands.values()))
    dumped = links.dump()
    again = Links.load(dumped, tenants_max=6)
    assert again.dump() == dumped
    later_us = at_us + 3_600_000_000
    assert {c.tenants for c in again.clusters(later_us)} == {c.tenants for c in links.clusters(later_us)}


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), SIGHTINGS, TURNS), max_size=80))
def test_what_changed_is_all_there_is_to_keep(turns):
    """Rows that are kept as they change, and deleted as they go, are the whole of it at any time, whatever happened between."""
    links, kept = Links(tenants_max=6), {}
    for number, (name, seen, what) in enumerate([*turns, ("a", sighting(), "keep")]):
        at_us = START_US + number * 300_000_000
        if what == "forget":
            links.forget(name)
        elif what == "look":
            links.clusters(at_us)
        links.note(name, seen, at_us)
        if what == "keep":
            changes = links.changes()
            kept = changes.rows if changes.is_whole else {**kept, **changes.rows}
            kept = {key: data for key, data in kept.items() if key not in changes.gone}
            again = Links.of(kept, tenants_max=6)
            assert whole(again) == whole(links)
            assert again.changes().rows.keys() == {"head"}


def test_changes_are_what_was_sent_since():
    """Of a hundred tenants one has sent something: two rows are to be written, its own and the head."""
    rng = Random(22)
    links, _ = run(accounts(rng, names("pool", 100), Source(rng), template=5))
    assert (links.changes().is_whole, len(links.changes().rows)) == (True, 1)
    links.note("pool-7", sighting({1, 2}), START_US + DAY_US)
    changes = links.changes()
    assert (changes.is_whole, changes.rows.keys(), changes.gone) == (False, {"head", "tenant/pool-7"}, ())


@pytest.mark.parametrize("rows", [{}, {"head": b"x"}, {"head": b'{"links": 0}'}, {"head": b"[]", "tenant/a": b"{}"}])
def test_rows_that_are_none_are_refused(rows):
    """Rows that do not make a whole are a ValueError that says so."""
    with pytest.raises(ValueError, match="not rows of links"):
        Links.of(rows)


@given(st.binary(max_size=60))
def test_what_is_no_dump_is_refused(data):
    """A broken dump is a ValueError that says so, never half a state."""
    with pytest.raises(ValueError, match="not a dump of links"):
        Links.load(data)


@given(st.lists(WORDS, max_size=80))
def test_a_strand_keeps_the_lowest_words_of_all(sketches):
    """Up to its `top` a strand has every word that was ever seen, with the number of requests it was in."""
    strand = Strand(START_US)
    for sketch in sketches:
        strand.add(sketch, START_US)
    seen = [word for sketch in sketches for word in sketch if word <= strand.top]
    assert list(strand.words) == sorted(set(seen))
    assert list(strand.counts) == [seen.count(word) for word in strand.words]
