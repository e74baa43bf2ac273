"""What may stand under a word of a policy file, in the words of JSON Schema.

The readers' tables of words are mappings to these, so that `gauger schema` says what the loader knows and nothing else. A
shape says what can be told of a value alone; what depends on another word or another file is the loader's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from gateway.policy import scalars
from gateway.policy.scalars import LIMIT_MAX

Schema = dict[str, Any]


class Shape(NamedTuple):
    schema: Schema
    is_needed: bool = False


Words = Mapping[str, Shape]
"""The words of a mapping, in the order in which messages name them."""


def needed(shape: Shape) -> Shape:
    """The same for a word that must be there."""
    return shape._replace(is_needed=True)


def written(pattern: str, what: str = "", **more: Any) -> Shape:
    """Text of a pattern (of both Python's and ECMA's syntax), all of it."""
    schema: Schema = {"type": "string", "pattern": f"^(?:{pattern})$", **more}
    return Shape({**schema, "description": what} if what else schema)


def texts(characters_max: int, *, characters_min: int = 1) -> Shape:
    return Shape({"type": "string", "minLength": characters_min, "maxLength": characters_max})


def choice(words: Iterable[str]) -> Shape:
    """One of a few words."""
    return Shape({"enum": list(words)})


def exactly(value: int) -> Shape:
    return Shape({"const": value})


def counts(least: int = 1, most: int = LIMIT_MAX) -> Shape:
    """A count; one with a suffix is compared with the bounds by the loader only."""
    plain = {"type": "integer", "minimum": least, "maximum": most}
    return Shape({"anyOf": [plain, written(scalars.COUNT.pattern).schema], "description": scalars.COUNT_IS})


def numbers(least_milli: int, most_milli: int) -> Shape:
    """A decimal number between the two."""
    return Shape({"type": "number", "minimum": least_milli / 1000, "maximum": most_milli / 1000})


def either(*shapes: Shape) -> Shape:
    return Shape({"anyOf": [shape.schema for shape in shapes]})


def items(shape: Shape, *, may_be_empty: bool = True, **more: Any) -> Shape:
    """A list."""
    schema: Schema = {"type": "array", "items": shape.schema, **more}
    return Shape(schema if may_be_empty else {**schema, "minItems": 1})


def named(shape: Shape) -> Shape:
    """A mapping from names."""
    return Shape({"type": "object", "propertyNames": NAME.schema, "additionalProperties": shape.schema})


def table(words: Words, **more: Any) -> Shape:
    """A mapping of these words and no other."""
    schema: Schema = {"type": "object", "properties": {word: shape.schema for word, shape in words.items()}}
    wanted = [word for word, shape in words.items() if shape.is_needed]
    return Shape({**schema, **({"required": wanted} if wanted else {}), "additionalProperties": False, **more})


def ref(name: str) -> Shape:
    """One that is written once: see `schema.SHARED`."""
    return Shape({"$ref": f"#/$defs/{name}"})


BOOLEAN = Shape({"type": "boolean"})
TEXT = Shape({"type": "string"})
NAME = written(scalars.NAME.pattern, scalars.NAME_IS)
GLOB = written(scalars.GLOB.pattern, scalars.GLOB_IS)
COUNT = counts()
DURATION = written(scalars.DURATION.pattern, scalars.DURATION_IS, minLength=1)
SIZE = either(COUNT, written(scalars.SIZE.pattern, scalars.SIZE_IS))
MONEY = written(scalars.MONEY.pattern, scalars.MONEY_IS)
PRICE = written(scalars.PRICE.pattern, scalars.PRICE_IS)
PERCENT = written(scalars.PERCENT.pattern, scalars.PERCENT_IS)
MODELS = items(GLOB, may_be_empty=False)
