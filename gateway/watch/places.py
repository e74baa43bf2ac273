"""How far the stream has been read and put on record, as it is told; and what in the store is of no use any more."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from gateway.store.watch import Placement
from gateway.watch.cases import CLUSTER, footing_from
from gateway.watch.watcher import read_rung

DOSSIER_KEPT_US = 30 * 86_400_000_000


def order_of(entry: str) -> tuple[int, int]:
    """Ids of the stream's entries are pairs of numbers."""
    first, _, second = entry.partition("-")
    return int(first or 0), int(second or 0)


def said_in(state: bytes) -> tuple[str, list[tuple[int, str, int]]]:
    """Up to where everything was on record, and the gaps that an analyst told of: "0" and none where that cannot be read."""
    try:
        said = orjson.loads(state)
        order_of(said["recorded"])
        return said["recorded"], [(int(at_us), str(why), int(count)) for at_us, why, count in said["missing"]]
    except (ValueError, TypeError, LookupError, AttributeError):
        return "0", []


def stale(rungs: Mapping[str, bytes], dossiers: Mapping[str, bytes], now_us: int) -> list[Placement]:
    """Rungs that say nothing, and dossiers of who has long been silent: as placements that remove them."""
    found = []
    for name, data in rungs.items():
        rung = read_rung(data)
        if rung is None or (now_us >= rung.until_us and not (rung.step or rung.cluster_step)):
            found.append(Placement(name, b"-"))
    for name, data in dossiers.items():
        try:
            said = dict(orjson.loads(data))
            is_old = now_us - int(said.get("at_us", 0)) > DOSSIER_KEPT_US
        except (TypeError, ValueError):
            said, is_old = {}, True
        if is_old and not name.startswith(CLUSTER) and footing_from(said.get("footing")).is_blank:
            found.append(Placement(name, b"", b"-"))
    return found
