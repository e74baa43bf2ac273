"""What the analyst sees and decides becomes entries: the evidence's side of `watch.sinks.Sink`.

Sightings come again after a crash of the analyst, from its last checkpoint on; each is written once, because its place in the
stream (`position`) is written with it. A decision is handed to the system at once, a sighting within a second: `tick`.

Failure policy: the watch goes on, whatever becomes of the evidence. What a disk does not take is kept in memory and written
when it does (`log`); what does not fit there is counted, and told in an entry `missing` as soon as there is room. That the disk
fails is logged once, until it works again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import orjson
import structlog

from gateway.errors import PolicyErrors, SettingsError
from gateway.evidence.books import DEPLOYMENT, Books, organisations
from gateway.evidence.files import replace
from gateway.evidence.orders import obey
from gateway.evidence.removing import retain
from gateway.policy.model import Policy
from gateway.values import Reason, Sighting

log = structlog.get_logger()

SYNC_EVERY_US = 1_000_000
RETAIN_EVERY_US = 3_600_000_000
MEMBERS = "members.json"
Describe = Callable[[Policy], Mapping[str, Any]]
"""What makes the feature values under a policy: see `rules_of`. Raises PolicyErrors."""
FINGERPRINTS = ("template", "content", "habits", "signature", "session", "system", "before")


class Seen(Protocol):
    """`watch.seen.Seen`, as far as it is needed here."""

    @property
    def at_us(self) -> int: ...
    @property
    def organisation(self) -> str: ...
    @property
    def tenant(self) -> str: ...
    @property
    def sighting(self) -> Sighting: ...
    @property
    def sealed(self) -> str: ...
    @property
    def batch_requests(self) -> int: ...
    def _asdict(self) -> dict[str, Any]: ...


class Decision(Protocol):
    """`watch.sinks.Decision`, as far as it is needed here."""

    @property
    def kind(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def organisation(self) -> str: ...
    @property
    def cluster(self) -> str: ...
    @property
    def reasons(self) -> tuple[Reason, ...]: ...
    def _asdict(self) -> dict[str, Any]: ...


class Gap(Protocol):
    """`watch.runs.Gap`."""

    def _asdict(self) -> dict[str, Any]: ...


class EvidenceSink:
    """One an analyst, while it is active."""

    def __init__(self, books: Books, describe: Describe, policy: Policy) -> None:
        """Raises OSError, PolicyErrors."""
        self._books = books
        self._describe = describe
        self._rules = books.rules(describe(policy))
        self.keep_us = policy.watch.keep_evidence_s * 1_000_000
        self._cursors: dict[str, tuple[str, int]] = {}
        """Organisation -> (entry of the stream, how many of it have come)."""
        self._last = ""
        """Where the stream ended when it was found to have begun anew; "": it has not."""
        self._lost: dict[str, int] = {}
        self._members: dict[str, set[tuple[str, str]]] = {}
        """Cluster -> (organisation, tenant) of its members."""
        self._are_members_kept = True
        self._synced_us = self._retained_us = 0
        self._is_failing = False
        self._load_members()

    def seen(self, entry: str, one: Seen) -> None:
        """One request; `entry` is where in the stream it stands."""
        organisation = one.organisation
        before, index = self._cursors.get(organisation, ("", 0))
        index = index if before == entry else 0
        self._cursors[organisation] = (entry, index + 1)
        try:
            book = self._books.log(organisation)
            if self._last and _order(book.position[0]) > max(_order(self._last), _order(entry)):
                book.position = ("", 0)
            if (_order(entry), index) < (_order(book.position[0]), book.position[1]):
                return  # it was kept before a crash
            book.append(
                "sighting", self._sighting(entry, index, one), tenant_key=self._books.tenant_key(organisation, one.tenant)
            )
            book.position = (entry, index + 1)
            if book.is_due:
                book.flush()
        except OSError as error:
            self._failed(error)
            if not self._books.has(organisation) or not self._books.log(organisation).has_room:
                self._lost[organisation] = self._lost.get(organisation, 0) + 1

    def anew(self, last: str) -> None:
        """The stream began anew, and ends with the entry `last`: places beyond it are of the stream that is gone."""
        self._last = last
        self._cursors.clear()

    def decided(self, decision: Decision) -> None:
        """Somebody was moved, joined, or pardoned; of a cluster it is told in every member's own chain too."""
        fields = decision._asdict()
        fields["decided_us"] = fields.pop("at_us")
        fields["decision"] = fields.pop("kind")
        fields["reasons"] = [reason._asdict() for reason in decision.reasons]
        fields["rules"] = self._rules
        if decision.organisation:
            tenant = decision.subject.partition("/")[0]
            self._remember(decision, tenant)
            self._decide(decision.organisation, tenant, fields)
            return
        self._decide(DEPLOYMENT, decision.subject, fields)
        for organisation, tenant in sorted(self._members.get(decision.subject.partition(":")[2], ())):
            self._decide(organisation, tenant, fields)

    def missing(self, gap: Gap) -> None:
        """Sightings are missing, nobody knows whose: every chain says so."""
        fields = gap._asdict()
        fields["noticed_us"] = fields.pop("at_us")
        try:
            names = {*organisations(self._books.root), *self._cursors, DEPLOYMENT}
        except SettingsError:
            names = {*self._cursors, DEPLOYMENT}
        for organisation in sorted(names):
            self._append(organisation, "", "missing", fields)

    def tick(self) -> None:
        """About once a second: everything so far is signed and on disk."""
        now_us = self._books.now_us()
        if not 0 <= now_us - self._synced_us < SYNC_EVERY_US:
            self._synced_us = now_us
            self._sync()

    def checkpoint(self) -> None:
        """Everything so far is kept, where the disk takes it; commands are obeyed, and what is old is removed."""
        self._sync()
        obey(self._books)
        now_us = self._books.now_us()
        if not 0 <= now_us - self._retained_us < RETAIN_EVERY_US:
            self._retained_us = now_us
            self._retain()

    def adopt(self, policy: Policy) -> None:
        """What comes is made by other rules, and kept for another time."""
        self.keep_us = policy.watch.keep_evidence_s * 1_000_000
        try:
            self._rules = self._books.rules(self._describe(policy))
        except (OSError, PolicyErrors) as error:  # it goes on by the rules that it had
            self._failed(error)

    def close(self) -> None:
        """Every chain says that it ends here."""
        self._sync()
        try:
            self._books.close()
        except OSError as error:
            self._failed(error)

    # Within.

    def _sighting(self, entry: str, index: int, one: Seen) -> dict[str, Any]:
        fields = one._asdict()
        del fields["organisation"]
        fields["seen_us"] = fields.pop("at_us")
        sighting = one.sighting._asdict()
        for name in FINGERPRINTS:
            sighting[name] = f"{sighting[name]:016x}" if sighting[name] else ""
        fields["sighting"] = sighting
        if not one.sealed:
            del fields["sealed"]
        if not one.batch_requests:
            del fields["batch_requests"], fields["stands_for"]
        return {**fields, "rules": self._rules, "position": (entry, index + 1)}

    def _decide(self, organisation: str, tenant: str, fields: Mapping[str, Any]) -> None:
        self._append(organisation, tenant, "decision", {"tenant": tenant, **fields})

    def _append(self, organisation: str, tenant: str, kind: str, fields: Mapping[str, Any]) -> None:
        try:
            self._books.append(organisation, tenant, kind, fields)
            self._books.log(organisation).flush()
        except OSError as error:
            self._failed(error)
            if not self._books.has(organisation) or not self._books.log(organisation).has_room:
                self._lost[organisation] = self._lost.get(organisation, 0) + 1

    def _sync(self) -> None:
        try:
            self._tell_lost()
            self._books.sync()
            if not self._are_members_kept:
                self._keep_members()
        except OSError as error:
            self._failed(error)
        else:
            self._is_failing = False

    def _tell_lost(self) -> None:
        for organisation, count in list(self._lost.items()):
            fields = {"run": "", "first": 0, "numbers": count, "why": "not written"}
            self._books.append(organisation, "", "missing", fields)
            del self._lost[organisation]

    def _retain(self) -> None:
        for organisation in organisations(self._books.root):
            try:
                removed = retain(self._books, organisation, keep_us=self.keep_us)
            except (OSError, SettingsError) as error:
                self._failed(error)
            else:
                if removed:
                    log.info("evidence_removed", organisation=organisation, files=removed)

    def _failed(self, error: Exception) -> None:
        if not self._is_failing:
            self._is_failing = True
            reason = error.strerror if isinstance(error, OSError) else str(error)
            log.error("evidence_failed", side="gateway", reason=reason or type(error).__name__)

    def _remember(self, decision: Decision, tenant: str) -> None:
        if decision.kind not in ("joined", "left") or not decision.cluster:
            return
        members = self._members.setdefault(decision.cluster, set())
        if decision.kind == "joined":
            members.add((decision.organisation, tenant))
        else:
            members.discard((decision.organisation, tenant))
            if not members:
                del self._members[decision.cluster]
        self._are_members_kept = False

    def _keep_members(self) -> None:
        tree = {cluster: sorted(members) for cluster, members in self._members.items()}
        replace(self._books.root / MEMBERS, orjson.dumps(tree))
        self._are_members_kept = True

    def _load_members(self) -> None:
        try:
            tree = orjson.loads((self._books.root / MEMBERS).read_bytes())
            self._members = {cluster: {(each[0], each[1]) for each in members} for cluster, members in tree.items()}
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, AttributeError, IndexError) as error:
            self._failed(error)


def _order(entry: str) -> tuple[int, int]:
    """Ids of the stream's entries are pairs of numbers; "" is before all."""
    first, _, second = entry.partition("-")
    return (int(first), int(second or 0)) if first else (-1, 0)


def rules_of(version: str, features: tuple[str, ...], phrases: tuple[str, ...]) -> dict[str, Any]:
    """What makes the feature values: the gateway's version, the features in their order, the editions of phrase lists."""
    return {"gauger": version, "features": list(features), "phrases": list(phrases)}
