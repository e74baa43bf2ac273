"""Strict reading of one YAML file into a tree whose every node knows its line and column.

The only module that touches a YAML parser. It takes the parser's events, never its constructors: nothing in a file can
make an object, and there are no anchors, aliases, merge keys, tags or directives to expand. What the words mean is the
business of whoever reads the tree.

Failure policy: every mistake is appended to a list and reading goes on with a node of kind "bad"; what the parser itself
cannot get past (and a file too large or too deep) ends the file with one mistake and no tree.
"""

from __future__ import annotations

import re
from functools import lru_cache
from sys import intern
from typing import Any, NamedTuple

import yaml

from gateway.errors import Mistake
from gateway.policy.yaml_plain import Kind, Surprise, kind_of_plain
from gateway.policy.yaml_text import TOP, decode

DEPTH_MAX = 32

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is 10 times as fast, and not in every build
_PLAIN_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Scalar(NamedTuple):
    """`text` is as written (unescaped when quoted); `kind` is "text" for everything quoted."""

    line: int
    column: int
    text: str
    kind: Kind


class Items(NamedTuple):
    line: int
    column: int
    items: list[Node]


class Table(NamedTuple):
    line: int
    column: int
    entries: dict[str, tuple[Scalar, Node]]
    """By key: the key's own node, and the value."""


Node = Scalar | Items | Table


def join(path: str, key: str) -> str:
    """`path.key`, the key quoted where it is not a plain word (so that no control character reaches a terminal)."""
    word = _word(key)
    return word if path in ("", TOP) else f"{path}.{word}"


@lru_cache(maxsize=1024)  # it is asked of every word of every mapping, and there are few
def _word(key: str) -> str:
    return key if _PLAIN_WORD.fullmatch(key) else shown(key)


def shown(text: str) -> str:
    """Text of a file as it may stand in a message: quoted, escaped, at most 40 characters of it."""
    return repr(text if len(text) <= 40 else text[:37] + "...")


def read_tree(data: bytes, file: str, mistakes: list[Mistake]) -> Node | None:
    """The tree of a file's only document. None: it has none, and `mistakes` says why."""
    text = decode(data, file, mistakes)
    if text is None:
        return None
    builder = _Builder(file, mistakes)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        builder.report(error.problem_mark or error.context_mark, _explain(error, text))
        return None
    except _Unreadable as stop:
        builder.report(stop.mark, str(stop))
        return None
    if builder.root is None:
        mistakes.append(Mistake(file, 1, 1, TOP, "the file is empty"))
    return builder.root


_TOO_DEEP = f"nested deeper than {DEPTH_MAX} levels"


class _Unreadable(Exception):
    def __init__(self, mark: Any, message: str) -> None:
        super().__init__(message)
        self.mark = mark


def _explain(error: yaml.MarkedYAMLError, text: str) -> str:
    mark = error.problem_mark
    at = text[mark.index : mark.index + 1] if mark is not None and mark.index is not None else ""
    if "alias" in (error.context or ""):
        return 'a word that begins with `*` is an alias to YAML: put the glob in quotes, as in "*-mini"'
    if at == "\t":
        return "a tab cannot indent YAML: use spaces"
    if "nesting depth" in (error.problem or ""):  # the parser's own bound, where it looks far ahead of what it has told us
        return _TOO_DEEP
    context = f" ({error.context})" if error.context else ""
    return f"this is not YAML: {error.problem}{context}"


class _Frame:
    """An unfinished Table or Items. `key` is the key read last in a Table; `wants_value`: its value has not come yet."""

    __slots__ = ("key", "node", "wants_value")

    def __init__(self, node: Items | Table) -> None:
        self.node = node
        self.key: Scalar | None = None
        self.wants_value = False


class _Builder:
    """Takes the parser's events one at a time; no recursion, so depth costs nothing before it is refused."""

    def __init__(self, file: str, mistakes: list[Mistake]) -> None:
        self.root: Node | None = None
        self._file = file
        self._mistakes = mistakes
        self._frames: list[_Frame] = []
        self._documents = 0

    def report(self, mark: Any, message: str, *, key: str = "") -> None:
        """Append a mistake. `key`: the key it concerns, where that is not what is being read."""
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        path = join(self._path(), key) if key else self._path()
        self._mistakes.append(Mistake(self._file, line, column, path, message))

    def take(self, event: Any) -> None:
        mark = event.start_mark
        if isinstance(event, yaml.ScalarEvent):
            self._place(self._scalar(event, mark), mark)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._forbid_marks(event, mark)
            is_table = isinstance(event, yaml.MappingStartEvent)
            line, column = mark.line + 1, mark.column + 1
            node: Items | Table = Table(line, column, {}) if is_table else Items(line, column, [])
            self._place(node, mark)
            self._frames.append(_Frame(node))
            if len(self._frames) > DEPTH_MAX:
                raise _Unreadable(mark, _TOO_DEEP)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._frames.pop()
        elif isinstance(event, yaml.AliasEvent):
            written = f"*{event.anchor}"[:40]
            self.report(mark, f'`{written}` is an alias, and aliases are not allowed: write a glob in quotes, "{written}"')
            self._place(Scalar(mark.line + 1, mark.column + 1, "", "bad"), mark)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _Unreadable(mark, "a second document (`---`): a file holds one, split it")
            if event.version or event.tags:
                self.report(mark, "directives (`%YAML`, `%TAG`) are not allowed: remove the line")

    def _scalar(self, event: yaml.ScalarEvent, mark: Any) -> Scalar:
        text: str = event.value
        kind: Kind = "text"
        if not self._forbid_marks(event, mark):
            kind = "bad"
        elif not event.style:
            try:
                kind = kind_of_plain(text)
            except Surprise as surprise:
                self.report(mark, str(surprise))
                kind = "bad"
        return Scalar(mark.line + 1, mark.column + 1, text, kind)

    def _forbid_marks(self, event: Any, mark: Any) -> bool:
        if event.anchor is not None:
            self.report(mark, f"anchors (`&{event.anchor[:40]}`) are not allowed: write the value out where it is used")
        if event.tag is not None:
            self.report(mark, "tags (`!...`) are not allowed: write the plain value")
        return event.anchor is None and event.tag is None

    def _place(self, node: Node, mark: Any) -> None:
        if not self._frames:
            self.root = node
            return
        frame = self._frames[-1]
        if isinstance(frame.node, Items):
            frame.node.items.append(node)
        elif not frame.wants_value:
            frame.key = self._key(frame.node, node, mark)
            frame.wants_value = True
        else:
            if frame.key is not None and frame.key.kind != "bad":
                frame.node.entries[intern(frame.key.text)] = (frame.key, node)  # the same few words, a thousand times
            frame.wants_value = False

    def _key(self, table: Table, node: Node, mark: Any) -> Scalar:
        """The node as a key of `table`; of kind "bad", after a report, when it cannot be one."""
        bad = Scalar(node.line, node.column, "", "bad")
        if not isinstance(node, Scalar):
            self.report(mark, "a list or a mapping cannot be a key")
            return bad
        if node.kind == "bad":
            return bad
        if node.text == "<<":
            self.report(mark, "merge keys (`<<`) are not allowed: write the entries out")
            return bad
        if node.kind != "text":
            self.report(mark, f'a key must be text: write "{node.text[:40]}" in quotes')
            return bad
        if node.text in table.entries:
            first = table.entries[node.text][0]
            self.report(mark, f"already written in this mapping, at line {first.line}", key=node.text)
            return bad
        return node

    def _path(self) -> str:
        path = ""
        for frame in self._frames:
            is_innermost = frame is self._frames[-1]
            if isinstance(frame.node, Items):
                path = f"{path}[{len(frame.node.items) - (not is_innermost)}]"
            elif frame.key is not None and frame.key.kind != "bad" and (frame.wants_value or not is_innermost):
                path = join(path, frame.key.text)
        return path or TOP
