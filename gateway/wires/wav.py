"""How long a recording is, where its head says so cheaply and cannot lie to its own profit: WAV with plain samples. Pure.

The samples are counted by the file's size, not by what its head claims of them; only their rate is the head's, and a server
plays them at that rate too. Compressed sound tells nothing of its length without being read to its end.
"""

from __future__ import annotations

from struct import unpack_from

_PLAIN = frozenset((1, 3, 6, 7, 0xFFFE))
"""PCM, floats, A-law, mu-law, and "see the extension", which is one of them."""
_CHUNKS_MAX = 32
RATE_MAX = 768_000
CHANNELS_MAX = 32


def seconds_of(head: bytes, size: int) -> int | None:
    """Seconds of a file of `size` bytes that begins with `head`, rounded up; None: its head does not tell."""
    if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
        return None
    at = 12
    bytes_a_second = 0
    for _ in range(_CHUNKS_MAX):
        if at + 8 > len(head):
            return None
        name, length = head[at : at + 4], int(unpack_from("<I", head, at + 4)[0])
        at += 8
        if name == b"data":
            return -(-max(size - at, 0) // bytes_a_second) if bytes_a_second else None
        if name == b"fmt ":
            if length < 16 or at + 16 > len(head):
                return None
            kind, channels, rate, _, _, bits = unpack_from("<HHIIHH", head, at)
            is_known = kind in _PLAIN and 0 < channels <= CHANNELS_MAX and 0 < rate <= RATE_MAX and bits in (8, 16, 24, 32, 64)
            if not is_known or bytes_a_second:
                return None
            bytes_a_second = rate * channels * bits // 8
        at += length + length % 2
    return None
