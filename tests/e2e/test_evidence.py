"""Evidence through the whole gateway: real requests, a real analyst, the commands, and a kill in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.e2e.test_contract import one
from tests.e2e.test_watch import analyst_of, policy
from tests.support import Gateway, environ, eventually, policies_of
from tests.watch.make import honest

Fresh = Callable[..., Gateway]


def evidence(gateway: Gateway, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli.main", "evidence", *words]
    return subprocess.run(command, env=environ(), capture_output=True, text=True, check=False, timeout=60)


def where(gateway: Gateway) -> tuple[str, ...]:
    return ("--policies", str(gateway.policies), "--data", str(gateway.data))


def exported(gateway: Gateway, tenant: str, sightings: int) -> Path:
    """The tenant's file, once it holds so many requests."""
    path = gateway.data / f"{tenant}.evidence"

    def is_there() -> bool:
        made = evidence(gateway, "export", "--tenant", tenant, "--out", str(path), *where(gateway))
        return made.returncode == 0 and path.read_bytes().count(b'"kind":"sighting"') >= sightings

    eventually(is_there, 60)
    return path


def verified(gateway: Gateway, path: Path) -> dict[str, object]:
    public = evidence(gateway, "key", "--data", str(gateway.data)).stdout.strip()
    checked = evidence(gateway, "verify", str(path), "--public-key", public, "--json")
    assert checked.returncode == 0, checked.stdout
    return dict(json.loads(checked.stdout))


def everything(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


def test_requests_become_evidence_and_none_is_lost_at_a_kill(fresh: Fresh) -> None:
    """Each request is written once, whether the analyst is killed or not; the kill is seen, and no other tenant is shown."""
    with policies_of(policy("shadow")) as path:
        gateway = fresh("--analyst", "inside", policies=Path(path))
        for number in range(6):
            assert one(gateway.url, ("burst", "money")[number % 2], honest(number))[0] == 200
        exported(gateway, "burst", 3)
        os.kill(analyst_of(gateway), signal.SIGKILL)
        for number in range(6, 12):
            assert one(gateway.url, ("burst", "money")[number % 2], honest(number))[0] == 200
        file = exported(gateway, "burst", 6)
        report = verified(gateway, file)
        assert (report["kinds"], report["others"]) == ({"begun": 1, "opened": 1, "sighting": 6}, 6)
        assert [gap["after"] for gap in report["gaps"]] == ["not closed"]  # type: ignore[attr-defined]
        assert b"money" not in file.read_bytes()
        held = evidence(gateway, "hold", "--tenant", "burst", "--reason", "case 1", *where(gateway))
        assert held.stdout == "held: nothing of tenant burst of acme is removed\n", held.stderr
        assert gateway.stop() == 0
        report = verified(gateway, exported(gateway, "burst", 6))
        assert report["kinds"] == {"begun": 1, "opened": 1, "sighting": 6, "hold": 1, "closed": 1}


def test_prompts_are_kept_where_the_policy_says_so_and_nowhere_else(fresh: Fresh) -> None:
    """A sampled prompt is in nobody's files to be read, and opens with the secret; without sampling there is none."""
    body = {**honest(1), "messages": [{"role": "user", "content": "the zanzibarine affair, please"}]}
    prompt = json.dumps({"messages": body["messages"]}, separators=(",", ":"))
    for run, (share, prompts) in enumerate((("0%", []), ("100%", [prompt])), 1):
        with policies_of(policy("shadow").replace("ladder: fast}", f"ladder: fast, sample_prompts: {share}}}")) as path:
            gateway = fresh("--analyst", "inside", policies=Path(path))
            assert one(gateway.url, "burst", body)[0] == 200
            file = exported(gateway, "burst", run)
            opened = evidence(gateway, "open", str(file)).stdout.splitlines()
            assert [json.loads(line)["prompt"] for line in opened] == prompts
            assert gateway.stop() == 0
            assert b"zanzibarine" not in everything(gateway.data)
