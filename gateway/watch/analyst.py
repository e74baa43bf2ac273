"""What becomes of sightings: windows, scores, steps. No IO but the archive's file; time and chance are arguments.

`take` is called with everything that is read of the stream, `tick` about once a second: it says what is to be written.

Failure policy: nothing that a gateway wrote raises here. A sighting that cannot be used (of another version, of a tenant that
the policy no longer has) is left out and counted. A bug in judging one subject costs that subject its score, not the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import orjson
import structlog

from gateway.detectors import is_order
from gateway.policy.model import Policy
from gateway.store.watch import Batch, Placement, Stated
from gateway.watch import changes
from gateway.watch import seen as written
from gateway.watch.archive import Archive
from gateway.watch.book import CASES_MAX, Book, worst
from gateway.watch.cases import CLUSTER, Case, is_due
from gateway.watch.dossiers import Dossiers, recalled
from gateway.watch.groups import SILENT_US, Groups, Linker
from gateway.watch.ladder import GROUND, moved, pardon, step
from gateway.watch.runs import Gap, Runs
from gateway.watch.seen import Seen
from gateway.watch.sinks import Sink
from gateway.watch.statements import Statements

log = structlog.get_logger()

JUDGED_MAX = 200
"""In one tick: a millisecond or two each. The others come next."""
REQUESTS_MIN = 5
"""With fewer nothing is judged."""
MISSING_MAX = 20
"""Gaps that an operator is told of, the last ones."""
MISSING_US = 60_000_000
"""Gaps of one kind within this time are told as one."""


class Analyst:
    """All subjects of one deployment."""

    def __init__(self, policy: Policy, archive: Archive, links: Linker, sink: Sink, *, chance: Callable[[], float]) -> None:
        self._book = Book(policy, archive, sink, chance)
        self._groups = Groups(self._book, links)
        self._archive = archive
        self._links = links
        self._sink = sink
        self._due: dict[str, None] = {}
        """Subjects to be judged, the one that waits longest first."""
        self._dossiers = Dossiers(self._book, self._groups)
        self._pardoned: dict[str, bytes] = {}
        """Pardons of clusters that are not answered yet."""
        self._runs = Runs()
        self.unread = 0
        """Sightings that could not be used."""
        self._statements = Statements(self._book, links, told=int(archive.mark("facts") or 0))
        self._relinked = Runs()
        self.missing: list[tuple[int, str, int]] = []
        """Gaps, the last one last: when, why, how many requests (0: nobody knows)."""
        for runs, mark in ((self._runs, "runs"), (self._relinked, "links_runs")):
            dumped = archive.mark(mark)
            if dumped is not None:
                runs.load(orjson.loads(dumped))

    # What comes in.

    def adopt(self, policy: Policy) -> None:
        """From now on another policy holds."""
        self._book.adopt(policy)
        self._sink.adopt(policy)

    def recall(self, dossiers: Mapping[str, bytes], rungs: Mapping[str, bytes]) -> None:
        """After a start: where subjects stood, and what gateways have been told of it; less what cannot be read."""
        for name, data in dossiers.items():
            try:
                said = orjson.loads(data)
                if name.startswith(CLUSTER):
                    self._groups.recall(name, said)
                else:
                    self._recall(name, said, rungs.get(name, b"null"))
                self._obey_again(name, int((said.get("pardon") or {}).get("at_us", 0)))
            except (ValueError, TypeError, LookupError, AttributeError) as error:
                log.warning("dossier_unread", subject=name, side="store", error=type(error).__name__)

    def _recall(self, name: str, said: Mapping[str, Any], rung_bytes: bytes) -> None:
        case = recalled(name, said, rung_bytes)
        self._book.cases[name] = case
        if not case.footing.is_blank or case.cluster or case.rung is not None:
            self._book.live.add(name)

    def _obey_again(self, name: str, pardoned_us: int) -> None:
        """What is kept here may be from before a pardon that another analyst obeyed: then it is forgotten here, too."""
        known_us, in_links = self._archive.obeyed(name)
        if known_us < pardoned_us:
            self._archive.obey(name, pardoned_us)
        if (known_us < pardoned_us or not in_links) and pardoned_us and not name.startswith(CLUSTER):
            self._links.forget(name)

    def take(self, entry: str, batch: Batch, at_us: int, *, is_on_record: bool = False) -> None:
        """One entry of the stream. `is_on_record`: another analyst has written it down."""
        told_before, gaps = self._runs.take(batch, at_us)
        for gap in gaps:
            self._missing(gap)
        read, unread = written.decode(batch.data)
        self.unread += unread
        for one in read[told_before:]:
            if not is_on_record:
                self._sink.seen(entry, one)
            self._take(one)

    def relink(self, batch: Batch, at_us: int) -> int:
        """One entry of the stream that is known, but came after links were last kept: they alone learn it. How many requests
        are missing before it."""
        told_before, gaps = self._relinked.take(batch, at_us)
        for one in written.decode(batch.data)[0][told_before:]:
            case = self._book.cases.get(one.subject)
            if case is not None and one.at_us <= case.pardon.get("at_us", 0):
                continue
            with suppress(Exception):  # as in `_take`, where it was said
                self._links.note(one.subject, one.sighting, one.at_us)
        return sum(gap.numbers for gap in gaps)

    def anew(self, last: str, now_us: int) -> None:
        """The store came back without what was in it: everything is told again, and the gap is on record."""
        self._sink.anew(last)
        self._missing(Gap("", 0, 0, "anew", now_us))
        self._statements.begin_anew()
        self._groups.tell_again()
        for case in self._book.cases.values():
            case.told, case.rung = (), None
            if case.score or case.pardon or not case.footing.is_blank:
                self._dossiers.waits.add(case.subject)

    def _take(self, one: Seen) -> None:
        who = self._book.who(one.subject, one.at_us)
        if who is None:
            self.unread += 1
            return
        case = self._book.cases.get(one.subject)
        if case is not None and one.at_us <= case.pardon.get("at_us", 0):
            return  # forgiven before it was read
        window = self._archive.window(one.subject)
        try:
            window.add(one.sighting, one.at_us, one.output_tokens, one.stands_for)
            self._archive.history(one.subject).add(one.sighting, one.at_us, is_order=is_order(one.sighting))
            self._links.note(one.subject, one.sighting, one.at_us)
        except Exception as error:  # whatever it is, the same entry would be met again after every start
            self.unread += 1
            if self.unread == 1:
                log.error("sighting_unread", subject=one.subject, side="gateway", error=type(error).__name__)
            return
        self._archive.changed(one.subject)
        if case is None:
            case = self._book.cases[one.subject] = Case(one.subject, who.organisation)
            if len(self._book.cases) > CASES_MAX:
                forgotten = self._book.forget_oldest()
                self._due.pop(forgotten, None)
                self._dossiers.waits.discard(forgotten)
        case.last_us = max(case.last_us, one.at_us)
        case.requests = window.requests
        case.new += 1
        if case.requests >= REQUESTS_MIN and is_due(case, one.at_us):
            self._due[one.subject] = None
        self._groups.add(case, one)

    def silent(self, now_us: int) -> None:
        """Everything that was told has been read: whose run was broken off?"""
        for gap in self._runs.silent(now_us):
            self._missing(gap)

    def _missing(self, gap: Gap) -> None:
        log.warning("sightings_missing", run=gap.run, first=gap.first, count=gap.numbers, reason=gap.why)
        at_us, why, count = self.missing[-1] if self.missing else (0, "", 0)
        if why == gap.why and 0 <= gap.at_us - at_us < MISSING_US:
            self.missing[-1] = (at_us, why, count + gap.numbers)
        else:
            self.missing = [*self.missing[1 - MISSING_MAX :], (gap.at_us, gap.why, gap.numbers)]
        self._sink.missing(gap)

    def pardon(self, name: str, data: bytes, now_us: int) -> None:
        """The operator's word: off the ladder at once, and what was seen is forgotten."""
        try:
            said = dict(orjson.loads(data))
            until_us, at_us = int(said.get("until_us", 0)), min(now_us, int(said.get("at_us", now_us)))
        except (TypeError, ValueError):
            said, until_us, at_us = {}, 0, now_us
        by, reason = str(said.get("by", "")), str(said.get("reason", ""))
        self._archive.obey(name, at_us)
        if name.startswith(CLUSTER):
            members = self._groups.pardon(name, now_us, at_us=at_us, until_us=until_us, by=by, reason=reason)
            for member in members:
                self._unlink(member, now_us)
            self._pardoned[name] = data
            return
        self._unlink(name, now_us)
        case = self._book.cases.get(name)
        if case is None:
            who = self._book.who(name, now_us)
            case = self._book.cases[name] = Case(name, "" if who is None else who.organisation)
        ladder, before = self._book.ladder_of(case, now_us), self._book.step_of(case)
        self._book.decided("pardon", case, now_us, ladder=ladder, before=before, by=by, reason=reason)
        case.footing = pardon(case.footing, now_us, until_us=until_us)
        case.score, case.findings, case.profile, case.requests, case.new = 0, (), "", 0, 0
        case.change, case.change_told_us, case.measured = None, 0, ()
        case.answers, case.pardon = data, {"at_us": at_us, "until_us": until_us, "by": by, "reason": reason}
        case.told = ()
        self._book.live.add(name)
        self._due.pop(name, None)

    def _unlink(self, subject: str, now_us: int) -> None:
        """What linked it is forgotten, but for the operator's own facts: it is not linked again by what was before."""
        self._links.forget(subject)
        self._statements.say_again(subject, now_us)

    def facts(self, facts: Mapping[str, Stated], version: int, now_us: int) -> int:
        """What the operator knows of tenants. How many of them could not be used."""
        return self._statements.take(facts, version, now_us)

    # What is decided.

    def tick(self, now_us: int, *, may_link: bool = True) -> list[Placement]:
        """Judge what is due, move who is to be moved, and say what is to be written. `may_link`: see `relink`."""
        for name in list(self._due)[:JUDGED_MAX]:
            del self._due[name]
            self._judge(self._book.cases[name], now_us)
        placements = self._groups.tick(now_us, may_link=may_link)
        placements += [Placement(name, answers=data) for name, data in self._pardoned.items()]
        self._pardoned = {}
        for name in list(self._book.live):
            placements += self._move(self._book.cases[name], now_us)
        for name in list(self._dossiers.waits - self._book.live):
            placements += self._dossiers.tell(self._book.cases[name], now_us)
        self._sink.tick()
        return placements

    def close(self) -> None:
        """It is active no more."""
        self._sink.close()

    def checkpoint(self, position: str, *, with_links: bool = False) -> None:
        """Everything up to this entry is kept; links, which are large, where they are asked for."""
        self._sink.checkpoint()
        at, runs = position.encode(), orjson.dumps(self._runs.dump())
        links = {"links": self._links.dump(), "links_position": at, "links_runs": runs} if with_links else {}
        self._archive.checkpoint(position=at, runs=runs, facts=b"%d" % self._statements.told, **links)

    def _judge(self, case: Case, now_us: int) -> None:
        who = self._book.who(case.subject, now_us)
        case.new, case.judged_us = 0, now_us
        case.findings = self._book.findings(case.subject, frozenset() if who is None else who.purposes)
        case.score, case.profile = worst(case.findings)
        ladder = None if who is None else who.ladder
        changes.look_back(self._book, case, ladder, now_us)
        if ladder is not None and case.score >= ladder.steps[0].score_milli:
            self._book.live.add(case.subject)
        self._dossiers.waits.add(case.subject)

    def _move(self, case: Case, now_us: int) -> list[Placement]:
        """Up or down its ladder, where its time has come; and what is to be told of it."""
        case.last_us = min(case.last_us, now_us)  # later than now: the clock had leapt ahead
        if case.pardon.get("at_us", 0) > now_us:
            case.pardon["at_us"] = now_us
        ladder = self._book.ladder_of(case, now_us)
        before = case.footing
        name_before = self._book.step_of(case)
        if ladder is None:
            # A pardon outlives the ladder that it was from: a policy that loses it for an hour undoes nothing.
            case.footing = GROUND if before.is_blank else pardon(before, now_us, until_us=before.excused_us)
            case.ladder, case.steps = "", ()
        else:
            if case.steps is not ladder.steps:  # another policy, or another ladder: there it must have earned what it stands on
                reached = 1_000 if case.ladder == ladder.name else case.score
                case.footing = moved(before, case.steps, ladder, now_us=now_us, score_milli=reached)
                case.ladder, case.steps = ladder.name, ladder.steps
            is_calm = now_us - case.last_us >= SILENT_US
            case.footing = step(
                case.footing, ladder,
                score_milli=0 if is_calm else case.score, requests=case.requests, now_us=now_us, chance=self._book.chance(),
            )  # fmt: skip
        after = self._book.step_of(case)
        if after != name_before:
            self._book.decided("step", case, now_us, ladder=ladder, before=name_before, after=after)
            case.told = ()
        placements = self._dossiers.tell(case, now_us)
        is_loud = ladder is not None and case.score >= ladder.steps[0].score_milli
        if case.footing.is_blank and not is_loud and case.rung is None and not case.cluster:
            self._book.live.discard(case.subject)
        return placements
