"""Reading fields of JSON bodies: the caller's, which are judged, and the upstream's, which are distrusted.

Judged: what is wrong raises BadField, whose message says what is allowed and quotes nothing of the caller's.
Distrusted: what is wrong counts as missing; nothing here raises.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from gateway.wires.base import BadField

OUTPUT_TOKENS_MAX = 100_000_000
"""The largest max_tokens that is believed: with 128 choices at any real price, its cost stays exact in a double (2**53)."""
CHOICES_MAX = 128
MODEL_CHARS_MAX = 256
END_USER_CHARS_MAX = 512
PROMPTS_MAX = 2048
"""The vendor's for embeddings; each prompt of a completion has answers of its own."""
LOGPROBS_MAX = 1_000_000
"""More than any vocabulary has."""
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


class Prompts(NamedTuple):
    """Prompts of a completion, or inputs of embeddings.

    Lists of tokens are counted exactly, where their digits would be a poor measure. A wire says so in the two fields that its
    `Judged` has for images: `tokens` are added as they are (media_tokens), and `token_bytes` are no text (media_base64_bytes).
    """

    texts: tuple[str, ...]
    """Those that are texts; () where all are lists of tokens."""
    many: int
    tokens: int
    token_bytes: int
    """Bytes of the lists of tokens as compact JSON."""


def prompts(body: dict[str, Any], name: str) -> Prompts:
    """A text, a list of texts, a list of tokens, or a list of lists of tokens; at most PROMPTS_MAX of them. Raises BadField."""
    value = body.get(name)
    if type(value) is str:
        return Prompts((value,), 1, 0, 0)
    if type(value) is list:
        kinds = {type(item) for item in value}
        if kinds == {int}:
            return Prompts((), 1, len(value), len(orjson.dumps(value)))
        if len(value) > PROMPTS_MAX:
            raise BadField(name, f"{name}: must have at most {PROMPTS_MAX} entries.")
        if kinds == {str}:
            return Prompts(tuple(value), len(value), 0, 0)
        if kinds == {list} and all({type(token) for token in item} == {int} for item in value):
            return Prompts((), len(value), sum(len(item) for item in value), len(orjson.dumps(value)))
    raise BadField(name, f"{name}: must be a string, a list of strings, a list of tokens, or a list of lists of tokens.")


def dialect(body: dict[str, Any], output_tokens_max: int | None) -> None:
    """Check what servers beside the vendor know and what makes work: answers that must not end early, and scores of the input.

    `output_tokens_max`: the bound that was given; a least length beyond it could not be kept. Raises BadField.
    """
    most = OUTPUT_TOKENS_MAX if output_tokens_max is None else output_tokens_max
    integer(body, "min_tokens", most=most, least=0)
    boolean(body, "ignore_eos")
    integer(body, "prompt_logprobs", most=LOGPROBS_MAX, least=0)


def tokens(value: Any) -> int | None:
    """A count of tokens as an upstream reports it; None: it is none (null, negative, huge, a bool, a float, a string)."""
    return value if type(value) is int and 0 <= value <= REPORTED_TOKENS_MAX else None


def text_bytes(value: Any) -> int:
    """UTF-8 bytes of a string of an upstream's; 0 for anything else."""
    if type(value) is not str:
        return 0
    return len(value) if value.isascii() else len(value.encode("utf-8", "replace"))
