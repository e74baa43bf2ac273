"""What an operator knows of tenants, as it is brought: a YAML, CSV or JSON Lines file, or a body of the admin listener.

Rule: no payment identifier, address or day leaves here as it was written, but hashed under the deployment's secret; and no
mistake repeats one. Nothing is stated if there is any mistake. No IO.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from hashlib import blake2b
from ipaddress import ip_network
from typing import Any, NamedTuple

import orjson

from gateway.errors import Mistake, PolicyErrors
from gateway.policy.fields import Fields, Report, among, text
from gateway.policy.model import Policy
from gateway.policy.yaml_tree import read_tree

FACTS = ("payment", "network", "signup")
FORMATS = {"yaml": (".yaml", ".yml"), "csv": (".csv",), "jsonl": (".jsonl", ".ndjson")}
"""By the ends of files' names."""
TENANT = "tenant"
TEXT_MAX = 200
NOTHING_DONE = "nothing was stated"


class Row(NamedTuple):
    """What was written of one tenant, and where."""

    line: int
    column: int
    path: str
    tenant: str
    said: Mapping[str, str]
    """By fact, as written; "": not known."""


class Reading:
    """The mistakes of one file or body."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.mistakes: list[Mistake] = []

    def wrong(self, line: int, path: str, message: str, column: int = 1) -> None:
        self.mistakes.append(Mistake(self.file, line, column, path, message))


def read_facts(data: bytes, form: str, *, file: str, policy: Policy) -> dict[str, dict[str, str]]:
    """By tenant, each fact in the one way it is written. `form`: one of FORMATS, or `json` for `{"acme": {...}}`.

    Raises PolicyErrors with every mistake.
    """
    reading = Reading(file)
    found: dict[str, dict[str, str]] = {}
    lines: dict[str, int] = {}
    for row in _READERS[form](data, reading):
        if row.tenant not in policy.tenants:
            what = f"there is no tenant `{_shown(row.tenant)}` in the policies; {among(row.tenant, policy.tenants)}"
            reading.wrong(row.line, row.path, what, row.column)
        elif row.tenant in lines:
            reading.wrong(row.line, row.path, f"`{row.tenant}` has stood on line {lines[row.tenant]} already", row.column)
        lines.setdefault(row.tenant, row.line)
        found[row.tenant] = {}
        for fact, written in row.said.items():
            try:
                if written:
                    found[row.tenant][fact] = _FACTS[fact](written)
            except ValueError as error:
                reading.wrong(row.line, f"{row.path}.{fact}", str(error), row.column)
    if not reading.mistakes and not found:
        reading.wrong(1, "(top)", "names no tenant")
    if reading.mistakes:
        raise PolicyErrors(sorted(reading.mistakes))
    return found


def rows_of(facts: Mapping[str, Mapping[str, str]], key: bytes, *, by: str, at_us: int) -> dict[str, bytes]:
    """As the store keeps them: hashed, with who stated them and when."""
    return {
        tenant: orjson.dumps({**{fact: _hashed(key, fact, value) for fact, value in said.items()}, "by": by, "at_us": at_us})
        for tenant, said in facts.items()
    }


def known_in(data: bytes) -> dict[str, Any]:
    """What a row of the store says: which facts are known, never what they are. Empty where nothing is."""
    try:
        said = dict(orjson.loads(data))
    except (ValueError, TypeError):
        return {}
    known = [fact for fact in FACTS if said.get(fact)]
    return {"known": known, "by": str(said.get("by", "")), "at_us": int(said.get("at_us", 0))} if known else {}


def _yaml(data: bytes, reading: Reading) -> Iterator[Row]:
    tree = read_tree(data, reading.file, reading.mistakes)
    if tree is None:
        return
    report = Report(reading.file, reading.mistakes)
    top = Fields(report, tree, "", ("tenants",))
    for name, path, node, value in top.named("tenants"):
        fields = Fields(report, value, path, FACTS)
        said = {fact: fields.get(fact, text(str), "") for fact in FACTS}
        yield Row(node.line, node.column, path, name, said)
    if "tenants" not in top and not reading.mistakes:
        report.add(tree, "", "names no tenant: write `tenants: {NAME: {payment: ...}}`")


def _csv(data: bytes, reading: Reading) -> Iterator[Row]:
    lines = _text_of(data, reading).splitlines(keepends=True)
    try:
        table = csv.reader(lines, strict=True)
        head = [cell.strip() for cell in next(table, [])]
        if TENANT not in head:
            reading.wrong(1, "(top)", f"the first line names the columns: {', '.join((TENANT, *FACTS))}; {TENANT} is needed")
            return
        for word in head:
            if word not in (TENANT, *FACTS):
                reading.wrong(1, _shown(word), f"unknown column; {among(word, (TENANT, *FACTS))}")
        if len(set(head)) < len(head):
            reading.wrong(1, "(top)", "a column stands there twice")
        for cells in table:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(head):
                reading.wrong(table.line_num, "(row)", f"has {len(cells)} cells, and there are {len(head)} columns")
                continue
            said = {word: cell.strip() for word, cell in zip(head, cells)}
            tenant = said.pop(TENANT, "")
            known = {word: cell for word, cell in said.items() if word in FACTS}
            yield Row(table.line_num, 1, _shown(tenant) or "(row)", tenant, known)
    except csv.Error as error:
        reading.wrong(max(1, table.line_num), "(row)", f"is no CSV: {error}")


def _jsonl(data: bytes, reading: Reading) -> Iterator[Row]:
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            tree = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            reading.wrong(number, "(line)", f"is no JSON: {error.msg}", error.colno)
            continue
        if type(tree) is not dict or type(tree.get(TENANT)) is not str:
            reading.wrong(number, "(line)", 'is to be an object with its tenant, as {"tenant": "acme", "payment": "..."}')
            continue
        tenant = tree.pop(TENANT)
        yield Row(number, 1, _shown(tenant), tenant, _said(tree, number, _shown(tenant), reading, (TENANT, *FACTS)))


def _json(data: bytes, reading: Reading) -> Iterator[Row]:
    try:
        tree = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        reading.wrong(error.lineno, "(top)", f"is no JSON: {error.msg}", error.colno)
        return
    if type(tree) is not dict:
        reading.wrong(1, "tenants", 'is to be an object, as {"acme": {"payment": "..."}}')
        return
    for tenant, fields in tree.items():
        path = f"tenants.{_shown(tenant)}"
        if type(fields) is dict:
            yield Row(1, 1, path, tenant, _said(fields, 1, path, reading, FACTS))
        else:
            reading.wrong(1, path, f"is to be an object; {among('', FACTS)}")


_READERS: Mapping[str, Callable[[bytes, Reading], Iterator[Row]]] = {
    "yaml": _yaml,
    "csv": _csv,
    "jsonl": _jsonl,
    "json": _json,
}


def _said(fields: Mapping[str, Any], line: int, path: str, reading: Reading, words: tuple[str, ...]) -> dict[str, str]:
    said = {}
    for word, value in fields.items():
        if word not in FACTS:
            reading.wrong(line, f"{path}.{_shown(word)}", f"unknown word; {among(word, words)}")
        elif value is not None and type(value) is not str:
            reading.wrong(line, f"{path}.{word}", "is to be a text in quotes; null or nothing where it is not known")
        else:
            said[word] = value or ""
    return said


def _text_of(data: bytes, reading: Reading) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reading.wrong(data.count(b"\n", 0, error.start) + 1, "(top)", "is no UTF-8")
        return ""


def _plain(written: str) -> str:
    written = written.strip()
    if not written or len(written) > TEXT_MAX:
        raise ValueError(f"a fact is a text of 1 to {TEXT_MAX} characters")
    return written


def _network(written: str) -> str:
    """Of an address or a network the one way to write it: 203.0.113.7/24 is 203.0.113.0/24. Anything else as it is: AS64500."""
    written = _plain(written)
    try:
        return str(ip_network(written, strict=False))
    except ValueError:
        return written


def _day(written: str) -> str:
    written = _plain(written)
    try:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", written):
            raise ValueError
        return date.fromisoformat(written).isoformat()
    except ValueError:
        raise ValueError("is to be a day, written as 2027-01-31") from None


_FACTS: Mapping[str, Callable[[str], str]] = {"payment": _plain, "network": _network, "signup": _day}


def _shown(word: str) -> str:
    """A name, as far as a terminal can take it."""
    return "".join(character if character.isprintable() else "?" for character in word[:64])


def _hashed(key: bytes, fact: str, value: str) -> str:
    derived = blake2b(key, digest_size=32, person=b"gauger-facts").digest()
    return blake2b(f"{fact}\n{value}".encode("utf-8", "surrogatepass"), digest_size=16, key=derived).hexdigest()
