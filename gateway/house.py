"""What a running gateway consists of: handed to every request, made by `app` alone, never changed while it serves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.background import Tasks
from gateway.budgets.estimate import Estimator
from gateway.holds import Holds
from gateway.settings import Settings
from gateway.snapshot import Policies
from gateway.store.owners import Owners
from gateway.upstream.base import Upstream


@dataclass(frozen=True, slots=True)
class House:
    settings: Settings
    secret: bytes
    """Keys are hashed under it; so are end users' names in the store."""
    credentials: Mapping[str, list[tuple[bytes, bytes]]]
    """The upstream's own, by wire family."""
    policies: Policies
    holds: Holds
    owners: Owners
    upstream: Upstream
    estimator: Estimator
    tasks: Tasks
    store_now_us: Callable[[], int]
    """The store's clock, as well as it is known here."""
