"""What the watch is made of: the lens of a policy, the analyst beside a gateway, and the analyst's own process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog

from gateway import __version__, logs
from gateway.background import Tasks
from gateway.detectors import FEATURES, PHRASES, Lens, Links
from gateway.errors import PolicyErrors, SettingsError
from gateway.evidence.books import Books
from gateway.evidence.keys import KeyRing
from gateway.evidence.sink import EvidenceSink, rules_of
from gateway.policy.load import load_dir
from gateway.policy.model import Policy
from gateway.policy.read_phrases import read_phrases
from gateway.policy.source import Source
from gateway.settings import Settings, evidence_key, secret, variable
from gateway.store.redis import RedisLedger
from gateway.store.watch import WatchStore
from gateway.watch.analyst import Analyst
from gateway.watch.archive import Archive
from gateway.watch.child import Child
from gateway.watch.service import Service, chance

log = structlog.get_logger()

LOG_CLOSE_S = 2.0
OpenLedger = Callable[[Settings], AbstractAsyncContextManager[RedisLedger]]


def lens_of(policy: Policy, directory: Path, secret: bytes) -> Lens:
    """What requests are looked at through: the built-in tripwires and the policy's. Raises PolicyErrors."""
    return Lens.of(secret, read_phrases([*PHRASES, *(directory / path for path in policy.watch.phrases)]))


def child_of(
    settings: Settings, environ: Mapping[str, str], ledger: RedisLedger, *, write: Callable[[bytes], None]
) -> Child | None:
    """The analyst as this gateway's child, where the settings want one. It is told all by its environment: flags are public."""
    if settings.analyst == "none":
        return None
    path = ledger.connection.address.path
    told = {
        "policies": os.fspath(settings.policies),
        "store": f"unix://{quote(path)}" if settings.store == "embedded" else settings.store,
        "data": os.fspath(settings.data),
        "store_timeout": f"{settings.store_timeout}s",
        "sightings": str(settings.sightings),
    }
    return Child({**environ, **{variable(name): text for name, text in told.items()}}, write=write)


def links_of(archive: Archive) -> Links:
    """What linked tenants when it was last kept; nothing where that cannot be read."""
    data = archive.mark("links")
    try:
        return Links.load(data) if data else Links()
    except ValueError:
        archive.checkpoint(links_position=b"0", links_runs=b"[]")  # what the stream still holds is read again
        return Links()


def evidence_of(settings: Settings, ring: KeyRing, secret: bytes, now_us: Callable[[], int], policy: Policy) -> EvidenceSink:
    """Where the analyst writes down what it sees and decides. Raises SettingsError: another process has it, or it is no use."""

    def describe(policy: Policy) -> dict[str, Any]:
        features = tuple(feature.name for feature in FEATURES)
        return rules_of(__version__, features, lens_of(policy, settings.policies, secret).editions)

    books = Books(settings.data / "evidence", secret, ring, now_us=now_us)
    try:
        return EvidenceSink(books, describe, policy)
    except OSError as error:
        books.abandon()
        raise SettingsError(f"data: {books.root} cannot be written: {error.strerror}") from None
    except PolicyErrors as error:
        books.abandon()
        raise SettingsError(str(error)) from None


async def analyse(settings: Settings, environ: Mapping[str, str], open_ledger: OpenLedger, *, is_inside: bool) -> None:
    """Run the analyst until SIGTERM or SIGINT, or (`is_inside`) until standard input ends.

    Raises SettingsError, PolicyErrors or StoreFault before it begins.
    """
    key_secret = secret(environ)
    policy = load_dir(settings.policies)
    lens_of(policy, settings.policies, key_secret)
    archive = settings.data / "watch" / "analyst.db"
    Archive(archive.with_name(f"try-{os.getpid()}.db")).discard()  # better told now than once it is active
    ring = KeyRing(settings.data / "evidence" / "keys", given=evidence_key(environ))
    ring.current(at_us=0, make=False)  # a key that cannot be used is better told now than once it is active
    lines = logs.configure()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if is_inside:
        os.nice(5)  # serving goes before judging
        loop.add_reader(sys.stdin.fileno(), lambda: None if os.read(sys.stdin.fileno(), 1024) else stopping.set())
    async with open_ledger(settings) as ledger:
        tasks = Tasks(_report)
        evidence = partial(evidence_of, settings, ring, key_secret, ledger.server_now_us)
        service = Service(
            WatchStore(ledger.connection, entries_max=settings.sightings),
            open_archive=lambda: Archive(archive),
            make=lambda policy, archive: Analyst(policy, archive, links_of(archive), evidence(policy), chance=chance),
            policy=policy,
            now_us=ledger.server_now_us,
        )

        def adopt(policy: Policy) -> None:
            service.adopt(policy)

        source = Source(settings.policies, policy, adopt=adopt)
        beside = [
            tasks.spawn(lines.run(), name="log"),
            tasks.spawn(source.watch(), name="policy"),
            tasks.spawn(service.run(), name="analyst"),
        ]
        beside[-1].add_done_callback(lambda _: stopping.set())  # a bug of ours: whoever started it starts it again
        await stopping.wait()
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await service.close()
    lines.close(LOG_CLOSE_S)


def _report(name: str, error: BaseException) -> None:
    log.error("task_failed", task=name, side="gateway", error=repr(error))
