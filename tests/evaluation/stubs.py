"""Watches whose figures are known beforehand."""

from random import Random
from typing import NamedTuple

from gateway.evaluation.watching import Judgement
from gateway.values import Sighting

BLANK = Sighting(
    prompt_bytes=0, slot_bytes=0, template=0, content=0, sketch=(), habits=0, features=(), phrases=(), signature=0
)  # fmt: skip


class Fixed:
    """Says one score, whatever it sees; keeps count of what it saw."""

    def __init__(self, score):
        self.score = score
        self.seen = 0

    def see(self, ask, at_us, output_tokens):
        self.seen += 1
        return BLANK

    def judge(self, purposes):
        return Judgement(self.score, "collector")

    def kept(self):
        return b""


class Group(NamedTuple):
    id: str
    tenants: tuple


class Linker:
    """Joins all accounts of the campaign (or of whom else the names say), or nobody."""

    def __init__(self, *, joins, prefix="account/"):
        self.joins = joins
        self.prefix = prefix
        self.accounts = {}

    def note(self, tenant, sighting, at_us, output_tokens):
        if tenant.startswith(self.prefix):
            self.accounts[tenant] = None

    def clusters(self, at_us):
        return (Group("c", tuple(self.accounts)),) if self.joins and len(self.accounts) > 1 else ()


class Historian:
    """Says that a change began with a request of a number, or never."""

    def __init__(self, changes_at):
        self.changes_at = changes_at
        self.seen = 0

    def see(self, ask, at_us):
        self.seen += 1
        return (1, False) if 0 < self.changes_at <= self.seen else (0, False)


class Perfect:
    """Knows who is who."""

    def watcher(self, spec):
        return Fixed(1000 if spec.source.startswith("attack") and not spec.name.startswith("mimic") else 0)

    def merged(self, watchers):
        return Fixed(max(each.score for each in watchers))

    def linker(self):
        return Linker(joins=True)

    def historian(self, spec):
        return Historian(301)


class Blind:
    """Draws scores by lot."""

    def watcher(self, spec):
        return Fixed(Random(f"blind/{spec.name}").randrange(1000))

    def merged(self, watchers):
        return Fixed(0)

    def linker(self):
        return Linker(joins=False)

    def historian(self, spec):
        return Historian(0)
