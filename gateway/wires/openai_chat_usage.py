"""Usage as chat and text completions write it: read of an upstream, and told to a client."""

from __future__ import annotations

from typing import Any

from gateway.values import Usage
from gateway.wires.fields import tokens


class Counts:
    """The latest believable counts of an upstream."""

    __slots__ = ("input", "cached", "output")

    def __init__(self) -> None:
        self.input: int | None = None
        self.cached = 0
        self.output: int | None = None

    def take(self, report: Any) -> bool:
        """Take over what `report` says. False: it is no report."""
        if type(report) is not dict:
            return False
        prompt, completion = tokens(report.get("prompt_tokens")), tokens(report.get("completion_tokens"))
        if prompt is None and completion is None:
            return False
        self.input = self.input if prompt is None else prompt
        self.output = self.output if completion is None else completion
        details = report.get("prompt_tokens_details")
        cached = tokens(details.get("cached_tokens")) if type(details) is dict else None
        self.cached = self.cached if cached is None else cached
        return True

    def usage(self, *, is_final: bool) -> Usage:
        """As usage; complete only when it is final and nothing that is charged is missing."""
        is_complete = is_final and self.input is not None and self.output is not None
        whole = self.input or 0
        return Usage(whole, min(self.cached, whole), 0, self.output or 0, is_complete)


def usage_of(usage: Usage) -> dict[str, Any]:
    """Usage as this wire writes it. How much of the output was reasoning is not known in the middle of an answer."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens},
    }
