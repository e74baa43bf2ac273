"""What an operator asks of the watch and tells it: the verbs of `gauger watch` and of the admin listener, which share them.

Failure policy: every verb raises `StoreFault` when the store does not answer, `Unknown` for a subject that is not there, and
`SettingsError` for what cannot be meant. A pardon of several subjects whose store fails in the middle has pardoned some of
them: told again, it pardons the rest, and the same ones again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from gateway.errors import SettingsError, StoreFault
from gateway.logs import printable
from gateway.policy.model import Policy
from gateway.policy.watched import KEY_MARK, watched_as
from gateway.store.watch import WatchStore
from gateway.values import Rung
from gateway.watch.cases import CLUSTER
from gateway.watch.changes import instant
from gateway.watch.facts import known_in, rows_of
from gateway.watch.places import order_of, said_in
from gateway.watch.telling import steps_of
from gateway.watch.watcher import write_rung

PARDON_S = 7 * 86_400
RUNG_KEPT_US = 3_600_000_000
LINE_MAX = 200
SUSPICIOUS = 500
"""Per mille: whoever scores less and stands nowhere is listed only where all are asked for."""
BEHIND_S = 30
"""So far the analyst may be behind what gateways tell before it is said."""
DAY_US = 86_400_000_000


class Unknown(SettingsError):
    """There is no such subject, or nothing is known of it."""


class Wanted(NamedTuple):
    """Which subjects are listed; "" and 0: whichever."""

    everybody: bool = False
    """Those too that stand on no step, score below 50% and are like their own past."""
    review: bool = False
    """Only those whose step asks for somebody to look at them."""
    organisation: str = ""
    ladder: str = ""
    step: str = ""
    """Their own, or their cluster's."""
    cluster: str = ""
    """Members of it, and the cluster itself."""
    score_min: int = 0
    """Per mille."""


class Analyst(NamedTuple):
    """How the analyst of a store is."""

    is_active: bool
    behind_s: int
    """How much older what it has read is than the newest that gateways told."""
    missing: tuple[tuple[int, str, int], ...]
    """Of the last day: when, why, how many requests it never saw (0: nobody knows)."""


class Listed(NamedTuple):
    rows: list[dict[str, Any]]
    judged: int
    """How many there are at all."""
    pardons: frozenset[str]
    """Who of them has been pardoned, which the analyst has not read yet."""


class Pardoned(NamedTuple):
    names: tuple[str, ...]
    """The one that was named, then its members where it is a cluster."""
    until_us: int


async def listing(store: WatchStore, wanted: Wanted) -> Listed:
    """Who looks like what, the most suspicious first."""
    found = await store.dossiers()
    rows = [row for row in map(read, found.values()) if row is not None and _is_meant(row, wanted)]
    rows.sort(key=lambda row: (-row["score"], row["subject"]))
    pardons = await store.pardons()
    return Listed(rows, len(found), frozenset(row["subject"] for row in rows if row["subject"] in pardons))


async def dossier(store: WatchStore, policy: Policy, name: str, now_us: int) -> dict[str, Any]:
    """All that is known of a subject, with which `facts` are known of its tenant. Raises Unknown: it is not there, or nothing
    is known of it yet."""
    data = await store.dossier(name)
    row = None if data is None else read(data)
    if row is not None:
        stated = None if name.startswith(CLUSTER) else await store.facts_of(name.partition(KEY_MARK)[0])
        return row if stated is None else {**row, "facts": known_in(stated.data)}
    if name.startswith(CLUSTER):
        raise Unknown(f"there is no cluster {printable(name.removeprefix(CLUSTER))}: the list shows those that are")
    known(policy, name, now_us)
    raise Unknown(f"{printable(name)}: nothing has been judged yet (five requests are needed, and an analyst that runs)")


async def pardon(
    store: WatchStore, policy: Policy, name: str, *, by: str, reason: str, excused_s: int, now_us: int
) -> Pardoned:
    """Take a subject off its ladder at once, and whoever is in it where it is a cluster."""
    by, reason = line("by", by), line("reason", reason)
    names = [name]
    if name.startswith(CLUSTER):
        names += (await dossier(store, policy, name, now_us)).get("members", [])
    else:
        known(policy, name, now_us)
    until_us = now_us + excused_s * 1_000_000
    said = orjson.dumps({"at_us": now_us, "until_us": until_us, "by": by, "reason": reason})
    for each in names:
        await store.pardon(each, said, write_rung(Rung(each, "", "", now_us, now_us + RUNG_KEPT_US)))
    return Pardoned(tuple(names), until_us)


async def state_facts(store: WatchStore, facts: Mapping[str, Mapping[str, str]], key: bytes, *, by: str, now_us: int) -> None:
    """What is known of these tenants from now on; of the others nothing changes."""
    await store.state_facts(rows_of(facts, key, by=line("by", by), at_us=now_us))


async def facts_known(store: WatchStore) -> dict[str, dict[str, Any]]:
    """By tenant, which facts are known of it, by whom and since when."""
    found = {tenant: known_in(stated.data) for tenant, stated in (await store.facts()).items()}
    return {tenant: said for tenant, said in sorted(found.items()) if said}


async def analyst(store: WatchStore, now_us: int) -> Analyst:
    """Whether anybody judges, and what the one that does has not seen."""
    holder, state = await store.holder(), await store.state()
    _, missing = said_in(state)
    behind_s = 0
    try:
        read_us = int(orjson.loads(state)["read_us"])
        behind_s = max(0, order_of(await store.last())[0] - read_us // 1_000) // 1_000 if read_us else 0
    except (ValueError, TypeError, LookupError, StoreFault):  # an earlier version's, or a user that may not ask
        pass
    return Analyst(bool(holder), behind_s, tuple(gap for gap in missing if now_us - gap[0] < DAY_US))


def warnings(of: Analyst) -> list[str]:
    """What makes everything that is told old or incomplete."""
    said = []
    if not of.is_active:
        said.append("no analyst is active on this store: nothing is judged, and steps lapse within an hour")
    if of.behind_s >= BEHIND_S:
        said.append(f"the analyst is {of.behind_s} s behind what gateways have told: what stands here is as old")
    for at_us, why, count in of.missing:
        many = f"{count} requests were" if count > 1 else "1 request was" if count else "an unknown number of requests was"
        said.append(f"{many} never judged: {_WHY.get(why, why)} (noticed {instant(at_us)})")
    return said


_WHY = {
    "dropped": "a gateway had no room for them while the store was gone",
    "lost": "the store keeps what `sightings` allows, and more came before an analyst read it",
    "broken": "a gateway was killed before it had told them",
    "anew": "the store had lost what was in it",
}


def known(policy: Policy, name: str, now_us: int) -> None:
    """Raises Unknown for a subject that the policies do not have."""
    if watched_as(policy, name, now_us) is None:
        raise Unknown(f"there is no tenant {printable(name)!r} in the policies (a key that is watched apart is TENANT/KEY)")


def line(word: str, text: str) -> str:
    """What goes on record. Raises SettingsError, which names the word."""
    text = text.strip()
    if not text or not text.isprintable() or len(text) > LINE_MAX:
        raise SettingsError(f"{word}: a line of 1 to {LINE_MAX} printable characters: who asks later will read it")
    return text


def read(data: bytes) -> dict[str, Any] | None:
    """A dossier; None where it is none."""
    try:
        row = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("score"), int) and isinstance(row.get("subject"), str) else None


def _is_meant(row: dict[str, Any], wanted: Wanted) -> bool:
    is_group = "members" in row
    if wanted.review and not row.get("review"):
        return False
    if wanted.organisation and row.get("organisation") != wanted.organisation:
        return False
    if wanted.ladder and wanted.ladder not in (row.get("steps", {}) if is_group else (row.get("ladder"),)):
        return False
    if wanted.step and wanted.step not in (
        row.get("steps", {}).values() if is_group else (row.get("step"), row.get("cluster_step"))
    ):
        return False
    if wanted.cluster and wanted.cluster not in (row.get("cluster"), row["subject"].removeprefix(CLUSTER) if is_group else ""):
        return False
    is_asked_for = any(wanted._replace(score_min=0))
    stands = row["score"] >= SUSPICIOUS or bool(steps_of(row) or row.get("cluster") or row.get("change"))
    return row["score"] >= wanted.score_min and (is_asked_for or bool(wanted.score_min) or stands)
