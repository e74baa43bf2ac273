"""A policy file's bytes to text: what is too large, not UTF-8 or not visible is refused before a parser sees it."""

from __future__ import annotations

import re

from gateway.errors import Mistake

FILE_BYTES_MAX = 4 * 1024 * 1024
TOP = "top level"
"""Path of what concerns a file's outermost level."""

# Besides controls: line ends of YAML 1.1 only (U+0085, U+2028, U+2029), which would shift line numbers and hide text, and
# the characters that reorder what a reviewer sees (bidirectional controls).
_FORBIDDEN = re.compile(
    r"[^\t\n\r\x20-\x7e\xa0-\u061b\u061d-\u200d\u2010-\u2027\u202f-\u2065\u206a-\ud7ff"
    r"\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


def decode(data: bytes, file: str, mistakes: list[Mistake]) -> str | None:
    """The file's text, less a byte order mark. None: `mistakes` says why there is none."""
    if len(data) > FILE_BYTES_MAX:
        mistakes.append(Mistake(file, 1, 1, TOP, f"the file is larger than {FILE_BYTES_MAX} bytes: split it"))
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        mistakes.append(
            Mistake(file, line, column, TOP, f"byte 0x{data[error.start]:02x} is not UTF-8: save the file as UTF-8")
        )
        return None
    found = _FORBIDDEN.search(text)
    if found is None:
        return text
    before_text = text[: found.start()]
    line, column = before_text.count("\n") + 1, len(before_text.rpartition("\n")[2]) + 1
    what = f"U+{ord(found.group()):04X} is a control or invisible character: remove it"
    mistakes.append(Mistake(file, line, column, TOP, what))
    return None
