"""Lines and standings in the scripts' own bytes: packed doubles in, packed 64-bit integers out. No IO.

Rule 1: the scripts see lines grouped by owner, so that each owner's hash is read and written once. `order` is that
permutation, and replies are put back into the caller's order.
Rule 2: the layout is said once more at the head of `lua/common.lua`; they change together.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from operator import attrgetter
from struct import Struct
from typing import NamedTuple

from gateway.values import Line, Standing

AMOUNT_MAX = 2**53
"""The largest integer that the store's doubles hold exactly."""

KINDS = {"bucket": 1, "rolling": 2, "calendar": 3, "concurrency": 4}
_LENGTHS = tuple(bytes([n]) for n in range(256))
_owner = attrgetter("owner")


class Grouped(NamedTuple):
    """A hold's lines in the scripts' order. `order` is None where the caller's order is the scripts' order already."""

    owners: list[bytes]
    lines: Sequence[Line]
    order: list[int] | None


class Packed(NamedTuple):
    """A hold's lines as `reserve.lua` and `standings.lua` take them (ARGV lines and names)."""

    owners: list[bytes]
    lines: bytes
    names: bytes
    order: list[int] | None


def group(lines: Sequence[Line]) -> Grouped:
    """Owners once each in order of first use, and their lines one owner after the other."""
    owners: list[bytes] = []
    last = None
    for line in lines:
        if line.owner != last:
            last = line.owner
            owners.append(last)
    if len(set(owners)) == len(owners):
        return Grouped(owners, lines, None)
    owners = list(dict.fromkeys(owners))
    rank = {owner: i for i, owner in enumerate(owners)}
    order = sorted(range(len(lines)), key=lambda i: rank[lines[i].owner])
    return Grouped(owners, [lines[i] for i in order], order)


class _Shape(NamedTuple):
    """All of a hold's lines but their amounts: the same for every request of one caller and model, in one window."""

    owners: list[bytes]
    counts: tuple[int, ...]
    heads: list[tuple[int, bool, int, int, int]]
    names: bytes
    order: list[int] | None
    struct: Struct


SHAPES_MAX = 8192
_shapes: dict[tuple[tuple[object, ...], ...], _Shape] = {}


def pack_lines(lines: Sequence[Line]) -> Packed:
    """Raises ValueError for what the store cannot keep exactly: no lines, a line twice, an amount or name out of range."""
    key = tuple([line[:7] for line in lines])
    shape = _shapes.get(key)
    if shape is None:
        shape = _shape(lines)
        if len(_shapes) >= SHAPES_MAX:
            _shapes.clear()
        _shapes[key] = shape
    numbers: list[int | bool] = [*shape.counts]
    order = shape.order
    for line, head in zip(lines if order is None else [lines[i] for i in order], shape.heads):
        amount, certain = line[7], line[8]
        if not 0 <= certain <= amount <= AMOUNT_MAX:
            raise ValueError(f"line {line.field!r}: needs 0 <= certain <= amount <= 2**53")
        numbers += head
        numbers.append(amount)
        numbers.append(certain)
    return Packed(shape.owners, shape.struct.pack(*numbers), shape.names, order)


def _shape(lines: Sequence[Line]) -> _Shape:
    owners, grouped, order = group(lines)
    counts = dict.fromkeys(owners, 0)
    heads: list[tuple[int, bool, int, int, int]] = []
    fields: list[bytes] = []
    for owner, field, kind, a, b, c, enforce, _, _ in grouped:
        if not 0 <= a <= AMOUNT_MAX:
            raise ValueError(f"line {field!r}: needs a limit in 0..2**53")
        if kind == "concurrency":
            is_window = True
        elif kind == "calendar":
            is_window = b < c
        else:
            is_window = b >= 1 and (c >= 1 or kind == "rolling")
        if not is_window:
            raise ValueError(f"line {field!r}: a {kind} needs a period of 1 or more, or a window that ends after its start")
        counts[owner] += 1
        fields.append(field)
        heads.append((KINDS[kind], enforce, a, b, c))
    names = owners + fields
    longest, shortest = max(map(len, names), default=0), min(map(len, fields), default=0)
    if longest > 255 or shortest < 1 or len(owners) > 255 or len(fields) > 255:
        raise ValueError("a hold has 1 to 255 lines, each with an owner key of 0 to 255 bytes and a field of 1 to 255")
    if len(set(zip(map(_owner, grouped), fields))) != len(fields):
        raise ValueError("a hold names the same budget (owner and field) twice")
    blob = b"".join([part for name in names for part in (_LENGTHS[len(name)], name)])
    return _Shape(owners, tuple(counts.values()), heads, blob, order, _line_struct(len(owners), len(fields)))


def pack_amounts(amounts: Sequence[int], order: list[int] | None, count: int) -> bytes:
    """One double for each line, in the scripts' order. Raises ValueError for a wrong count or an amount out of range."""
    if len(amounts) != count:
        raise ValueError(f"{len(amounts)} amounts for {count} lines")
    if count and (min(amounts) < 0 or max(amounts) > AMOUNT_MAX):
        raise ValueError("needs 0 <= amount <= 2**53")
    return _double_struct(count).pack(*(amounts if order is None else [amounts[i] for i in order]))


def unpack_reply(reply: bytes, order: list[int] | None) -> tuple[int, int, tuple[Standing, ...]]:
    """(code, now_us, standings in the caller's order). Raises ValueError for bytes that are no such reply."""
    if not isinstance(reply, bytes) or len(reply) % 40 != 16:
        raise ValueError("not a reply of the ledger's scripts")
    numbers = _integer_struct(len(reply) // 8).unpack(reply)
    standings = [Standing._make(numbers[i : i + 5]) for i in range(2, len(numbers), 5)]
    if order is not None and standings:
        back = standings.copy()
        for place, i in enumerate(order):
            back[i] = standings[place]
        standings = back
    return numbers[0], numbers[1], tuple(standings)


@cache
def _line_struct(owners: int, lines: int) -> Struct:
    return Struct("<" + "B" * owners + "BBddddd" * lines)


@cache
def _double_struct(count: int) -> Struct:
    return Struct(f"<{count}d")


@cache
def _integer_struct(count: int) -> Struct:
    return Struct(f"<{count}q")
