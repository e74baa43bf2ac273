"""The operator's facts of tenants, as the analyst takes them: each goes to the links, and on record once.

Failure policy: facts that cannot be read are left out and counted.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from gateway.store.watch import Stated
from gateway.watch.book import Book
from gateway.watch.cases import Case
from gateway.watch.groups import Linker


class Statements:
    """What is known, by tenant."""

    def __init__(self, book: Book, links: Linker, *, told: int) -> None:
        self._book = book
        self._links = links
        self._facts: dict[str, dict[str, str]] = {}
        self._stated: dict[str, Stated] = {}
        self.told = told
        """Facts up to this version are on record."""

    def begin_anew(self) -> None:
        """The store has lost what was in it: whatever it says is new."""
        self.told = 0
        self._stated = {}

    def say_again(self, tenant: str, now_us: int) -> None:
        """To links that have forgotten a tenant."""
        if tenant in self._facts:
            self._links.facts(tenant, self._facts[tenant], now_us)

    def take(self, facts: Mapping[str, Stated], version: int, now_us: int) -> int:
        """What the operator knows of tenants. How many of them could not be used."""
        wrong = 0
        if version < self.told:  # the store has begun anew
            self.told = 0
        for tenant, stated in facts.items():
            if self._stated.get(tenant) == stated:
                continue
            self._stated[tenant] = stated
            try:
                said = dict(orjson.loads(stated.data))
                by, _ = str(said.pop("by", "")), said.pop("at_us", 0)
                self._links.facts(tenant, said, now_us)
            except (ValueError, TypeError, AttributeError):
                wrong += 1
                continue
            self._facts[tenant] = said
            if stated.version > self.told:
                who = self._book.who(tenant, now_us)
                case = self._book.cases.get(tenant) or Case(tenant, "" if who is None else who.organisation)
                self._book.decided("facts", case, now_us, by=by, reason=", ".join(said) or "none")
        self.told = max([self.told, *(stated.version for stated in facts.values())])
        return wrong
