"""Mistakes for people: each with the line that is meant and a caret under its place.

What is shown goes to terminals and into logs of builds, so no line is repeated as it stands: what could be a key or a password
is covered, what does not print becomes `?`, and of a long line there is the part around the place.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from gateway.errors import Mistake, PolicyErrors

WIDTH_MAX = 120
"""Characters of a line that are shown."""
_HASH = re.compile(r"""(hash["']?\s*:\s*)(?!["']?hmac-sha256:[0-9a-f]{64}\b)(\S.*)""")
"""A key where its hash should be."""
_SECRETS = (re.compile(r"\b(?:sk|pk|key|token)-[\w-]{8,}"), re.compile(r"""(?<=://)[^@/\s"']*(?=@)"""))
_SECRET_WORDS = ("hash", "id", "key_env")
"""Where a key is pasted by mistake: what stands under these words is covered if it is wrong."""


def report(errors: PolicyErrors) -> str:
    """All mistakes of a directory, each under its one-line form."""
    return "\n".join(reported(errors.mistakes, errors.sources))


def reported(mistakes: Iterable[Mistake], sources: Mapping[str, bytes]) -> Iterable[str]:
    """Each mistake as text of one or three lines: where a file could not be read there is nothing to show."""
    lines: dict[str, list[str]] = {}
    for mistake in mistakes:
        if mistake.file not in lines:
            text = sources.get(mistake.file, b"").decode("utf-8-sig", "replace")
            lines[mistake.file] = re.split(r"\r\n|\r|\n", text)
        found = lines[mistake.file]
        if mistake.line <= len(found) and found[mistake.line - 1].strip():
            yield f"{mistake}\n{excerpt(found[mistake.line - 1], mistake)}"
        else:
            yield str(mistake)


def excerpt(line: str, mistake: Mistake) -> str:
    """The line with its number, and the caret below."""
    at = min(mistake.column - 1, len(line))
    line = _without_secrets(line, at, mistake.path)
    start = 0 if len(line) <= WIDTH_MAX else max(0, min(at - WIDTH_MAX // 2, len(line) - WIDTH_MAX))
    before, rest = _printable(line[start:at]), _printable(line[at : start + WIDTH_MAX])
    ahead, behind = "..." if start else "", "..." if start + WIDTH_MAX < len(line) else ""
    number = f"{mistake.line:5d}"
    margin = " " * (len(ahead) + sum(_width(character) for character in before))
    return f"{number} | {ahead}{before}{rest}{behind}\n{' ' * len(number)} | {margin}^"


def _without_secrets(line: str, at: int, path: str) -> str:
    """The line, as long as it was."""
    if path.rpartition(".")[2] in _SECRET_WORDS:
        line = line[:at] + "*" * (len(line) - at)
    line = _HASH.sub(lambda found: found[1] + "*" * len(found[2]), line)
    for secret in _SECRETS:
        line = secret.sub(lambda found: "*" * len(found[0]), line)
    return line


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " if character == "\t" else "?" for character in text)


def _width(character: str) -> int:
    """Columns of a terminal."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "FW" else 1
