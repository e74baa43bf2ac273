r"""RE2 patterns, and what can be told of them from how they are written.

A pattern's `prefix` matches whatever the pattern matches, and also any text that could still become a match if more came: each
place that takes a character, or looks at one, may also stand at the end of the text. `sk-\d+` becomes
`(?:s|\z)(?:k|\z)(?:-|\z)(?:\d|\z)+`. Because the order of alternatives is kept, the match found is the one that the pattern
itself would find, or it reaches the text's end: then nobody knows yet.

It is made from RE2's syntax token by token; nothing has to be understood of how tokens are put together.

Failure policy: a pattern that RE2 does not take, that matches nothing at all (the empty string), or that is too large is a
ValueError when it is compiled. All that compiles runs in time linear in its text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import re2

PROGRAM_MAX = 10_000
"""Instructions of a compiled pattern: a search that runs out of memory for its states takes that many steps a byte."""

Span = tuple[int, int]
Match = Callable[[object, bytes, int, int], Sequence[Span]]
"""(anchor, text, begin, end) -> [span of the match], (-1, -1) where there is none. Text around begin and end is seen by
assertions, which makes it more than a search of a part."""

ANYWHERE = re2._Anchor.UNANCHORED
HERE = re2._Anchor.ANCHOR_START
WHOLE = re2._Anchor.ANCHOR_BOTH

_NOTHING = r"[^\x00-\x{10FFFF}]"
_REPEAT = re.compile(r"\{\d+(?:,\d*)?\}")
_GROUP = re.compile(r"\((?:\?(?:P?<\w+>|[imsU-]*[:)]))?")
_ESCAPE = re.compile(r"\\(?:[pP](?:\{[^}]*\}|.)|x(?:\{[^}]*\}|..)|[0-7]{1,3}|.)", re.DOTALL)
_ASSERTIONS = (r"\A", r"\z", r"\b", r"\B")


class Pattern(NamedTuple):
    """A pattern that has been checked, as texts that can be put together with others by `|`."""

    text: str
    prefix: str
    looks_around: bool
    """It has an assertion (`^`, `\\b`): what stands before a text matters."""


def compiled(text: str, *, takes_longest: bool = False) -> Match:
    """A search for a pattern. Raises ValueError with RE2's reason."""
    return _compile(text, takes_longest=takes_longest)._regexp.Match  # type: ignore[no-any-return]


def literal(text: str) -> Pattern:
    """The pattern of a text that stands for itself."""
    return Pattern(re2.escape(text), "".join(_or_end(re2.escape(each)) for each in text), False)


def pattern(text: str) -> Pattern:
    """Check a pattern. Raises ValueError with a reason that names what is wrong in it."""
    _compile(text)
    tokens = list(_tokens(text))
    prefix = "".join(_or_end(token) if kind != "joint" else token for kind, token in tokens)
    bare = "".join({"atom": _NOTHING, "assertion": "(?:)", "joint": token}[kind] for kind, token in tokens)
    if compiled(bare)(WHOLE, b"", 0, 0)[0] == (0, 0):
        raise ValueError("it matches the empty string, and so would match everywhere")
    if (size := _compile(prefix).programsize) > PROGRAM_MAX:
        raise ValueError(f"it is too large: {size} instructions of at most {PROGRAM_MAX}; repeat less")
    return Pattern("".join(token for _, token in tokens), prefix, looks_around=any(kind == "assertion" for kind, _ in tokens))


def _compile(text: str, *, takes_longest: bool = False) -> re2._Regexp:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True  # a search that asks for no groups needs no second pass
    options.longest_match = takes_longest
    try:
        return re2.compile(text.encode(), options)
    except re2.error as error:
        reason = error.args[0] if error.args else "unknown"
        raise ValueError(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)) from None
    except UnicodeEncodeError:
        raise ValueError("it has half of a surrogate pair in it") from None


def _or_end(token: str) -> str:
    return rf"(?:{token}|\z)"


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """A valid pattern's tokens: an "atom" takes one character, an "assertion" none, a "joint" is what holds them together.

    They are written so that each means the same wherever it is put: a bracket that stands for itself is escaped.
    """
    at = 0
    while at < len(text):
        if text.startswith(r"\Q", at):
            quoted, _, _ = text[at + 2 :].partition(r"\E")
            yield from (("atom", re2.escape(each)) for each in quoted)
            at += len(quoted) + 4
            continue
        kind, token, at = _next(text, at)
        yield kind, token


def _next(text: str, at: int) -> tuple[str, str, int]:
    """The token at a place, and where it ends."""
    letter = text[at]
    if letter == "\\":
        end = _end_of(_ESCAPE, text, at)
        if text[at:end] == r"\C":
            raise ValueError(r"it has \C in it, which matches bytes and not characters")
        return "assertion" if text[at:end] in _ASSERTIONS else "atom", text[at:end], end
    if letter == "[":
        return "atom", *_class(text, at)
    if letter == "(":
        end = _end_of(_GROUP, text, at)
        # Two patterns that are put together may not have groups of one name.
        return "joint", "(?:" if "<" in text[at:end] else text[at:end], end
    if letter == "{" and (repeat := _REPEAT.match(text, at)):
        return "joint", repeat.group(), repeat.end()
    if letter in "^$":
        return "assertion", letter, at + 1
    if letter in ")|*+?":
        return "joint", letter, at + 1
    return "atom", letter if letter == "." else re2.escape(letter), at + 1


def _class(text: str, at: int) -> tuple[str, int]:
    end = at + (2 if text.startswith("[^", at) else 1)
    parts = [text[at:end]]
    is_first = True  # a closing bracket that comes first stands for itself
    while text[end] != "]" or is_first:
        begin, is_first = end, False
        if text[end] == "\\":
            end = _end_of(_ESCAPE, text, end)
        elif text.startswith("[:", end) and (close := text.find(":]", end + 2)) >= 0:
            end = close + 2
        else:
            end += 1
            parts.append("\\" if text[begin] in "[]" else "")
        parts.append(text[begin:end])
    return "".join(parts) + "]", end + 1


def _end_of(syntax: re.Pattern[str], text: str, at: int) -> int:
    found = syntax.match(text, at)
    if found is None:
        raise ValueError(f"the syntax after its first {at} characters is not understood")
    return found.end()
