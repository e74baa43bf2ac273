"""The composition root: opens the store, the upstream and the listener, serves, and shuts down in the right order.

Order of the end: readiness goes (so that a balancer stops sending), the listener closes, running requests get the drain
time, then every settlement still under way is posted, then the store closes.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial

import structlog
from aiohttp import http_parser, web

from gateway import __version__, health, listener, logs, proxy
from gateway.admin import policy as admin_policy
from gateway.admin import server as admin_server
from gateway.admin import state as admin_state
from gateway.admin import watch as admin_watch
from gateway.background import Tasks
from gateway.budgets.estimate import Estimator
from gateway.detectors import Lens
from gateway.door import Door
from gateway.errors import SettingsError, StoreFault
from gateway.explained import Explained
from gateway.holds import Holds
from gateway.house import House
from gateway.policy import install
from gateway.policy.load import load_dir
from gateway.policy.model import Policy
from gateway.policy.source import Source
from gateway.settings import Settings, admin_token, pool_credentials, secret, upstream_credentials
from gateway.snapshot import Policies
from gateway.spool import Spool
from gateway.store import checkup, embedded
from gateway.store.address import parse_url
from gateway.store.local import LocalLedger
from gateway.store.owners import Owners
from gateway.store.redis import RedisLedger
from gateway.store.watch import WatchStore
from gateway.tally import Tally
from gateway.upstream.base import Timeouts
from gateway.upstream.fleet import Fleet, Pool, Route, Server, Wanted
from gateway.upstream.pool import HttpUpstream
from gateway.upstream.websocket import WebSockets
from gateway.waiting import Waiting
from gateway.watch.compose import child_of, lens_of
from gateway.watch.watcher import Watcher

log = structlog.get_logger()

LOG_CLOSE_S = 2.0
GC_THRESHOLD = 50_000
"""Allocations between collections: with `gc.freeze()` it takes 11 us off a request and halves the p99."""


def require_fast_parser() -> None:
    """aiohttp falls back on a parser in Python without a word: ten times slower, and laxer. Raises SettingsError."""
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise SettingsError(
            "aiohttp runs without its C parser here (no wheel for this platform, or AIOHTTP_NO_EXTENSIONS is set): "
            "install aiohttp with its C extensions"
        )


@asynccontextmanager
async def open_ledger(settings: Settings) -> AsyncIterator[RedisLedger]:
    """The ledger on the store the settings name. Raises StoreFault.

    The embedded one is started where none runs in its directory, and again should it die; who started it stops it.
    """
    if settings.store != "embedded":
        ledger = await RedisLedger.connect(settings.store, timeout_s=settings.store_timeout)
        try:
            yield ledger
        finally:
            await ledger.close()
        return
    servers = [await asyncio.to_thread(embedded.ensure_running, settings.data)]

    async def revive() -> None:
        servers.append(await asyncio.to_thread(embedded.ensure_running, settings.data))

    try:
        ledger = await RedisLedger.connect(servers[0].url, timeout_s=settings.store_timeout, revive=revive)
        try:
            yield ledger
        finally:
            await ledger.close()
    finally:
        for server in servers:
            server.stop()


async def serve(settings: Settings, environ: Mapping[str, str], *, on_ready: Callable[[], None] | None = None) -> None:
    """Run the gateway until SIGTERM or SIGINT. Raises SettingsError, PolicyErrors or StoreFault before it listens."""
    require_fast_parser()
    key_secret = secret(environ)
    token = admin_token(environ, settings)
    finish_push(settings)
    policies = Policies(load_dir(settings.policies), key_secret)
    fleet = open_fleet(settings, environ)

    def prepare(policy: Policy) -> tuple[Lens, list[Wanted]]:
        return lens_of(policy, settings.policies, key_secret), wanted_pools(policy, environ)

    def adopt(policy: Policy) -> None:
        lens, pools = prepare(policy)  # whatever can fail comes first
        fleet.adopt(pools)
        policies.swap(policy)
        lenses[:] = [lens]
        if watchers:
            watchers[0].lens = lens

    lenses: list[Lens] = []
    watchers: list[Watcher] = []

    adopt(policies.snapshot().policy)
    source = Source(settings.policies, policies.snapshot().policy, adopt=adopt, check=prepare)
    sockets = open_sockets(settings)
    lines = logs.configure()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with open_ledger(settings) as ledger:
        tasks = Tasks(_report)
        holds = Holds(
            ledger,
            fallback=LocalLedger(share=settings.store_loss_share) if settings.store_loss == "share" else None,
            tasks=tasks,
            lease_s=settings.lease,
            renew_every_s=settings.renew_every,
        )
        waiting, estimator = Waiting(holds), Estimator()
        if settings.watch == "on":
            store = WatchStore(ledger.connection, entries_max=settings.sightings)
            watchers.append(Watcher(store, lenses[0], now_us=ledger.server_now_us))
        watcher = watchers[0] if watchers else None
        analyst = child_of(settings, environ, ledger, write=lines.write) if watcher is not None else None
        house = House(
            settings=settings,
            secret=key_secret,
            policies=policies,
            door=Door(holds, waiting, estimator, ledger.server_now_us),
            holds=holds,
            waiting=waiting,
            owners=Owners(ledger.connection, key_secret),
            spool=Spool(settings.spool_limit_bytes),
            fleet=fleet,
            sockets=sockets,
            estimator=estimator,
            tally=Tally(),
            explained=Explained(),
            watcher=watcher,
            tasks=tasks,
            stopping=stopping,
            store_now_us=ledger.server_now_us,
        )
        if settings.store != "embedded":
            for warning in await checkup.warnings(parse_url(settings.store), timeout_s=settings.store_timeout):
                log.warning("store_setup", side="store", reason=warning)
        runner = await _listen(house, health.Checks(ledger, fleet, stopping))
        desk = admin_watch.routes(
            WatchStore(ledger.connection, entries_max=settings.sightings),
            lambda: policies.snapshot().policy,
            key_secret,
            ledger.server_now_us,
        )
        admin = await _listen_admin(house, source, desk, token)
        beside = [
            tasks.spawn(house.holds.run(), name="renewals"),
            tasks.spawn(lines.run(), name="log"),
            tasks.spawn(source.watch(), name="policy"),
            tasks.spawn(fleet.tidy(), name="fleet"),
            *([tasks.spawn(watcher.run(), name="watch")] if watcher is not None else []),
            *([tasks.spawn(analyst.run(), name="analyst")] if analyst is not None else []),
        ]
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGHUP, lambda: tasks.spawn(source.reload("signal"), name="policy")
        )
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 20, 20)
        log.info("serving", listen=settings.listen, version=__version__, policy=policies.snapshot().digest)
        if on_ready is not None:
            on_ready()
        await stopping.wait()
        log.info("stopping", open_holds=len(house.holds), drain_s=settings.drain)
        await runner.cleanup()
        if admin is not None:
            await admin.cleanup()
        for task in beside:
            task.cancel()
        if watcher is not None:
            await watcher.close()
        if analyst is not None:
            await analyst.close()
        with suppress(StoreFault):
            await ledger.ping()  # replies come in order: once this one is here, every settlement's is
        lost = await tasks.drain(settings.drain)
        await fleet.close()
        await sockets.close()
        log.info("stopped", unfinished_tasks=lost)
    lines.close(LOG_CLOSE_S)


def finish_push(settings: Settings) -> None:
    """Put a pushed set in its place that a killed gateway has left behind. Raises SettingsError."""
    try:
        install.finish(settings.policies)
    except OSError as error:
        raise SettingsError(
            f"policies: a pushed set in {settings.policies / install.INCOMING} cannot be put in its place: {error}"
        ) from None


def open_upstream(settings: Settings, url: str = "") -> HttpUpstream:
    """A model server; "" is the one that the settings name. Nothing is connected yet. Raises SettingsError for a bad URL."""
    return HttpUpstream(
        url or settings.upstream,
        credentials=[],  # they differ between wire families: phases.shape sends them
        timeouts=_timeouts(settings),
        idle_timeout_s=settings.upstream_idle_timeout,
        connections_max=settings.upstream_connections,
    )


def open_sockets(settings: Settings) -> WebSockets:
    """WebSockets to whichever of them; nothing is connected yet."""
    return WebSockets(timeouts=_timeouts(settings), connections_max=settings.upstream_connections)


def _timeouts(settings: Settings) -> Timeouts:
    return Timeouts(
        settings.connect_timeout, settings.first_byte_timeout, settings.between_chunks_timeout, settings.total_timeout
    )


def open_fleet(settings: Settings, environ: Mapping[str, str]) -> Fleet:
    """The upstream of the settings, as a fleet that can take a policy's pools. Raises SettingsError."""
    default = Route("", Pool([Server(open_upstream(settings))]), upstream_credentials(environ))
    return Fleet(default, lambda url: open_upstream(settings, url))


def wanted_pools(policy: Policy, environ: Mapping[str, str]) -> list[Wanted]:
    """The pools that a policy names, with their keys. Raises SettingsError for a key that is not in the environment."""
    shared = upstream_credentials(environ)
    return [
        Wanted(name, urls, pool_credentials(environ, name, key_env) if key_env else shared)
        for name, urls, key_env in ((pool.name, pool.urls, pool.key_env) for pool in policy.upstreams)
    ]


async def _listen_admin(house: House, source: Source, desk: list[admin_server.Route], token: str) -> web.AppRunner | None:
    """Open the operator's listener, where one is set. Raises SettingsError when the address is taken."""
    if house.settings.admin == "none":
        return None
    routes = [*admin_policy.routes(source), *admin_state.routes(house, source), *desk]
    runner = web.AppRunner(admin_server.application(routes, token), access_log=None)
    await runner.setup()
    await _open_site(runner, "admin", house.settings.admin)
    return runner


async def _open_site(runner: web.ServerRunner | web.AppRunner, setting: str, address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        await web.TCPSite(runner, host.strip("[]"), int(port), backlog=4096).start()
    except OSError as error:
        await runner.cleanup()
        raise SettingsError(f"{setting}: cannot listen on {address}: {error.strerror or error}") from None


async def _listen(house: House, checks: health.Checks) -> web.ServerRunner:
    """Open the tenants' listener. Raises SettingsError when the address is taken."""
    settings = house.settings
    handler = partial(_dispatch, house=house, checks=checks)
    server = listener.server(handler, keepalive_timeout=settings.keepalive_timeout)
    runner = web.ServerRunner(server, shutdown_timeout=settings.drain)
    await runner.setup()
    await _open_site(runner, "listen", settings.listen)
    return runner


async def _dispatch(request: web.BaseRequest, *, house: House, checks: health.Checks) -> web.StreamResponse:
    if request.raw_path in health.PATHS:
        return await checks.answer(request.raw_path)
    return await proxy.handle(request, house)


def _report(name: str, error: BaseException) -> None:
    log.error("task_failed", task=name, side="gateway", error=repr(error))
