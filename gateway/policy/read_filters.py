"""The filters of a policy file: what must not leave in an answer, from a list of mappings to `Filter`s.

Rule: a filter says one thing, a literal text or a pattern, and a pattern is one that RE2 takes: linear in what it reads.
"""

from __future__ import annotations

from typing import Literal, cast

from gateway.output.filters import check_pattern
from gateway.policy import scalars
from gateway.policy.fields import Fields, Report, one_of, text
from gateway.policy.model import Filter
from gateway.policy.shapes import NAME, choice, needed, texts
from gateway.policy.yaml_tree import Items, Node, join

ACTIONS = ("mask", "cut")
DEFAULT_MASK = "[removed]"
LITERAL_CHARACTERS_MAX = 1_000
"""So much of a stream may have to be held back until it is known whether it is the literal."""
PATTERN_CHARACTERS_MAX = 1_000
MASK_CHARACTERS_MAX = 200
FILTERS_MAX = 100
WORDS = {
    "name": needed(NAME),
    "literal": texts(LITERAL_CHARACTERS_MAX),
    "pattern": texts(PATTERN_CHARACTERS_MAX),
    "action": choice(ACTIONS),
    "mask": texts(MASK_CHARACTERS_MAX, characters_min=0),
}


def read_filters(owner: Fields) -> tuple[Filter, ...]:
    """The `filters` of a mapping, by name. Names are unique in the list."""
    filters: list[Filter] = []
    first_lines: dict[str, int] = {}
    for path, node in owner.items("filters", may_be_empty=False):
        each = _read_filter(owner.report, node, path)
        filters.append(each)
        if each.name in first_lines:
            first = first_lines[each.name]
            owner.report.add(node, join(path, "name"), f"`{each.name}` is already a filter of this list, at line {first}")
        elif each.name:
            first_lines[each.name] = each.place.line
    if isinstance(owner.value("filters"), Items) and not filters:
        owner.refuse("filters", "an empty list filters nothing: remove the word, or list filters")
    if len(filters) > FILTERS_MAX:
        owner.refuse("filters", f"{len(filters)} filters are too many: at most {FILTERS_MAX}; put several into one pattern")
    return tuple(sorted(filters, key=lambda each: each.name))


def _read_filter(report: Report, node: Node, path: str) -> Filter:
    fields = Fields(report, node, path, WORDS)
    if fields.is_usable and "literal" not in fields and "pattern" not in fields:
        report.add(node, path, "a filter needs a `literal` or a `pattern`")
    elif "literal" in fields:
        fields.refuse("pattern", "a filter has a `literal` or a `pattern`, not both: make two of it")
    action = fields.get("action", one_of(ACTIONS), "mask")
    if action == "cut":
        fields.refuse("mask", "an answer that is cut has no mask: remove the word, or write `action: mask`")
    return Filter(
        name=fields.need("name", text(scalars.name), ""),
        literal=fields.get("literal", text(_literal), ""),
        pattern=fields.get("pattern", text(_pattern), ""),
        action=cast(Literal["mask", "cut"], action),
        mask=fields.get("mask", text(_mask), DEFAULT_MASK),
        place=report.place(node),
    )


def _literal(written: str) -> str:
    if not written:
        raise ValueError("an empty literal would match everywhere: write some text")
    if len(written) > LITERAL_CHARACTERS_MAX:
        raise ValueError(f"{len(written)} characters are too many: at most {LITERAL_CHARACTERS_MAX}")
    return written


def _pattern(written: str) -> str:
    if not written:
        raise ValueError("an empty pattern would match everywhere: write one in RE2's syntax")
    if len(written) > PATTERN_CHARACTERS_MAX:
        raise ValueError(f"{len(written)} characters are too many: at most {PATTERN_CHARACTERS_MAX}")
    try:
        check_pattern(written)
    except ValueError as error:
        reason = "".join(letter if letter.isprintable() else "?" for letter in str(error)[:200])
        raise ValueError(f"RE2 does not take this pattern: {reason}") from None
    return written


def _mask(written: str) -> str:
    if len(written) > MASK_CHARACTERS_MAX:
        raise ValueError(f"{len(written)} characters are too many: at most {MASK_CHARACTERS_MAX}")
    return written
