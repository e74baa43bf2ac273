"""One policy, ready for use: what holds for each caller and model is worked out once and remembered.

A request takes one snapshot and keeps it to its end, whatever policy is loaded meanwhile.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.budgets.limits import LinePlan, plan_lines
from gateway.budgets.meters import Terms
from gateway.output.edits import Compiled, compile_output
from gateway.output.watermark import Marked, mark_of
from gateway.policy.model import Budget, Policy, Watermark
from gateway.policy.outputs import stricter
from gateway.policy.resolve import Effective, Levels, allows_endpoint, allows_model, levels_of, resolve, upstream_of
from gateway.policy.verdicts import shared, tightened, verdict_of
from gateway.policy.watched import Watched, watched
from gateway.values import Caller, Rung, Verdict

PLANS_MAX = 20_000
"""Cached plans of one policy, over callers and models. A model's name is the tenant's text: the cache is emptied when full."""


class Share(NamedTuple):
    """The budgets that a request spends together with its cluster."""

    cluster: str
    budgets: tuple[Budget, ...]
    plan: LinePlan


class Admission(NamedTuple):
    """What is known of a caller and a model before its request comes."""

    effective: Effective
    plan: LinePlan
    terms: Terms
    output: Compiled
    """What answers may be, ready for use."""
    mark: Marked | None
    """The tenant's watermark, where its policy has one."""
    upstream: str | None
    """Who serves the model, by the policy's name; "": the upstream of the settings. None: nobody."""
    share: Share | None = None
    """None: no cluster's."""


class Snapshot:
    """One policy, with what was worked out from it so far. A request keeps the snapshot it began with."""

    def __init__(self, policy: Policy, secret: bytes, before: Snapshot | None = None) -> None:
        """`before`: the snapshot that this one follows; what is made in milliseconds and still holds is taken over."""
        self.policy = policy
        self.digest = policy.digest
        self.secret = secret
        self.callers: dict[str, Caller] = {}
        """Who sent a credential header's value, for `identify`: good ones only."""
        self._marks: dict[tuple[str, Watermark], Marked] = {} if before is None else before.marks_of(policy)
        self._admissions: dict[tuple[str, str, str | None], Admission] = {}
        self._uses: dict[tuple[str, str], bool] = {}
        self._watched: dict[str, Watched] = {}
        self._verdicts: dict[Rung, Verdict | None] = {}
        self._tightened: dict[tuple[str, str, str | None, Verdict], Admission] = {}

    def watched(self, caller: Caller, now_us: int) -> Watched:
        """As whom a caller is watched."""
        known = self._watched.get(caller.key_id)
        if known is None or now_us >= known.changes_at_us:
            organisation, tenant, key_id, _ = caller
            known = self._watched[caller.key_id] = watched(
                self.policy, organisation=organisation, tenant=tenant, key_id=key_id, now_us=now_us
            )
        return known

    def verdict(self, who: Watched, rung: Rung) -> Verdict | None:
        """What this policy makes of a rung; None: nothing."""
        try:
            return self._verdicts[rung]
        except KeyError:
            if len(self._verdicts) >= PLANS_MAX:
                self._verdicts.clear()
            verdict = self._verdicts[rung] = verdict_of(who, rung)
            return verdict

    def admission(
        self, caller: Caller, model: str, endpoint: str | None, now_us: int, verdict: Verdict | None = None
    ) -> Admission:
        """What holds at `now_us` of the store's clock. `endpoint` None: whatever the endpoint.

        Key ids are unique in a deployment, so they stand for the whole caller.
        """
        if verdict is not None and not verdict.is_shadow:
            return self._under(verdict, caller, model, endpoint, now_us)
        who = caller.key_id or f"\0{caller.tenant}"  # a policy may be tried for a tenant that has no key yet
        known = self._admissions.get((who, model, endpoint))
        if known is None or now_us >= known.effective.changes_at_us:
            known = self._work_out(caller, model, endpoint, now_us)
            if len(self._admissions) >= PLANS_MAX:
                self._admissions.clear()
            self._admissions[who, model, endpoint] = known
        return known

    def _work_out(self, caller: Caller, model: str, endpoint: str | None, now_us: int) -> Admission:
        organisation, tenant, key_id, _ = caller
        effective = resolve(
            self.policy, organisation=organisation, tenant=tenant, key_id=key_id,
            model=model, endpoint=endpoint, now_us=now_us,
        )  # fmt: skip
        terms = Terms(effective.rule.price, effective.counts_cached_input)
        plan = plan_lines(effective.budgets, caller, model, secret=self.secret)
        watermark = effective.output.watermark
        mark = None if watermark is None else self._mark(caller.tenant, watermark)
        return Admission(effective, plan, terms, compile_output(effective.output), mark, upstream_of(self.policy, model))

    def _under(self, verdict: Verdict, caller: Caller, model: str, endpoint: str | None, now_us: int) -> Admission:
        """As `admission`, less what a verdict takes away. Only suspects' requests come this way."""
        key = (caller.key_id, model, endpoint, verdict)
        known = self._tightened.get(key)
        if known is None or now_us >= known.effective.changes_at_us:
            known = self._tighten(verdict, caller, model, endpoint, now_us)
            if len(self._tightened) >= PLANS_MAX:
                self._tightened.clear()
            self._tightened[key] = known
        return known

    def _tighten(self, verdict: Verdict, caller: Caller, model: str, endpoint: str | None, now_us: int) -> Admission:
        known = self.admission(caller, model, endpoint, now_us)
        effective = known.effective
        budgets, output = tightened(effective.budgets, verdict), stricter(effective.output, verdict.output)
        share = None
        if of_cluster := shared(verdict, model, endpoint or ""):
            # To the ledger a cluster is an organisation with a name that none can have.
            cluster = Caller(f"cluster:{verdict.cluster}", "", "", "")
            share = Share(verdict.cluster, of_cluster, plan_lines(of_cluster, cluster, model, secret=self.secret))
        return known._replace(
            effective=effective._replace(budgets=budgets, output=output),
            plan=plan_lines(budgets, caller, model, secret=self.secret),
            output=known.output if output is effective.output else compile_output(output),
            share=share,
        )

    def _mark(self, tenant: str, watermark: Watermark) -> Marked:
        """One for each tenant and not for each model: it is made in milliseconds, and weighs kilobytes."""
        mark = self._marks.get((tenant, watermark))
        if mark is None:
            mark = self._marks[tenant, watermark] = mark_of(self.secret, tenant, watermark)
        return mark

    def marks_of(self, policy: Policy) -> dict[tuple[str, Watermark], Marked]:
        """The watermarks made so far, of tenants that `policy` has too."""
        return {key: mark for key, mark in self._marks.items() if key[0] in policy.tenants}

    def may_use(self, caller: Caller, endpoint: str) -> bool:
        """Whether every level of the caller's policy allows an endpoint (one of `endpoints.TABLE`'s names)."""
        who = caller.key_id or f"\0{caller.tenant}"
        may = self._uses.get((who, endpoint))
        if may is None:
            may = self._uses[who, endpoint] = allows_endpoint(self._levels(caller), endpoint)
        return may

    def may_ask_for(self, caller: Caller, model: str) -> bool:
        """Whether every level of the caller's policy allows a model."""
        return allows_model(self._levels(caller), model)

    def _levels(self, caller: Caller) -> Levels:
        return levels_of(self.policy, organisation=caller.organisation, tenant=caller.tenant, key_id=caller.key_id)


class Policies:
    """Where the running policy is found: each request takes one snapshot and keeps it."""

    def __init__(self, policy: Policy, secret: bytes) -> None:
        self._snapshot = Snapshot(policy, secret)

    def snapshot(self) -> Snapshot:
        return self._snapshot

    def swap(self, policy: Policy) -> None:
        """From now on requests begin with this policy; what runs keeps the one it began with."""
        self._snapshot = Snapshot(policy, self._snapshot.secret, self._snapshot)
