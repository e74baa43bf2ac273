"""What an operator is told about an external store at the start."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from redis import Redis

from gateway.store.address import parse_url
from gateway.store.checkup import judge, warnings
from gateway.store.embedded import ensure_running


def test_a_good_store_is_not_talked_about() -> None:
    """Nor one that hides its fields, as managed services do."""
    assert judge({"redis_version": "7.2.4", "maxmemory_policy": "noeviction", "aof_enabled": 1, "role": "master"}) == []
    assert judge({}) == []


def test_each_danger_has_its_sentence() -> None:
    """Old, evicting, forgetful, read-only, or spread over nodes."""
    info = {
        "redis_version": "5.0.1",
        "maxmemory_policy": "allkeys-lru",
        "aof_enabled": 0,
        "role": "slave",
        "cluster_enabled": 1,
    }
    assert [sentence.split(":")[0] for sentence in judge(info)] == [
        "its version 5.0.1 is older than 6.2, the oldest the gateway is tested on",
        "maxmemory-policy is allkeys-lru",
        "its append-only file is off",
        "it is a replica",
        "it is a cluster",
    ]


def test_a_real_server_is_asked() -> None:
    """The embedded one passes; set to evict, it does not; gone, it is said that it could not be asked."""
    server = ensure_running(Path(tempfile.mkdtemp(prefix="gg")))
    address = parse_url(server.url)
    try:
        assert asyncio.run(warnings(address, timeout_s=2)) == []
        with Redis(unix_socket_path=address.path) as client:
            client.config_set("maxmemory-policy", "volatile-lru")
        assert [told.split(" ")[0] for told in asyncio.run(warnings(address, timeout_s=2))] == ["maxmemory-policy"]
    finally:
        server.stop()
    assert "could not be asked" in asyncio.run(warnings(address, timeout_s=2))[0]
