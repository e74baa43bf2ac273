"""Forms with files: received, judged whole, and sent on under a boundary of the gateway's own.

Nothing goes on before all of a form is here: its model may stand behind its file, and what a parser of another kind would read
in it is not the gateway's to guess. So the hold is opened with exact numbers, and a form that is refused has cost nothing.

Failure policy: what is wrong with a form is the tenant's and a 400 in the vendor's words; nothing has been counted for it. A
client that leaves while it sends raises ConnectionError. While the form goes on, what was sent so far is known: a request that
ends then is charged the bytes that were sent, and neither seconds nor images, for nobody can have heard or drawn anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from secrets import token_hex

from aiohttp import web

from gateway.errors import Refusal
from gateway.house import House
from gateway.phases.read import check_codings, expect, too_large
from gateway.spool import Spooled
from gateway.values import Ask, Caller, Extent
from gateway.wires.base import BadField, StreamReader, Wire, asked
from gateway.wires.form import FormReader, Piece, written
from gateway.wires.multipart import BadForm, boundary_of
from gateway.wires.openai_transcripts import HEARS, TEXTS, TranscriptReader, heard


class Upload:
    """A form that was received: the `Body` of the request that goes on. `close` in any case."""

    def __init__(self, spooled: Spooled) -> None:
        self._spooled = spooled
        self._pieces: list[Piece] = []
        self.boundary = b"gauger-" + token_hex(16).encode()
        self.note = b""
        """What is remembered of it with its owner, where the answer tells its id."""
        self.size = 0
        self.file_bytes_sent = 0
        """Of files, handed to the server that is asked."""
        self.is_sent = False
        """To its end."""

    def read(self, begin: int, size: int) -> AsyncIterator[bytes]:
        """What came, a part of it. Raises OSError."""
        return self._spooled.read(begin, size)

    def swap(self, spooled: Spooled) -> None:
        """Send something else in the place of what came."""
        self._spooled.close()
        self._spooled = spooled

    def write(self, ask: Ask) -> None:
        """Make the form of what is left of an ask."""
        self._pieces = written(ask.body, self.boundary)
        self.size = sum(len(piece.text) + piece.size for piece in self._pieces)

    async def blocks(self) -> AsyncIterator[bytes]:
        """See `upstream.base.Body`. Raises OSError."""
        self.file_bytes_sent, self.is_sent = 0, False
        for piece in self._pieces:
            yield piece.text
            if piece.size:
                async for block in self._spooled.read(piece.begin, piece.size):
                    self.file_bytes_sent += len(block)
                    yield block
        self.is_sent = True

    def close(self) -> None:
        self._spooled.close()


async def receive(request: web.BaseRequest, wire: Wire, caller: Caller, house: House) -> tuple[Ask, Upload]:
    """Receive and judge. Raises Refusal: 400, 408 (too slow), 413 (too large), 415 (no form), 503 (no room)."""
    check_codings(request, "send the form as it is")
    settings = house.settings
    spooled = house.spool.open(caller.tenant)
    try:
        reader = FormReader(_boundary(request), wire.files)
        expect(request, settings.upload_limit_bytes)
        async with asyncio.timeout(settings.upload_timeout):
            await _take(request, reader, spooled, settings.upload_limit_bytes, settings.body_timeout)
        body = reader.finish()
        judged = wire.judge(body)
    except BadForm as error:
        spooled.close()
        raise Refusal("invalid_request", str(error), status=400, reason="bad_form") from None
    except BadField as error:
        spooled.close()
        raise Refusal("invalid_request", error.message, status=400, param=error.param, reason="bad_field") from None
    except TimeoutError:
        spooled.close()
        message = f"The form did not arrive within {settings.upload_timeout:g} s, or paused for {settings.body_timeout:g} s."
        raise Refusal("invalid_request", message, status=408, reason="body_timeout") from None
    except BaseException:
        spooled.close()
        raise
    return asked(wire, body, judged, text_bytes=reader.text_bytes), Upload(spooled)


def _boundary(request: web.BaseRequest) -> bytes:
    types = request.headers.getall("Content-Type", [])
    if len(types) != 1 or not types[0].lower().startswith("multipart/form-data"):
        message = "The content type is not accepted: send the form as 'multipart/form-data'."
        raise Refusal("unsupported_media", message, status=415, reason="content_type")
    return boundary_of(types[0])


async def _take(request: web.BaseRequest, reader: FormReader, spooled: Spooled, limit_bytes: int, silence_s: float) -> None:
    """Raises TimeoutError after a silence, Refusal, BadForm and BadField."""
    content = request.content
    size = 0
    while True:
        async with asyncio.timeout(silence_s):
            block = await content.readany()
        if not block:
            return
        size += len(block)
        if size > limit_bytes:
            raise too_large(limit_bytes)
        for kept in reader.feed(block):
            await spooled.write(kept)


def answers_text(ask: Ask) -> bool:
    """Whether the answer to a form is a text that is not JSON."""
    return ask.wire in HEARS and ask.body.get("response_format") in TEXTS


def came_to(ask: Ask, upload: Upload, answer: bytes | None, reader: StreamReader | None) -> Extent:
    """What a form came to: the bytes that were sent, and the seconds that its answer told of."""
    seconds = None
    if ask.wire in HEARS:
        if isinstance(reader, TranscriptReader):
            seconds = reader.seconds
        if seconds is None and answer is not None:
            seconds = heard(answer)
    extent = ask.extent._replace(upload_bytes=upload.file_bytes_sent)
    return extent if seconds is None else extent._replace(audio_seconds=seconds)
