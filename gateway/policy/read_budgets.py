"""One budget of a policy file, from its mapping to a `Budget`.

Everything that can be known of a budget by itself is checked here; what needs the rest of the directory is `read_sections`'.
"""

from __future__ import annotations

import difflib
import zoneinfo
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Literal, cast

from gateway.policy import scalars
from gateway.policy.fields import Fields, Report, count, money, one_of, scalar, size, text
from gateway.policy.model import SCOPES, Budget, MeterName, Scope
from gateway.policy.read_globs import read_models
from gateway.policy.yaml_tree import Items, Node, Scalar, join, shown

WORDS = ("name", "meter", "limit", "per", "window", "timezone", "burst", "mode", "on_exceed", "scope", "models")
WINDOWS = ("bucket", "rolling", "calendar")
MODES = ("enforce", "shadow")
ON_EXCEED = ("reject", "shorten")
_PER_WORDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "month": 2_592_000}

Per = tuple[Literal["day", "month", ""], int]
"""The calendar word (or "") and the seconds of what `per` says."""
_NO_PERIOD: Per = ("", 0)
_AMOUNTS: Mapping[str, Callable[[Scalar], int]] = {"cost": money, "upload_bytes": size}
"""How a meter's limit is written, where it is not a count."""
_SHORTENED = ("output_tokens", "total_tokens", "cost")
"""What a request takes less of when its answer is shorter."""


def read_budgets(owner: Fields, *, meters: Collection[str], scope: tuple[Scope, ...]) -> tuple[Budget, ...]:
    """The `budgets` of a mapping; `scope` is the default for where they are written. Names are unique in the list."""
    budgets: list[Budget] = []
    first_lines: dict[str, int] = {}
    for path, node in owner.items("budgets"):
        budget = _read_budget(owner.report, node, path, meters=meters, scope=scope)
        budgets.append(budget)
        if budget.name in first_lines:
            first = first_lines[budget.name]
            owner.report.add(node, join(path, "name"), f"`{budget.name}` is already a budget of this list, at line {first}")
        elif budget.name:
            first_lines[budget.name] = budget.place.line
    return tuple(budgets)


def _read_budget(report: Report, node: Node, path: str, *, meters: Collection[str], scope: tuple[Scope, ...]) -> Budget:
    fields = Fields(report, node, path, WORDS)
    name = fields.need("name", text(scalars.name), "")
    meter = fields.need("meter", one_of(meters), "")
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
    enforce = fields.get("mode", one_of(MODES), "enforce") == "enforce"
    return Budget(
        name=name,
        meter=cast(MeterName, meter),
        limit=limit,
        kind=cast(Literal["bucket", "rolling", "calendar", "concurrency"], kind),
        period_s=period[1],
        burst=burst,
        calendar=period[0],
        timezone=timezone,
        scope=_read_scope(fields, scope),
        enforce=enforce,
        models=read_models(fields),
        place=report.place(node),
        on_exceed=_read_on_exceed(fields, meter, enforce=enforce),
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
        return fields.get("timezone", text(_timezone), "UTC")
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


def _read_on_exceed(fields: Fields, meter: str, *, enforce: bool) -> Literal["reject", "shorten"]:
    chosen = fields.get("on_exceed", one_of(ON_EXCEED), "reject")
    if chosen == "shorten" and meter and meter not in _SHORTENED:
        able = ", ".join(_SHORTENED)
        fields.refuse("on_exceed", f"a shorter answer takes no less of `{meter}`: only {able} can shorten; remove the word")
    elif chosen == "shorten" and not enforce:
        fields.refuse("on_exceed", "a budget in shadow changes nothing, so it shortens nothing: remove one of the two words")
    return cast(Literal["reject", "shorten"], chosen)


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


def _timezone(name: str) -> str:
    if not _is_timezone(name):
        raise ValueError(f"{shown(name)} is no IANA time zone such as `UTC` or `Europe/Berlin`{_similar_timezone(name)}")
    return name


@lru_cache(maxsize=1024)
def _is_timezone(name: str) -> bool:
    if name == "localtime":  # whatever the machine is set to: another window on every gateway
        return False
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a directory of zones, such as `Europe`
        return False
    return True


@lru_cache(maxsize=1024)
def _similar_timezone(name: str) -> str:
    by_lower: Mapping[str, str] = {zone.lower(): zone for zone in zoneinfo.available_timezones()}
    similar = difflib.get_close_matches(name[:64].lower(), by_lower, 1)
    return f"; did you mean `{by_lower[similar[0]]}`?" if similar else ""
