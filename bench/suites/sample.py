"""A value of a type, made of nothing but the type: what a vendor's API could answer, as far as its SDK describes it.

Runs inside the suites' own environment, beside the SDK whose types it reads. Every field is filled, optional ones too, down
to a depth; below it only what is required.
"""

from __future__ import annotations

import inspect
import types
from datetime import date, datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin

FILLED_DEPTH = 7
DEPTH_MAX = 14
WHEN = "2026-01-02T03:04:05.678Z"
PLAIN = {bool: True, str: "text", int: 1, float: 1.5, datetime: WHEN, date: "2026-01-02", bytes: "dGV4dA=="}
"""By type; one that is a kind of another stands before it."""


class NoSample(Exception):
    """Nothing can be made of this type at this depth."""


def sample(kind: Any, depth: int = 0) -> Any:
    """JSON for `kind`. Raises NoSample."""
    if depth > DEPTH_MAX:
        raise NoSample(repr(kind))
    while hasattr(kind, "__value__"):  # a type alias
        kind = kind.__value__
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return sample(args[0], depth)
    if kind is None or kind is type(None):
        return None
    if kind is Any or kind is object:
        return {}
    if origin in (Union, types.UnionType):
        return _of_union(args, depth)
    if origin is Literal:
        return args[0]
    if inspect.isclass(kind) and hasattr(kind, "model_fields"):
        return _of_model(kind, depth)
    base = origin or kind
    if base is dict or getattr(base, "__name__", "") in ("Mapping", "Dict"):
        return {"key": sample(args[1], depth + 1)} if args and depth < FILLED_DEPTH else {}
    if base in (list, tuple, set) or getattr(base, "__name__", "") in ("Sequence", "Iterable", "List"):
        return [sample(args[0], depth + 1)] if args and depth < FILLED_DEPTH else []
    for plain, value in PLAIN.items():
        if inspect.isclass(base) and issubclass(base, plain):
            return value
    return {}


def _of_union(args: tuple[Any, ...], depth: int) -> Any:
    is_optional = type(None) in args
    if is_optional and depth >= FILLED_DEPTH:
        return None
    for arg in args:
        if arg is not type(None):
            try:
                return sample(arg, depth + 1)
            except NoSample:
                continue
    if is_optional:
        return None
    raise NoSample(repr(args))


def _of_model(kind: Any, depth: int) -> Any:
    kind.model_rebuild()
    made = {}
    for name, field in kind.model_fields.items():
        try:
            made[field.alias or name] = sample(field.annotation, depth + 1)
        except NoSample:
            if field.is_required():
                raise
    return made
