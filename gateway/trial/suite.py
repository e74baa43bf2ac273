"""All policy tests of a directory, one after the other, each from a clean store."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from gateway.policy.model import Policy
from gateway.policy.trials import Trial
from gateway.snapshot import Snapshot
from gateway.store import embedded
from gateway.store.virtual import VirtualLedger, open_virtual
from gateway.trial.clock import VirtualLoop, run_virtually
from gateway.trial.run import Miss, NotCounted, run_trial
from gateway.trial.world import SECRET, World


class Result(NamedTuple):
    """What came of one test."""

    trial: Trial
    misses: tuple[Miss, ...]
    problem: str
    """Why it could not be run; "": it was."""
    took_s: float

    @property
    def is_passed(self) -> bool:
        return not self.misses and not self.problem


def run_suite(trials: Sequence[Trial], policy: Policy, on_result: Callable[[Result], None]) -> list[Result]:
    """Run tests on a store that is started for them and stopped afterwards. Raises StoreFault and SettingsError."""
    with tempfile.TemporaryDirectory(prefix="gauger-") as folder:
        server = embedded.ensure_running(Path(folder))
        try:
            return run_virtually(lambda: _run(trials, Snapshot(policy, SECRET), server.url, on_result))
        finally:
            server.stop()


async def _run(trials: Sequence[Trial], policy: Snapshot, url: str, on_result: Callable[[Result], None]) -> list[Result]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)  # noqa: S101  # `run_suite` has made it
    ledger = await open_virtual(url, now_us=lambda: 0, standing=loop.standing)
    results = []
    try:
        for trial in trials:
            result = await _run_one(trial, policy, ledger)
            on_result(result)
            results.append(result)
    finally:
        await ledger.close()
    return results


async def _run_one(trial: Trial, policy: Snapshot, ledger: VirtualLedger) -> Result:
    began_s = time.perf_counter()
    await ledger.clear()
    world = World(ledger, trial.at_us)
    ledger.now_us = world.now_us
    problem = ""
    misses: list[Miss] = []
    try:
        misses = await run_trial(trial, policy, world)
    except NotCounted as error:
        problem = f"{error.place.file}:{error.place.line}: {error}"
    return Result(trial, tuple(misses), problem, time.perf_counter() - began_s)
