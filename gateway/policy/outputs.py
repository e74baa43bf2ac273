"""What answers may be, of several levels put together: `over` for those that replace each other, `stricter` for those that all
hold. Pure, and cheap where nobody says anything.

Of plan, tenant and key the most special that says a word is obeyed. What organisation and model rule say is put on top of
it, and of two the stricter holds: no tenant's entry lifts them.

`stricter` is a least upper bound: the order in which levels are put together, and how often, makes no difference. Nothing is
both dropped and refused in what either of the two makes of outputs that are so themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from gateway.policy.model import NO_OUTPUT, Filter, Output, Watermark

_REASONING: tuple[Literal["keep", "blank", "shorten", None], ...] = (None, "keep", "shorten", "blank")
_BACKGROUND: tuple[Literal["refuse", "charge", None], ...] = (None, "charge", "refuse")
_STORED: tuple[Literal["refuse", "drop", "own", None], ...] = (None, "own", "drop", "refuse")
"""From what says nothing to what allows least."""


def effective_output(layers: Sequence[Output], tops: Sequence[Output]) -> Output:
    """What holds: `layers` from general to special, and on top of them `tops`, also from special to general.

    NO_OUTPUT itself where nobody says anything. Of several watermarks the most special is set: two in one answer would
    drown each other.
    """
    output = NO_OUTPUT
    for layer in layers:
        output = over(output, layer)
    mark = output.watermark
    for top in tops:
        output = stricter(output, top)
        mark = mark or top.watermark
    return output if output.watermark == mark else replace(output, watermark=mark)


def over(general: Output, special: Output) -> Output:
    """What `special` says, word by word, and what `general` says where it says nothing.

    A list replaces a list; what the special one says of a request's field holds, whichever list the general one has it in.
    """
    if special is NO_OUTPUT or general is NO_OUTPUT:
        return general if special is NO_OUTPUT else special
    says_reasoning = special if special.reasoning is not None else general
    return Output(
        max_tokens=general.max_tokens if special.max_tokens is None else special.max_tokens,
        min_tokens=general.min_tokens if special.min_tokens is None else special.min_tokens,
        hold_ahead=general.hold_ahead if special.hold_ahead is None else special.hold_ahead,
        drop=special.drop or _without(general.drop, special.refuse),
        refuse=special.refuse or _without(general.refuse, special.drop),
        choices_max=general.choices_max if special.choices_max is None else special.choices_max,
        temperature_milli=special.temperature_milli or general.temperature_milli,
        reasoning=says_reasoning.reasoning,
        reasoning_chars=says_reasoning.reasoning_chars,
        thinks_first=general.thinks_first or special.thinks_first,
        tokens_per_second=general.tokens_per_second if special.tokens_per_second is None else special.tokens_per_second,
        filters=special.filters or general.filters,
        watermark=special.watermark or general.watermark,
        background=special.background or general.background,
        stored=special.stored or general.stored,
    )


def stricter(one: Output, other: Output) -> Output:
    """What is allowed by both, word by word.

    Smaller limits and the larger floor; the fields of both lists, where refusing beats dropping; the temperatures that both
    allow, or the nearest to them that the lower range has; the filters of both; of two watermarks the stronger.
    """
    if other is NO_OUTPUT or one is NO_OUTPUT or one is other:
        return one if other is NO_OUTPUT else other
    refuse = _union(one.refuse, other.refuse)
    reasoning = max(one.reasoning, other.reasoning, key=_REASONING.index)
    shown = [each.reasoning_chars for each in (one, other) if each.reasoning == "shorten"] if reasoning == "shorten" else [0]
    return Output(
        max_tokens=_least(one.max_tokens, other.max_tokens),
        min_tokens=max(one.min_tokens or 0, other.min_tokens or 0) or None,
        hold_ahead=_least(one.hold_ahead, other.hold_ahead),
        drop=_without(_union(one.drop, other.drop), refuse),
        refuse=refuse,
        choices_max=_least(one.choices_max, other.choices_max),
        temperature_milli=_both(one.temperature_milli, other.temperature_milli),
        reasoning=reasoning,
        reasoning_chars=min(shown),
        thinks_first=one.thinks_first or other.thinks_first,
        tokens_per_second=_least(one.tokens_per_second, other.tokens_per_second),
        filters=_all_filters(one.filters, other.filters),
        watermark=max(one.watermark, other.watermark, key=_strength),
        background=max(one.background, other.background, key=_BACKGROUND.index),
        stored=max(one.stored, other.stored, key=_STORED.index),
    )


def _least(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _union(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({*one, *other}))


def _without(names: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple([name for name in names if name not in others])


def _both(one: tuple[int, int] | None, other: tuple[int, int] | None) -> tuple[int, int] | None:
    """The part that two ranges share; where they share nothing, the end of the lower one."""
    if one is None or other is None:
        return one or other
    most = min(one[1], other[1])
    return min(max(one[0], other[0]), most), most


def _all_filters(one: tuple[Filter, ...], other: tuple[Filter, ...]) -> tuple[Filter, ...]:
    """By name; two of one name both hold."""
    return tuple(sorted({*one, *other}, key=_filter_order)) if one and other else one or other


def _filter_order(each: Filter) -> tuple[str, str, int, str, str, str, str]:
    return each.name, each.place.file, each.place.line, each.literal, each.pattern, each.action, each.mask


def _strength(mark: Watermark | None) -> tuple[int, int, int]:
    return (0, 0, 0) if mark is None else (mark.bias_milli, mark.share_milli, mark.vocabulary)
