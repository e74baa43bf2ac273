"""The values of policy tests that policies themselves don't have: titles, short times, scores, amounts that may be 0."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from gateway.policy import scalars
from gateway.policy.fields import count
from gateway.policy.read_watch import percent
from gateway.policy.yaml_tree import Scalar

REPEAT_MAX = 10_000
_FINE = re.compile(r"([0-9]{1,9})(ms)|([0-9]{1,6}\.[0-9]{1,3})s")

JSON_SCALARS: dict[str, Callable[[str], Any]] = {
    "text": str,
    "int": int,
    "float": float,
    "bool": lambda text: text == "true",
    "null": lambda _text: None,
    "bad": lambda _text: None,
}


def version(node: Scalar) -> None:
    if node.kind != "int" or node.text != "1":
        raise ValueError("this gateway reads `version: 1`")


def title(written: str) -> str:
    if not written.strip() or len(written) > 200:
        raise ValueError("a test's name is a sentence of 1 to 200 characters")
    return written


def score(node: Scalar) -> int | None:
    return percent(0, 1_000)(node)


def money(node: Scalar) -> int:
    return scalars.money_nano_usd(node.text)


def whole(node: Scalar) -> int:
    """A count that may be 0."""
    return 0 if node.kind == "int" and node.text == "0" else count(node)


def amount(node: Scalar) -> int | None:
    return whole(node)


def repeat(node: Scalar) -> int:
    times = count(node)
    if times > REPEAT_MAX:
        raise ValueError(f"{times} are too many: at most {REPEAT_MAX}")
    return times


def duration_ms(node: Scalar) -> int:
    """`0`, `500ms`, `8.571s`, or as everywhere else: `90s`, `1h30m`."""
    if node.kind == "int" and node.text == "0":
        return 0
    if fine := _FINE.fullmatch(node.text):
        return int(fine[1]) if fine[2] else round(float(fine[3]) * 1000)
    return scalars.duration_s(node.text) * 1000


def amount_ms(node: Scalar) -> int | None:
    return duration_ms(node)


def retry_after_ms(node: Scalar) -> int | None:
    """`never`: 0."""
    return 0 if node.text == "never" else duration_ms(node)
