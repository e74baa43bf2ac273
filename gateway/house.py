"""What a running gateway consists of: handed to every request, made by `app` alone, never changed while it serves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from gateway.background import Tasks
from gateway.budgets.estimate import Estimator
from gateway.door import Door
from gateway.explained import Explained
from gateway.holds import Holds
from gateway.settings import Settings
from gateway.snapshot import Policies
from gateway.spool import Spool
from gateway.store.owners import Owners
from gateway.tally import Tally
from gateway.upstream.fleet import Fleet
from gateway.upstream.websocket import WebSockets
from gateway.waiting import Waiting
from gateway.watch.watcher import Watcher


@dataclass(frozen=True, slots=True)
class House:
    settings: Settings
    secret: bytes
    """Keys are hashed under it; so are end users' names in the store."""
    policies: Policies
    door: Door
    """Made of what stands below, for what is shared with those who do not serve."""
    holds: Holds
    owners: Owners
    spool: Spool
    waiting: Waiting
    fleet: Fleet
    sockets: WebSockets
    """For sessions; requests go by the fleet's own connections."""
    estimator: Estimator
    tally: Tally
    explained: Explained
    watcher: Watcher | None
    """None: nothing is looked at."""
    tasks: Tasks
    stopping: asyncio.Event
    """Set when the gateway is to end: what could go on for an hour ends itself then."""
    store_now_us: Callable[[], int]
    """The store's clock, as well as it is known here."""
