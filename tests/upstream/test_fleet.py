"""Pools of servers: who is asked, who is passed over, and what is never sent twice. Scripted servers on loopback."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import SettingsError, UpstreamFault
from gateway.upstream.fleet import Fleet, Pool, Route, Server, Wanted
from tests.upstream.scripted import OK, Scripted, always, read_request, run, turns, upstream

DEAD = "http://127.0.0.1:1"
CREDENTIALS = {"openai": [], "anthropic": []}


async def ask(pool: Pool) -> bytes:
    reply = await pool.send(b"POST", b"/v1/x", [], b"")
    try:
        return await reply.read(100)
    finally:
        reply.close()


def naming(name: bytes):
    return always(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n" + name)


def test_requests_go_round_and_to_the_one_with_the_fewest_running():
    """Of idle servers each gets its turn; one that is busy is left alone as long as another is not."""

    async def main() -> None:
        held = asyncio.Event()

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await read_request(reader)
                await held.wait()
                writer.write(OK.replace(b"ok", b"aa"))

        async with Scripted(slow) as a, Scripted(naming(b"b")) as b:
            pool = Pool([Server(upstream(a.url)), Server(upstream(b.url))])
            first = asyncio.ensure_future(ask(pool))
            await asyncio.sleep(0)
            assert [await ask(pool) for _ in range(3)] == [b"b", b"b", b"b"]
            held.set()
            assert await first == b"aa"
            assert sorted([await ask(pool) for _ in range(4)]) == [b"aa", b"aa", b"b", b"b"]
            await pool.close()

    run(main())


def test_a_server_that_is_not_there_costs_no_request():
    """What no byte was written of goes to the next one, and the dead one rests."""

    async def main() -> None:
        async with Scripted(naming(b"b")) as b:
            dead = Server(upstream(DEAD))
            pool = Pool([dead, Server(upstream(b.url))])
            assert [await ask(pool) for _ in range(5)] == [b"b"] * 5
            assert dead.breaker.is_resting(asyncio.get_running_loop().time())
            assert await pool.probe()
            await pool.close()

    run(main())


def test_where_all_are_gone_the_last_ones_fault_is_told():
    """A breaker never refuses by itself: resting servers are asked where there are no others."""

    async def main() -> None:
        pool = Pool([Server(upstream(DEAD)), Server(upstream("http://127.0.0.1:2"))])
        for _ in range(3):
            with pytest.raises(UpstreamFault) as caught:
                await ask(pool)
            assert (caught.value.kind, caught.value.reached) == ("connect", False)
        assert not await pool.probe()
        await pool.close()

    run(main())


def test_what_may_have_been_read_is_never_sent_twice():
    """A server that dies after the request has begun a generation that somebody pays for."""

    async def main() -> None:
        async def dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)

        async with Scripted(dies) as a, Scripted(dies) as b:
            pool = Pool([Server(upstream(a.url)), Server(upstream(b.url))])
            with pytest.raises(UpstreamFault) as caught:
                await ask(pool)
            assert (caught.value.reached, a.accepted + b.accepted) == (True, 1)
            await pool.close()

    run(main())


def test_a_reload_keeps_the_connections_of_servers_that_stay():
    """A pool that changes keeps its servers of the same URL; one that goes is closed when nothing of it runs any more."""

    async def main() -> None:
        async with Scripted(naming(b"a")) as a, Scripted(naming(b"b")) as b:
            fleet = Fleet(Route("", Pool([Server(upstream(DEAD))]), CREDENTIALS), upstream)
            fleet.adopt([Wanted("fast", (a.url,), CREDENTIALS), Wanted("slow", (b.url,), CREDENTIALS)])
            assert [await ask(fleet.route(name).pool) for name in ("fast", "slow")] == [b"a", b"b"]
            assert [route.name for route in fleet.routes] == ["fast", "slow"]
            fleet.adopt([Wanted("fast", (a.url, b.url), CREDENTIALS)])
            assert sorted([await ask(fleet.route("fast").pool) for _ in range(2)]) == [b"a", b"b"]
            assert (a.accepted, b.accepted, b.open) == (1, 2, 2)
            await fleet.close_dropped()
            await turns(lambda: (a.open, b.open) == (1, 1))
            assert await fleet.probe()
            await fleet.close()

    run(main())


def test_a_pool_that_cannot_be_opened_changes_nothing():
    """All or nothing: the fleet that serves stays."""

    async def main() -> None:
        fleet = Fleet(Route("", Pool([Server(upstream(DEAD))]), CREDENTIALS), upstream)
        fleet.adopt([Wanted("fast", (DEAD,), CREDENTIALS)])
        before = fleet.route("fast")
        with pytest.raises(SettingsError):
            fleet.adopt([Wanted("fast", ("ftp://nowhere",), CREDENTIALS)])
        assert fleet.route("fast") is before
        await fleet.close()

    run(main())


def test_servers_are_probed_side_by_side():
    """Of many that do not answer, each takes the whole time to connect: one after the other, `/readyz` took minutes."""

    async def main() -> None:
        meeting = asyncio.Barrier(3)

        class Silent:
            async def probe(self) -> bool:
                await meeting.wait()
                return False

        pools = [Pool([Server(Silent()), Server(Silent())]), Pool([Server(Silent())])]
        fleet = Fleet(Route("", pools[1], CREDENTIALS), upstream)
        fleet._routes = {str(number): Route(str(number), pool, CREDENTIALS) for number, pool in enumerate(pools, 1)}
        async with asyncio.timeout(10):
            assert await fleet.probe() is False

    run(main())
