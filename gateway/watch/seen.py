"""What a gateway tells the analyst of one request, and how it is written down: JSON lists of numbers, names and fingerprints.

Rule: no text of a request, whatever it is. `sealed` is the one exception, and it is encrypted before it gets here.
A reader takes what it knows and leaves the rest, so that gateways of two versions may write to one stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, get_type_hints

import orjson

from gateway.values import Sighting

FORMAT = 1


class Seen(NamedTuple):
    """One request, once it has ended."""

    at_us: int
    """When it came, by the store's clock."""
    request_id: str
    """Of one in a batch: the batch's, a slash, and its place."""
    organisation: str
    tenant: str
    key_id: str
    subject: str
    """As whom it is watched."""
    policy: str
    """Digest of the policy that decided."""
    endpoint: str
    input_tokens: int
    """Charged; of a refused request 0."""
    output_tokens: int
    """Delivered, as they were charged."""
    status: int
    """HTTP; 0: the client had left."""
    step: str
    """The step it was served on; "": none."""
    was_shadow: bool
    """Nothing was done about the step."""
    sighting: Sighting
    sealed: str = ""
    """The prompt, encrypted, where the policy samples it."""
    batch_requests: int = 0
    """Requests of the batch that it was one of; 0: it came by itself."""
    stands_for: int = 1
    """Requests of the batch, itself and some that were not looked at: those of all that were come to `batch_requests`."""


_PLAIN = Seen._fields.index("sighting")
_TYPES = list(get_type_hints(Seen).values())[:_PLAIN]
_REST = list(get_type_hints(Seen).values())[_PLAIN + 1 :]
"""Of what a version before this one does not write."""
_SIGHTING = len(Sighting._fields)
_LEAST = len(Sighting._fields) - len(Sighting._field_defaults)


def encode(seen: Sequence[Seen]) -> bytes:
    return orjson.dumps([[FORMAT, *each[:_PLAIN], list(each.sighting), *each[_PLAIN + 1 :]] for each in seen])


def decode(data: bytes) -> tuple[list[Seen], int]:
    """What of a batch can be read, and how many in it cannot. Raises nothing."""
    try:
        rows = orjson.loads(data)
    except orjson.JSONDecodeError:
        return [], 1
    found: list[Seen] = []
    for row in rows if type(rows) is list else [None]:
        seen = _seen(row)
        if seen is not None:
            found.append(seen)
    return found, (len(rows) if type(rows) is list else 1) - len(found)


def _seen(row: Any) -> Seen | None:
    try:
        version, *plain = row[: _PLAIN + 1]
        sighting = row[_PLAIN + 1][:_SIGHTING]
        if version != FORMAT or list(map(type, plain)) != _TYPES or len(sighting) < _LEAST:
            return None
        sighting += list(Sighting._field_defaults.values())[len(sighting) - _LEAST :]
        fields: list[Any] = [tuple(value) if type(value) is list else value for value in sighting]
        rest = row[_PLAIN + 2 : len(Seen._fields) + 1]
        if [type(value) for value in rest] != _REST[: len(rest)]:
            return None
        rest += list(Seen._field_defaults.values())[len(rest) :]
        return Seen._make([*plain, Sighting._make(fields), *rest])
    except (TypeError, IndexError, KeyError, ValueError):
        return None
