"""What a policy says, in words that a person reads: one line for each budget, price or word about answers. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.policy.model import Budget, Declared, Filter, Ladder, ModelRule, Output, Price, Step, Watch, Watermark, When
from gateway.policy.scalars import format_duration, format_money, format_percent, format_thousandths
from gateway.policy.times import MINUTES_A_DAY

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
OUTPUT_WORDS = (
    *("max_tokens", "min_tokens", "hold_ahead", "drop", "refuse", "choices_max", "temperature", "reasoning", "thinks_first"),
    *("tokens_per_second", "filters", "watermark", "background", "stored"),
)
"""As authors write them."""


def budget_sentence(budget: Budget) -> str:
    """`5 requests per minute for each tenant`, and what is unusual about it."""
    parts = [f"{amount(budget, budget.limit)} {_unit(budget)}{_period(budget)}"]
    if budget.kind == "bucket" and budget.burst != budget.limit:
        parts.append(f"at most {amount(budget, budget.burst)} at once")
    if budget.scope:
        parts.append(f"for each {' and '.join(budget.scope)}")
    if budget.models != ("*",):
        parts.append(f"of the models {', '.join(budget.models)}")
    if budget.endpoints != ("*",):
        parts.append(f"on {', '.join(budget.endpoints)}")
    if budget.when is not None:
        parts.append(when_sentence(budget.when))
    if not budget.enforce:
        parts.append("in shadow: it refuses nothing")
    elif budget.on_exceed == "queue":
        parts.append(f"else wait up to {budget.queue_ms / 1000:g}s")
    elif budget.on_exceed == "downgrade":
        parts.append(f"else ask {budget.downgrade_to}")
    elif budget.on_exceed == "shorten":
        parts.append("else shorten")
    return ", ".join(parts)


def amount(budget: Budget, value: int) -> str:
    return format_money(value) if budget.meter == "cost" else f"{value:,}"


def _unit(budget: Budget) -> str:
    if budget.meter in ("cost", "concurrency"):
        return "of cost" if budget.meter == "cost" else "requests at once"
    return budget.meter.replace("_", " ")


def _period(budget: Budget) -> str:
    if budget.kind == "concurrency":
        return ""
    if budget.kind == "calendar":
        return f" in a calendar {budget.calendar} ({budget.timezone})"
    names = {1: "second", 60: "minute", 3_600: "hour", 86_400: "day"}
    period = names.get(budget.period_s) or format_duration(budget.period_s)
    return f" in any {period}" if budget.kind == "rolling" else f" per {period}"


def when_sentence(when: When) -> str:
    parts = []
    if when.from_us is not None:
        parts.append(f"from {instant(when.from_us)}")
    if when.until_us is not None:
        parts.append(f"until {instant(when.until_us)}")
    if when.days:
        parts.append(f"on {', '.join(_DAYS[day] for day in when.days)}")
    if when.hours is not None:
        start, end = (f"{minutes // 60:02d}:{minutes % 60:02d}" for minutes in when.hours)
        parts.append(f"{start}-{end if when.hours[1] != MINUTES_A_DAY else '24:00'}")
    if when.days or when.hours is not None:
        parts.append(when.timezone)
    return " ".join(parts)


def instant(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us / 1e6, UTC):%Y-%m-%d %H:%M} UTC"


def price_sentence(price: Price | None) -> str:
    if price is None:
        return "no price"
    return (
        f"input {format_money(price.input)}, cached {format_money(price.cached_input)}, "
        f"cache write {format_money(price.cache_write)}, output {format_money(price.output)} for 1M tokens"
    )


def rule_sentence(rule: ModelRule) -> str:
    bound = "" if rule.unbounded_output == "model" else ", held as far as the tenant's answers usually go"
    return f"at most {rule.max_output_tokens:,} output tokens{bound}; {price_sentence(rule.price)}"


def declared_sentence(declared: Declared) -> str:
    return f"{declared.purpose}, until {instant(declared.until_us)}: {declared.reason}"


def output_words(output: Output) -> dict[str, str]:
    """Each word that is said, as authors write it, with its value."""
    said: dict[str, str] = {}
    for word in ("max_tokens", "min_tokens", "hold_ahead", "choices_max"):
        if (value := getattr(output, word)) is not None:
            said[word] = f"{value:,}"
    for word, names in (("drop", output.drop), ("refuse", output.refuse)):
        if names:
            said[word] = ", ".join(names)
    if output.temperature_milli is not None:
        said["temperature"] = " to ".join(format_thousandths(milli) for milli in output.temperature_milli)
    if output.reasoning is not None:
        more = f" to {output.reasoning_chars:,} characters" if output.reasoning == "shorten" else ""
        said["reasoning"] = f"{output.reasoning}{more}"
    if output.thinks_first:
        said["thinks_first"] = "true"
    if output.tokens_per_second is not None:
        said["tokens_per_second"] = f"{output.tokens_per_second:,}"
    if output.filters:
        said["filters"] = "; ".join(_filter(each) for each in output.filters)
    if output.watermark is not None:
        said["watermark"] = _watermark(output.watermark)
    for word in ("background", "stored"):
        if (choice := getattr(output, word)) is not None:
            said[word] = choice
    return said


def watch_words(watch: Watch) -> dict[str, str]:
    """Each word of the watch but its ladder, as authors write it."""
    return {
        "phrases": ", ".join(watch.phrases) or "the built-in ones",
        "sample_prompts": f"{watch.sample_milli / 10:g}%",
        "keep_evidence": format_duration(watch.keep_evidence_s),
    }


def ladder_words(ladder: Ladder) -> dict[str, str]:
    """Each word of a ladder but its mode, its steps and its cluster's budgets, as authors write it."""
    return {
        "marked": _yes(ladder.marked),
        "climb_every": format_duration(ladder.climb_every_s),
        "delay": format_duration(ladder.delay_s),
        "jitter": format_duration(ladder.jitter_s),
        "calm_after": format_duration(ladder.calm_after_s),
        "hysteresis": format_percent(ladder.hysteresis_milli),
        "requests_min": str(ladder.requests_min),
        "on_change": ladder.on_change,
        "cluster.from": ladder.cluster_from or ladder.steps[0].name if ladder.cluster_budgets else "not said",
    }


def step_words(step: Step) -> dict[str, str]:
    """Each word of a step but its name, as authors write it."""
    said = {
        "score": format_percent(step.score_milli),
        "notify": _yes(step.notify),
        "budgets": format_percent(step.budgets_milli),
        "review": _yes(step.review),
        "refuse": _yes(step.refuse),
    }
    return {**said, **{f"output.{word}": value for word, value in output_words(step.output).items()}}


def _yes(value: object) -> str:
    return "true" if value else "false"


def _filter(each: Filter) -> str:
    what = f"{each.literal!r}" if each.literal else f"/{each.pattern}/"
    return f"{each.name}: {each.action} {what}{f' as {each.mask!r}' if each.action == 'mask' else ''}"


def _watermark(mark: Watermark) -> str:
    return f"bias {format_thousandths(mark.bias_milli)}, {mark.share_milli / 10:g}% of {mark.vocabulary:,} tokens"
