"""What a plain (unquoted) YAML scalar means, where every YAML reader agrees; where they don't, a mistake.

`no`, `012`, `1_0`, `12:30` and `2024-01-01` are a boolean, eight, ten, 750 and a date to one reader and plain text to the
next. A policy that means different limits to different eyes is refused: write the value out, or quote the text.
Here lives the meaning of one scalar's text; positions, nesting and the parser are `yaml_tree`'s.
"""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["text", "int", "float", "bool", "null", "bad"]
"""What a scalar is. "bad": it has been reported as a mistake already, say nothing more about it."""

_SWITCHES = {"yes": "true", "y": "true", "on": "true", "no": "false", "n": "false", "off": "false"}
_INT = re.compile(r"-?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")
_SURPRISES = (
    (re.compile(r"[-+]?0x[0-9a-f_]+", re.I), "is a hexadecimal number to YAML"),
    (re.compile(r"[-+]?0[bo][0-7_]+", re.I), "is a binary or octal number to YAML"),
    (re.compile(r"[-+]?0[0-9_]+"), "is an octal number to some YAML readers"),
    (re.compile(r"[-+]?[0-9][0-9_]*(?::[0-9_]+)+(?:\.[0-9_]*)?"), "is a number in base 60 to some YAML readers"),
    (re.compile(r"[-+]?\.(?:inf|nan)", re.I), "is no finite number"),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?", re.S), "is a date to some YAML readers"),
    # Last: numbers of any other spelling (1_000, +5, 1., .5, 1e6).
    (
        re.compile(r"[-+]?(?:[0-9][0-9_]*)?\.?[0-9_]*(?:e[-+]?[0-9]+)?", re.I),
        "is a number to some YAML readers and text to others",
    ),
)


class Surprise(ValueError):
    """A scalar that YAML readers disagree on. The message says how, and what to write instead."""


def kind_of_plain(text: str) -> Kind:
    """What `text`, written without quotes, is. Raises Surprise."""
    word = text.lower()
    if text[:1].isalpha() and len(text) > 5:  # longer than any word YAML knows: names, durations, amounts
        return "text"
    if text in ("", "~", "null"):
        return "null"
    if text in ("true", "false"):
        return "bool"
    if word in ("true", "false", "null"):
        raise Surprise(f'`{text}`: write `{word}` in lower case, or "{text}" in quotes for the word')
    if word in _SWITCHES:
        raise Surprise(
            f'`{text}` is a boolean to some YAML readers: write `{_SWITCHES[word]}`, or "{text}" in quotes for the word'
        )
    if text == "=":
        raise Surprise('`=` has a meaning of its own in YAML: write "=" in quotes')
    if text[0] in "-+.0123456789":
        return _kind_of_numeric(text)
    return "text"


def _kind_of_numeric(text: str) -> Kind:
    if _INT.fullmatch(text):
        return "int"
    if _FLOAT.fullmatch(text):
        return "float"
    if not any(character.isdigit() for character in text) and text[-1:].lower() not in "fn":
        return "text"  # a dash, dots, signs alone
    for pattern, meaning in _SURPRISES:
        if pattern.fullmatch(text):
            shown = text if len(text) <= 40 else text[:37] + "..."
            raise Surprise(f"`{shown}` {meaning}: write a number in plain digits, and text in quotes")
    return "text"
