"""What a wire is: one API's format, read and written without IO.

Rule 1: no wire sees a policy, a clock or a socket; what it needs arrives as an argument.
Rule 2: what no rule names passes through untouched; uncut output is byte-identical to the upstream's, less what the
gateway itself asked for.
Rule 3: a `StreamReader` never splits a server-sent event: it holds an unfinished one back until its end has come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from gateway.errors import Refusal
from gateway.values import Ask, Limit, Usage


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


class StreamReader(Protocol):
    """Follows one answer's stream. `feed` and `flush` return the bytes to relay, whole events only (maybe b"").

    The fields are true as of the last complete event.
    """

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


class Wire(Protocol):
    """One endpoint's format. `family` names who writes its errors and headers: see `FAMILIES`."""

    name: str
    family: str
    upstream_path: str

    def judge(self, body: dict[str, Any]) -> Judged:
        """Read what the gateway judges. Raises BadField for anything a sane vendor would answer with 400, such as
        a max_tokens that is no positive integer (a bool is none, nor is "5" or 5.0)."""
        ...

    def rewrite(self, ask: Ask) -> dict[str, Any]:
        """The body to forward: `ask.body` itself, or a copy with what makes the upstream report its usage."""
        ...

    def reader(self, ask: Ask) -> StreamReader: ...

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
