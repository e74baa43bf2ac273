"""What has changed since it was last kept, row by row: links can be kept often, at the cost of what was sent since. Pure.

A row is a key and JSON: one for each tenant, one for each prompt or signature that somebody sent first, one for the rest.

Failure policy: rows that do not make a whole raise ValueError where they are read, and the caller starts anew; nothing that is
written here fails. Whoever never asks for changes pays nothing for them: nothing is remembered until they are asked for once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from gateway.detectors.link_dump import tenant_in, tenant_out
from gateway.detectors.link_index import Sent
from gateway.detectors.link_tenant import Tenant

TOUCHED_MAX = 100_000
"""Rows that may have changed between two calls; with more, all are given again."""
HEAD = "head"
_TENANT = "tenant/"


class Changes(NamedTuple):
    """What is to be written, and what is to be deleted, to have kept everything."""

    rows: dict[str, bytes]
    gone: tuple[str, ...]
    """Keys of rows that are no more; some of them may never have been written."""
    is_whole: bool
    """`rows` are all there are: whatever else was kept is to be deleted."""


class Touched:
    """Which rows are not as they were kept."""

    __slots__ = ("_is_on", "_sent", "_tenants")

    def __init__(self) -> None:
        self._is_on = False
        self._tenants: set[str] = set()
        self._sent: set[tuple[str, int]] = set()

    def begin(self) -> None:
        """Everything is kept as it is now: from here on changes count."""
        self._is_on = True
        self._tenants.clear()
        self._sent.clear()

    def tenant(self, name: str) -> None:
        if self._is_on:
            self._tenants.add(name)
            self._bound()

    def sent(self, kind: str, fingerprint: int) -> None:
        if self._is_on:
            self._sent.add((kind, fingerprint))
            self._bound()

    def _bound(self) -> None:
        if len(self._tenants) + len(self._sent) > TOUCHED_MAX:
            self.begin()
            self._is_on = False

    def changes(self, tenants: Mapping[str, Tenant], sent: Sent, head: Mapping[str, Any]) -> Changes:
        """The rows that changed, all where none were kept yet; from now on they count as kept."""
        is_whole = not self._is_on
        names = tenants.keys() if is_whole else self._tenants
        keys = [(kind, key) for kind, entries in sent.items() for key in entries] if is_whole else self._sent
        rows = {HEAD: orjson.dumps(head)}
        gone = []
        for name in names:
            tenant = tenants.get(name)
            if tenant is None:
                gone.append(_TENANT + name)
            else:
                rows[_TENANT + name] = orjson.dumps(tenant_out(tenant))
        for kind, key in keys:
            entry = sent[kind].get(key)
            if entry is None:
                gone.append(f"{kind}/{key}")
            else:
                rows[f"{kind}/{key}"] = orjson.dumps(entry)
        self.begin()
        return Changes(rows, tuple(sorted(gone)), is_whole)


def tenants_of(rows: Mapping[str, bytes]) -> list[Tenant]:
    """The tenants that were kept, who sent least lately first. Raises KeyError, ValueError, TypeError or IndexError."""
    found = [tenant_in(orjson.loads(data)) for key, data in rows.items() if key.startswith(_TENANT)]
    return sorted(found, key=lambda tenant: (tenant.everything.last_us, tenant.number))


def sent_of(rows: Mapping[str, bytes], kind: str) -> Iterator[tuple[int, list[int]]]:
    """Who sent what first, as it was kept. Raises ValueError or TypeError."""
    start = f"{kind}/"
    return ((int(key[len(start) :]), orjson.loads(data)) for key, data in rows.items() if key.startswith(start))
