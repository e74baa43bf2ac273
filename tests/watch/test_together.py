"""What linking asks of the windows: what tenants look like together."""

from __future__ import annotations

import pytest

from gateway.detectors import Window
from gateway.watch.archive import Archive
from gateway.watch.book import Book
from gateway.watch.together import TOO_LITTLE, Together
from tests.watch.make import NOW_US, US, Eye, generator, honest, policy_of
from tests.watch.test_analyst import Kept

POLICY = """
version: 1
organisations: {acme: {}}
plans: {p: {}}
tenants:
  plain: {organisation: acme, plan: p}
  other: {organisation: acme, plan: p}
  declared:
    organisation: acme
    plan: p
    purposes: [{purpose: synthetic_data, until: "2099-01-01", reason: agreed}]
"""


@pytest.fixture
def book(tmp_path):
    archive = Archive(tmp_path / "analyst.db")
    yield Book(policy_of(tmp_path / "policies", POLICY), archive, Kept(), lambda: 0.5)
    archive.close()


def send(book, name, body, count, first=0):
    eye, window = Eye(), book.archive.window(name)
    for number in range(count):
        at_us = NOW_US + number * US
        window.add(eye.sighting(name, body(first + number), at_us), at_us, 100)


def test_few_requests_each_are_judged_together(book):
    """Ten requests of each of three tenants tell nothing alone, and together they are an attack's."""
    names = ["plain", "other", "third"]
    for place, name in enumerate(names):
        send(book, name, generator, 12, first=100 * place)
    together = Together(book).at(NOW_US)
    assert [together([name]) for name in names] == [TOO_LITTLE] * 3
    assert together(names) > 700


def test_honest_work_looks_honest_together(book):
    """Two tenants of affairs of their own score low."""
    for place, name in enumerate(["plain", "other"]):
        send(book, name, honest, 30, first=100 * place)
    assert 0 <= Together(book).at(NOW_US)(["plain", "other"]) < 300


def test_who_has_declared_a_purpose_makes_nobody_suspect(book):
    """A customer of a generator that has said so looks honest alone, and adds nothing to what others look like together."""
    send(book, "declared", generator, 40)
    send(book, "plain", honest, 10)
    together = Together(book).at(NOW_US)
    assert 0 <= together(["declared"]) < 100
    assert together(["declared", "plain"]) == TOO_LITTLE


def test_what_cannot_be_judged_is_too_little_to_tell(book, monkeypatch):
    """A bug in a window costs the answer, not the search for groups."""
    send(book, "plain", generator, 40)
    monkeypatch.setattr(Window, "merge", lambda self, other: 1 / 0)
    assert Together(book).at(NOW_US)(["plain", "other"]) == TOO_LITTLE
