"""What the analyst knows of each subject and each cluster: a score, where it stands, and what was last said of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from gateway.detectors import Change
from gateway.policy.model import Place, Step
from gateway.policy.watched import KEY_MARK
from gateway.values import Finding, Reason, Rung
from gateway.watch.ladder import GROUND, Footing

CLUSTER = "cluster:"
"""Before a cluster's id, where its name stands among subjects': no tenant's name has a colon."""


class Case:
    """One subject. A kilobyte, however much it sends: its window is in the archive."""

    __slots__ = (
        *("subject", "organisation", "footing", "ladder", "steps", "score", "profile", "findings", "requests", "new"),
        *("last_us", "judged_us", "cluster", "rung", "told_us", "told", "answers", "pardon"),
        *("change", "change_told_us", "measured"),
    )

    def __init__(self, subject: str, organisation: str) -> None:
        self.subject = subject
        self.organisation = organisation
        self.footing: Footing = GROUND
        self.ladder = ""
        """The ladder that `footing` is of."""
        self.steps: tuple[Step, ...] = ()
        """Its steps as they were when `footing` was last looked at: a rank means nothing without them."""
        self.score = 0
        """Per mille: the highest of its findings that no purpose explains."""
        self.profile = ""
        self.findings: tuple[Finding, ...] = ()
        self.requests = 0
        """As its window counts them."""
        self.new = 0
        """Since it was judged."""
        self.last_us = 0
        self.judged_us = 0
        self.cluster = ""
        self.rung: Rung | None = None
        """As gateways were told last."""
        self.told_us = 0
        self.told: tuple[Any, ...] = ()
        """What its dossier said last, in short."""
        self.answers = b""
        """The operator's pardon that is not answered yet."""
        self.pardon: dict[str, Any] = {}
        """The last one."""
        self.change: Change | None = None
        """How it is not like its own past. No part of its score."""
        self.change_told_us = 0
        """When the change began that is on record."""
        self.measured: tuple[Reason, ...] = ()
        """What is told beside its findings, and no part of its score either."""

    @property
    def tenant(self) -> str:
        return self.subject.partition(KEY_MARK)[0]


_NOWHERE = Place("", 0)
JUDGE_EVERY_US = 30_000_000
"""With anything new; and whenever a sixteenth of its window is new."""


class Group:
    """One cluster."""

    __slots__ = ("id", "members", "reasons", "footings", "steps", "score", "profile", "findings", "requests", "new",
                 "judged_us", "told", "told_us", "pardon")  # fmt: skip

    def __init__(self, cluster_id: str) -> None:
        self.id = cluster_id
        self.members: frozenset[str] = frozenset()
        self.reasons: tuple[str, ...] = ()
        """Why they are taken to be one, as sentences."""
        self.footings: dict[str, Footing] = {}
        """By ladder: members may have several."""
        self.steps: dict[str, tuple[Step, ...]] = {}
        """Of each ladder, as they were when its footing was last looked at."""
        self.score = 0
        self.profile = ""
        self.findings: tuple[Finding, ...] = ()
        self.requests = 0
        self.new = 0
        self.judged_us = 0
        self.told: tuple[Any, ...] = ()
        self.told_us = 0
        self.pardon: dict[str, Any] = {}
        """The last one."""

    @property
    def name(self) -> str:
        return f"{CLUSTER}{self.id}"


def roughly(count: int) -> int:
    """Its four leading bits: one that has grown by an eighth is news, though the score stands still."""
    shift = max(0, count.bit_length() - 4)
    return count >> shift << shift


def is_due(of: Case | Group, now_us: int) -> bool:
    """Whether enough has come to judge it again."""
    return of.new * 16 >= of.requests or not 0 <= now_us - of.judged_us < JUDGE_EVERY_US


def findings_of(findings: tuple[Finding, ...]) -> list[Any]:
    return [
        [each.profile, each.score, [list(reason) for reason in each.reasons], each.requests, each.explained]
        for each in findings
    ]


def dossier_of(
    case: Case, step: str, cluster_step: str, *, is_shadow: bool, review: bool, at_us: int, change: dict[str, Any] | None = None
) -> bytes:
    """What the operator can read of a subject, and the analyst after a restart."""
    return orjson.dumps(
        {
            "subject": case.subject,
            "organisation": case.organisation,
            "ladder": case.ladder,
            "mode": "shadow" if is_shadow else "enforce",
            "step": step,
            "stood": stood(case.footing, case.steps),
            "footing": list(case.footing),
            "score": case.score,
            "profile": case.profile,
            "findings": findings_of(case.findings),
            "requests": case.requests,
            "last_us": case.last_us,
            "cluster": case.cluster,
            "cluster_step": cluster_step,
            "review": review,
            "pardon": case.pardon,
            "change": change,
            "measured": [list(reason) for reason in case.measured],
            "at_us": at_us,
        }
    )


def dossier_of_group(group: Group, steps: dict[str, str], at_us: int) -> bytes:
    return orjson.dumps(
        {
            "subject": group.name,
            "members": sorted(group.members),
            "linked_by": list(group.reasons),
            "footings": {ladder: list(footing) for ladder, footing in group.footings.items()},
            "steps": steps,
            "stood": {ladder: stood(footing, group.steps.get(ladder, ())) for ladder, footing in group.footings.items()},
            "score": group.score,
            "profile": group.profile,
            "findings": findings_of(group.findings),
            "requests": group.requests,
            "pardon": group.pardon,
            "at_us": at_us,
        }
    )


def stood(footing: Footing, steps: Sequence[Step]) -> list[str]:
    """The names of the steps up to the one it stands on, lowest first: what a rank means once the ladder is another."""
    return [step.name for step in steps[: footing.rank]]


def steps_said(footing: Footing, names: Any, step: Any) -> tuple[Step, ...]:
    """Steps as a dossier names them, so that `ladder.moved` finds the same ones on the ladder as it is now. A dossier of an
    earlier version knows the highest alone."""
    if type(names) is not list or len(names) != footing.rank or not all(type(name) is str for name in names):
        names = [*[""] * (footing.rank - 1), str(step)] if footing.rank > 0 else []
    return tuple(Step(name, 0, _NOWHERE) for name in names)


def footing_from(fields: Any) -> Footing:
    """A footing as a dossier holds it; the ground where it cannot be read."""
    is_sane = type(fields) is list and len(fields) >= len(Footing._fields) and all(type(value) is int for value in fields)
    return Footing(*fields[: len(Footing._fields)]) if is_sane else GROUND
