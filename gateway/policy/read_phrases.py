"""Tripwire lists: YAML files of phrases that mean one thing, for the watch.

    version: 1
    book: extraction
    edition: "2026-11-25"
    groups:
      - name: generation
        means: asks for tasks or instructions to be invented
        patterns: ['come up with .{0,40}(tasks|instructions)']

Patterns are RE2 and meet text in lower case whose white space is single spaces. Failure policy: as for policies: all mistakes
together (PolicyErrors), and no book of a set that has one.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gateway.errors import Mistake, PolicyErrors
from gateway.output.filters import check_pattern
from gateway.policy import scalars
from gateway.policy.fields import Fields, Report, text
from gateway.policy.model import Place
from gateway.policy.yaml_text import FILE_BYTES_MAX
from gateway.policy.yaml_tree import Node, Scalar, join, read_tree
from gateway.values import PhraseBook, PhraseGroup

TOP_WORDS = ("version", "book", "edition", "groups")
WORDS = ("name", "means", "patterns")
GROUPS_MAX = 32
"""Of all books together: each is counted in every tenant's window."""
PATTERNS_MAX = 500
PATTERN_CHARACTERS_MAX = 500
MEANS_CHARACTERS_MAX = 200


def read_phrases(paths: Iterable[Path]) -> tuple[PhraseBook, ...]:
    """The books of these files, in their order. Raises PolicyErrors with every mistake, sorted."""
    mistakes: list[Mistake] = []
    seen: dict[str, Place] = {}
    books = [book for path in paths if (book := _read_book(path, seen, mistakes)) is not None]
    if mistakes:
        raise PolicyErrors(sorted(set(mistakes)))
    return tuple(books)


def _read_book(path: Path, seen: dict[str, Place], mistakes: list[Mistake]) -> PhraseBook | None:
    file = str(path)
    try:
        if not path.is_file():
            raise OSError(0, "is not a regular file")
        with path.open("rb") as opened:
            data = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        mistakes.append(Mistake(file, 1, 1, "file", f"cannot be read: {error.strerror}"))
        return None
    tree = read_tree(data, file, mistakes)
    if tree is None:
        return None
    top = Fields(Report(file, mistakes), tree, "", TOP_WORDS)
    top.need("version", _version, None)
    groups = tuple(_read_group(top.report, node, path, seen) for path, node in top.items("groups", may_be_empty=False))
    return PhraseBook(top.need("book", text(scalars.name), ""), top.need("edition", text(scalars.name), ""), groups)


def _version(node: Scalar) -> None:
    if node.kind != "int" or node.text != "1":
        raise ValueError("this gateway reads `version: 1`")


def _read_group(report: Report, node: Node, path: str, seen: dict[str, Place]) -> PhraseGroup:
    fields = Fields(report, node, path, WORDS)
    patterns: list[str] = []
    for at, each in fields.items("patterns", may_be_empty=False):
        if not isinstance(each, Scalar):
            report.add(each, at, "must be a pattern in RE2's syntax")
            continue
        try:
            patterns.append(_pattern(each.text))
        except ValueError as error:
            report.add(each, at, str(error))
    if fields.is_usable and not patterns and "patterns" not in fields:
        report.add(node, join(path, "patterns"), "a group without patterns never fires: list some")
    if len(patterns) > PATTERNS_MAX:
        fields.refuse("patterns", f"{len(patterns)} patterns are too many: at most {PATTERNS_MAX}")
    name = fields.need("name", text(scalars.name), "")
    if name in seen:
        report.add(node, join(path, "name"), f"`{name}` is already a group, at {seen[name].file}:{seen[name].line}")
    elif name:
        seen[name] = report.place(node)
        if len(seen) > GROUPS_MAX:
            report.add(node, path, f"{len(seen)} groups are too many: at most {GROUPS_MAX} in all books together")
    return PhraseGroup(name, fields.need("means", text(_means), ""), tuple(patterns))


def _means(written: str) -> str:
    if not 0 < len(written) <= MEANS_CHARACTERS_MAX or not written.isprintable():
        raise ValueError(f"must be one printable line of at most {MEANS_CHARACTERS_MAX} characters")
    return written


def _pattern(written: str) -> str:
    if not 0 < len(written) <= PATTERN_CHARACTERS_MAX:
        raise ValueError(f"a pattern has 1 to {PATTERN_CHARACTERS_MAX} characters")
    if written != written.lower() and "\\" not in written:
        raise ValueError("it has capital letters, and meets lower-case text only: it would never fire")
    try:
        check_pattern(written)
    except ValueError as error:
        raise ValueError(f"RE2 does not take this pattern: {str(error)[:200]}") from None
    return written
