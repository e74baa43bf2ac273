"""What gateways and the analyst tell each other through the store: sightings one way, rungs the other, and the operator's word.

Sees bytes and names, and knows nothing of what they mean. Failure policy: every method raises `StoreFault` when its outcome is
unknown; nothing is repeated here. Sightings are bounded: the oldest are dropped once there are `entries_max` of them, whether
anybody has read them or not.

Layout: everything is in one slot of a cluster, `g1:{watch}:...`: `s` the stream of sightings; `l` the analyst's lease; `n` the
version, `z` subjects by version, `r` rungs; `d` dossiers; `p` pardons that the analyst has not read; `f` facts, and `fn` their
version; `a` where the analyst was, and `w` what it says of itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from gateway.store.link import Argument, ReplyFault
from gateway.store.scripts import Script, load_watch_scripts

_STREAM, _LEASE, _VERSION, _BY_VERSION, _RUNGS, _DOSSIERS, _PARDONS, _FACTS, _FACTS_VERSION, _AT, _STATE = (
    b"g1:{watch}:" + name for name in (b"s", b"l", b"n", b"z", b"r", b"d", b"p", b"f", b"fn", b"a", b"w")
)
PAGE = 500
"""Rungs, dossiers and placements in one call: the store serves nobody else meanwhile."""


class Sends(Protocol):
    """The process's one connection to the store."""

    def send(self, args: tuple[Argument, ...]) -> asyncio.Future[Any]: ...


class Batch(NamedTuple):
    """Sightings that one process wrote in one go."""

    run: str
    """Which run of which process: drawn when it began."""
    first: int
    """The number of the first sighting in it; each run counts from 0."""
    numbers: int
    """How many numbers it takes: what was dropped for want of room has taken its own."""
    data: bytes
    is_last: bool = False
    """The run ended properly, and nothing follows."""


class Placement(NamedTuple):
    """What is to be written of one subject. b"": leave it as it is; b"-": forget it."""

    subject: str
    rung: bytes = b""
    dossier: bytes = b""
    answers: bytes = b""
    """The pardon that this follows."""


class Stated(NamedTuple):
    """What the operator knows of a tenant."""

    version: int
    """Of all facts, when it was said."""
    data: bytes


class Changes(NamedTuple):
    version: int
    """What is known after this; below what was asked for: the store has begun anew."""
    is_all: bool
    rungs: Mapping[str, bytes]


class WatchStore:
    """On the connection that the ledger uses, or on one of the analyst's own."""

    def __init__(self, connection: Sends, *, entries_max: int) -> None:
        self._connection = connection
        self._entries_max = entries_max
        self._scripts = load_watch_scripts()

    # Sightings.

    async def append(self, batch: Batch) -> None:
        fields = (b"r", batch.run.encode(), b"n", batch.first, b"c", batch.numbers, b"d", batch.data, b"e", int(batch.is_last))
        await self._send((b"XADD", _STREAM, b"MAXLEN", b"~", self._entries_max, b"*", *fields))

    async def read(self, after: str, *, at_most: int) -> list[tuple[str, Batch]]:
        """Batches after an entry's id ("0": from the oldest that is kept), oldest first."""
        start = f"({after}".encode() if after != "0" else b"-"
        reply = await self._send((b"XRANGE", _STREAM, start, b"+", b"COUNT", at_most))
        return [(entry_id.decode(), _batch(dict(zip(fields[::2], fields[1::2])))) for entry_id, fields in reply]

    async def has(self, entry_id: str) -> bool:
        """That entry is there."""
        at = entry_id.encode()
        return bool(await self._send((b"XRANGE", _STREAM, at, at)))

    async def last(self) -> str:
        """The newest entry that is there; "": none is."""
        reply = await self._send((b"XREVRANGE", _STREAM, b"+", b"-", b"COUNT", 1))
        return str(reply[0][0].decode()) if reply else ""

    # Rungs.

    async def changes(self, known: int) -> Changes:
        """Rungs that have changed since a version, a page at a time."""
        reply = await self._run(self._scripts.rungs, (_VERSION, _BY_VERSION, _RUNGS), (known, PAGE))
        version, is_all, *found = reply
        pairs = zip(found[::2], found[1::2])
        return Changes(int(version), bool(is_all), {subject.decode(): rung for subject, rung in pairs})

    async def place(self, holder: str, placements: Sequence[Placement]) -> bool:
        """False: another analyst holds the lease, and (from some page on) nothing was written."""
        keys = (_LEASE, _VERSION, _BY_VERSION, _RUNGS, _DOSSIERS, _PARDONS)
        for start in range(0, len(placements), PAGE):
            args: list[Argument] = [holder.encode()]
            for subject, *rest in placements[start : start + PAGE]:
                args += [subject.encode(), *rest]
            if await self._run(self._scripts.place, keys, tuple(args)) < 0:
                return False
        return True

    async def rungs(self) -> dict[str, bytes]:
        return _names(await self._send((b"HGETALL", _RUNGS)))

    # The analyst's own.

    async def lease(self, holder: str, ttl_ms: int) -> bool:
        """Whether `holder` is the one that is active, for the next `ttl_ms`."""
        return bool(await self._run(self._scripts.lease, (_LEASE,), (holder.encode(), ttl_ms)) == 1)

    async def leave(self, holder: str) -> None:
        """Let another be active at once."""
        await self._run(self._scripts.lease, (_LEASE,), (holder.encode(), 1))

    async def holder(self) -> str:
        """Who is active; "": nobody."""
        return bytes(await self._send((b"GET", _LEASE)) or b"").decode()

    async def position(self) -> str:
        return bytes(await self._send((b"GET", _AT)) or b"0").decode()

    async def keep(self, holder: str, entry_id: str, state: bytes) -> int:
        """Say how far what was read is kept, and what else is to be known of the analyst (b"": what was said before).
        -1: another holds the lease; 0: no place was known before; 1: one was."""
        return int(await self._run(self._scripts.keep, (_LEASE, _AT, _STATE), (holder.encode(), entry_id.encode(), state)))

    async def state(self) -> bytes:
        """What the analyst said of itself last; b"": nothing."""
        return bytes(await self._send((b"GET", _STATE)) or b"")

    # The operator's.

    async def dossiers(self) -> dict[str, bytes]:
        """All of them, a page at a time: one that is written meanwhile is there as it was or as it is."""
        found: dict[str, bytes] = {}
        cursor: bytes = b"0"
        while True:
            cursor, page = await self._send((b"HSCAN", _DOSSIERS, cursor, b"COUNT", PAGE))
            found.update(_names(page))
            if cursor == b"0":
                return found

    async def dossier(self, subject: str) -> bytes | None:
        found: bytes | None = await self._send((b"HGET", _DOSSIERS, subject.encode()))
        return found

    async def pardon(self, subject: str, pardon: bytes, rung: bytes) -> None:
        keys = (_PARDONS, _VERSION, _BY_VERSION, _RUNGS)
        await self._run(self._scripts.pardon, keys, (subject.encode(), pardon, rung))

    async def pardons(self) -> dict[str, bytes]:
        return _names(await self._send((b"HGETALL", _PARDONS)))

    async def state_facts(self, facts: Mapping[str, bytes]) -> None:
        """What is known of these tenants from now on, a page at a time."""
        rows = list(facts.items())
        for start in range(0, len(rows), PAGE):
            args = [each for tenant, stated in rows[start : start + PAGE] for each in (tenant.encode(), stated)]
            await self._run(self._scripts.facts, (_FACTS_VERSION, _FACTS), tuple(args))

    async def facts_version(self) -> int:
        return int(await self._send((b"GET", _FACTS_VERSION)) or 0)

    async def facts_of(self, tenant: str) -> Stated | None:
        row = await self._send((b"HGET", _FACTS, tenant.encode()))
        return None if row is None else _stated(row)

    async def facts(self) -> dict[str, Stated]:
        return {name: _stated(row) for name, row in _names(await self._send((b"HGETALL", _FACTS))).items()}

    async def _send(self, command: tuple[Argument, ...]) -> Any:
        return await self._connection.send(command)

    async def _run(self, script: Script, keys: tuple[bytes, ...], args: tuple[Argument, ...]) -> Any:
        command = (b"EVALSHA", script.sha, len(keys), *keys, *args)
        try:
            return await self._send(command)
        except ReplyFault as fault:
            if fault.code != "NOSCRIPT":
                raise
            await self._send((b"SCRIPT", b"LOAD", script.source))
            return await self._send(command)


def _batch(fields: Mapping[bytes, bytes]) -> Batch:
    """Fields that are missing (of another version) are as if nothing had been said; an entry of nonsense says nothing."""
    try:
        return Batch(
            run=fields.get(b"r", b"").decode(),
            first=int(fields.get(b"n", b"0")),
            numbers=int(fields.get(b"c", b"0")),
            data=fields.get(b"d", b"[]"),
            is_last=fields.get(b"e") == b"1",
        )
    except ValueError:
        return Batch("", 0, 0, b"[]", is_last=True)


def _stated(row: bytes) -> Stated:
    """Of a gateway of an earlier version without its version: as if it had been known always."""
    version, _, data = row.partition(b"\n")
    return Stated(int(version), data) if version.isdigit() else Stated(0, row)


def _names(reply: Sequence[bytes]) -> dict[str, bytes]:
    return {name.decode(): value for name, value in zip(reply[::2], reply[1::2])}
