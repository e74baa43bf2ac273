"""What this process has done, as numbers that only grow, in Prometheus' text format.

Rule: a label's values are few and known (endpoints, statuses, budgets of the policy): never a model, a tenant or a key, which
would make a series each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gateway.errors import Refusal
from gateway.phases.record import Entry


class Gauge(NamedTuple):
    """One line that is read off when asked for."""

    name: str
    help: str
    value: float
    labels: Mapping[str, str] = {}
    is_counter: bool = False


class Tally:
    """Counts of requests. Costs a microsecond a request."""

    __slots__ = ("_input_tokens", "_output_tokens", "_refusals", "_requests")

    def __init__(self) -> None:
        self._requests: dict[tuple[str, int], int] = {}
        self._refusals: dict[tuple[str, str], int] = {}
        self._input_tokens = self._output_tokens = 0

    def note(self, entry: Entry, refusal: Refusal | None) -> None:
        """A request has ended."""
        endpoint = "" if entry.endpoint is None else entry.endpoint.name
        key = (endpoint, entry.status)
        self._requests[key] = self._requests.get(key, 0) + 1
        if refusal is not None:
            why = (refusal.side, refusal.reason)
            self._refusals[why] = self._refusals.get(why, 0) + 1
        elif entry.hold is not None and (charged := entry.hold.charged) is not None:
            self._input_tokens += charged.input_tokens
            self._output_tokens += charged.output_tokens

    def render(self, gauges: Iterable[Gauge]) -> str:
        """The page: these counts, and what else is to be told."""
        tokens, refusals = "Tokens charged.", "Requests refused, by side and reason."
        requests = "Requests ended; status 0: the client had left."
        lines = [
            *(
                Gauge("gauger_requests_total", requests, count, {"endpoint": endpoint, "status": str(status)}, is_counter=True)
                for (endpoint, status), count in self._requests.items()
            ),
            *(
                Gauge("gauger_refusals_total", refusals, count, {"side": side, "reason": reason}, is_counter=True)
                for (side, reason), count in self._refusals.items()
            ),
            Gauge("gauger_tokens_total", tokens, self._input_tokens, {"direction": "input"}, is_counter=True),
            Gauge("gauger_tokens_total", tokens, self._output_tokens, {"direction": "output"}, is_counter=True),
            *gauges,
        ]
        return "".join(_families(lines))


def _families(lines: Iterable[Gauge]) -> Iterable[str]:
    families: dict[str, list[Gauge]] = {}
    for line in lines:
        families.setdefault(line.name, []).append(line)
    for name, members in families.items():
        yield f"# HELP {name} {members[0].help}\n# TYPE {name} {'counter' if members[0].is_counter else 'gauge'}\n"
        for member in members:
            labels = ",".join(f'{label}="{_escaped(value)}"' for label, value in member.labels.items())
            yield f"{name}{{{labels}}} {member.value:.15g}\n" if labels else f"{name} {member.value:.15g}\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
