"""Tokens of images, audio and documents: the providers' documented examples, and sizes read out of headers."""

import base64
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wires import media
from gateway.wires.image_size import size_of
from gateway.wires.media import Media


def b64(raw):
    return base64.b64encode(raw).decode()


def png(width, height, padding=0):
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", width, height, 8, 2, 0, 0, 0) + bytes(4 + padding)


def jpeg(width, height, *segments, marker=0xC0):
    frame = struct.pack(">BBHBHHB", 0xFF, marker, 17, 8, height, width, 3) + bytes(9)
    return b"\xff\xd8" + b"".join(b"\xff" + bytes([m]) + struct.pack(">H", n + 2) + bytes(n) for m, n in segments) + frame


def webp(form, rest):
    return b"RIFF" + struct.pack("<I", 22 + len(rest)) + b"WEBP" + form + struct.pack("<I", len(rest)) + rest + bytes(8)


IMAGES = {
    "png": (png(1024, 768), (1024, 768)),
    "gif": (b"GIF89a" + struct.pack("<HH", 320, 200) + bytes(20), (320, 200)),
    "jpeg": (jpeg(640, 480, (0xE0, 14)), (640, 480)),
    "jpeg, progressive, behind a thumbnail and profiles": (
        jpeg(4000, 3000, (0xE1, 65_000), (0xE2, 65_533), (0xE2, 1), (0xDB, 65), (0xC4, 29), marker=0xC2),
        (4000, 3000),
    ),
    "webp, lossy": (webp(b"VP8 ", b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", 800, 600)), (800, 600)),
    "webp, lossless": (webp(b"VP8L", b"\x2f" + struct.pack("<I", (99) | (49 << 14))), (100, 50)),
    "webp, extended": (webp(b"VP8X", bytes(4) + (1919).to_bytes(3, "little") + (1079).to_bytes(3, "little")), (1920, 1080)),
    "nothing wide": (png(0, 5), None),
    "no image": (b"%PDF-1.7 and more of it, but no image", None),
    "cut off": (jpeg(640, 480)[:9], None),
    "empty": (b"", None),
    "jpeg without a frame": (jpeg(1, 1, *[(0xE0, 4)] * 100), None),
}


@pytest.mark.parametrize(("raw", "size"), IMAGES.values(), ids=IMAGES)
def test_sizes_are_read_from_headers(raw, size):
    """Each format's own header gives width and height; what cannot be read is unknown."""
    assert size_of(b64(raw)) == size


@pytest.mark.parametrize("text", ["\u00fc" * 60, "====", "!" * 80, "%2B" * 30, "iVBO Rw0K Ggo=", b64(png(9, 9))[:-1] + "\n"])
def test_what_is_not_strict_base64_is_unknown(text):
    """A decoder that is more lenient than ours may see another image: then the maximum is taken."""
    assert size_of(text) in (None, (9, 9))


@given(st.binary(max_size=80), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"GIF89a", b"RIFF1234WEBPVP8L"]))
def test_no_header_raises(raw, start):
    """Whatever stands behind a magic number."""
    size = size_of(b64(start + raw))
    assert size is None or min(size) > 0


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [
        *((1024, 1024, 765), (2048, 4096, 1105), (512, 512, 255), (513, 100, 425), (4096, 4096, 765)),
        *((3000, 10_000, 1445), (700, 2048, 1445), (2**31, 1, 765)),
    ],
)
def test_openai_images(width, height, tokens):
    """The guide's examples (1024 by 1024 and 2048 by 4096), and the edges of the formula."""
    assert media.openai_image_tokens(width, height) == tokens


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [(200, 200, 54), (1000, 1000, 1334), (1092, 1092, 1590), (8000, 8000, 1600), (3136, 10, 11)],
)
def test_anthropic_images(width, height, tokens):
    """The guide's examples, and one that is shrunk."""
    assert media.anthropic_image_tokens(width, height) == tokens


def test_no_image_costs_more_than_an_unknown_one():
    """The maximum is one."""
    chance = random.Random(1)
    for _ in range(2000):
        width, height = chance.randrange(1, 20_000), chance.randrange(1, 20_000)
        assert media.openai_image_tokens(width, height) <= media.OPENAI_IMAGE_MAX
        assert media.anthropic_image_tokens(width, height) <= media.ANTHROPIC_IMAGE_MAX


SQUARE = b64(png(1024, 1024, padding=3000))
URL = f"data:image/png;base64,{SQUARE}"
PDF = b64(bytes(95_000))
PAGE = media.PAGE_TEXT_TOKENS

OPENAI = [
    ({"type": "text", "text": URL}, Media(0, 0)),
    ({"type": "image_url", "image_url": {"url": URL}}, Media(len(SQUARE), 765)),
    ({"type": "image_url", "image_url": {"url": URL, "detail": "high"}}, Media(len(SQUARE), 765)),
    ({"type": "image_url", "image_url": {"url": URL, "detail": "low"}}, Media(len(SQUARE), 85)),
    ({"type": "image_url", "image_url": URL}, Media(len(SQUARE), 765)),
    ({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, Media(0, 1445)),
    ({"type": "image_url", "image_url": {"url": "data:image/png,raw"}}, Media(0, 1445)),
    ({"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}, Media(0, 1445)),
    ({"type": "image_url", "image_url": 3}, Media(0, 1445)),
    ({"type": "input_audio", "input_audio": {"data": "A" * 32_000, "format": "wav"}}, Media(32_000, 30)),
    ({"type": "input_audio", "input_audio": {"data": "A" * 32_000, "format": "mp3"}}, Media(32_000, 120)),
    ({"type": "input_audio", "input_audio": {"data": "A" * 32_000, "format": []}}, Media(32_000, 120)),
    ({"type": "input_audio", "input_audio": []}, Media(0, 0)),
    ({"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}"}}, Media(len(PDF), 10 * (PAGE + 1445))),
    ({"type": "file", "file": {"file_id": "file-1"}}, Media(0, 100 * (PAGE + 1445))),
    ({"type": []}, Media(0, 0)),
    ("text", Media(0, 0)),
]


@pytest.mark.parametrize(("part", "expected"), OPENAI, ids=range(len(OPENAI)))
def test_parts_of_a_chat(part, expected):
    """Base64 is told apart from text, remote media cost the maximum, and what is not understood counts as its text."""
    assert media.openai([{"role": "user", "content": [part]}, {"role": "user", "content": URL}]) == expected


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": SQUARE}}
WHOLE_PAGE = PAGE + 1600
ANTHROPIC = [
    (IMAGE, Media(len(SQUARE), 1399)),
    ({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}, Media(0, 1600)),
    ({"type": "image"}, Media(0, 1600)),
    ({"type": "tool_result", "content": [IMAGE, {"type": "text", "text": "x"}]}, Media(len(SQUARE), 1399)),
    ({"type": "tool_result", "content": "text"}, Media(0, 0)),
    ({"type": "document", "source": {"type": "base64", "data": PDF}}, Media(len(PDF), 10 * WHOLE_PAGE)),
    ({"type": "document", "source": {"type": "text", "data": "plain"}}, Media(0, 0)),
    ({"type": "document", "source": {"type": "content", "content": [IMAGE]}}, Media(len(SQUARE), 1399)),
    ({"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}}, Media(0, 100 * WHOLE_PAGE)),
    ({"type": "document", "source": 3}, Media(0, 100 * WHOLE_PAGE)),
    ({"type": ["image"]}, Media(0, 0)),
    (None, Media(0, 0)),
]


@pytest.mark.parametrize(("block", "expected"), ANTHROPIC, ids=range(len(ANTHROPIC)))
def test_blocks_of_messages(block, expected):
    """Also inside tools' results and documents made of blocks."""
    assert media.anthropic([{"role": "user", "content": [block]}, {"role": "user", "content": "text"}]) == expected


def test_nesting_is_bounded():
    """Blocks in blocks a thousand deep are not followed to their end."""
    block = IMAGE
    for _ in range(900):
        block = {"type": "tool_result", "content": [block]}
    assert media.anthropic([{"role": "user", "content": [block]}]) == Media(0, 0)
