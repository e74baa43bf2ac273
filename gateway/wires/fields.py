"""Reading fields of JSON bodies: the caller's, which are judged, and the upstream's, which are distrusted.

Judged: what is wrong raises BadField, whose message says what is allowed and quotes nothing of the caller's.
Distrusted: what is wrong counts as missing; nothing here raises.
"""

from __future__ import annotations

from typing import Any

from gateway.wires.base import BadField

OUTPUT_TOKENS_MAX = 100_000_000
"""The largest max_tokens that is believed: with 128 choices at any real price, its cost stays exact in a double (2**53)."""
CHOICES_MAX = 128
MODEL_CHARS_MAX = 256
END_USER_CHARS_MAX = 512
REPORTED_TOKENS_MAX = 1_000_000_000
"""The largest count of tokens that is believed of an upstream."""


def model(body: dict[str, Any]) -> str:
    """The model's name: it goes into messages, records and store keys, so it must be short and printable."""
    value = body.get("model")
    if type(value) is not str or not 0 < len(value) <= MODEL_CHARS_MAX or not value.isprintable():
        raise BadField("model", f"model: must be a string of 1 to {MODEL_CHARS_MAX} printable characters.")
    return value


def messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The conversation: a list of at least one object."""
    value = body.get("messages")
    if type(value) is not list or not value:
        raise BadField("messages", "messages: must be a list of at least one message.")
    for index, message in enumerate(value):
        if type(message) is not dict:
            raise BadField(f"messages[{index}]", f"messages[{index}]: must be an object.")
    return value


def integer(body: dict[str, Any], name: str, *, most: int, least: int = 1, path: str = "") -> int | None:
    """A whole number within bounds; None where it is missing or null. A bool is no number, nor is "5" or 5.0."""
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int or not least <= value <= most:
        path = path or name
        raise BadField(path, f"{path}: must be an integer from {least} to {most}.")
    return value


def boolean(body: dict[str, Any], name: str, *, path: str = "") -> bool:
    """A switch; missing or null is off."""
    value = body.get(name)
    if value is not None and type(value) is not bool:
        path = path or name
        raise BadField(path, f"{path}: must be true or false.")
    return value is True


def mapping(body: dict[str, Any], name: str) -> dict[str, Any]:
    """An object; missing or null is an empty one."""
    value = body.get(name)
    if value is None:
        return {}
    if type(value) is not dict:
        raise BadField(name, f"{name}: must be an object.")
    return value


def end_user(body: dict[str, Any], name: str, *, path: str = "") -> str:
    """An end user's identifier; "" where it is missing or null."""
    value = body.get(name)
    if value is None:
        return ""
    if type(value) is not str or len(value) > END_USER_CHARS_MAX:
        path = path or name
        raise BadField(path, f"{path}: must be a string of at most {END_USER_CHARS_MAX} characters.")
    return value


def tokens(value: Any) -> int | None:
    """A count of tokens as an upstream reports it; None: it is none (null, negative, huge, a bool, a float, a string)."""
    return value if type(value) is int and 0 <= value <= REPORTED_TOKENS_MAX else None


def text_bytes(value: Any) -> int:
    """UTF-8 bytes of a string of an upstream's; 0 for anything else."""
    if type(value) is not str:
        return 0
    return len(value) if value.isascii() else len(value.encode("utf-8", "replace"))
