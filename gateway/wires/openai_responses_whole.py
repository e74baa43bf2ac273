"""Whole responses: their texts edited, and those that are too long cut short as the vendor would have ended them.

Reasoning is counted apart where its tokens are reported, for it comes first and little of it is shown.
"""

from __future__ import annotations

from typing import Any

import orjson

from gateway.values import Usage
from gateway.wires.base import Edits, Stage
from gateway.wires.openai_responses_draft import REASONS, usage_of
from gateway.wires.openai_responses_events import Kind, rewrite_item, written
from gateway.wires.openai_responses_stream import Counts
from gateway.wires.shorten import Allowance


class Rewriter:
    """Takes whole texts through new stages, up to the first that cuts."""

    __slots__ = ("_edits", "is_cut")

    def __init__(self, edits: Edits) -> None:
        self._edits = edits
        self.is_cut = False

    def stage(self, kind: Kind) -> Stage | None:
        edits = self._edits
        return edits.text() if kind == "text" else edits.reasoning() if kind == "reasoning" else edits.arguments()

    def __call__(self, kind: Kind, text: str) -> str:
        if self.is_cut:
            return ""
        stage = self.stage(kind)
        if stage is None or not text:
            return text
        new = self._edits.whole(stage, text)
        self.is_cut = stage.is_cut
        return new

    def answer(self, response: dict[str, Any]) -> bool:
        """Rewrite a response object in place; what comes after a cut is taken off. False: nothing changed."""
        is_changed = False
        output = response.get("output")
        if type(output) is list:
            for index, item in enumerate(output):
                is_changed = rewrite_item(item, self) or is_changed
                if self.is_cut:
                    del output[index + 1 :]
                    if type(item) is dict:
                        item["status"] = "incomplete"
                    response |= {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
                    response.pop("output_text", None)
                    return True
        text = response.get("output_text")  # some servers repeat all of it here
        if type(text) is str and (new := self("text", text)) != text:
            response["output_text"] = new
            is_changed = True
        return is_changed


def edited(answer: bytes, edits: Edits) -> tuple[bytes, bool]:
    """A whole answer with its texts edited, and whether a filter cut it; the very same bytes where nothing changed."""
    try:
        value = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return answer, False
    rewrite = Rewriter(edits)
    if type(value) is not dict or not rewrite.answer(value):
        return answer, False
    return written(value), rewrite.is_cut


def shortened(answer: bytes, limit: int) -> tuple[bytes, Usage] | None:
    """The answer and its usage with `limit` output tokens; None: it is not longer, or reports no usage."""
    try:
        value = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None
    counts = Counts()
    if type(value) is not dict or not counts.take(value.get("usage")) or (counts.output or 0) <= limit:
        return None
    output = value.get("output")
    if type(output) is list:
        value["output"] = _cut(output, counts, limit)
    counts.output, counts.reasoning = limit, min(counts.reasoning, limit)
    usage = counts.usage(is_final=True)
    value |= {
        "status": "incomplete",
        "incomplete_details": {"reason": REASONS["length"]},
        "usage": usage_of(usage, reasoning_tokens=counts.reasoning),
    }
    value.pop("output_text", None)  # some servers repeat all of the text here
    return written(value), usage


class _Shares:
    """What is kept of each kind of text, in the order of writing."""

    __slots__ = ("_reasoning", "_rest", "is_over")

    def __init__(self, output: list[Any], counts: Counts, limit: int) -> None:
        said: dict[bool, list[str]] = {True: [], False: []}
        whole = counts.output or 0
        reasoning = min(counts.reasoning, whole)

        def note(kind: Kind, text: str) -> str:
            said[kind == "reasoning" and reasoning > 0].append(text)
            return text

        for item in output:
            rewrite_item(item, note)
        self._rest = Allowance(said[False], whole - reasoning, max(0, limit - reasoning))
        self._reasoning = Allowance(said[True], reasoning, min(limit, reasoning)) if reasoning else self._rest
        self.is_over = False
        """Something was cut off."""

    def keep(self, kind: Kind, text: str) -> str:
        """The part of a text that is kept; nothing, once something was cut off."""
        if self.is_over:
            return ""
        kept = (self._reasoning if kind == "reasoning" else self._rest).cut(text)
        self.is_over = kept != text
        return kept


def _cut(output: list[Any], counts: Counts, limit: int) -> list[Any]:
    """The items up to the one in which the tokens end. That one is kept if anything of it is, or if it is the first."""
    shares = _Shares(output, counts, limit)
    kept: list[Any] = []
    size = 0

    def keep(kind: Kind, text: str) -> str:
        nonlocal size
        part = shares.keep(kind, text)
        size += len(part)
        return part

    for item in output:
        size = 0
        rewrite_item(item, keep)
        if shares.is_over and not size and kept:
            break
        kept.append(item)
        if shares.is_over:
            if type(item) is dict:
                item["status"] = "incomplete"
            break
    return kept
