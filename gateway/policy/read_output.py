"""What an answer may be: the `output` of a policy file, from its mapping to an `Output`.

Here is what one level says; how levels are put together is `resolve`'s. Lists are sorted, so that two levels that say the
same are the same.
"""

from __future__ import annotations

from typing import Literal, cast

from gateway.output.fields import FIELDS
from gateway.policy.fields import Fields, boolean, count, one_of, scalar, thousandths
from gateway.policy.model import NO_OUTPUT, Output, Watermark
from gateway.policy.read_filters import FILTERS_MAX, read_filters
from gateway.policy.read_filters import WORDS as FILTER_WORDS
from gateway.policy.scalars import format_thousandths
from gateway.policy.shapes import BOOLEAN, COUNT, choice, counts, items, numbers, table
from gateway.policy.yaml_tree import Items, Scalar, Table

HOLD_AHEAD_MIN = 16
"""Fewer would mean a call of the store for every few words."""
TEMPERATURE_MAX_MILLI = 2_000
BIAS_MAX_MILLI = 100_000
"""Largest `logit_bias` that the APIs take."""
VOCABULARY_MIN, VOCABULARY_MAX = 256, 65_536
"""Below: too few tokens to tell by. Above: every request would carry megabytes of `logit_bias`."""
_REASONING = ("keep", "shorten", "blank")
_BACKGROUND = ("charge", "refuse")
_STORED = ("own", "drop", "refuse")
_NAMES = items(choice(FIELDS), may_be_empty=False, uniqueItems=True)
_TEMPERATURE = numbers(0, TEMPERATURE_MAX_MILLI)
TEMPERATURE_WORDS = {"min": _TEMPERATURE, "max": _TEMPERATURE}
WATERMARK_WORDS = {
    "bias": numbers(1, BIAS_MAX_MILLI),
    "share": numbers(1, 999),
    "vocabulary": counts(VOCABULARY_MIN, VOCABULARY_MAX),
}
OUTPUT_WORDS = {
    "max_tokens": COUNT,
    "min_tokens": COUNT,
    "hold_ahead": counts(HOLD_AHEAD_MIN),
    "drop": _NAMES,
    "refuse": _NAMES,
    "choices_max": COUNT,
    "temperature": table(TEMPERATURE_WORDS, minProperties=1),
    "reasoning": choice(_REASONING),
    "reasoning_chars": COUNT,
    "thinks_first": BOOLEAN,
    "tokens_per_second": COUNT,
    "filters": items(table(FILTER_WORDS), may_be_empty=False, maxItems=FILTERS_MAX),
    "watermark": table(WATERMARK_WORDS),
    "background": choice(_BACKGROUND),
    "stored": choice(_STORED),
}
_USUAL_MARK = Watermark(bias_milli=2_000, share_milli=250, vocabulary=4_096)


def read_output(fields: Fields, *, of_model: bool) -> Output:
    """NO_OUTPUT itself where nothing is said. `of_model`: it stands in a model's rule, which alone may say `thinks_first`."""
    drop = _read_names(fields, "drop")
    max_tokens, min_tokens = fields.get("max_tokens", _count, None), fields.get("min_tokens", _count, None)
    if max_tokens is not None and min_tokens is not None and min_tokens > max_tokens:
        fields.refuse("min_tokens", f"{min_tokens} is above `max_tokens`, {max_tokens}: no answer is between them")
    if not of_model:
        fields.refuse("thinks_first", "it is the model's template that opens the reasoning: write it in the model's rule")
    reasoning = fields.get("reasoning", one_of(_REASONING), None)
    output = Output(
        max_tokens=max_tokens,
        min_tokens=min_tokens,
        hold_ahead=fields.get("hold_ahead", _hold_ahead, None),
        drop=drop,
        refuse=_read_names(fields, "refuse", but=drop),
        choices_max=fields.get("choices_max", _count, None),
        temperature_milli=_read_temperature(fields),
        reasoning=cast(Literal["keep", "blank", "shorten", None], reasoning),
        reasoning_chars=_read_reasoning_chars(fields, reasoning),
        thinks_first=fields.get("thinks_first", boolean, False),
        tokens_per_second=fields.get("tokens_per_second", _count, None),
        filters=read_filters(fields),
        watermark=_read_watermark(fields),
        background=cast(Literal["refuse", "charge", None], fields.get("background", one_of(_BACKGROUND), None)),
        stored=cast(Literal["refuse", "drop", "own", None], fields.get("stored", one_of(_STORED), None)),
        places=fields.places(),
    )
    if output.background == "charge" and output.stored in ("drop", "refuse"):
        fields.refuse("background", "nobody could ask for the answer later: add `stored: own`, or write `background: refuse`")
    return NO_OUTPUT if output == NO_OUTPUT else output


def _count(node: Scalar) -> int | None:
    return count(node)


def _hold_ahead(node: Scalar) -> int | None:
    tokens = count(node)
    if tokens < HOLD_AHEAD_MIN:
        raise ValueError(f"{tokens} is too small: at least {HOLD_AHEAD_MIN} tokens, or a stream would do little but hold")
    return tokens


def _read_names(fields: Fields, word: str, but: tuple[str, ...] = ()) -> tuple[str, ...]:
    """A list of fields of requests. `but`: those that are dropped."""
    read = one_of(tuple(FIELDS))
    names: set[str] = set()
    for path, node in fields.items(word, may_be_empty=False):
        name = scalar(fields.report, node, path, read, "")
        if name and name in names:
            fields.report.add(node, path, f"`{name}` is already in this list")
        elif name in but:
            fields.report.add(node, path, f"`{name}` is also in `drop`: it can be dropped or refused, not both")
        names.add(name)
    if isinstance(fields.value(word), Items) and not names:
        fields.refuse(word, "an empty list says nothing: remove the word, or name fields")
    return tuple(sorted(names - {""}))


def _read_temperature(fields: Fields) -> tuple[int, int] | None:
    node = fields.value("temperature")
    if node is None:
        return None
    ends = Fields(fields.report, node, fields.at("temperature"), TEMPERATURE_WORDS)
    if isinstance(node, Table) and not node.entries:
        fields.refuse("temperature", "write `min`, `max` or both")
    read = thousandths(0, TEMPERATURE_MAX_MILLI)
    least, most = ends.get("min", read, 0), ends.get("max", read, TEMPERATURE_MAX_MILLI)
    if least > most:
        ends.refuse("min", f"{format_thousandths(least)} is above `max`, {format_thousandths(most)}")
    return least, most


def _read_reasoning_chars(fields: Fields, reasoning: str | None) -> int:
    if reasoning == "shorten":
        return fields.need("reasoning_chars", count, 0)
    fields.refuse("reasoning_chars", "only with `reasoning: shorten`: add it, or remove the word")
    return 0


def _read_watermark(fields: Fields) -> Watermark | None:
    node = fields.value("watermark")
    if node is None:
        return None
    words = Fields(fields.report, node, fields.at("watermark"), WATERMARK_WORDS)
    return Watermark(
        bias_milli=words.get("bias", thousandths(1, BIAS_MAX_MILLI), _USUAL_MARK.bias_milli),
        share_milli=words.get("share", thousandths(1, 999), _USUAL_MARK.share_milli),
        vocabulary=words.get("vocabulary", _vocabulary, _USUAL_MARK.vocabulary),
    )


def _vocabulary(node: Scalar) -> int:
    size = count(node)
    if not VOCABULARY_MIN <= size <= VOCABULARY_MAX:
        raise ValueError(f"{size} is out of bounds: {VOCABULARY_MIN} to {VOCABULARY_MAX} token ids")
    return size
