"""What a wire is: one API's format, read and written without IO.

Rule 1: no wire sees a policy, a clock or a socket; what it needs arrives as an argument.
Rule 2: what no rule names passes through untouched; uncut output is byte-identical to the upstream's, less what the
gateway itself asked for.
Rule 3: a `StreamReader` never splits a server-sent event: it holds an unfinished one back until its end has come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

from gateway.errors import Refusal
from gateway.values import ORDINARY, Ask, Extent, Limit, Usage


class BadField(ValueError):
    """A field of the request that cannot be judged. `param` is its path, as in `messages[0].role`."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param
        self.message = message


class Judged(NamedTuple):
    """What a wire read in a body; `Ask` minus what is the same for all wires."""

    model: str
    media_base64_bytes: int
    """Bytes of base64 in the body that are not text (they are taken off `text_bytes`)."""
    media_tokens: int
    output_tokens_max: int | None
    choices: int
    is_stream: bool
    wants_usage: bool
    end_user: str
    extent: Extent = ORDINARY


def asked(wire: Wire, body: dict[str, Any], judged: Judged, *, text_bytes: int) -> Ask:
    """The ask that a body comes to, once its wire has judged it. `text_bytes`: as `Ask` counts them."""
    return Ask(
        wire=wire.name,
        model=judged.model,
        body=body,
        text_bytes=text_bytes,
        media_tokens=judged.media_tokens,
        output_tokens_max=judged.output_tokens_max,
        choices=judged.choices,
        is_stream=judged.is_stream,
        wants_usage=judged.wants_usage,
        end_user=judged.end_user,
        extent=judged.extent,
    )


CutReason = Literal["length", "filter"]
"""Why the gateway ends an answer itself: it is as long as it may be, or something in it must not leave."""


class Stage(Protocol):
    """Rewrites one channel of text as it comes: what `feed` and `flush` return, joined, does not depend on how it was cut.

    A channel is what a client would join: one choice's content, one content block, one part of an item, one call's arguments.
    """

    is_cut: bool
    """The text ends here: the answer is to be cut ("filter"), and nothing more of this channel leaves."""

    def feed(self, text: str) -> str: ...

    def flush(self) -> str:
        """The channel has ended: what was held back and may leave. Idempotent."""
        ...

    def passes(self, text: str) -> bool:
        """Whether `feed(text)` would return `text` itself with nothing held back before or after. If so it has been fed, if not
        nothing has happened: this is the fast path, and may answer False whenever it is not sure."""
        ...


class Edits(Protocol):
    """What an output policy does to one answer's text. Made for each answer; made by the room `output`.

    Each method makes the stage of a new channel; None: that kind of text passes untouched.
    """

    def text(self) -> Stage | None:
        """What the client shows: content, refusals, output_text. Reasoning in <think> blocks is found in it."""
        ...

    def reasoning(self) -> Stage | None:
        """Reasoning that the API has a place of its own for."""
        ...

    def arguments(self) -> Stage | None:
        """Arguments of a tool call: JSON text in pieces."""
        ...

    def whole(self, stage: Stage, text: str) -> str:
        """A whole text through a new stage: of an answer that is not streamed, or of an event that repeats a whole channel."""
        ...


class Editor(Protocol):
    """Rewrites the events of one stream. Comes after the reader, which has counted what the upstream sent.

    `feed` gets whole events and gives whole events; the very same bytes where nothing is to be changed. Held-back text of a
    channel leaves as an event of its own kind before the event that ends the channel, or the stream.
    """

    is_cut: bool
    """A filter has cut: no more text of the model's leaves, and the stream is to be ended (see `StreamReader.ending`). What the
    ending says is fed through here too, and passes."""

    def feed(self, events: bytes) -> bytes: ...

    def flush(self) -> bytes:
        """The stream ended without the event that ends it: what was held back leaves all the same. Idempotent."""
        ...


class Followed(Protocol):
    """What is known of an answer while it comes: what a leash and the closing rule need, whatever carries the answer."""

    stop_events: int
    """So many content events are relayed, and no more: the one that would be beyond stops the stream, so an answer that ends by
    itself at the bound is whole. May be raised while the stream runs."""
    stop_bytes: int
    """The content event that would bring `content_bytes` beyond this stops the stream likewise."""
    usage: Usage | None
    """None until the upstream has reported any; is_complete once its final report has come."""
    events: int
    """Events that carried content, relayed so far: each is at least one token."""

    @property
    def is_cut(self) -> bool:
        """One of the two bounds has stopped it."""
        ...

    @property
    def content_bytes(self) -> int:
        """UTF-8 bytes of content relayed so far (an estimate good to some per cent: not every event is parsed)."""
        ...


class StreamReader(Protocol):
    """Follows one answer's stream. `feed` and `flush` return the bytes to relay, whole events only (maybe b"").

    The fields are true as of the last complete event.
    """

    stop_events: int
    """So many content events are relayed, and no more: the one that would be beyond stops the stream, so an answer that ends by
    itself at the bound is whole. May be raised while the stream runs."""
    stop_bytes: int
    """The content event that would bring `content_bytes` beyond this stops the stream likewise."""
    is_cut: bool
    """One of the two has stopped it: `feed` returns b"", until `resume`."""
    answer_id: str
    """The answer's id, on the wire whose answers can be referred to later; "" until it was told, and on all others."""
    usage: Usage | None
    """None until the upstream has reported any; is_complete once its final report has come."""
    events: int
    """Events that carried content, relayed so far: each is at least one token."""
    is_finished: bool
    """The wire's own end was seen: a stream that ends before it has died."""
    failed: bool
    """The upstream itself sent an error event (it is relayed: the SDK raises by it)."""

    @property
    def content_bytes(self) -> int:
        """UTF-8 bytes of content relayed so far (an estimate good to some per cent: not every event is parsed)."""
        ...

    def feed(self, block: bytes) -> bytes: ...

    def flush(self) -> bytes:
        """The stream ended: what is left to relay of a last event without its blank line. Idempotent."""
        ...

    def resume(self) -> bytes:
        """The bounds have been raised after a stop: what was held back, as far as they now allow."""
        ...

    def ending(self, reason: CutReason, usage: Usage) -> bytes:
        """The events that end the stream here as the vendor would: open blocks and items closed, the finish reason, `usage`
        where the client is to see one, the terminal event. To be relayed as the last bytes; `is_finished` is True then.
        """
        ...


class Wire(Protocol):
    """One endpoint's format. `family` names who writes its errors and headers: see `FAMILIES`."""

    name: str
    family: str
    answers_bytes: bool
    """Answers are no JSON (audio): they pass as they come."""
    files: frozenset[str]
    """Names of the parts of a form that are files; empty: bodies are JSON."""
    charges_quote: bool
    """What was quoted is charged when the answer has come: it tells nothing of what the work will take (batches)."""

    def judge(self, body: dict[str, Any]) -> Judged:
        """Read what the gateway judges. Raises BadField for anything a sane vendor would answer with 400, such as
        a max_tokens that is no positive integer (a bool is none, nor is "5" or 5.0)."""
        ...

    def rewrite(self, ask: Ask) -> dict[str, Any]:
        """The body to forward: `ask.body` itself, or a copy with what makes the upstream report its usage."""
        ...

    def clamp(self, body: dict[str, Any], limit: int) -> dict[str, Any]:
        """A copy of the body that asks for at most `limit` output tokens a choice: every alias of max_tokens that is there is
        lowered, the vendor's own is set where there is none, and what must not be above it (min_tokens, a thinking budget) is
        lowered with it. The same object where nothing had to change."""
        ...

    def reader(self, ask: Ask) -> StreamReader: ...

    def editor(self, ask: Ask, edits: Edits) -> Editor: ...

    def edit(self, answer: bytes, edits: Edits) -> tuple[bytes, bool]:
        """A whole answer with its texts edited, and whether a filter cut it (its finish reason then says so). The very same
        bytes where nothing changed, or where they are no answer of this wire."""
        ...

    def shorten(self, answer: bytes, limit: int) -> tuple[bytes, Usage] | None:
        """A whole answer that reports more than `limit` output tokens a choice, cut to them: text, finish reason and usage as
        the vendor would have said it. None: it is not longer, or reports no usage."""
        ...

    def usage(self, answer: bytes) -> Usage | None:
        """Usage of a whole answer that was not streamed. None: it reports none (or is no JSON)."""
        ...


class Family(Protocol):
    """How a vendor writes errors and limits."""

    name: str
    request_id_header: str
    """"x-request-id" or "request-id": carried by every response."""

    def status(self, refusal: Refusal) -> int: ...

    def error_body(self, refusal: Refusal, request_id: str) -> bytes: ...

    def error_event(self, refusal: Refusal, request_id: str) -> bytes:
        """The error as a whole server-sent event, to be relayed in mid-stream: SDKs raise by it."""
        ...

    def limit_headers(self, limits: Sequence[Limit], *, now_s: float) -> list[tuple[str, str]]:
        """Headers that tell the caller its tightest enforced limits, on success and on refusal, vendor's and IETF's."""
        ...
