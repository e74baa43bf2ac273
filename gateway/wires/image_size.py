"""Width and height of an image from its base64, without decoding more of it than a few headers.

Four characters are three bytes, so any byte can be reached without what stands before it: a JPEG's size is found by hopping
over its segments, however large they are. What is no PNG, JPEG, GIF or WebP, or is written in a way that a strict decoder
refuses, has no known size: whoever asks takes the maximum then.
"""

from __future__ import annotations

import binascii

SEGMENTS_MAX = 64
"""How many segments of a JPEG are hopped over before giving up."""
_NO_SIZE = frozenset((0xC4, 0xC8, 0xCC))
"""Markers between C0 and CF that begin no frame: tables, reserved, arithmetic conditioning."""
_BARE = frozenset((0x01, *range(0xD0, 0xD9)))
"""Markers without a length: TEM, RST0 to 7, SOI."""


def size_of(base64: str) -> tuple[int, int] | None:
    """(width, height) in pixels; None: unknown."""
    start = _at(base64, 0, 30)
    if start.startswith(b"\x89PNG\r\n\x1a\n") and start[12:16] == b"IHDR":
        size = _big(start[16:20]), _big(start[20:24])
    elif start.startswith(b"\xff\xd8"):
        size = _jpeg(base64)
    elif start.startswith((b"GIF87a", b"GIF89a")):
        size = _little(start[6:8]), _little(start[8:10])
    elif start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        size = _webp(start)
    else:
        return None
    return size if size[0] > 0 and size[1] > 0 else None


def _at(base64: str, offset: int, length: int) -> bytes:
    """`length` bytes from `offset`; fewer at the end, none where it is not base64 in the standard alphabet."""
    first = offset // 3 * 4
    last = -(-(offset + length) // 3) * 4
    try:
        raw = binascii.a2b_base64(base64[first:last], strict_mode=True)
    except ValueError:  # binascii.Error is one, and so is what a character outside ASCII raises
        return b""
    return raw[offset % 3 :][:length]


def _big(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


def _little(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


def _webp(start: bytes) -> tuple[int, int]:
    """https://developers.google.com/speed/webp/docs/riff_container and RFC 6386, section 9.1"""
    form = start[12:16]
    if form == b"VP8X":
        return _little(start[24:27]) + 1, _little(start[27:30]) + 1
    if form == b"VP8L" and start[20:21] == b"\x2f":
        bits = _little(start[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if form == b"VP8 " and start[23:26] == b"\x9d\x01\x2a":
        return _little(start[26:28]) & 0x3FFF, _little(start[28:30]) & 0x3FFF
    return 0, 0


def _jpeg(base64: str) -> tuple[int, int]:
    """ITU T.81, annex B: segments of a marker (FF xx) and a length, until the one that begins the frame."""
    offset = 2
    for _ in range(SEGMENTS_MAX):
        segment = _at(base64, offset, 9)
        if len(segment) < 4 or segment[0] != 0xFF:
            break
        marker = segment[1]
        if marker == 0xFF:  # a fill byte
            offset += 1
        elif marker in _BARE:
            offset += 2
        elif 0xC0 <= marker <= 0xCF and marker not in _NO_SIZE:
            return _big(segment[7:9]), _big(segment[5:7])
        else:
            offset += 2 + _big(segment[2:4])
    return 0, 0
