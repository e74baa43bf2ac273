"""Images, audio and documents in a request: how many bytes of base64 they are, and how many tokens they cost at most.

Base64 counted as text would hold fifty times what an image costs. Nothing is decoded but the few bytes of a header that
give an image's size; what cannot be read (a remote URL, a format nobody knows) costs its provider's maximum. These are
estimates before the fact: the upstream's own count replaces them when a request is settled.

Sources:
  OpenAI images     https://platform.openai.com/docs/guides/images-vision#calculating-costs (tile-based models)
  OpenAI audio      https://platform.openai.com/docs/guides/audio: a token for each 100 ms of input
  Anthropic images  https://docs.anthropic.com/en/docs/build-with-claude/vision#calculate-image-costs
  Documents         https://docs.anthropic.com/en/docs/build-with-claude/pdf-support#estimate-your-costs
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gateway.wires.image_size import size_of

OPENAI_IMAGE_LOW = 85
OPENAI_TILE = 170
OPENAI_IMAGE_MAX = OPENAI_IMAGE_LOW + 8 * OPENAI_TILE
"""768 by 2048 pixels, the largest that scaling leaves: 2 by 4 tiles."""
OPENAI_PATCHES_MAX = 10_000
"""Of an image in its original detail."""
ANTHROPIC_IMAGE_MAX = 1600
ANTHROPIC_EDGE_MAX = 1568
ANTHROPIC_PIXELS_A_TOKEN = 750
AUDIO_TOKENS_A_SECOND = 10
AUDIO_BYTES_A_SECOND = {"wav": 8_000, "pcm16": 48_000}
"""The least that is usual, so that seconds are not underestimated: 8 kHz of 8 bits; 24 kHz of 16 bits."""
COMPRESSED_AUDIO_BYTES_A_SECOND = 2_000
"""16 kbit/s."""
PAGE_TEXT_TOKENS = 3_000
PAGE_BYTES = 10_000
"""A small page: counting the pages would mean to decode and inflate the document."""
PAGES_MAX = 100
DEPTH_MAX = 4
"""How deep blocks lie in blocks: an image in a tool's result, or in a document made of blocks."""


class Media(NamedTuple):
    """What was found in all messages together."""

    base64_bytes: int
    tokens: int


NONE = Media(0, 0)


def openai(messages: list[dict[str, Any]]) -> Media:
    """Media in the messages of a chat completion. Parts that are not understood count as the text they are written in."""
    base64_bytes = tokens = 0
    for message in messages:
        content = message.get("content")
        if type(content) is list:
            for part in content:
                kind = part.get("type") if type(part) is dict else None
                if type(kind) is str and (read := _OPENAI.get(kind)):
                    found = read(part)
                    base64_bytes += found.base64_bytes
                    tokens += found.tokens
    return Media(base64_bytes, tokens) if base64_bytes or tokens else NONE


def anthropic(messages: list[dict[str, Any]]) -> Media:
    """Media in the messages of a messages request, in tools' results and in documents made of blocks too."""
    base64_bytes = tokens = 0
    for message in messages:
        content = message.get("content")
        if type(content) is list:
            found = _blocks(content, DEPTH_MAX)
            base64_bytes += found.base64_bytes
            tokens += found.tokens
    return Media(base64_bytes, tokens) if base64_bytes or tokens else NONE


def responses(items: list[dict[str, Any]]) -> Media:
    """Media in the input of a responses request: in messages, in what tools gave back, and images made earlier."""
    base64_bytes = tokens = 0
    for item in items:
        for name in ("content", "output"):
            parts = item.get(name)
            for part in parts if type(parts) is list else (parts,):
                kind = part.get("type") if type(part) is dict else None
                if type(part) is dict and type(kind) is str and (read := _RESPONSES.get(kind)):
                    found = read(part)
                    base64_bytes += found.base64_bytes
                    tokens += found.tokens
        if item.get("type") == "image_generation_call" and type(made := item.get("result")) is str:
            base64_bytes += len(made)
            tokens += _image_tokens(made, None)
    return Media(base64_bytes, tokens) if base64_bytes or tokens else NONE


def openai_image_tokens(width: int, height: int) -> int:
    """Tokens of an image in high detail: shrunk into 2048 by 2048, then to a shortest side of 768, in tiles of 512."""
    longest = max(width, height)
    if longest > 2048:
        width, height = _scaled(width, 2048, longest), _scaled(height, 2048, longest)
    shortest = min(width, height)
    if shortest > 768:
        width, height = _scaled(width, 768, shortest), _scaled(height, 768, shortest)
    return OPENAI_IMAGE_LOW + OPENAI_TILE * -(-width // 512) * -(-height // 512)


def openai_original_tokens(width: int, height: int) -> int:
    """Tokens of an image that is not shrunk: a patch of 32 by 32 pixels is a token."""
    return min(-(-width // 32) * -(-height // 32), OPENAI_PATCHES_MAX)


def anthropic_image_tokens(width: int, height: int) -> int:
    """Tokens of an image: shrunk to a longest edge of 1568, a token for 750 pixels, about 1,600 at most."""
    edge = max(width, height)
    if edge > ANTHROPIC_EDGE_MAX:
        width, height = _scaled(width, ANTHROPIC_EDGE_MAX, edge), _scaled(height, ANTHROPIC_EDGE_MAX, edge)
    return min(-(-width * height // ANTHROPIC_PIXELS_A_TOKEN), ANTHROPIC_IMAGE_MAX)


def document_tokens(base64_bytes: int, image_tokens: int) -> int:
    """Tokens of a document by its size; every page is text and an image of itself."""
    pages = min(max(1, -(-base64_bytes * 3 // 4 // PAGE_BYTES)), PAGES_MAX)
    return pages * (PAGE_TEXT_TOKENS + image_tokens)


def _scaled(length: int, limit: int, side: int) -> int:
    """The length when `side` is brought to `limit`, rounded up."""
    return -(-length * limit // side)


def _base64_of(url: Any) -> str | None:
    """The base64 of a data URL; None: it is none."""
    if type(url) is not str or url[:5].lower() != "data:":
        return None
    comma = url.find(",", 0, 256)
    return url[comma + 1 :] if comma >= 0 and url[:comma].lower().endswith(";base64") else None


def _openai_image(part: dict[str, Any]) -> Media:
    image = part.get("image_url")
    url, detail = (image.get("url"), image.get("detail")) if type(image) is dict else (image, None)
    base64 = _base64_of(url)
    return Media(len(base64 or ""), _image_tokens(base64, detail))


def _image_tokens(base64: str | None, detail: Any) -> int:
    """Tokens of an image of OpenAI's; None: it is somewhere else, and nobody knows its size."""
    if detail == "low":
        return OPENAI_IMAGE_LOW
    size = size_of(base64) if base64 else None
    if detail == "original":
        return openai_original_tokens(*size) if size else OPENAI_PATCHES_MAX
    return openai_image_tokens(*size) if size else OPENAI_IMAGE_MAX


def _openai_audio(part: dict[str, Any]) -> Media:
    audio = part.get("input_audio")
    data = audio.get("data") if type(audio) is dict else None
    if type(audio) is not dict or type(data) is not str:
        return NONE
    form = audio.get("format")
    rate = AUDIO_BYTES_A_SECOND.get(form if type(form) is str else "", COMPRESSED_AUDIO_BYTES_A_SECOND)
    return Media(len(data), -(-len(data) * 3 // 4 * AUDIO_TOKENS_A_SECOND // rate))


def _openai_file(part: dict[str, Any]) -> Media:
    file = part.get("file")
    data = file.get("file_data") if type(file) is dict else None
    if type(data) is not str:
        return Media(0, PAGES_MAX * (PAGE_TEXT_TOKENS + OPENAI_IMAGE_MAX))
    base64 = _base64_of(data)
    base64_bytes = len(data if base64 is None else base64)
    return Media(base64_bytes, document_tokens(base64_bytes, OPENAI_IMAGE_MAX))


def _responses_image(part: dict[str, Any]) -> Media:
    base64 = _base64_of(part.get("image_url"))
    return Media(len(base64 or ""), _image_tokens(base64, part.get("detail")))


def _responses_file(part: dict[str, Any]) -> Media:
    return _openai_file({"file": part})  # the same fields, one level up


_RESPONSES = {
    "input_image": _responses_image,
    "computer_screenshot": _responses_image,
    "input_audio": _openai_audio,
    "input_file": _responses_file,
}
_OPENAI = {"image_url": _openai_image, "input_audio": _openai_audio, "file": _openai_file}


def _blocks(blocks: list[Any], depth: int) -> Media:
    base64_bytes = tokens = 0
    for block in blocks:
        if type(block) is not dict:
            continue
        kind = block.get("type")
        if kind == "image":
            found = _anthropic_image(block.get("source"))
        elif kind == "document":
            found = _anthropic_document(block.get("source"), depth)
        elif depth and kind == "tool_result" and type(inner := block.get("content")) is list:
            found = _blocks(inner, depth - 1)
        else:
            continue
        base64_bytes += found.base64_bytes
        tokens += found.tokens
    return Media(base64_bytes, tokens)


def _anthropic_image(source: Any) -> Media:
    data = source.get("data") if type(source) is dict and source.get("type") == "base64" else None
    if type(data) is not str:
        return Media(0, ANTHROPIC_IMAGE_MAX)
    size = size_of(data)
    return Media(len(data), anthropic_image_tokens(*size) if size else ANTHROPIC_IMAGE_MAX)


def _anthropic_document(source: Any, depth: int) -> Media:
    kind = source.get("type") if type(source) is dict else None
    if kind == "text":
        return NONE  # it is counted as the text that it is
    if kind == "content":
        inner = source.get("content")
        return _blocks(inner, depth - 1) if depth and type(inner) is list else NONE
    data = source.get("data") if kind == "base64" else None
    if type(data) is not str:
        return Media(0, PAGES_MAX * (PAGE_TEXT_TOKENS + ANTHROPIC_IMAGE_MAX))
    return Media(len(data), document_tokens(len(data), ANTHROPIC_IMAGE_MAX))
