"""Look at an external store once, at the start: what in its set-up would lose money is told before it does.

Off the path of requests, so by redis-py. Failure policy: nothing here stops a start; a store that does not let itself be
asked (an ACL without INFO or CONFIG) is told as such, and serves.
"""

from __future__ import annotations

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.store.address import Address

OLDEST = (6, 2)
"""The oldest server the scripts are tested on."""


async def warnings(address: Address, *, timeout_s: float) -> list[str]:
    """What an operator should know about the store at `address`; [] when all is well."""
    client = Redis(
        host=address.host,
        port=address.port,
        unix_socket_path=address.path or None,
        username=address.user or None,
        password=address.password or None,
        ssl=address.is_tls,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),  # redis-py repeats a timed-out call three times unless told not to
        decode_responses=True,
    )
    try:
        info = await client.info()
    except (RedisError, OSError) as error:
        return [f"the store could not be asked about its set-up ({type(error).__name__}): allow INFO to check it"]
    finally:
        await client.aclose()
    return judge(info)


def judge(info: dict[str, object]) -> list[str]:
    """What INFO tells. Fields that are missing (a managed service hides some) tell nothing."""
    found = []
    version = str(info.get("redis_version", ""))
    parts = version.split(".")
    if len(parts) >= 2 and parts[0].isdigit() and parts[1].isdigit() and (int(parts[0]), int(parts[1])) < OLDEST:
        found.append(f"its version {version} is older than {OLDEST[0]}.{OLDEST[1]}, the oldest the gateway is tested on")
    if (policy := str(info.get("maxmemory_policy", "noeviction"))) != "noeviction":
        found.append(f"maxmemory-policy is {policy}: counters can vanish and budgets start anew; set it to noeviction")
    if str(info.get("aof_enabled", "1")) == "0":
        found.append("its append-only file is off: a restart forgets what was used since the last snapshot; set appendonly yes")
    if str(info.get("role", "master")) not in ("master", "primary"):
        found.append("it is a replica: nothing can be written there")
    if str(info.get("cluster_enabled", "0")) == "1":
        found.append("it is a cluster: the gateway follows no redirects yet, and will fail on keys of other nodes")
    return found
