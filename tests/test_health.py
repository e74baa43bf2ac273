"""`/readyz`: what it may cost, whoever asks and however often."""

from __future__ import annotations

import asyncio

from gateway.health import Checks


def test_many_who_ask_at_once_are_one_look() -> None:
    """Anyone may ask, without a key: while a dead model server was waited for, each who asked once had it dialled again."""
    looks = []

    class Store:
        async def ping(self) -> None:
            return

    class Upstream:
        async def probe(self) -> bool:
            looks.append(1)
            await asyncio.sleep(0)
            return False

    async def story() -> None:
        checks = Checks(Store(), Upstream(), asyncio.Event())
        answers = await asyncio.gather(*(checks.answer("/readyz") for _ in range(50)))
        assert {answer.status for answer in answers} == {503}

    asyncio.run(story())
    assert len(looks) == 1
