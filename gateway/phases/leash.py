"""How far a stream may run: up to its limit, and no further than what is held for it.

A stream that holds only some way ahead (`hold_ahead`, or no max_tokens at all) has its hold extended while it runs. When a
budget will give no more, the last tokens that it does give are held, and the stream is cut in its own protocol where those
end: the ledger then says what was delivered, and nobody's budget is overdrawn.

Failure policy: a store that is gone cuts nobody off: the stream goes on, and settles into debt. Tokens of a running stream are
estimated (`Estimator.delivered_tokens`), so a cut by a budget comes some per cent early or late where a model's events are
not its tokens. A limit that the upstream was told of is a second lock: it cuts by the count of events, and by bytes only well
above it, so that an estimate never cuts an upstream that obeys.
"""

from __future__ import annotations

import sys

from gateway.budgets.estimate import Estimator
from gateway.budgets.meters import Terms
from gateway.budgets.shorten import extension, with_output
from gateway.holds import Hold, Holds
from gateway.values import Ask, Cut, Quote
from gateway.wires.base import Followed

UNBOUNDED_STEP_TOKENS = 1024
"""How far ahead an answer is held that nobody bounds, once it is longer than its model's answers are said to be."""
STEP_MIN_TOKENS = 64
"""So much at least is asked for at once: an extension costs the store as much as a reserve."""
OBEYS_SLACK = (5, 4)
NEVER = sys.maxsize


class Leash:
    """Of one stream. Call `due` after each block, and await `lengthen` when it says so."""

    __slots__ = ("_holds", "_hold", "_reader", "_ask", "_family", "_estimator", "_limit", "_step", "_ask_at")

    def __init__(
        self,
        holds: Holds,
        hold: Hold,
        reader: Followed,
        ask: Ask,
        family: str,
        estimator: Estimator,
        *,
        limit_tokens: int | None,
        step_tokens: int,
    ) -> None:
        """`limit_tokens`: of all choices together; None: the gateway set none. `step_tokens`: how far ahead to hold."""
        self._holds = holds
        self._hold = hold
        self._reader = reader
        self._ask = ask
        self._family = family
        self._estimator = estimator
        self._limit = limit_tokens
        self._step = max(step_tokens, STEP_MIN_TOKENS)
        self._ask_at = NEVER
        """Delivered tokens at which more is to be held."""
        self._set(hold.quote.output_tokens)

    def due(self) -> bool:
        """Whether more must be held before the stream goes much further."""
        if self._reader.events < self._ask_at and self._reader.content_bytes < self._ask_at:
            return False  # a token is at least a byte
        return self._delivered() >= self._ask_at

    async def lengthen(self) -> bool:
        """Hold more, as far as the budgets give it. False: the stream may go no further than it could before."""
        hold, quote = self._hold, self._hold.quote
        wanted = min(max(self._delivered(), quote.output_tokens) + self._step, quote.bound_tokens)
        if hold.is_closed or wanted <= quote.output_tokens:
            return False
        refused = await self._extend(wanted)
        if refused is None:
            self._set(wanted)
            return True
        if refused.extension is not None:
            quote = refused.quote
            affordable = extension(
                quote.budgets, quote.lines, refused.extension.standings,
                input_tokens=quote.input_tokens, held_tokens=quote.output_tokens,
                terms=Terms(quote.price, quote.counts_cached_input), extent=quote.extent,
            )  # fmt: skip
            affordable = min(affordable, wanted)
            # A bucket drips: less than a step's part is taken only where the stream would be cut, not at every block.
            least = 1 if self._reader.is_cut else STEP_MIN_TOKENS
            if affordable >= hold.quote.output_tokens + least and await self._extend(affordable) is None:
                self._set(affordable)
                return True
        self._ask_at = NEVER  # what others give back meanwhile may carry it further: it asks once more where it would be cut
        return False

    async def _extend(self, output_tokens: int) -> Hold | None:
        """Hold so much of every budget, the cluster's first. None: it is held; else the hold that gives no more.

        What of the cluster's was held in vain is given back at the end.
        """
        for hold in (self._hold.beside, self._hold):
            if hold is not None and not await self._holds.extend(hold, self._longer(hold.quote, output_tokens)):
                return hold
        return None

    def cut(self) -> Cut:
        """Which of the two ended it, once its reader is cut."""
        return "limit" if self._limit is not None and self._hold.quote.output_tokens >= self._limit else "budget"

    def _longer(self, quote: Quote, output_tokens: int) -> Quote:
        terms = Terms(quote.price, quote.counts_cached_input)
        lines = with_output(
            quote.budgets, quote.lines,
            input_tokens=quote.input_tokens, output_tokens=output_tokens, terms=terms, extent=quote.extent,
        )  # fmt: skip
        return quote._replace(output_tokens=output_tokens, lines=lines)

    def _set(self, held: int) -> None:
        """Where the reader is to stop, with so much held, and when to ask for more."""
        stop_events = stop_bytes = NEVER
        if self._limit is not None:
            most, least = OBEYS_SLACK
            stop_events = self._limit
            stop_bytes = self._bytes(self._limit * most // least + STEP_MIN_TOKENS)
        self._ask_at = NEVER
        if held < self._hold.quote.bound_tokens:
            stop_events = min(stop_events, held)
            stop_bytes = min(stop_bytes, self._bytes(held))
            self._ask_at = max(0, held - self._step // 2)
        self._reader.stop_events, self._reader.stop_bytes = stop_events, stop_bytes

    def _bytes(self, tokens: int) -> int:
        return self._estimator.tokens_to_bytes(self._ask.model, self._family, tokens)

    def _delivered(self) -> int:
        reader = self._reader
        return self._estimator.delivered_tokens(self._ask.model, self._family, reader.events, reader.content_bytes)
