"""What a request may cost at worst, how that is held, and what is said when it does not fit.

Failure policy: an endpoint or a model that the plan does not name is refused, and so is a model without a price where an
enforced budget counts money: an unknown price must not be a way around a spending limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from gateway.budgets import limits as budget_limits
from gateway.budgets.estimate import Estimator
from gateway.budgets.limits import lines, plan_lines
from gateway.budgets.refusals import WAIT_FOR_HOLDS_US, refusal, wait_us
from gateway.budgets.remedies import REJECT, Remedy, remedy
from gateway.budgets.shorten import affordable_output
from gateway.errors import ABNORMAL_USAGE, Refusal
from gateway.holds import Hold, Holds
from gateway.output.clamp import FLOOR_TOKENS, shortened
from gateway.snapshot import Admission, Share, Snapshot
from gateway.store.ports import Ledger, WindowPassed
from gateway.values import Ask, Caller, Limit, Line, Quote, Verdict
from gateway.waiting import Waiting

UNBOUNDED_TOKENS = 100_000_000
"""Of an answer that nobody bounds."""
SHORTEN_TRIES = 3
"""Others spend meanwhile what was seen to be left."""
SHARE_RETRY_MS = 2000
"""While the store is gone nobody knows when it is back: soon enough to notice, late enough not to press."""


def permit(policy: Snapshot, caller: Caller, endpoint: str) -> None:
    """Raises Refusal (permission) for an endpoint that the caller's policy does not name."""
    if not policy.may_use(caller, endpoint):
        message = f"The endpoint {endpoint} is not allowed for the tenant {caller.tenant} on the plan {caller.plan}."
        raise Refusal("permission", message, status=403, code="endpoint_not_allowed", reason="endpoint_not_allowed")


def admission(
    caller: Caller, model: str, endpoint: str, policy: Snapshot, now_us: int, verdict: Verdict | None = None
) -> Admission:
    """What is known of a caller, a model and an endpoint at `now_us` of the store's clock, less what a verdict takes away.

    Raises Refusal (permission).
    """
    known = policy.admission(caller, model, endpoint, now_us, verdict)
    effective = known.effective
    if not effective.allowed:
        message = f"The model {model} is not allowed for the tenant {caller.tenant} on the plan {caller.plan}."
        raise Refusal("permission", message, status=403, param="model", code="model_not_allowed", reason="model_not_allowed")
    if known.terms.price is None and any(budget.meter == "cost" and budget.enforce for budget in effective.budgets):
        message = f"The model {model} has no price in this gateway, and a spending limit applies: use a priced model."
        raise Refusal("permission", message, status=403, param="model", code="model_not_priced", reason="model_not_priced")
    if known.upstream is None:
        message = f"The model '{model}' does not exist or you do not have access to it."
        raise Refusal("not_found", message, status=404, param="model", code="model_not_found", reason="model_not_served")
    return known


def whole_or_not(known: Admission) -> Admission:
    """The same for what cannot be shortened and has no other model: requests that lie in a file."""
    effective = known.effective
    budgets = tuple(
        replace(budget, on_exceed="reject") if budget.on_exceed in ("shorten", "downgrade") else budget
        for budget in effective.budgets
    )
    return known._replace(effective=effective._replace(budgets=budgets))


def quote(
    caller: Caller, ask: Ask, limit: int | None, request_id: str, known: Admission, estimator: Estimator, now_us: int
) -> Quote:
    """The worst case of a request, a line for each of its budgets.

    `limit`: output tokens of one choice that the gateway allows, where that is less than was asked for.
    """
    effective, plan, terms = known.effective, known.plan, known.terms
    rule = effective.rule
    bound = ask.output_tokens_max if limit is None else limit
    if bound is not None:
        most = bound
    else:
        # Nobody bounds it: what a model usually comes to is held, and more while it runs.
        bound, most = rule.max_output_tokens, UNBOUNDED_TOKENS
        if rule.unbounded_output == "learned":
            bound = estimator.output_bound(caller.tenant, ask.model, bound)
    if ask.is_stream and (ahead := effective.output.hold_ahead) is not None and bound > ahead:
        bound = ahead
    input_tokens = estimator.input_tokens(ask.model, ask.text_bytes, ask.media_tokens, tenant=caller.tenant)
    output_tokens = bound * ask.choices
    return Quote(
        hold_id=request_id.encode(),
        tag=plan.tag,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        price=terms.price,
        counts_cached_input=terms.counts_cached_input,
        budgets=effective.budgets,
        lines=lines(
            plan,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            terms=terms,
            now_us=now_us,
            end_user=ask.end_user,
            extent=ask.extent,
        ),
        extent=ask.extent,
        bound_tokens=most * ask.choices,
    )


class Held(NamedTuple):
    hold: Hold
    """Admitted or not."""
    limit: int | None
    """As in `quote`, lowered to what the budgets still hold where they say `on_exceed: shorten`."""
    limits: list[Limit]
    """How the caller's budgets stand, for headers."""
    downgrade_to: str
    """The model that the budgets in the way name instead; "": none."""


async def hold(
    holds: Holds,
    waiting: Waiting,
    caller: Caller,
    ask: Ask,
    limit: int | None,
    request_id: str,
    known: Admission,
    estimator: Estimator,
    store_now_us: Callable[[], int],
) -> Held:
    """Hold the worst case of a request, or as much of its output as still fits, or wait for room, as its budgets say.

    Raises StoreFault.
    """
    make = partial(quote, caller, ask, limit, request_id, known, estimator)
    held = await holds.open(make(store_now_us()), make)
    for _ in range(SHORTEN_TRIES):
        if _remedy(held).kind != "shorten":
            break
        quoted = held.quote
        fits = affordable_output(
            quoted.budgets, quoted.lines, held.reserved.standings,
            input_tokens=quoted.input_tokens, choices=ask.choices, terms=known.terms, extent=ask.extent,
        )  # fmt: skip
        shorter = shortened(fits, known.effective.output)
        if shorter is None:
            break
        limit = shorter
        make = partial(quote, caller, ask, limit, request_id, known, estimator)
        held = await holds.open(make(store_now_us()), make)
    if _remedy(held).kind == "queue":
        held = await waiting.wait(held, lambda: holds.open(make(store_now_us()), make))
    views, downgrade_to = limits(held), _remedy(held).downgrade_to
    if known.share is not None and held.reserved.admitted:
        held = await _share(holds, held, known.share, known, ask, store_now_us)
    return Held(held, limit, views, downgrade_to)


async def _share(holds: Holds, own: Hold, share: Share, known: Admission, ask: Ask, store_now_us: Callable[[], int]) -> Hold:
    """Hold of the cluster's budgets what `own` holds of the caller's: `own` with it beside, or what was refused.

    A second call of the store, under another hash tag: suspects alone pay for it. Raises StoreFault; then nothing is held.
    """

    def at(now_us: int) -> Quote:
        quoted = own.quote
        made = lines(
            share.plan, input_tokens=quoted.input_tokens, output_tokens=quoted.output_tokens, terms=known.terms,
            now_us=now_us, end_user=ask.end_user, extent=ask.extent,
        )  # fmt: skip
        return quoted._replace(tag=share.plan.tag, budgets=share.budgets, lines=made, cluster=share.cluster)

    try:
        beside = await holds.open(at(store_now_us()), at)
    except BaseException:
        own.close((0,) * len(own.quote.lines))
        raise
    if not beside.reserved.admitted:
        own.close((0,) * len(own.quote.lines))
        return beside
    own.beside = beside
    return own


def _remedy(hold: Hold) -> Remedy:
    """What becomes of a hold that was not admitted; REJECT for any other, and while the store is gone."""
    if hold.reserved.admitted or hold.is_local:
        return REJECT
    return remedy(hold.quote.budgets, hold.quote.lines, hold.reserved.standings)


def limits(hold: Hold) -> list[Limit]:
    """How the caller's budgets stand, for headers."""
    return budget_limits.limit_views(hold.quote.budgets, hold.quote.lines, hold.reserved.standings)


def refused(hold: Hold, caller: Caller, ask: Ask, known: Admission) -> Refusal:
    """The refusal of a quote that did not fit."""
    quote = hold.quote
    if hold.is_local:
        message = "The gateway has lost its store, and what it may spend of your limits by itself is spent. Please try again."
        return Refusal("rate_limit", message, status=429, side="store", retry_after_ms=SHARE_RETRY_MS, reason="store_share")
    standings = hold.reserved.standings
    if quote.cluster:
        # Coarse: it tells neither that others spend it too, nor how much of it is left.
        wait = wait_us(quote.budgets, quote.lines, standings)
        retry_ms = WAIT_FOR_HOLDS_US // 1000 if wait is None else None if wait < 0 else -(-wait // 1000)
        message = "This request is over a limit that holds for abnormal usage. Please try again later."
        return Refusal(
            "rate_limit", message, status=429, retry_after_ms=retry_ms, reason="watch_cluster", problem=ABNORMAL_USAGE
        )
    floor = None
    if _remedy(hold).kind == "shorten":
        floor = known.effective.output.min_tokens or FLOOR_TOKENS
    return refusal(quote.budgets, quote.lines, standings, model=ask.model, tenant=caller.tenant, floor_tokens=floor)


async def standings(
    policy: Snapshot, ledger: Ledger, caller: Caller, model: str | None, end_user: str, now_us: int
) -> tuple[int, list[tuple[Line, Limit]]]:
    """How a caller's budgets stand, and the store's clock (us). Without a model: those that count every model.

    `now_us`: the store's clock as known here; where a calendar window has just passed, its own word is taken.
    """
    admission = policy.admission(caller, model or "", None, now_us)
    kept = [budget for budget in admission.effective.budgets if model or "model" not in budget.scope]
    plan = plan_lines(kept, caller, model or "", secret=policy.secret)

    def at(now_us: int) -> tuple[Line, ...]:
        return lines(plan, input_tokens=0, output_tokens=0, terms=admission.terms, now_us=now_us, end_user=end_user)

    made = at(now_us)
    try:
        reserved = await ledger.standings(plan.tag, made)
    except WindowPassed as passed:
        made = at(passed.now_us)
        reserved = await ledger.standings(plan.tag, made)
    return reserved.now_us, list(zip(made, budget_limits.limit_views(kept, made, reserved.standings)))
