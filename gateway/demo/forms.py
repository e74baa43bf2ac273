"""Forms with files, read by a parser of another make than the gateway's: Python's own for mail. Pure.

A form becomes a body like that of JSON. Its fields are texts, but for the few that the API has as numbers and switches; a file
is `{"filename": ..., "kind": ..., "bytes": ..., "sha256": ..., "seconds": ...}`, and names that end in [] are lists.
"""

from __future__ import annotations

import hashlib
import io
import wave
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

BYTES_A_SECOND = 16_000
"""Of recordings whose head does not tell: 128 kbit/s."""
_NUMBERS = ("n", "partial_images")


def is_form(content_type: str) -> bool:
    return content_type.startswith("multipart/form-data")


def parse(content_type: str, body: bytes) -> dict[str, Any]:
    """The fields and files of a form; {} where it is none."""
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    found: dict[str, Any] = {}
    for part in message.iter_parts() if message.is_multipart() else ():
        name = str(part.get_param("name", "", "content-disposition"))
        value = _value(part, name)
        if name.endswith("[]"):
            found.setdefault(name[:-2], []).append(value)
        else:
            found[name] = value
    return found


def content(content_type: str, body: bytes, name: str) -> bytes:
    """The bytes of a file of a form; b"" where it has none of this name."""
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    for part in message.iter_parts() if message.is_multipart() else ():
        if part.get_param("name", "", "content-disposition") == name:
            payload = part.get_payload(decode=True)
            return payload if isinstance(payload, bytes) else b""
    return b""


def _value(part: Message, name: str) -> Any:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    filename = part.get_param("filename", None, "content-disposition")
    if filename is not None:
        return {
            "filename": str(filename),
            "kind": part.get_content_type(),
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "seconds": _seconds(data),
        }
    text = data.decode("utf-8", "replace")
    if name in _NUMBERS and text.isdigit():
        return int(text)
    return text == "true" if name == "stream" else text


def _seconds(data: bytes) -> float:
    try:
        with wave.open(io.BytesIO(data)) as sound:
            return float(sound.getnframes() / sound.getframerate())
    except (wave.Error, EOFError):
        return len(data) / BYTES_A_SECOND
