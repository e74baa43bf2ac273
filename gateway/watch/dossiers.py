"""What gateways and the operator are told of a subject, and what is read of it again after a start.

Failure policy: `recalled` raises ValueError, TypeError, LookupError or AttributeError on a dossier that cannot be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.policy.verdicts import rank_of
from gateway.store.watch import Placement
from gateway.values import Rung
from gateway.watch import changes
from gateway.watch.book import Book
from gateway.watch.cases import Case, dossier_of, footing_from, roughly, steps_said
from gateway.watch.groups import TELL_EVERY_US, Groups
from gateway.watch.watcher import read_rung, write_rung

LIFE_US = 3_600_000_000
"""How long a rung holds without being said again."""


def recalled(name: str, said: Mapping[str, Any], rung_bytes: bytes) -> Case:
    """A subject as its dossier and its rung have it."""
    case = Case(name, str(said.get("organisation", "")))
    case.footing, case.ladder = footing_from(said.get("footing")), str(said.get("ladder", ""))
    case.steps = steps_said(case.footing, said.get("stood"), said.get("step"))
    case.cluster, case.profile, case.score = str(said.get("cluster", "")), str(said.get("profile", "")), int(said["score"])
    case.requests, case.last_us = int(said.get("requests", 0)), int(said.get("last_us", 0))
    case.pardon = dict(said.get("pardon") or {})
    case.change = changes.read(said.get("change"))
    case.change_told_us = 0 if case.change is None else case.change.since_us
    rung = read_rung(rung_bytes)
    case.rung = rung if rung is not None and (rung.step or rung.cluster_step) else None
    return case


class Dossiers:
    """What was told of whom, and what is still to be told."""

    def __init__(self, book: Book, groups: Groups) -> None:
        self._book = book
        self._groups = groups
        self.waits: set[str] = set()
        """Subjects whose dossier is to be written when its time comes."""

    def tell(self, case: Case, now_us: int) -> list[Placement]:
        """What gateways and the operator are to be told of a subject, where that is new."""
        ladder = self._book.ladder_of(case, now_us)
        own, cluster_step = self._book.step_of(case), self._groups.step_of(case, ladder, now_us)
        rung = None
        if ladder is not None and (own or cluster_step):
            since_us = case.footing.since_us
            cluster = case.cluster if cluster_step else ""
            rung = Rung(case.subject, ladder.name, own, since_us, now_us + LIFE_US, cluster, cluster_step)
        if ladder is not None and not case.ladder and not case.footing.rank:  # it never stood anywhere, but this is its ladder
            case.ladder, case.steps = ladder.name, ladder.steps
        changed = (0, 0) if case.change is None else (case.change.since_us, case.change.finding.requests)
        told = (
            case.score // 10,
            own,
            cluster_step,
            case.cluster,
            case.footing.due_us,
            case.footing.calm_us,
            *changed,
            roughly(case.requests),
        )
        is_new_step = told[1:4] != case.told[1:4]
        if not is_new_step and told == case.told:
            self.waits.discard(case.subject)
        rung_bytes = self._rung_to_tell(case, rung, now_us)
        must_tell = is_new_step or bool(case.answers) or bool(rung_bytes)
        if not must_tell and (told == case.told or 0 <= now_us - case.told_us < TELL_EVERY_US):
            return []
        steps = () if ladder is None else ladder.steps[: max(rank_of(ladder, own), rank_of(ladder, cluster_step))]
        dossier = dossier_of(
            case, own, cluster_step,
            is_shadow=ladder is not None and not ladder.enforce,
            review=any(each.review for each in steps) or changes.wants_review(case, ladder),
            change=changes.written(case), at_us=now_us,
        )  # fmt: skip
        placement = Placement(case.subject, rung_bytes, dossier, case.answers)
        case.told, case.told_us, case.answers = told, now_us, b""
        self.waits.discard(case.subject)
        return [placement]

    def _rung_to_tell(self, case: Case, rung: Rung | None, now_us: int) -> bytes:
        before = case.rung
        if rung is None:
            if before is None:
                return b""
            case.rung = None
            return write_rung(Rung(case.subject, before.ladder, "", now_us, now_us + LIFE_US))
        is_same = before is not None and before._replace(until_us=0) == rung._replace(until_us=0)
        if is_same and before is not None and LIFE_US // 2 < before.until_us - now_us <= LIFE_US:
            return b""
        case.rung = rung
        return write_rung(rung)
