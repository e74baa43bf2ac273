"""What a step of a ladder comes to: the step's words and those of all steps below it, put together. Pure.

Who stands where is told by the analyst, in names; what that means is said here, by the policy that is in force where a request
is served. A ladder or a step that this policy does not have means nothing, until the analyst has read it too.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.policy.globs import matcher
from gateway.policy.model import NO_OUTPUT, Budget, Ladder
from gateway.policy.outputs import stricter
from gateway.policy.watched import KEY_MARK, Watched
from gateway.values import Rung, Verdict


def verdict_of(watched: Watched, rung: Rung) -> Verdict | None:
    """What holds for whoever stands on `rung`. None: nothing."""
    ladder = watched.ladder
    if ladder is None or ladder.name != rung.ladder or watched.subject != rung.subject:
        return None
    own, clusters = rank_of(ladder, rung.step), rank_of(ladder, rung.cluster_step)
    rank = max(own, clusters)
    if not rank:
        return None
    steps = ladder.steps[:rank]
    output = NO_OUTPUT
    for step in steps:
        output = stricter(output, step.output)
    shares = bool(rung.cluster and ladder.cluster_budgets) and 0 < (rank_of(ladder, ladder.cluster_from) or 1) <= clusters
    return Verdict(
        subject=watched.subject,
        ladder=ladder.name,
        step=steps[-1].name,
        is_shadow=not ladder.enforce,
        is_marked=ladder.marked,
        is_refused=any(step.refuse for step in steps),
        budgets_milli=min(step.budgets_milli for step in steps),
        output=output,
        cluster=rung.cluster if shares else "",
        cluster_budgets=ladder.cluster_budgets if shares else (),
    )


def rank_of(ladder: Ladder, step: str) -> int:
    """How many steps it takes to stand on this one; 0: the ladder has no such step."""
    return next((rank for rank, each in enumerate(ladder.steps, 1) if each.name == step), 0)


def tightened(budgets: tuple[Budget, ...], verdict: Verdict) -> tuple[Budget, ...]:
    """The budgets with less of each limit and burst that is the subject's own, and at least 1.

    A counter that others share is left as it is: they have done nothing, and a bucket's level would sink for them too.
    """
    milli = verdict.budgets_milli
    if milli == 1_000:
        return budgets
    own = "key" if KEY_MARK in verdict.subject else "tenant"
    return tuple([_tightened(each, milli) if own in each.scope or "key" in each.scope else each for each in budgets])


def _tightened(budget: Budget, milli: int) -> Budget:
    return replace(budget, limit=max(1, budget.limit * milli // 1_000), burst=max(1, budget.burst * milli // 1_000))


def shared(verdict: Verdict, model: str, endpoint: str) -> tuple[Budget, ...]:
    """The cluster's budgets that count a request."""
    return tuple(
        [each for each in verdict.cluster_budgets if matcher(each.models)(model) and matcher(each.endpoints)(endpoint)]
    )
