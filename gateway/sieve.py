"""The requests of a file, one a line, through the policy: judged, curbed, counted and written anew. No IO.

What is left of a line is what will be asked, by a server that reads the file itself. `Filed` is what all lines come to, and
`fingerprint` says by what that was decided.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import NamedTuple

import orjson

from gateway.errors import Refusal
from gateway.output.watermark import marked
from gateway.phases.classify import LOOKED_AT
from gateway.phases.curb import KEEPS_ANSWERS, curb
from gateway.phases.read import JUDGED
from gateway.phases.shape import MARKS
from gateway.snapshot import Admission
from gateway.values import Ask
from gateway.watch.many import Many
from gateway.wires.base import BadField, asked
from gateway.wires.openai_batch_lines import Request, read, written
from gateway.wires.openai_files import ENDPOINTS
from gateway.wires.strict_json import BadJson

REQUESTS_MAX = 50_000
"""The vendor's own bound."""
LINES_MAX = 2 * REQUESTS_MAX
"""Empty ones too."""
LINE_BYTES_MAX = 8_388_608


class Filed(NamedTuple):
    """What the requests of a file come to, as it is kept with its owner."""

    model: str
    url: str
    requests: int
    text_bytes: int
    media_tokens: int
    output_tokens: int
    """Of all requests together, each at its bound."""
    decided_by: str
    """Fingerprint of what the policy said of them."""

    def packed(self) -> bytes:
        return orjson.dumps(list(self))

    @classmethod
    def unpacked(cls, note: bytes) -> Filed | None:
        """None: it is the note of no such file."""
        try:
            model, url, requests, text_bytes, media_tokens, output_tokens, decided_by = orjson.loads(note)
        except ValueError:
            return None
        return cls(model, url, requests, text_bytes, media_tokens, output_tokens, decided_by)


class Sieve:
    """The requests of one file, one line after the other. No IO: `take` runs in a thread."""

    def __init__(self, admitted: Callable[[str], Admission], may: frozenset[str], many: Many | None = None) -> None:
        """`admitted`: what is known of a model; raises Refusal. `may`: the urls that the tenant's plan names. `many`: what
        the requests are shown to, as they came; None: nobody looks."""
        self._admitted = admitted
        self._may = may
        self._many = many
        self._known: Admission | None = None
        self._line = 0
        self._url = self.model = ""
        self.requests = self._text_bytes = self._media_tokens = self._output_tokens = 0

    def take(self, lines: bytes) -> bytes:
        """What goes up of some whole lines. Raises Refusal (400) that names the line."""
        made = []
        for raw in lines.split(b"\n"):
            self._line += 1
            if self._line > LINES_MAX:
                raise self._bad(f"A file has at most {LINES_MAX} lines.")
            if raw.strip(b" \t\r"):
                try:
                    made.append(self._request(raw))
                except BadJson as error:
                    raise self._bad(str(error)) from None
                except BadField as error:
                    raise self._bad(error.message) from None
                except Refusal as refused:
                    raise self._bad(refused.message, refused.code, refused.reason) from None
        self._line -= 1  # what follows the last end of a line is no line yet
        return b"".join(made)

    def filed(self) -> Filed:
        """Raises Refusal (400) for a file without requests."""
        if self._known is None:
            raise Refusal("invalid_request", "The file holds no requests.", status=400, param="file", reason="bad_line")
        return Filed(
            self.model, self._url, self.requests, self._text_bytes, self._media_tokens, self._output_tokens,
            fingerprint(self._known),
        )  # fmt: skip

    def too_long(self) -> Refusal:
        """The line that comes has no end within its bound."""
        self._line += 1
        return self._bad(f"must have at most {LINE_BYTES_MAX} bytes.")

    def _request(self, raw: bytes) -> bytes:
        if len(raw) > LINE_BYTES_MAX:
            raise BadJson(f"must have at most {LINE_BYTES_MAX} bytes.")
        request = read(raw, JUDGED)
        self.requests += 1
        if self.requests > REQUESTS_MAX:
            raise BadJson(f"A file holds at most {REQUESTS_MAX} requests.")
        if self._known is None:
            self._begin(request)
        known = self._known
        assert known is not None  # noqa: S101  # `_begin` has set it
        if request.judged.model != self.model:
            raise BadField("body.model", "body.model: all requests of a file must name the same model.")
        if request.url != self._url:
            raise BadField("url", "url: all requests of a file must have the same url.")
        return self._curbed(request, known)

    def _begin(self, request: Request) -> None:
        self.model, self._url = request.judged.model, request.url
        if request.url not in self._may:
            message = f"The endpoint {ENDPOINTS[request.url]} is not allowed for you."
            raise Refusal("permission", message, status=403, code="endpoint_not_allowed", reason="endpoint_not_allowed")
        self._known = self._admitted(self.model)
        refuse_edited(self._known)

    def _curbed(self, request: Request, known: Admission) -> bytes:
        wire, judged, effective = request.wire, request.judged, known.effective
        if self._many is not None and wire.name in LOOKED_AT and self._many.wants():
            self._many.show(partial(_alone, request))
        ask = asked(wire, request.body, judged, text_bytes=0)
        output, most = effective.output, effective.rule.max_output_tokens
        if wire.name == KEEPS_ANSWERS and output.stored == "own":
            output = replace(output, stored="drop")  # whose the answers of a batch are, nobody would know
        ask, limit, _ = curb(ask, wire, output, most)
        bound = ask.output_tokens_max if limit is None else limit
        if bound is None:
            bound = limit = most  # nobody is there to hold more for it while it runs
        body = wire.rewrite(ask) if limit is None else wire.clamp(wire.rewrite(ask), limit)
        dumped = orjson.dumps(body)
        self._text_bytes += max(0, len(dumped) - judged.media_base64_bytes)
        self._media_tokens += judged.media_tokens
        self._output_tokens += bound * ask.choices
        if known.mark is not None and wire.name in MARKS:
            dumped = orjson.dumps(marked(body, known.mark))
        return written(request, dumped)

    def _bad(self, message: str, code: str | None = None, reason: str = "") -> Refusal:
        message = f"Line {self._line} of the file: {message}"
        refusal = Refusal("invalid_request", message, status=400, param="file", code=code, reason="bad_line")
        refusal.reason = reason or refusal.reason
        return refusal


def _alone(request: Request) -> Ask:
    """A request as if it had come by itself."""
    text_bytes = len(orjson.dumps(request.body)) - request.judged.media_base64_bytes
    return asked(request.wire, request.body, request.judged, text_bytes=text_bytes)


def refuse_edited(known: Admission) -> None:
    """Raises Refusal (400) where answers are edited: those of a batch come without us."""
    output = known.effective.output
    if output.filters or output.reasoning in ("blank", "shorten"):
        message = "Batches are not possible here: answers are edited for you, and a batch's cannot be."
        raise Refusal("invalid_request", message, status=400, param="file", code="field_not_allowed", reason="output_policy")


def fingerprint(known: Admission) -> str:
    """Of all that decides what becomes of a request in a file, and where it is kept."""
    output, rule = known.effective.output, known.effective.rule
    said = (
        output.max_tokens, output.drop, output.refuse, output.choices_max, output.temperature_milli, output.stored,
        output.background, output.watermark, rule.max_output_tokens, known.upstream,
    )  # fmt: skip
    return blake2b(repr(said).encode(), digest_size=8).hexdigest()
