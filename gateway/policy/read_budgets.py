"""One budget of a policy file, from its mapping to a `Budget`.

Everything that can be known of a budget by itself is checked here; what needs the rest of the directory is `read_sections`'.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from typing import Literal, NamedTuple, cast, get_args

from gateway.policy import scalars
from gateway.policy.fields import Fields, Report, among, boolean, count, money, one_of, scalar, size, text, value_of
from gateway.policy.model import EVERYTHING, SCOPES, Budget, MeterName, Scope
from gateway.policy.read_globs import ENDPOINT_GLOBS, Groups, read_endpoints, read_models
from gateway.policy.read_when import MOMENT, read_instant, read_when, timezone_name
from gateway.policy.read_when import WORDS as WHEN_WORDS
from gateway.policy.shapes import (
    BOOLEAN,
    COUNT,
    DURATION,
    MODELS,
    MONEY,
    NAME,
    SIZE,
    TEXT,
    choice,
    either,
    items,
    needed,
    table,
    written,
)
from gateway.policy.yaml_tree import Items, Node, Scalar, join, shown

WINDOWS = ("bucket", "rolling", "calendar")
MODES = ("enforce", "shadow")
ON_EXCEED = ("reject", "shorten", "shadow", "queue 5s", "downgrade MODEL")
QUEUE_S_MAX = 60
"""Longer than SDKs and balancers wait for a first byte without complaint."""
_PER_WORDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "month": 2_592_000}
_AMOUNT = either(COUNT, MONEY, SIZE)
_REMEDIES = (
    choice(word for word in ON_EXCEED if " " not in word),
    written(f"queue (?:[0-9]{{1,6}}ms|{scalars.DURATION.pattern})"),
    written(r"downgrade (?!group:)[^*?\[]+"),
)
WORDS = {
    "name": needed(NAME),
    "meter": needed(choice(get_args(MeterName))),
    "limit": needed(_AMOUNT),
    "per": either(choice(_PER_WORDS), DURATION),
    "window": choice(WINDOWS),
    "timezone": TEXT,
    "burst": _AMOUNT,
    "mode": choice(MODES),
    "since": MOMENT,
    "on_exceed": either(*_REMEDIES),
    "scope": either(choice(SCOPES), items(choice(SCOPES), may_be_empty=False, uniqueItems=True)),
    "models": MODELS,
    "endpoints": ENDPOINT_GLOBS,
    "when": table(WHEN_WORDS, minProperties=1),
    "override": BOOLEAN,
}

Per = tuple[Literal["day", "month", ""], int]
"""The calendar word (or "") and the seconds of what `per` says."""
_NO_PERIOD: Per = ("", 0)
_AMOUNTS: Mapping[str, Callable[[Scalar], int]] = {"cost": money, "upload_bytes": size}
"""How a meter's limit is written, where it is not a count."""
_SHORTENED = ("output_tokens", "total_tokens", "cost")
"""What a request takes less of when its answer is shorter."""


class _OnExceed(NamedTuple):
    kind: Literal["reject", "shorten", "queue", "downgrade"]
    queue_ms: int = 0
    downgrade_to: str = ""


class _Context(NamedTuple):
    """What reading a budget takes from the rest of the directory."""

    meters: Collection[str]
    groups: Groups
    scope: tuple[Scope, ...]
    """The default for where it is written."""


def read_budgets(owner: Fields, *, meters: Collection[str], groups: Groups, scope: tuple[Scope, ...]) -> tuple[Budget, ...]:
    """The `budgets` of a mapping; `scope` is the default for where they are written. Names are unique in the list."""
    budgets: list[Budget] = []
    first_lines: dict[str, int] = {}
    context = _Context(meters, groups, scope)
    for path, node in owner.items("budgets"):
        budget = _read_budget(owner.report, node, path, context)
        budgets.append(budget)
        if budget.name in first_lines:
            first = first_lines[budget.name]
            owner.report.add(
                value_of(node, "name"), join(path, "name"), f"`{budget.name}` is already a budget of this list, at line {first}"
            )
        elif budget.name:
            first_lines[budget.name] = budget.place.line
    return tuple(budgets)


def _read_budget(report: Report, node: Node, path: str, context: _Context) -> Budget:
    fields = Fields(report, node, path, WORDS)
    name = fields.need("name", text(scalars.name), "")
    meter = fields.need("meter", one_of(context.meters), "")
    amount = _AMOUNTS.get(meter, count) if meter else _anything
    limit = fields.need("limit", amount, 0)
    kind, period, timezone, burst = "concurrency", _NO_PERIOD, "", limit
    if meter == "concurrency":
        for word in ("per", "window", "timezone", "burst"):
            fields.refuse(word, "concurrency counts what runs at once: it has no period, window or burst; remove the word")
    elif meter:
        kind = fields.get("window", one_of(WINDOWS), "bucket")
        period = _read_period(fields, kind)
        timezone = _read_timezone(fields, kind)
        burst = _read_burst(fields, kind, limit, period[1], amount)
    is_shadow = fields.get("mode", one_of(MODES), "enforce") == "shadow"
    shadow_by_remedy, remedy = _read_on_exceed(fields, meter, kind, is_shadow=is_shadow)
    enforce = not is_shadow and not shadow_by_remedy
    if enforce:
        fields.refuse("since", "it tells since when a budget is tried in shadow: add `mode: shadow`, or remove the word")
    return Budget(
        name=name,
        meter=cast(MeterName, meter),
        limit=limit,
        kind=cast(Literal["bucket", "rolling", "calendar", "concurrency"], kind),
        period_s=period[1],
        burst=burst,
        calendar=period[0],
        timezone=timezone,
        scope=_read_scope(fields, context.scope),
        enforce=enforce,
        models=read_models(fields, context.groups),
        place=report.place(node),
        on_exceed=remedy.kind,
        queue_ms=remedy.queue_ms,
        downgrade_to=remedy.downgrade_to,
        endpoints=read_endpoints(fields, EVERYTHING),
        when=read_when(fields),
        is_override=fields.get("override", boolean, False),
        since_us=read_instant(fields, "since"),
    )


def _anything(_node: Scalar) -> int:
    """Of an unknown meter nobody can tell whether its limit is right."""
    return 0


def _per(node: Scalar) -> Per:
    if node.kind == "text" and node.text in _PER_WORDS:
        calendar = cast(Literal["day", "month", ""], node.text if node.text in ("day", "month") else "")
        return calendar, _PER_WORDS[node.text]
    if node.text[:1].isdigit() and not node.text.isdigit():
        return "", scalars.duration_s(node.text)
    similar = difflib.get_close_matches(node.text[:64], _PER_WORDS, 1)
    hint = f"; did you mean `{similar[0]}`?" if similar else ""
    raise ValueError(f"a period is {', '.join(_PER_WORDS)}, or a duration like `90s` or `1h30m`{hint}")


def _read_period(fields: Fields, kind: str) -> Per:
    calendar, period_s = fields.need("per", _per, _NO_PERIOD)
    if not period_s:
        return _NO_PERIOD
    if kind == "calendar":
        if not calendar:
            fields.refuse("per", "a calendar window is per `day` or per `month`")
        return calendar, period_s
    if calendar == "month":
        fields.refuse("per", "a month has no fixed length: add `window: calendar`, or write `30d`")
    return "", period_s


def _read_timezone(fields: Fields, kind: str) -> str:
    if kind == "calendar":
        return fields.get("timezone", text(timezone_name), "UTC")
    fields.refuse("timezone", "only a calendar window has a time zone: add `window: calendar`, or remove the word")
    return ""


def _read_burst(fields: Fields, kind: str, limit: int, period_s: int, amount: Callable[[Scalar], int]) -> int:
    if kind != "bucket":
        fields.refuse("burst", f"only a bucket has a burst, not a {kind} window: remove the word")
        return limit
    burst = fields.get("burst", amount, limit)
    if limit and period_s and burst * period_s > limit * scalars.PERIOD_S_MAX:
        days = scalars.PERIOD_S_MAX // 86_400
        fields.refuse("burst", f"at this rate the burst takes more than {days} days to refill: lower it, or raise the limit")
    return burst


def _read_on_exceed(fields: Fields, meter: str, kind: str, *, is_shadow: bool) -> tuple[bool, _OnExceed]:
    """Whether it says `shadow`, and what else it says."""
    rejects: _OnExceed | None = _OnExceed("reject")
    chosen = fields.get("on_exceed", text(_on_exceed), rejects)
    if chosen is None:
        mode = fields.value("mode")
        if mode is not None and not is_shadow:
            fields.refuse("on_exceed", "`mode: enforce` says the opposite: remove one of the two words")
        return True, _OnExceed("reject")
    if chosen.kind == "shorten" and meter and meter not in _SHORTENED:
        able = ", ".join(_SHORTENED)
        fields.refuse("on_exceed", f"a shorter answer takes no less of `{meter}`: only {able} can shorten; remove the word")
    elif chosen.kind == "queue" and kind == "calendar":
        fields.refuse(
            "on_exceed", "a day or a month is too long to wait for: only a bucket, a rolling window or concurrency can queue"
        )
    elif chosen.kind != "reject" and is_shadow:
        fields.refuse(
            "on_exceed", f"a budget in shadow changes nothing, so it does not {chosen.kind}: remove one of the two words"
        )
    return False, chosen


def _on_exceed(written: str) -> _OnExceed | None:
    """None: shadow."""
    word, space, rest = written.partition(" ")
    if word == "shadow" and not space:
        return None
    if word in ("reject", "shorten") and not space:
        return _OnExceed(cast(Literal["reject", "shorten"], word))
    if word == "queue" and rest:
        wait_ms = _wait_ms(rest)
        return _OnExceed("queue", queue_ms=wait_ms)
    if word == "downgrade" and rest:
        if any(wildcard in rest for wildcard in "*?[") or rest.startswith("group:"):
            raise ValueError(f"{shown(rest)} is no single model: write the name of one, as in `downgrade demo-small`")
        return _OnExceed("downgrade", downgrade_to=scalars.glob(rest))
    raise ValueError(f"{shown(written)} is not known; {among(word, ON_EXCEED)}")


def _wait_ms(written: str) -> int:
    found = re.fullmatch(r"([0-9]{1,6})ms", written)
    wait_ms = int(found[1]) if found else scalars.duration_s(written) * 1000
    if not 1 <= wait_ms <= QUEUE_S_MAX * 1000:
        raise ValueError(f"{written} is out of bounds: 1ms to {QUEUE_S_MAX}s, or clients give up before")
    return wait_ms


def _read_scope(fields: Fields, default: tuple[Scope, ...]) -> tuple[Scope, ...]:
    node = fields.value("scope")
    if node is None:
        return default
    read = one_of(SCOPES)
    if isinstance(node, Scalar):
        words = [fields.get("scope", read, "tenant")]
    else:
        words = [scalar(fields.report, item, path, read, "") for path, item in fields.items("scope")]
        known = [word for word in words if word]
        if isinstance(node, Items) and not words:
            fields.refuse("scope", f"an empty scope: allowed: {', '.join(SCOPES)}")
        if len(set(known)) < len(known):
            fields.refuse("scope", "a word is written twice in this scope")
    return tuple(word for word in SCOPES if word in words)
