"""Clusters as the analyst keeps them: who belongs to which, what their members send together, and the steps they stand on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import structlog

from gateway.detectors import REASONS
from gateway.policy.model import Ladder
from gateway.store.watch import Placement
from gateway.values import Reason, Sighting
from gateway.watch.book import Book, name_of, worst
from gateway.watch.cases import CLUSTER, Case, Group, dossier_of_group, footing_from, is_due, roughly, steps_said
from gateway.watch.ladder import GROUND, moved, pardon, step
from gateway.watch.seen import Seen
from gateway.watch.together import Together

log = structlog.get_logger()

LINK_EVERY_US, LINK_AGAIN_US = 60_000_000, 5_000_000
"""How often it is asked who belongs together; the second while that is still being found out, a part in each call."""
TELL_EVERY_US = 15_000_000
SILENT_US = 3_600_000_000
"""Whoever has sent nothing for so long counts as calm."""
UNKNOWN = "no cluster of this id was known"
MEMBERS_MERGED = 256
"""Windows of members that a cluster's is begun with."""


class Linker(Protocol):
    """Which subjects are likely one operator: see `detectors.links`. A cluster has `id`, `tenants` and `reasons`."""

    def note(self, tenant: str, sighting: Sighting, at_us: int) -> None: ...

    def facts(self, tenant: str, facts: Mapping[str, str], at_us: int) -> None: ...

    def forget(self, tenant: str) -> None: ...

    @property
    def is_grouping(self) -> bool:
        """Whether another call of `clusters` soon would go on with something."""
        ...

    def clusters(self, at_us: int, *, judge: Callable[[Sequence[str]], int]) -> Sequence[Any]: ...

    def dump(self) -> bytes: ...


class NoLinks:
    """Nobody is linked to anybody."""

    def note(self, tenant: str, sighting: Sighting, at_us: int) -> None:
        """Nothing."""

    def facts(self, tenant: str, facts: Mapping[str, str], at_us: int) -> None:
        """Nothing."""

    def forget(self, tenant: str) -> None:
        """Nothing."""

    is_grouping = False

    def clusters(self, at_us: int, *, judge: Callable[[Sequence[str]], int]) -> Sequence[Any]:
        return ()

    def dump(self) -> bytes:
        return b""


class Groups:
    """All clusters of one deployment."""

    def __init__(self, book: Book, links: Linker) -> None:
        self._book = book
        self._links = links
        self._together = Together(book)
        self._groups: dict[str, Group] = {}
        self._gone: list[str] = []
        """Clusters whose dossiers are to be forgotten."""
        self._linked_us = 0

    def recall(self, name: str, said: Mapping[str, Any]) -> None:
        """A cluster as its dossier says. Raises LookupError, TypeError, ValueError, AttributeError for what is no dossier."""
        group = Group(name.removeprefix(CLUSTER))
        group.members = frozenset(said["members"])
        names = dict(said.get("stood") or {})
        for each, fields in said["footings"].items():
            footing = group.footings[each] = footing_from(fields)
            group.steps[each] = steps_said(footing, names.get(each), said["steps"].get(each))
        group.score, group.profile = int(said["score"]), str(said.get("profile", ""))
        group.pardon = dict(said.get("pardon") or {})
        self._groups[name] = group

    def add(self, case: Case, one: Seen) -> None:
        """A request of a member is one of its cluster."""
        group = self._of(case)
        if group is not None:
            self._book.archive.window(group.name).add(one.sighting, one.at_us, one.output_tokens, one.stands_for)
            self._book.archive.changed(group.name)
            group.new += 1

    def pardon(self, name: str, now_us: int, *, at_us: int, until_us: int, by: str, reason: str) -> frozenset[str]:
        """The operator's word: on record whether such a cluster is known or not. Its members."""
        self._linked_us = 0
        group = self._groups.get(name)
        if group is None:
            self._book.decided("pardon", Group(name.removeprefix(CLUSTER)), now_us, by=by, reason=f"{reason} ({UNKNOWN})")
            return frozenset()
        ladders = group.footings.keys() | self._ladders(group).keys()
        group.footings = {each: pardon(group.footings.get(each, GROUND), now_us, until_us=until_us) for each in ladders}
        self._book.decided("pardon", group, now_us, by=by, reason=reason)
        group.score, group.findings, group.new = 0, (), 0
        group.told, group.pardon = (), {"at_us": at_us, "until_us": until_us, "by": by, "reason": reason}
        self._book.live.update(group.members & self._book.cases.keys())
        return group.members

    def tick(self, now_us: int, *, may_link: bool = True) -> list[Placement]:
        """Who belongs together, which step that is, and what is to be told of it. `may_link`: what links them is all there."""
        every_us = LINK_AGAIN_US if self._links.is_grouping else LINK_EVERY_US
        if may_link and not 0 <= now_us - self._linked_us < every_us:
            self._linked_us = now_us
            self._link(now_us)
        for group in self._groups.values():
            self._move(group, now_us)
        return self._tell(now_us)

    def tell_again(self) -> None:
        """What was told of clusters is gone."""
        for group in self._groups.values():
            group.told = ()

    def step_of(self, case: Case, ladder: Ladder | None, now_us: int) -> str:
        """The step of a subject's cluster; "" for whoever has been pardoned, as long as that holds."""
        group = self._of(case)
        if group is None or ladder is None or now_us < case.footing.excused_us:
            return ""
        return name_of(ladder, group.footings.get(ladder.name, GROUND))

    def _of(self, case: Case) -> Group | None:
        return self._groups.get(f"{CLUSTER}{case.cluster}") if case.cluster else None

    def _link(self, now_us: int) -> None:
        found = {f"{CLUSTER}{cluster.id}": cluster for cluster in self._links.clusters(now_us, judge=self._together.at(now_us))}
        for name, group in list(self._groups.items()):
            if name not in found:
                self._members(group, frozenset(), now_us)
                if all(footing.is_blank for footing in group.footings.values()):
                    del self._groups[name]
                    self._book.archive.forget(name)
                    self._gone.append(name)
        for name, cluster in found.items():
            group = self._groups.setdefault(name, Group(cluster.id))
            group.reasons = tuple(_sentence(reason) for reason in cluster.reasons)
            self._members(group, frozenset(cluster.tenants), now_us)

    def _members(self, group: Group, members: frozenset[str], now_us: int) -> None:
        book = self._book
        joined, left = members - group.members, group.members - members
        for subjects, kind, cluster in ((left, "left", ""), (joined, "joined", group.id)):
            for subject in subjects:
                case = book.cases.get(subject)
                if case is not None and (cluster or case.cluster == group.id):
                    case.cluster = cluster
                    book.live.add(subject)
                    book.decided(kind, case, now_us)
        group.members = members
        if joined or left:
            log.info("watch_cluster", cluster=group.id, members=len(members), joined=len(joined), left=len(left))
        if left and members:
            book.archive.forget(group.name)  # what they sent is in it: begin anew, with those that are left
            joined = members
        if joined:
            window = book.archive.window(group.name)
            every = sorted(joined)
            for subject in every[:: max(1, len(every) // MEMBERS_MERGED)]:
                other = book.archive.window(subject)
                if other.requests:
                    window.merge(other)
            book.archive.put(group.name, window)
            group.new += window.requests

    def _move(self, group: Group, now_us: int) -> None:
        """Judge a cluster by what all its members send together, and move it on each of their ladders."""
        book, ladders = self._book, self._ladders(group)
        if group.new and is_due(group, now_us):
            window = book.archive.window(group.name)
            group.new, group.judged_us, group.requests = 0, now_us, window.requests
            purposes = [who.purposes for who in (book.who(name, now_us) for name in group.members) if who is not None]
            shared = frozenset.intersection(*purposes) if purposes else frozenset()
            group.findings = book.findings(group.name, shared)
            group.score, group.profile = worst(group.findings)
        cases = [book.cases[name] for name in group.members if name in book.cases]
        for case in cases:
            case.last_us = min(case.last_us, now_us)  # later than now: the clock had leapt ahead
        last_us = max([case.last_us for case in cases], default=0)
        is_calm = not group.members or now_us - last_us >= SILENT_US
        for name in group.footings.keys() | ladders.keys():
            ladder = ladders.get(name) or book.policy.ladders.get(name)
            before = group.footings.get(name, GROUND)
            stood = group.steps.get(name, ())
            was = stood[before.rank - 1].name if 0 < before.rank <= len(stood) else ""
            if ladder is None:
                group.footings.pop(name, None)
                group.steps.pop(name, None)
                continue
            if stood is not ladder.steps:
                before = moved(before, stood, ladder, now_us=now_us)
                group.steps[name] = ladder.steps
            after = group.footings[name] = step(
                before, ladder,
                score_milli=0 if is_calm else group.score, requests=group.requests, now_us=now_us, chance=book.chance(),
            )  # fmt: skip
            now = name_of(ladder, after)
            if now != was:
                book.decided("step", group, now_us, ladder=ladder, before=was, after=now)
                group.told = ()
                book.live.update(group.members & book.cases.keys())

    def _tell(self, now_us: int) -> list[Placement]:
        placements = [Placement(name, b"-", b"-") for name in self._gone]
        self._gone = []
        for group in self._groups.values():
            ladders = self._ladders(group)
            steps = {name: name_of(ladder, group.footings.get(name, GROUND)) for name, ladder in ladders.items()}
            told = (group.score // 10, group.members, tuple(sorted(steps.items())), roughly(group.requests))
            if told != group.told and (not group.told or not 0 <= now_us - group.told_us < TELL_EVERY_US):
                group.told, group.told_us = told, now_us
                placements.append(Placement(group.name, b"", dossier_of_group(group, steps, now_us)))
        return placements

    def _ladders(self, group: Group) -> dict[str, Ladder]:
        """The ladders that its members are on."""
        cases = (self._book.cases.get(name) for name in group.members)
        ladders = (self._book.ladder_of(case, 0) for case in cases if case is not None)
        return {ladder.name: ladder for ladder in ladders if ladder is not None}


def _sentence(reason: Any) -> str:
    if not isinstance(reason, Reason):
        return str(reason)
    return f"{REASONS.get(reason.code, reason.code)}: {reason.value} {reason.unit} (usual: {reason.usual})"
