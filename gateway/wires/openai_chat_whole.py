"""Whole chat and text completions: their texts edited, or cut to fewer tokens."""

from __future__ import annotations

from typing import Any

from gateway.values import Usage
from gateway.wires.base import Edits
from gateway.wires.edit import Through
from gateway.wires.fields import tokens
from gateway.wires.lenient import dumps, loads
from gateway.wires.openai_chat_texts import TOKENS, Slot, slots, text_slots
from gateway.wires.openai_chat_usage import Counts
from gateway.wires.shorten import Allowance


def edited(answer: bytes, edits: Edits) -> tuple[bytes, bool]:
    """A whole answer with its texts edited, and whether a filter cut one of its choices (each is an answer of its own).

    The very same bytes where nothing changed.
    """
    value = _answer(answer)
    if value is None:
        return answer, False
    is_changed = is_cut = False
    for choice in value["choices"]:
        through = Through(edits)
        changed = _put(choice, [(slot, through(slot.kind, slot.text)) for slot in _slots(choice)])
        if through.is_cut:
            _end(choice, "content_filter")
        is_changed, is_cut = is_changed or changed or through.is_cut, is_cut or through.is_cut
    return (dumps(value), is_cut) if is_changed else (answer, False)


def shortened(answer: bytes, limit: int) -> tuple[bytes, Usage] | None:
    """A whole answer cut to `limit` output tokens a choice, and its usage; None: it is not longer, or reports no usage.

    The upstream reports the tokens of all choices together: a choice's are its share of the text. Reasoning that is not shown
    came first, so its tokens are taken off the limit.
    """
    value = _answer(answer)
    counts = Counts()
    if value is None or not counts.take(value.get("usage")) or counts.output is None:
        return None
    choices = value["choices"]
    if counts.output <= limit * len(choices):
        return None
    usage = value["usage"]
    hidden = _hidden(choices, usage)
    texts = [slot.text for choice in choices for slot in _distinct(choice)]
    each = Allowance(texts, counts.output - hidden, max(0, limit - hidden // len(choices)))
    kept = 0
    for choice in choices:
        allowance = each.again()
        cuts = [(slot, allowance.cut(slot.text)) for slot in _distinct(choice)]
        if _put(choice, cuts) or len(choices) == 1:
            _end(choice, "length")
            kept += limit
        else:
            kept += min(limit, allowance.kept_tokens)
    counts.output = usage["completion_tokens"] = kept
    usage["total_tokens"] = kept + (counts.input or 0)
    details = usage.get("completion_tokens_details")
    if type(details) is dict and (reasoning := tokens(details.get("reasoning_tokens"))) is not None:
        details["reasoning_tokens"] = min(reasoning, kept)
    return dumps(value), counts.usage(is_final=True)


def _hidden(choices: list[dict[str, Any]], usage: dict[str, Any]) -> int:
    """Tokens of reasoning that the answer does not show."""
    details = usage.get("completion_tokens_details")
    reasoning = tokens(details.get("reasoning_tokens")) if type(details) is dict else None
    if not reasoning or any(slot.kind == "reasoning" for choice in choices for slot in _slots(choice)):
        return 0
    return min(reasoning, tokens(usage.get("completion_tokens")) or 0)


def _slots(choice: dict[str, Any]) -> list[Slot]:
    message = choice.get("message")
    return [*text_slots(choice), *(slots(message) if type(message) is dict else ())]


def _distinct(choice: dict[str, Any]) -> list[Slot]:
    """The texts of a choice; reasoning that some servers say under two names, once: the second name is taken off."""
    message = choice.get("message")
    if type(message) is dict and message.get("reasoning") and message.get("reasoning") == message.get("reasoning_content"):
        del message["reasoning"]
    return _slots(choice)


def _put(choice: dict[str, Any], texts: list[tuple[Slot, str]]) -> bool:
    """Put texts where others were; what spells those token by token is taken off. False: nothing changed."""
    is_changed = False
    for slot, text in texts:
        slot.holder[slot.key] = text
        is_changed = is_changed or text != slot.text
    if is_changed:
        for name in TOKENS:
            if choice.get(name):
                choice[name] = None
    return is_changed


def _end(choice: dict[str, Any], reason: str) -> None:
    """Cut off: calls of tools that had not been begun are none."""
    choice["finish_reason"] = reason
    message = choice.get("message")
    calls = message.get("tool_calls") if type(message) is dict else None
    if type(message) is dict and type(calls) is list:
        message["tool_calls"] = [call for call in calls if any(slots({"tool_calls": [call]}))]
        if not message["tool_calls"]:
            del message["tool_calls"]


def _answer(answer: bytes) -> dict[str, Any] | None:
    """An answer with choices; None: it is none."""
    value = loads(answer)
    choices = value.get("choices") if value is not None else None
    if type(choices) is not list or not choices or any(type(choice) is not dict for choice in choices):
        return None
    return value
