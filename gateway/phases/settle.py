"""The closing rule: what a request is charged, from what came of it. `charge`, `partial` and `amounts` are pure.

===================================================  ===============================================================
how it ended                                         what is posted
===================================================  ===============================================================
upstream never reached                               nothing (void)
upstream refused: 429 or 5xx                         nothing (void): its fault is not the tenant's
upstream refused: any other 4xx, or a redirect       the request, no tokens: the tenant's fault costs it a request
usage complete                                       the actual usage
usage incomplete, whoever broke off                  input (reported, else estimated) plus what was delivered
cut by the gateway                                   the same, and the answer's own ending says the same numbers
charged when submitted (batches, background)         what was quoted: nobody sees its end
===================================================  ===============================================================

Never zero after delivery, and never the whole max_tokens: what was delivered is bounded by what was quoted.
"""

from __future__ import annotations

from gateway.budgets.estimate import Estimator
from gateway.budgets.meters import METERS, Terms
from gateway.holds import Hold
from gateway.values import Ask, Caller, Extent, Outcome, Quote, Usage
from gateway.wires.base import Followed

NOTHING = Usage(0, 0, 0, 0, is_complete=True)


def charge(quote: Quote, outcome: Outcome, delivered_tokens: int) -> Usage | None:
    """The usage to post; None: void. `delivered_tokens`: the estimate of what went out, for an incomplete count."""
    if outcome.ended == "upstream_unreached":
        return None
    if outcome.upstream_status >= 300:  # however the rest of its answer went
        return None if outcome.upstream_status == 429 or outcome.upstream_status >= 500 else NOTHING
    usage = outcome.usage
    if usage is not None and usage.is_complete:
        return usage
    return partial(quote, usage, delivered_tokens)


def partial(quote: Quote, usage: Usage | None, delivered_tokens: int) -> Usage:
    """What an unfinished answer has cost so far."""
    delivered_tokens = min(delivered_tokens, quote.output_tokens)
    if usage is None:
        return Usage(quote.input_tokens, 0, 0, delivered_tokens, is_complete=False)
    has_input = usage.input_tokens > 0
    return Usage(
        usage.input_tokens if has_input else quote.input_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        max(usage.output_tokens, delivered_tokens),
        is_complete=False,
    )


def amounts(quote: Quote, usage: Usage | None, extent: Extent | None = None) -> tuple[int, ...]:
    """What to post on each line of the quote; None: zeros. `extent`: what it came to, where that was not quoted."""
    if usage is None:
        return (0,) * len(quote.lines)
    terms = Terms(quote.price, quote.counts_cached_input)
    came_to = quote.extent if extent is None else extent
    return tuple(METERS[budget.meter].actual(usage, terms, came_to) for budget in quote.budgets)


def progress(hold: Hold, ask: Ask, reader: Followed, family: str, estimator: Estimator) -> tuple[int, ...]:
    """What a running stream has used so far, on each line: posted whenever its hold is renewed."""
    delivered = estimator.delivered_tokens(ask.model, family, reader.events, reader.content_bytes)
    return amounts(hold.quote, partial(hold.quote, reader.usage, delivered))


def told(hold: Hold, ask: Ask, reader: Followed, family: str, estimator: Estimator) -> Usage:
    """The usage that an answer says of itself when the gateway cuts it: what it will be charged."""
    delivered = estimator.delivered_tokens(ask.model, family, reader.events, reader.content_bytes)
    return partial(hold.quote, reader.usage, delivered)


def quoted(quote: Quote, most_tokens: int | None) -> Usage:
    """The worst case, for what is charged when it is submitted. `most_tokens`: output that can come in all, where that is known
    to be less than was held."""
    output_tokens = quote.output_tokens if most_tokens is None else min(quote.output_tokens, most_tokens)
    return Usage(quote.input_tokens, 0, 0, output_tokens, is_complete=True)


def close(hold: Hold, caller: Caller, ask: Ask, outcome: Outcome, family: str, estimator: Estimator) -> None:
    """Close a hold by the rule, and let the estimator learn from what the upstream reported."""
    quote = hold.quote
    delivered = 0
    if outcome.usage is None or not outcome.usage.is_complete:
        delivered = estimator.delivered_tokens(ask.model, family, outcome.delivered_events, outcome.delivered_bytes)
    hold.outcome = outcome
    hold.charged = charge(quote, outcome, delivered)
    extent = outcome.extent
    if hold.charged is NOTHING:  # no image was made, nothing was heard
        extent = (extent or quote.extent)._replace(audio_seconds=0, images=0)
    if hold.beside is not None:
        hold.beside.close(amounts(hold.beside.quote, hold.charged, extent))
    hold.close(amounts(quote, hold.charged, extent))
    usage = outcome.usage
    is_final = (
        outcome.ended == "complete" and not (outcome.cut or outcome.is_quoted) and usage is not None and usage.is_complete
    )
    if is_final and usage is not None and usage.input_tokens and estimator.wants(caller.tenant, ask.model):
        estimator.learn_input(ask.model, ask.text_bytes, ask.media_tokens, usage.input_tokens, tenant=caller.tenant)
        estimator.learn_output(caller.tenant, ask.model, -(-usage.output_tokens // ask.choices))
        if outcome.delivered_events:
            estimator.learn_delivered(ask.model, outcome.delivered_events, outcome.delivered_bytes, usage.output_tokens)


def calibrate(caller: Caller, ask: Ask, counted: int | None, estimator: Estimator) -> None:
    """An upstream's own count of a request's tokens teaches the estimate what an answer's usage would."""
    if counted is not None and estimator.wants(caller.tenant, ask.model):
        estimator.learn_input(ask.model, ask.text_bytes, ask.media_tokens, counted, tenant=caller.tenant)
