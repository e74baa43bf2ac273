"""The admin side of what runs: metrics, and why a request was refused."""

from __future__ import annotations

from aiohttp import web

from gateway import __version__
from gateway.admin.server import Route, reply, told
from gateway.house import House
from gateway.policy.source import Source
from gateway.tally import Gauge


def routes(house: House, source: Source) -> list[Route]:
    async def metrics(_request: web.Request) -> web.Response:
        page = house.tally.render(_gauges(house, source))
        return web.Response(text=page, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def explain(request: web.Request) -> web.Response:
        found = house.explained.of(request.match_info["id"])
        if found is None:
            return told(404, "no refusal of this id is remembered here: ask the gateway that served it, or look into its log")
        return reply(found)

    return [("GET", "/metrics", metrics), ("GET", "/requests/{id}", explain)]


def _gauges(house: House, source: Source) -> list[Gauge]:
    state = source.state
    return [
        Gauge("gauger_build_info", "The version that runs.", 1, {"version": __version__}),
        Gauge("gauger_holds_open", "Requests that hold budget now.", len(house.holds)),
        Gauge("gauger_waiting", "Requests that wait for room in a budget.", len(house.waiting)),
        Gauge("gauger_store_down", "1 while the store is gone.", int(house.holds.is_store_down)),
        Gauge("gauger_policy_info", "The policy in force.", 1, {"digest": state.digest}),
        Gauge("gauger_policy_loaded_timestamp_seconds", "When it came into force.", state.loaded_at_s),
        Gauge("gauger_policy_reloads_total", "Reloads that changed the policy.", state.reloads, is_counter=True),
        Gauge("gauger_policy_reload_failures_total", "Reloads that failed.", state.failures, is_counter=True),
        Gauge("gauger_policy_last_reload_failed", "1: the files do not hold what is in force.", int(bool(state.mistakes))),
    ]
