"""Prompt templates as published packages carry them: read from their sources, never imported, never copied into this project.

A packages directory has one folder a package (`pip install --no-deps --target DIR/NAME NAME`), read as text: a string of a
Python file by the dotted name it is assigned to, a key of a YAML or JSON file, or a whole file. F-strings become templates
whose placeholders are their expressions.

Failure policy: what is not there is Missing, with the package, the file, the name, and the command that would bring it.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

CHOICE_MIN = 30
"""Characters of a string that is one of several to choose from: what is shorter is a key."""


class Missing(LookupError):
    """A package, a file or a name in it that is not where the list of families says."""


class At(NamedTuple):
    """Where a template is, and what its placeholders are filled with."""

    path: str
    """Within the package's folder."""
    name: str = ""
    """Dotted: classes, functions and the assigned name, or keys; "": the whole file. A `#2` at its end: the third string there;
    `#*`: any of them, drawn for each request."""
    slots: dict[str, Any] = {}  # noqa: RUF012  # nobody changes it
    """Text with marks in it (see package_slots), or another At."""
    keep: tuple[str, ...] = ()
    """Names in braces that the package sends as they are."""


class Template(NamedTuple):
    text: str
    is_f_string: bool
    """Its braces are no longer doubled."""


def root(packages: Path, package: str) -> Path:
    folder = packages / package
    if not folder.is_dir():
        raise Missing(f"{package}: not in {packages}. Bring it by: pip install --no-deps --target {folder} {package}")
    return folder


def read(packages: Path, package: str, where: At) -> list[Template]:
    """Every template that is meant: one, but for `#*`."""
    path = root(packages, package) / where.path
    if not path.is_file():
        raise Missing(f"{package}: has no {where.path}: this list was made for another version of it")
    name, _, number = where.name.partition("#")
    found = [Template(path.read_text("utf-8"), False)] if not name else _named(path).get(name, [])
    if number.isdigit():
        found = found[int(number) : int(number) + 1]
    if not found:
        raise Missing(f"{package}: {where.path} has no {where.name}: this list was made for another version of it")
    if number == "*":
        return [each for each in found if len(each.text) >= CHOICE_MIN]
    return [max(found, key=lambda each: len(each.text))]


@cache
def _named(path: Path) -> dict[str, list[Template]]:
    text = path.read_text("utf-8")
    found: dict[str, list[Template]] = {}
    if path.suffix == ".py":
        _walk(ast.parse(text), (), found)
    else:
        tree = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
        _keys(tree, (), found)
    return found


def _keys(tree: Any, names: tuple[str, ...], found: dict[str, list[Template]]) -> None:
    if isinstance(tree, str):
        found.setdefault(".".join(names), []).append(Template(tree, False))
    elif isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            _keys(value, (*names, str(key)), found)


def _walk(node: ast.AST, names: tuple[str, ...], found: dict[str, list[Template]]) -> None:
    for child in ast.iter_child_nodes(node):
        inner = names
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            inner = (*names, child.name)
            if doc := ast.get_docstring(child):
                found.setdefault(".".join((*inner, "__doc__")), []).append(Template(doc, False))
        elif isinstance(child, ast.Assign | ast.AnnAssign | ast.AugAssign):
            target = child.targets[0] if isinstance(child, ast.Assign) else child.target
            inner = (*names, ast.unparse(target))
        if isinstance(child, ast.expr) and (made := _text(child)) is not None:
            found.setdefault(".".join(names), []).append(made)
        else:
            _walk(child, inner, found)


def _text(node: ast.expr) -> Template | None:
    """What a string expression says; None: it is none."""
    if isinstance(node, ast.Constant):
        return Template(node.value, False) if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        parts = [str(p.value) if isinstance(p, ast.Constant) else f"{{{ast.unparse(p.value)}}}" for p in node.values]  # type: ignore[attr-defined]
        return Template("".join(parts), True)
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("dedent") and node.args:
        inner = _text(node.args[0])
        return inner and inner._replace(text=textwrap.dedent(inner.text))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text(node.left), _text(node.right)
        if left and right:
            return Template(left.text + right.text, left.is_f_string or right.is_f_string)
    return None


def fill(template: Template, values: dict[str, str], keep: tuple[str, ...] = ()) -> str:
    """The template with its placeholders filled, in whichever way it writes them. Raises Missing where one is left, or is not
    there."""
    text, is_format = template.text, False
    marks: dict[str, str] = {}
    for place, (name, value) in enumerate(values.items()):
        forms = (
            [re.escape(name)]
            if name == "%s"
            else [
                rf"\{{{{4}}\s*{re.escape(name)}\s*\}}{{4}}",
                rf"\{{\{{\s*{re.escape(name)}\s*\}}\}}",
                rf"\{{{re.escape(name)}(?::[^{{}}]*)?\}}",
            ]
        )
        mark = f"\x00{place}\x00"
        for number, form in enumerate(forms):
            text, count = re.subn(form, lambda _, mark=mark: mark, text)
            is_format |= bool(count) and number == 2
            if count:
                break
        else:
            raise Missing(f"a template has no placeholder {name!r}: {template.text[:80]!r}")
        marks[mark] = value
    for left in re.findall(r"\{+\s*([A-Za-z_][\w.\[\]()' -]*?)\s*\}+", text):
        if left not in keep:
            raise Missing(f"a template's placeholder {left!r} was not filled: {template.text[:80]!r}")
    if is_format and not template.is_f_string:
        text = text.replace("{{", "{").replace("}}", "}")
    for mark, value in marks.items():
        text = text.replace(mark, value)
    return text
