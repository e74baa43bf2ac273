"""The contract, black box: budgets bite exactly, over any number of gateways, and nothing is charged that should not be."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import aiohttp

from tests.support import Gateway, ModelServer, eventually, key

CHAT = {"model": "demo-small", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi there."}]}


async def post(url: str, tenant: str, body: dict[str, Any], session: aiohttp.ClientSession) -> tuple[int, dict[str, str], Any]:
    headers = {"Authorization": f"Bearer {key(tenant)}"}
    async with session.post(f"{url}/v1/chat/completions", json=body, headers=headers) as answer:
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, await answer.json()


def many(urls: list[str], tenant: str, count: int, body: dict[str, Any] = CHAT) -> list[tuple[int, dict[str, str], Any]]:
    """`count` requests at once, in turn over the gateways."""

    async def run() -> list[tuple[int, dict[str, str], Any]]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            return await asyncio.gather(*(post(urls[i % len(urls)], tenant, body, session) for i in range(count)))

    return asyncio.run(run())


def one(url: str, tenant: str, body: dict[str, Any] = CHAT) -> tuple[int, dict[str, str], Any]:
    return many([url], tenant, 1, body)[0]


def test_a_hundred_at_once_over_two_gateways(fresh: Callable[..., Gateway]) -> None:
    """Exactly 10 of 100 pass; the others are told the truth about when to come back; refusals are charged nothing."""
    urls = [fresh().url, (second := fresh()).url]
    answers = many(urls, "burst", 100)
    assert Counter(status for status, _, _ in answers) == {200: 10, 429: 90}
    for status, headers, body in answers:
        if status == 429:
            assert 4_000 < int(headers["retry-after-ms"]) <= 6_400
            assert body["error"]["code"] == "rate_limit_exceeded"
    eventually(lambda: second.usage("burst")["ten-a-minute"]["held"] == 0)
    assert 9 <= second.usage("burst")["ten-a-minute"]["used"] <= 10


def test_output_tokens_are_held_and_given_back(fresh: Callable[..., Gateway]) -> None:
    """Two of ten requests for 400 tokens fit in 1000; what they did not use comes back."""
    gateway = fresh()
    body = {**CHAT, "max_tokens": 400, "model": "demo-small?tokens=50&first_byte_ms=300"}
    began_s = time.monotonic()
    answers = many([gateway.url], "tokens", 10, body)
    assert Counter(status for status, _, _ in answers) == {200: 2, 429: 8}
    budget = gateway.usage("tokens")["output-a-minute"]
    assert budget["held"] == 0
    assert 900 <= budget["remaining"] <= 900 + 1000 / 60 * (time.monotonic() - began_s) + 1  # it refills by 16.7 a second
    assert budget["limit"] == 1000


def test_money_is_refused_for_the_month(fresh: Callable[..., Gateway]) -> None:
    """A worst case that does not fit is refused as a spent quota, and retrying is called useless."""
    gateway = fresh()
    status, _, _ = one(gateway.url, "money", {**CHAT, "max_tokens": 4000, "model": "demo-small?tokens=3000"})
    assert status == 200
    status, headers, body = one(gateway.url, "money", {**CHAT, "max_tokens": 4000})
    assert (status, body["error"]["code"], headers["x-should-retry"]) == (429, "insufficient_quota", "false")
    budget = gateway.usage("money")["month"]
    assert budget["limit"] == 50_000_000
    assert budget["unit"] == "nano_usd"
    assert 30_000_000 < budget["used"] < 30_100_000
    assert budget["held"] == 0


def test_an_organisations_budget_is_shared(fresh: Callable[..., Gateway]) -> None:
    """Two tenants of one organisation spend the same five requests."""
    gateway = fresh()
    statuses = [one(gateway.url, tenant)[0] for tenant in ("left", "right", "left", "right", "left", "right", "left")]
    assert statuses == [200, 200, 200, 200, 200, 429, 429]
    assert gateway.usage("right")["pair-requests"]["used"] in (4, 5)


def test_shadow_never_refuses(fresh: Callable[..., Gateway]) -> None:
    """All pass, and the record says which would not have."""
    gateway = fresh()
    assert [one(gateway.url, "shadow")[0] for _ in range(4)] == [200] * 4
    gateway.record(4)
    assert [line.get("would_refuse") for line in gateway.records()] == [None, *[["one-a-minute"]] * 3]


def test_parallel_streams_free_their_place_when_they_end(fresh: Callable[..., Gateway]) -> None:
    """Of twenty slow streams five run; the next one runs as soon as one has ended."""
    gateway = fresh()
    body = {**CHAT, "stream": True, "model": "demo-small?tokens=100000&gap_ms=50", "max_tokens": 100_000}

    async def run() -> tuple[Counter[int], int, int]:
        headers = {"Authorization": f"Bearer {key('parallel')}"}
        url = f"{gateway.url}/v1/chat/completions"
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            answers = await asyncio.gather(*(session.post(url, json=body, headers=headers) for _ in range(20)))
            statuses = Counter(answer.status for answer in answers)
            running = [answer for answer in answers if answer.status == 200]

            async def status() -> int:
                answer = await session.post(url, json=body, headers=headers)
                answers.append(answer)
                return answer.status

            refused = await status()
            running[0].close()
            for _ in range(100):
                admitted = await status()
                if admitted == 200:
                    break
                await asyncio.sleep(0.02)
            for answer in answers:
                answer.close()
            return statuses, refused, admitted

    assert asyncio.run(run()) == ({200: 5, 429: 15}, 429, 200)


def test_a_client_that_leaves_a_stream(fresh: Callable[..., Gateway], model: ModelServer) -> None:
    """It cancels the upstream within half a second and is charged input plus what was delivered, not what it might have."""
    gateway = fresh()
    body = {**CHAT, "stream": True, "model": "demo-small?tokens=300&gap_ms=10", "max_tokens": 300}

    async def run() -> float:
        headers = {"Authorization": f"Bearer {key('tokens')}"}
        async with aiohttp.ClientSession() as session:
            answer = await session.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers)
            events = 0
            async for line in answer.content:
                events += b'"content":' in line
                if events > 30:
                    break
            answer.close()
            return time.monotonic()

    asyncio.run(run())
    left_s = time.monotonic()
    assert model.over(model.last()) == "client_left"
    assert time.monotonic() - left_s < 0.5
    line = gateway.record()
    assert line["ended"] == "client_left"
    assert line["usage"]["is_complete"] is False
    sent = model.last().tokens
    assert 30 <= line["usage"]["output_tokens"] <= sent
    assert line["usage"]["output_tokens"] >= sent - 5  # what lay in the sockets when the client left
    budget = gateway.usage("tokens")["output-a-minute"]
    assert budget["held"] == 0
    assert budget["used"] <= sent


def test_a_client_that_leaves_before_the_first_byte(fresh: Callable[..., Gateway], model: ModelServer) -> None:
    """The upstream is cancelled too, and the input is charged."""
    gateway = fresh()
    body = {**CHAT, "model": "demo-small?first_byte_ms=20000"}

    async def run() -> None:
        headers = {"Authorization": f"Bearer {key('tokens')}"}
        async with aiohttp.ClientSession() as session:
            waiting = asyncio.ensure_future(session.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers))
            seen = len(model.seen)
            while len(model.seen) == seen:
                await asyncio.sleep(0.01)
            waiting.cancel()

    asyncio.run(run())
    left_s = time.monotonic()
    assert model.over(model.last()) == "client_left"
    assert time.monotonic() - left_s < 0.5
    usage = gateway.record()["usage"]
    assert usage["input_tokens"] > 0
    assert usage["output_tokens"] == 0


def test_an_upstream_that_cannot_be_reached_costs_nothing(fresh: Callable[..., Gateway]) -> None:
    """502, and every budget as before."""
    gateway = fresh("--upstream-idle-timeout", "1s")
    gateway.close()
    gateway = Gateway(gateway.policies, "http://127.0.0.1:9", gateway.data, wait=False)
    try:
        eventually(lambda: any(line["event"] == "serving" for line in gateway.log()))
        status, _, body = one(gateway.url, "burst")
        assert (status, body["error"]["type"]) == (502, "server_error")
        eventually(lambda: gateway.usage("burst")["ten-a-minute"]["remaining"] == 10)
    finally:
        gateway.close()


def test_a_killed_gateway_blocks_nobody(fresh: Callable[..., Gateway], model: ModelServer) -> None:
    """kill -9 with 200 streams open: what they held is free after the lease, what was delivered is charged."""
    keeper = fresh()  # it owns the store and lives on
    lease_s = 3
    victim = fresh("--lease", f"{lease_s}s", "--renew-every", "500ms")
    body = {**CHAT, "stream": True, "model": "demo-small?tokens=100000&gap_ms=100", "max_tokens": 4}
    body["max_tokens"] = 100_000

    async def run(tenant: str, streams: int) -> None:
        headers = {"Authorization": f"Bearer {key(tenant)}"}
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            url = f"{victim.url}/v1/chat/completions"
            answers = await asyncio.gather(*(session.post(url, json=body, headers=headers) for _ in range(streams)))
            assert {answer.status for answer in answers} <= {200, 429}
            await asyncio.gather(*(answer.content.read(2000) for answer in answers if answer.status == 200))
            await asyncio.sleep(1.2)  # two renewals by the process's own clock
            if tenant == "parallel":  # while they run: on a slow machine a lease is over before anybody has asked
                held = (await asyncio.to_thread(keeper.usage, tenant))["in-flight"]["held"]
                assert held == 5
            victim.kill()
            for answer in answers:
                answer.close()

    asyncio.run(run("parallel", 200))
    killed_s = time.monotonic()
    eventually(lambda: keeper.usage("parallel")["in-flight"]["held"] == 0, lease_s + 5)
    assert time.monotonic() - killed_s < lease_s + 5
