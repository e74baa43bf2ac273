"""Tokens before the fact, without a tokenizer: what a request will take and what a broken-off answer was worth.

Failure policy: an estimate that is too low is settled into debt, one that is too high is given back; neither is lost. So
input errs upwards (see `text_rate`), and what a broken-off answer delivered is estimated in the middle.

Learns from what upstreams report, for each tenant apart: tenants' texts differ more than models' tokenizers do, and nobody
can raise or lower another's estimates by sending odd text. A tenant that is new to a model begins with what the model's other
callers taught, a new model with COLD_START. State is bounded: the least recently taught are forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TypeVar

from gateway.budgets.output_quantile import OutputQuantile
from gateway.budgets.text_rate import CLASSES, TextRate, size_class

OVERHEAD_TOKENS = 64
"""A tokenizer that works on bytes makes no more tokens than bytes; what a vendor adds for roles and the like is within this."""

COLD_START = (
    ("claude-*", 2.4),  # not public; the vendor tells of up to a third more tokens than earlier vocabularies
    ("gpt-3.5*", 3.0),  # cl100k
    ("gpt-4-*", 3.0),
    ("*llama-2*", 2.6),  # vocabularies of 32,000
    ("*mistral-7b*", 2.6),
    ("*mixtral*", 2.6),
    ("*", 3.2),  # o200k and other vocabularies of 100,000 and more
)
"""Bytes of request for a token until a model is known: the first glob that matches the name's last part, in lower case.

Falls short of 0.3 to 0.5% of real requests at 72 to 87% overshoot, on seven public vocabularies. Digits, base64 and scripts a
vocabulary does not know reach a token a byte: the first such requests fall short."""
COLD_START_TOKENS = 16

COLD_BYTES_PER_TOKEN = {"openai": 8, "anthropic": 4}
"""Content bytes for a token of a broken-off answer, where no stream of the model has been complete yet. OpenAI's streams
have an event a token, so their events count and this is a floor; Anthropic's pack several tokens into one."""
_COLD_BYTES_PER_TOKEN_DEFAULT = 4

_DELIVERED_BYTES_MIN = 1024
"""Content bytes of complete streams before a model's rate is believed."""
_DELIVERED_BYTES_HALVE_AT = 1 << 20
_DELIVERED_BYTES_OF_ONE = 1 << 16
"""No single stream counts for more."""

Key = TypeVar("Key")
State = TypeVar("State")


class _Pair:
    """What is known of one tenant's use of one model (or, for tenant "", of everybody's)."""

    __slots__ = ("text", "offered", "output")

    def __init__(self) -> None:
        self.text: list[TextRate | None] = [None] * CLASSES
        self.offered = 0
        self.output: OutputQuantile | None = None


ALL_FIRST = 256
ONE_IN = 8


class _Delivered:
    """Sums over a model's complete streams; halved now and then, so that old ones fade."""

    __slots__ = ("content_bytes", "tokens")

    def __init__(self) -> None:
        self.content_bytes = 0
        self.tokens = 0


class Estimator:
    """Learns and estimates. One for a process; asking changes nothing, teaching is O(1)."""

    def __init__(self, *, models_max: int = 1_000, pairs_max: int = 20_000) -> None:
        self._models_max = models_max
        self._pairs_max = pairs_max
        self._models: OrderedDict[str, _Pair] = OrderedDict()
        self._pairs: OrderedDict[tuple[str, str], _Pair] = OrderedDict()
        self._delivered: OrderedDict[str, _Delivered] = OrderedDict()

    def wants(self, tenant: str, model: str) -> bool:
        """Whether to teach this request's counts: the first ALL_FIRST of a tenant and model, then one in ONE_IN.

        Rates drift over days, and teaching costs as much as parsing the request did.
        """
        known = self._pairs.get((tenant, model))
        if known is None:
            return True
        known.offered += 1
        return known.offered <= ALL_FIRST or known.offered % ONE_IN == 0

    def input_tokens(self, model: str, text_bytes: int, media_tokens: int, *, tenant: str = "") -> int:
        """What a request will be counted as, or somewhat more: about one in a hundred takes more than this.

        Never more than a token a byte, OVERHEAD_TOKENS and `media_tokens`; at least 1.
        """
        at_most = text_bytes + OVERHEAD_TOKENS
        size = size_class(text_bytes)
        for known in (self._pairs.get((tenant, model)), self._models.get(model)):
            if known is not None:
                text = known.text[size]
                if text is not None and text.rate:
                    return min(int(text_bytes * text.rate) + 1, at_most) + media_tokens
        return min(int(text_bytes / _cold_bytes_per_token(model)) + COLD_START_TOKENS, at_most) + media_tokens

    def learn_input(self, model: str, text_bytes: int, media_tokens: int, input_tokens: int, *, tenant: str = "") -> None:
        """What the upstream counted (`Usage.input_tokens`, caches included) for a request whose count is final.

        Requests with media teach nothing: their media's count is a bound, and would pass for cheap text.
        """
        if media_tokens or text_bytes <= 0 or input_tokens <= 0:
            return
        tokens = min(input_tokens, text_bytes + OVERHEAD_TOKENS)  # an upstream that reports nonsense teaches little of it
        size = size_class(text_bytes)
        taught = [_touch(self._models, model, _Pair, self._models_max)]
        if tenant:
            taught.append(_touch(self._pairs, (tenant, model), _Pair, self._pairs_max))
        for known in taught:
            text = known.text[size]
            if text is None:
                text = known.text[size] = TextRate()
            text.learn(text_bytes, tokens)

    def output_bound(self, tenant: str, model: str, rule_max: int) -> int:
        """The tenant's learned 99th percentile of output tokens of one choice: at most `rule_max`, and that until known.

        A tenant can teach a low bound and then ask for long answers at once: what it overdraws so is debt, at most
        `rule_max` for each request in flight. A concurrency budget bounds it.
        """
        known = self._pairs.get((tenant, model))
        if known is None or known.output is None or not known.output.bound:
            return rule_max
        return min(known.output.bound, rule_max)

    def learn_output(self, tenant: str, model: str, tokens: int) -> None:
        """Output tokens of an answer that came to its own end; of several choices, the tokens of one."""
        known = _touch(self._pairs, (tenant, model), _Pair, self._pairs_max)
        if known.output is None:
            known.output = OutputQuantile()
        known.output.learn(tokens)

    def delivered_tokens(self, model: str, family: str, events: int, content_bytes: int) -> int:
        """Output tokens of an answer that was broken off after so many content events and bytes.

        At least a token an event, at most that or a token a byte.
        """
        known = self._delivered.get(model)
        if known is not None and known.content_bytes >= _DELIVERED_BYTES_MIN:
            return max(events, -(-content_bytes * known.tokens // known.content_bytes))
        return max(events, -(-content_bytes // COLD_BYTES_PER_TOKEN.get(family, _COLD_BYTES_PER_TOKEN_DEFAULT)))

    def tokens_to_bytes(self, model: str, family: str, tokens: int) -> int:
        """The most content bytes that `delivered_tokens` takes for no more than so many tokens, events aside.

        As of what is known now: a stream that ends meanwhile may change the rate.
        """
        known = self._delivered.get(model)
        if known is not None and known.content_bytes >= _DELIVERED_BYTES_MIN:
            return tokens * known.content_bytes // max(1, known.tokens)
        return tokens * COLD_BYTES_PER_TOKEN.get(family, _COLD_BYTES_PER_TOKEN_DEFAULT)

    def learn_delivered(self, model: str, _events: int, content_bytes: int, output_tokens: int) -> None:
        """A complete stream: what it delivered and what the upstream counted for it."""
        if content_bytes <= 0 or output_tokens <= 0:
            return
        # Reasoning that was not shown is no part of what was delivered: more than a token a byte teaches nothing.
        tokens = min(output_tokens, content_bytes)
        if content_bytes > _DELIVERED_BYTES_OF_ONE:
            tokens = tokens * _DELIVERED_BYTES_OF_ONE // content_bytes
            content_bytes = _DELIVERED_BYTES_OF_ONE
        known = _touch(self._delivered, model, _Delivered, self._models_max)
        known.content_bytes += content_bytes
        known.tokens += tokens
        if known.content_bytes >= _DELIVERED_BYTES_HALVE_AT:
            known.content_bytes >>= 1
            known.tokens >>= 1


def _touch(states: OrderedDict[Key, State], key: Key, make: Callable[[], State], states_max: int) -> State:
    """The state of `key`, made where there is none, as the one taught last; the one taught longest ago makes room."""
    state = states.get(key)
    if state is None:
        state = states[key] = make()
        if len(states) > states_max:
            states.popitem(last=False)
    else:
        states.move_to_end(key)
    return state


@lru_cache(maxsize=1024)
def _cold_bytes_per_token(model: str) -> float:
    name = model.rpartition("/")[2].lower()
    return next(bytes_per_token for glob, bytes_per_token in COLD_START if fnmatchcase(name, glob))
