"""What commands ask of whoever writes the logs: holds, releases, erasures, another key. Where nobody writes, they do it.

An order is a file; its answer takes its place. Failure policy: an order that cannot be read is answered with what is wrong; one
that nobody obeys in time is taken back, and the command says so: then nothing was done.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from typing import Any

import orjson

from gateway.errors import SettingsError
from gateway.evidence.books import Books, Busy, directory_of
from gateway.evidence.files import replace
from gateway.evidence.removing import erase, hold, release

ORDERS = "orders"
Wait = Callable[[Callable[[], bool]], bool]


def give(
    root: Path, order: dict[str, str], *, open_books: Callable[[], Books], wait: Callable[[Callable[[], bool]], bool]
) -> str:
    """Have it done: here, or by the process that writes. What was done, as a sentence. Raises SettingsError, OSError.

    `wait(is_done)` waits until it is, or gives up: False.
    """
    try:
        books = open_books()
    except Busy:
        return _hand_over(root, order, wait)
    try:
        return _do(books, order)
    finally:
        books.close()


def obey(books: Books) -> None:
    """Do what was ordered. Raises nothing: the answer says what went wrong."""
    directory = books.root / ORDERS
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(".order"))
    except OSError:
        return
    for name in names:
        path = directory / name
        try:
            answer = {"done": _do(books, orjson.loads(path.read_bytes()))}
        except (SettingsError, OSError, ValueError, TypeError, KeyError) as error:
            answer = {"failed": str(error)}
        try:
            replace(path.with_suffix(".answer"), orjson.dumps(answer))
            path.unlink()
        except OSError:
            continue


def _hand_over(root: Path, order: dict[str, str], wait: Wait) -> str:
    directory = root / ORDERS
    directory.mkdir(mode=0o700, exist_ok=True)
    path = directory / f"{token_hex(8)}.order"
    replace(path, orjson.dumps(order))
    answer = path.with_suffix(".answer")
    if not wait(answer.exists):
        path.unlink(missing_ok=True)
        raise SettingsError("the analyst that writes the evidence did not answer in time: the order was taken back")
    said: dict[str, Any] = orjson.loads(answer.read_bytes())
    answer.unlink()
    if "failed" in said:
        raise SettingsError(str(said["failed"]))
    return str(said["done"])


def _do(books: Books, order: dict[str, str]) -> str:
    what, by, reason = order["do"], order["by"], order["reason"]
    if what == "rotate":
        return f"signs from now on: {books.rotate().public.hex()}"
    organisation, tenant = order["organisation"], order["tenant"]
    if not directory_of(books.root, organisation).is_dir() and what != "hold":
        raise SettingsError(f"there is no evidence of organisation {organisation}")
    whom = f"tenant {tenant} of {organisation}" if tenant else f"organisation {organisation}"
    if what == "hold":
        hold(books, organisation, tenant, by=by, reason=reason)
        return f"held: nothing of {whom} is removed"
    if what == "release":
        release(books, organisation, tenant, by=by, reason=reason)
        return f"released: {whom}"
    if what == "erase":
        count = erase(books, organisation, tenant, by=by, reason=reason)
        return f"erased: {count} entries of {whom}; their numbers and hashes stay"
    raise SettingsError(f"{what[:40]!r} is no order")
