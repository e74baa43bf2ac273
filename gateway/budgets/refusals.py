"""Which budget a refusal names, and the sentence that names it. Composes `Refusal`s; raises none of them.

==============================================  ==========  ==========================================
the budget that refuses                         kind        retry_after_ms
==============================================  ==========  ==========================================
calendar window                                 quota       until it fits
anything else, wait up to 60 s                  rate_limit  until it fits
longer wait: USD, or a window of a day or more  quota       until it fits
longer wait: anything else                      rate_limit  until it fits
asks more than it allows at all                 by window   None: the same request can never be served
==============================================  ==========  ==========================================
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from gateway.budgets.meters import label, show
from gateway.errors import Refusal
from gateway.policy.model import Budget
from gateway.values import Line, Standing

SHORT_WAIT_US = 60_000_000
WAIT_FOR_HOLDS_US = 1_000_000
"""As for concurrency: what runs may end at any moment, and gives back most of what it holds."""
_DAY_S = 86_400
_NEVER = -1


def worst(budgets: Sequence[Budget], lines: Sequence[Line], standings: Sequence[Standing]) -> int:
    """Index of the enforced budget to name: one that can never allow the request, else the one with the longest wait.

    Of equals the first. Raises ValueError when no budget is enforced: then nothing can have refused.
    """
    enforced = [index for index, line in enumerate(lines) if line.enforce]
    # The last word is for a store that refused and then found no wait: the line that is nearest to its limit.
    return max(
        enforced,
        key=lambda index: (
            standings[index].wait_us == _NEVER,
            standings[index].wait_us,
            lines[index].amount - standings[index].remaining,
        ),
    )


def wait_us(budgets: Sequence[Budget], lines: Sequence[Line], standings: Sequence[Standing]) -> int | None:
    """Microseconds until a refused request fits; -1: never. None: when requests that run end, which nobody knows."""
    index = worst(budgets, lines, standings)
    standing = standings[index]
    if standing.wait_us != _NEVER and (standing.held > 0 or lines[index].kind == "concurrency"):
        return None
    return standing.wait_us


def refusal(
    budgets: Sequence[Budget],
    lines: Sequence[Line],
    standings: Sequence[Standing],
    *,
    model: str,
    tenant: str,
    floor_tokens: int | None = None,
) -> Refusal:
    """The refusal of a request that did not fit, naming its worst budget.

    `floor_tokens`: the request might have been shortened, but not to fewer output tokens than these.

    `used` in the message counts what open requests hold, for so it was judged.
    """
    index = worst(budgets, lines, standings)
    budget, line, standing = budgets[index], lines[index], standings[index]
    is_held_up = standing.held > 0 and line.a - standing.held < line.amount
    if is_held_up and line.kind in ("bucket", "rolling") and standing.wait_us > 0:
        # However long one waits, it does not fit while those run: when they end is all that matters, and nobody knows it.
        standing = standing._replace(wait_us=min(standing.wait_us, WAIT_FOR_HOLDS_US))
    kind = "quota" if _is_quota(budget, standing.wait_us) else "rate_limit"
    message = _message(kind, budget, line, standing, _printable(model), tenant)
    if floor_tokens is not None:
        message += f" Not even {floor_tokens} output tokens fit."
    return Refusal(
        kind,
        message,
        status=429,
        retry_after_ms=None if standing.wait_us == _NEVER else -(-standing.wait_us // 1000),
        meter=budget.meter,
        reason=f"budget:{budget.name}",
    )


def _is_quota(budget: Budget, wait_us: int) -> bool:
    if budget.kind == "calendar":
        return True
    is_short = 0 <= wait_us <= SHORT_WAIT_US
    return not is_short and (budget.meter == "cost" or budget.period_s >= _DAY_S)


def _message(kind: str, budget: Budget, line: Line, standing: Standing, model: str, tenant: str) -> str:
    meter = budget.meter
    limit = f"Limit {show(meter, budget.limit)}"
    if line.kind == "bucket" and line.a != budget.limit:
        limit += f" (burst {show(meter, line.a)})"
    where = f"for {model} in tenant {tenant} on {label(budget)} [budget {budget.name}]"
    used, requested = show(meter, standing.used + standing.held), show(meter, line.amount)
    if standing.wait_us == _NEVER:
        end = "This is more than the budget allows at all: ask for less."
        return f"Request too large {where}: {limit}, Requested {requested}. {end}"
    end = f"Please try again in {duration(standing.wait_us)}."
    if kind == "quota" and line.kind == "calendar":
        end = f"It resets at {_instant(line.c)}."
    if standing.held and line.kind != "concurrency":
        end += f" Requests that still run hold {show(meter, standing.held)} of it."
    if kind == "rate_limit":
        return f"Rate limit reached {where}: {limit}, Used {used}, Requested {requested}. {end}"
    return f"You exceeded your current quota {where}: {limit}, Used {used}, Requested {requested}. {end}"


def duration(wait_us: int) -> str:
    """A wait as the vendors write it, rounded up to milliseconds: `12ms`, `1.574s`, `6m0s`, `26h0m3s`."""
    wait_ms = -(-wait_us // 1000)
    if wait_ms < 1000:
        return f"{wait_ms}ms"
    if wait_ms < 60_000:
        seconds, rest_ms = divmod(wait_ms, 1000)
        return f"{seconds}" + f".{rest_ms:03}".rstrip("0").rstrip(".") + "s"
    minutes, seconds = divmod(-(-wait_ms // 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds}s" if hours else f"{minutes}m{seconds}s"


def _instant(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _printable(model: str) -> str:
    """The wires let only short printable names through; a message must not depend on it."""
    return "".join(character if character.isprintable() else "?" for character in model[:256])
