"""One policy, ready for use: what holds for each caller and model is worked out once and remembered.

A request takes one snapshot and keeps it to its end, whatever policy is loaded meanwhile.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.budgets.limits import LinePlan, plan_lines
from gateway.budgets.meters import Terms
from gateway.output.edits import Compiled, compile_output
from gateway.output.watermark import Marked, mark_of
from gateway.policy.model import Policy, Watermark
from gateway.policy.resolve import Effective, Levels, allows_endpoint, allows_model, levels_of, resolve, upstream_of
from gateway.values import Caller

PLANS_MAX = 20_000
"""Cached plans of one policy, over callers and models. A model's name is the tenant's text: the cache is emptied when full."""


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

    def admission(self, caller: Caller, model: str, endpoint: str | None, now_us: int) -> Admission:
        """What holds at `now_us` of the store's clock. `endpoint` None: whatever the endpoint.

        Key ids are unique in a deployment, so they stand for the whole caller.
        """
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
