"""Reading a mapping word by word: unknown words, missing words and wrong values become mistakes, never exceptions.

Rule: whoever reads gets a value whatever happens (a placeholder after a mistake), so that reading goes on and every mistake
of a directory is found in one go; a policy with any mistake in its report is never handed out.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TypeVar

from gateway.errors import Mistake
from gateway.policy import scalars
from gateway.policy.model import NO_PLACES, Place
from gateway.policy.yaml_text import TOP
from gateway.policy.yaml_tree import Items, Node, Scalar, Table, join, shown

T = TypeVar("T")
W = TypeVar("W", bound=str)

_ALLOWED_SHOWN_MAX = 24
_ALLOWED_SHOWN_AT_A_LOSS_MAX = 64
"""As many are shown where nothing similar can be named."""
_SUGGESTED_AMONG_MAX = 500
"""Above it, looking for a similar word among all of them takes longer than it helps."""


_PLACED = ("budgets", "hash", "id", "keys", "purposes")


class Report:
    """The mistakes of one file; `mistakes` is shared by all files of a directory."""

    __slots__ = ("file", "mistakes")

    def __init__(self, file: str, mistakes: list[Mistake]) -> None:
        self.file = file
        self.mistakes = mistakes

    def add(self, node: Node, path: str, message: str) -> None:
        self.mistakes.append(Mistake(self.file, node.line, node.column, path or TOP, message))

    def place(self, node: Node) -> Place:
        return Place(self.file, node.line, node.column)

    def add_at(self, place: Place, path: str, message: str) -> None:
        """As `add`, of a place that may be in another file of the directory."""
        self.mistakes.append(Mistake(place.file, place.line, place.column, path or TOP, message))


class Fields:
    """One mapping and the words it may hold; every other word is reported at once.

    `is_usable` is False where there is no mapping at all (reported): then nothing in it is reported as missing.
    """

    __slots__ = ("_entries", "is_usable", "node", "path", "report")

    def __init__(self, report: Report, node: Node, path: str, words: Collection[str]) -> None:
        self.report = report
        self.node = node
        self.path = path
        self.is_usable = isinstance(node, Table)
        self._entries = node.entries if isinstance(node, Table) else {}
        if not self.is_usable:
            _report_kind(report, node, path, "a mapping", "write `{}` for an empty one")
        for word, (key, _) in self._entries.items():
            if word not in words:
                report.add(key, join(path, word), f"unknown word; {among(word, words)}")

    def __contains__(self, word: str) -> bool:
        return word in self._entries

    def at(self, word: str) -> str:
        """The path of one of its words."""
        return join(self.path, word)

    def value(self, word: str) -> Node | None:
        entry = self._entries.get(word)
        return entry[1] if entry else None

    def get(self, word: str, read: Callable[[Scalar], T], default: T) -> T:
        """The word's value as `read` makes it from its scalar. `default` where it is missing or wrong."""
        node = self.value(word)
        return default if node is None else scalar(self.report, node, self.at(word), read, default)

    def need(self, word: str, read: Callable[[Scalar], T], placeholder: T) -> T:
        """As `get`, but a missing word is a mistake."""
        if word not in self._entries and self.is_usable:
            self.report.add(self.node, self.path, f"`{word}` is missing")
        return self.get(word, read, placeholder)

    def places(self) -> Mapping[str, Place]:
        """Where each of its words was written, but for those whose values know it themselves, or have none to explain."""
        return {word: self.report.place(key) for word, (key, _) in self._entries.items() if word not in _PLACED} or NO_PLACES

    def refuse(self, word: str, why: str) -> None:
        """Report the word where it was written."""
        if word in self._entries:
            self.report.add(self._entries[word][0], self.at(word), why)

    def complain(self, word: str, why: str) -> None:
        """Report the word's value."""
        if word in self._entries:
            self.report.add(self._entries[word][1], self.at(word), why)

    def items(self, word: str, *, may_be_empty: bool = True) -> Iterator[tuple[str, Node]]:
        """The entries of a list with their paths. A missing word is an empty list.

        `may_be_empty` decides what is advised where nothing is written; whoever reads reports an empty list.
        """
        node = self.value(word)
        if isinstance(node, Items):
            for index, item in enumerate(node.items):
                yield f"{self.at(word)}[{index}]", item
        elif node is not None:
            advice = "write `[]` for an empty one" if may_be_empty else "remove the word"
            _report_kind(self.report, node, self.at(word), "a list", advice)

    def named(self, word: str) -> Iterator[tuple[str, str, Scalar, Node]]:
        """The entries of a mapping from names: (name, path, key's node, value); names that are none are reported."""
        node = self.value(word)
        if isinstance(node, Table):
            for name, (key, value) in node.entries.items():
                path = f"{self.at(word)}.{name}"
                try:
                    yield scalars.name(name), path, key, value
                except ValueError as error:
                    self.report.add(key, join(self.at(word), name), str(error))
        elif node is not None:
            _report_kind(self.report, node, self.at(word), "a mapping", "write `{}` for an empty one")


def key_of(node: Node, word: str) -> Node:
    """Where a word of a mapping is written; the mapping itself where it is not."""
    return node.entries[word][0] if isinstance(node, Table) and word in node.entries else node


def value_of(node: Node, word: str) -> Node:
    """As `key_of`, of the word's value."""
    return node.entries[word][1] if isinstance(node, Table) and word in node.entries else node


def only(node: Node, words: Collection[str]) -> Node:
    """The mapping with these of its words alone, for whoever keeps it: a tree takes much more memory than what it says."""
    if not isinstance(node, Table):
        return node
    return Table(node.line, node.column, {word: node.entries[word] for word in words if word in node.entries})


def scalar(report: Report, node: Node, path: str, read: Callable[[Scalar], T], default: T) -> T:
    """The scalar's value as `read` makes it. `default`, after a report, where it is none or `read` raises ValueError."""
    if not isinstance(node, Scalar):
        report.add(node, path, f"expected a single value, not {'a list' if isinstance(node, Items) else 'a mapping'}")
        return default
    if node.kind == "bad":
        return default
    if node.kind == "null":
        report.add(node, path, "nothing is written here: write a value, or remove the word")
        return default
    try:
        return read(node)
    except ValueError as error:
        report.add(node, path, str(error))
        return default


def text(read: Callable[[str], T]) -> Callable[[Scalar], T]:
    """A reader of text. Numbers and booleans are refused: text that looks like one must be quoted."""

    def read_text(node: Scalar) -> T:
        if node.kind != "text":
            raise ValueError(f'{node.text[:40]} is not text to YAML: write "{node.text[:40]}" in quotes')
        return read(node.text)

    return read_text


def one_of(words: Collection[W]) -> Callable[[Scalar], W]:
    """A reader of one word of a closed set."""

    def read_word(node: Scalar) -> W:
        if node.kind == "text":
            for word in words:
                if word == node.text:
                    return word
        raise ValueError(f"{shown(node.text)} is not known; {among(node.text, words)}")

    return read_word


def boolean(node: Scalar) -> bool:
    if node.kind != "bool":
        raise ValueError("expected `true` or `false`")
    return node.text == "true"


def count(node: Scalar) -> int:
    """A count, in digits (not quoted) or with a suffix."""
    if node.kind == "text" and node.text.lstrip("-").isdigit():
        raise ValueError(f"a number is written without quotes: {node.text[:40]}")
    return scalars.count(node.text)


def size(node: Scalar) -> int:
    """A count of bytes, or a size with its unit."""
    if node.kind == "text" and node.text.lstrip("-").isdigit():
        return count(node)
    return scalars.size_bytes(node.text)


def thousandths(least: int, most: int) -> Callable[[Scalar], int]:
    """A reader of a decimal number between the two, all in thousandths."""

    def read_thousandths(node: Scalar) -> int:
        if node.kind == "text" and node.text.replace(".", "", 1).isdigit():
            raise ValueError(f"a number is written without quotes: {node.text[:40]}")
        milli = scalars.thousandths(node.text)
        if not least <= milli <= most:
            ends = f"{scalars.format_thousandths(least)} to {scalars.format_thousandths(most)}"
            raise ValueError(f"{node.text[:40]} is out of bounds: {ends}")
        return milli

    return read_thousandths


def money(node: Scalar) -> int:
    return scalars.money_nano_usd(node.text)


def among(word: str, words: Collection[str]) -> str:
    """What is allowed: `did you mean ...?` where something is similar, and the whole set where it is short."""
    hints = []
    if len(words) <= _SUGGESTED_AMONG_MAX:
        hints += [f"did you mean `{similar}`?" for similar in difflib.get_close_matches(word[:64], words, 1)]
    if 0 < len(words) <= (_ALLOWED_SHOWN_MAX if hints else _ALLOWED_SHOWN_AT_A_LOSS_MAX):
        hints.append(f"allowed: {', '.join(words)}")
    return " ".join(hints) or f"there are {len(words)} to choose from"


def _report_kind(report: Report, node: Node, path: str, expected: str, when_empty: str) -> None:
    if isinstance(node, Scalar):
        if node.kind == "bad":
            return
        if node.kind == "null":
            report.add(node, path, f"expected {expected}, not nothing: {when_empty}")
        else:
            report.add(
                node, path, f"expected {expected}, not a single value{': put it in [ ]' if expected == 'a list' else ''}"
            )
    else:
        report.add(node, path, f"expected {expected}, not {'a list' if isinstance(node, Items) else 'a mapping'}")
