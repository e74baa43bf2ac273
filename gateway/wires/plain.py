"""What wires have in common whose answers are no text of a model's: nothing is streamed, edited or cut, and no output tokens
are made. Embeddings, moderations, token counts, batches, speech and images say in files of their own what differs.

Distrusted: an answer that is not what it should be reports no usage; nothing here raises over one.
"""

from __future__ import annotations

from typing import Any

import orjson

from gateway.values import Ask, Extent, Usage
from gateway.wires import fields
from gateway.wires.base import BadField, Editor, Edits, StreamReader

COUNTS = frozenset(("openai.count", "anthropic.count"))
"""Wires that ask how many tokens a request would have."""
COUNTED = Extent(requests=0, counts=1)
"""A token count is no request: it has a meter of its own."""
NOTHING = Usage(0, 0, 0, 0, is_complete=True)
"""Of a token count: what is counted is read by no model."""


class Plain:
    """A `Wire` less `judge`."""

    name = ""
    family = "openai"
    answers_bytes = False
    files: frozenset[str] = frozenset()
    charges_quote = False

    def rewrite(self, ask: Ask) -> dict[str, Any]:
        """The body itself."""
        return ask.body

    def clamp(self, body: dict[str, Any], limit: int) -> dict[str, Any]:
        """There is no output to bound."""
        return body

    def reader(self, ask: Ask) -> StreamReader:
        raise TypeError(f"{self.name} has no streams")  # `judge` lets none in

    def editor(self, ask: Ask, edits: Edits) -> Editor:
        return Untouched()

    def edit(self, answer: bytes, edits: Edits) -> tuple[bytes, bool]:
        return answer, False

    def shorten(self, answer: bytes, limit: int) -> tuple[bytes, Usage] | None:
        return None

    def usage(self, answer: bytes) -> Usage | None:
        """None: answers report none, and the estimate is charged."""
        return None


class Untouched:
    """An `Editor` of streams without text."""

    is_cut = False

    def feed(self, events: bytes) -> bytes:
        return events

    def flush(self) -> bytes:
        return b""


def refuse_stream(body: dict[str, Any]) -> None:
    """Raises BadField for a request that asks for a stream where there is none: its answer would not be understood."""
    if fields.boolean(body, "stream"):
        raise BadField("stream", "stream: answers of this endpoint are not streamed: leave it out.")


def reported(answer: bytes) -> dict[str, Any] | None:
    """The `usage` of an answer; None where it has none. Vectors and images before it, megabytes of them, are not parsed.

    What follows the last such name must close one object and no more: else it is no field of the answer itself, and all of
    the answer is parsed. No text can pass for the name: the quotes of a text are escaped.
    """
    at = answer.rfind(b'"usage"')
    if at < 0:
        return None
    value = _parsed(b"{" + answer[at:])
    if value is None and answer.find(b'"usage"') != at:
        value = _parsed(answer)
    usage = value.get("usage") if value is not None else None
    return usage if type(usage) is dict else None


def counted(answer: bytes) -> int | None:
    """The tokens that the answer to a token count tells; None: it tells none."""
    value = _parsed(answer)
    return fields.tokens(value.get("input_tokens")) if value is not None else None


def _parsed(answer: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None
    return value if type(value) is dict else None
