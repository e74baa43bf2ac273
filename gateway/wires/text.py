"""Text on its way into an answer's JSON."""

from __future__ import annotations


def clean(text: str) -> str:
    """The text without lone surrogates, which no JSON in UTF-8 can hold: headers that are not UTF-8 arrive with such."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
