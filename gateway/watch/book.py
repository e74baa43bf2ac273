"""What the analyst's parts share: the policy in force, every subject's case, and how a decision is put on record."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from gateway.detectors import Change, judge, measured
from gateway.policy.model import Ladder, Policy, Purpose, Step
from gateway.policy.watched import Watched, watched_as
from gateway.values import Finding, Reason
from gateway.watch.archive import Archive
from gateway.watch.cases import Case, Group
from gateway.watch.ladder import Footing
from gateway.watch.sinks import Decision, Sink

log = structlog.get_logger()

CASES_MAX = 100_000


class Book:
    """One deployment's."""

    def __init__(self, policy: Policy, archive: Archive, sink: Sink, chance: Callable[[], float]) -> None:
        self.policy = policy
        self.archive = archive
        self.sink = sink
        self.chance = chance
        self.cases: dict[str, Case] = {}
        self.live: set[str] = set()
        """Subjects that stand somewhere, or may climb: looked at in each tick."""
        self._watched: dict[str, Watched | None] = {}

    def adopt(self, policy: Policy) -> None:
        """From now on another policy holds: ladders may have other steps, and subjects other ladders."""
        self.policy = policy
        self._watched.clear()
        self.live.update(name for name, case in self.cases.items() if case.rung is not None or not case.footing.is_blank)

    def who(self, subject: str, now_us: int) -> Watched | None:
        """None: the policy has no such tenant or key."""
        if subject not in self._watched:
            if len(self._watched) > CASES_MAX:
                self._watched.clear()
            self._watched[subject] = watched_as(self.policy, subject, now_us)
        who = self._watched[subject]
        if who is not None and now_us >= who.changes_at_us:
            who = self._watched[subject] = watched_as(self.policy, subject, now_us)
        return who

    def ladder_of(self, case: Case, now_us: int) -> Ladder | None:
        who = self.who(case.subject, now_us)
        return None if who is None else who.ladder

    def step_of(self, case: Case) -> str:
        """The name of the step that it stands on; "": none."""
        return case.steps[case.footing.rank - 1].name if 0 < case.footing.rank <= len(case.steps) else ""

    def findings(self, name: str, purposes: frozenset[Purpose]) -> tuple[Finding, ...]:
        """What a window looks like; () where judging fails."""
        try:
            return judge(self.archive.window(name), purposes)
        except Exception as error:
            log.error("judge_failed", subject=name, side="gateway", error=type(error).__name__)
            return ()

    def history(self, name: str) -> tuple[Change | None, tuple[Reason, ...]]:
        """How a subject is not like its own past, and what else is measured; nothing where that fails."""
        try:
            history = self.archive.history(name)
            return history.change(), measured(self.archive.window(name), history.vocabulary.spread())
        except Exception as error:
            log.error("history_failed", subject=name, side="gateway", error=type(error).__name__)
            return None, ()

    def forget_oldest(self) -> str:
        """Whoever stands nowhere and sent nothing for longest; "": nobody can be forgotten."""
        cases = (case for case in self.cases.values() if case.subject not in self.live)
        oldest = min(cases, key=lambda case: case.last_us, default=None)
        if oldest is None:
            return ""
        self.archive.forget(oldest.subject)
        del self.cases[oldest.subject]
        self._watched.pop(oldest.subject, None)
        return oldest.subject

    def decided(
        self,
        kind: str,
        of: Case | Group,
        now_us: int,
        *,
        ladder: Ladder | None = None,
        before: str = "",
        after: str = "",
        by: str = "",
        reason: str = "",
    ) -> None:
        """Put on record what was done, or would have been."""
        finding = next((each for each in of.findings if each.profile == of.profile), None)
        requests = of.requests
        if kind == "change" and isinstance(of, Case) and of.change is not None:
            finding = of.change.finding
            requests = finding.requests
        decision = Decision(
            at_us=now_us,
            kind=kind,
            subject=of.name if isinstance(of, Group) else of.subject,
            organisation="" if isinstance(of, Group) else of.organisation,
            ladder="" if ladder is None else ladder.name,
            before=before,
            after=after,
            is_shadow=ladder is not None and not ladder.enforce,
            score=finding.score if kind == "change" and finding is not None else of.score,
            profile=finding.profile if kind == "change" and finding is not None else of.profile,
            reasons=() if finding is None else finding.reasons,
            requests=requests,
            cluster=of.id if isinstance(of, Group) else of.cluster,
            policy=self.policy.digest,
            by=by,
            reason=reason,
        )
        self.sink.decided(decision)
        _log(decision, None if ladder is None else next((each for each in ladder.steps if each.name == after), None))


def worst(findings: Sequence[Finding]) -> tuple[int, str]:
    """The score that counts, and its profile: the highest that no purpose explains."""
    counted = [each for each in findings if not each.explained]
    highest = max(counted, key=lambda each: each.score, default=None)
    return (0, "") if highest is None else (highest.score, highest.profile)


def name_of(ladder: Ladder, footing: Footing) -> str:
    """The step it stands on; "": none."""
    rank = min(footing.rank, len(ladder.steps))
    return ladder.steps[rank - 1].name if rank else ""


def _log(decision: Decision, step: Step | None) -> None:
    subject, ladder = decision.subject, decision.ladder
    if decision.kind == "step":
        codes = [reason.code for reason in decision.reasons]
        mode = "shadow" if decision.is_shadow else "enforce"
        log.info(
            "watch_step", subject=subject, ladder=ladder, mode=mode, before=decision.before, after=decision.after,
            score=decision.score, profile=decision.profile, reasons=codes, requests=decision.requests, cluster=decision.cluster,
        )  # fmt: skip
        if step is not None and step.notify:
            log.warning("watch_notify", subject=subject, ladder=ladder, step=step.name, score=decision.score)
    elif decision.kind == "pardon":
        log.warning("watch_pardon", subject=subject, by=decision.by, reason=decision.reason, before=decision.before)
    elif decision.kind == "facts":
        log.info("watch_facts", subject=subject, by=decision.by, known=decision.reason)
