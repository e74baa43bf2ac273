"""Where the running policy comes from: a directory that may change at any time, and what becomes of a change.

Failure policy: a directory that cannot be used changes nothing. The last good policy stays in force, every mistake is logged
and kept in `state` until a reload succeeds, and the process goes on. A reload is all or nothing: the new policy is read aside,
then taken in one step by `adopt`; a request that is running keeps what it began with.

A file that is being written is not read: a directory counts as settled when it has not changed for `SETTLED_S`, and what
changed while it was read is read again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import structlog
import watchfiles

from gateway.errors import GaugerError, Mistake, PolicyErrors
from gateway.policy.load import is_policy_name, load_dir
from gateway.policy.model import Policy

log = structlog.get_logger()

SETTLED_S = 0.2
READ_AGAIN_MAX = 20
"""So often at most; a directory that never settles is a failure like any other."""
_MISTAKES_LOGGED_MAX = 20

Signature = tuple[tuple[str, int, int, int], ...]


class State(NamedTuple):
    """How the source stands, for the operator."""

    digest: str
    """Of the policy in force."""
    loaded_at_s: float
    """When it came into force, seconds since the epoch."""
    reloads: int
    """That changed the policy."""
    failures: int
    """Reloads that failed, since the start."""
    mistakes: tuple[Mistake, ...] = ()
    """Of the last reload; (): it succeeded."""


class Source:
    """Reloads one directory. `adopt` takes a policy into force, and raises GaugerError where it cannot be."""

    def __init__(
        self,
        directory: Path,
        policy: Policy,
        *,
        adopt: Callable[[Policy], None],
        now_s: Callable[[], float] = time.time,  # noqa: TID251  # the clock, where it is injected
    ) -> None:
        self.directory = directory
        self._adopt = adopt
        self._now_s = now_s
        self._reloading = asyncio.Lock()
        self.state = State(policy.digest, now_s(), 0, 0)

    async def reload(self, why: str) -> State:
        """Read the directory again, and take what it says into force. Raises nothing: `state.mistakes` tells of a failure."""
        async with self._reloading:
            mistakes, policy = await self._read_settled()
            if policy is not None:
                mistakes = self._take(policy, why)
            if mistakes:
                self.state = self.state._replace(failures=self.state.failures + 1, mistakes=tuple(mistakes))
                shown = [str(mistake) for mistake in mistakes[:_MISTAKES_LOGGED_MAX]]
                log.error(
                    "policy_refused", side="gateway", why=why, policy=self.state.digest, count=len(mistakes), mistakes=shown
                )
            return self.state

    def _take(self, policy: Policy, why: str) -> list[Mistake]:
        if policy.digest == self.state.digest:
            self.state = self.state._replace(mistakes=())
            return []
        try:
            self._adopt(policy)
        except GaugerError as error:
            return [Mistake(str(self.directory), 1, 1, "directory", str(error))]
        before = self.state
        self.state = State(policy.digest, self._now_s(), before.reloads + 1, before.failures)
        log.warning("policy_reloaded", side="gateway", why=why, before=before.digest, policy=policy.digest)
        return []

    async def _read_settled(self) -> tuple[list[Mistake], Policy | None]:
        before = await asyncio.to_thread(signature, self.directory)
        for _ in range(READ_AGAIN_MAX):
            mistakes, policy = await asyncio.to_thread(_read, self.directory)
            after = await asyncio.to_thread(signature, self.directory)
            if after == before:
                return mistakes, policy
            await asyncio.sleep(SETTLED_S)
            before = await asyncio.to_thread(signature, self.directory)
        return [Mistake(str(self.directory), 1, 1, "directory", "it changes all the time: stop writing to it")], None

    async def watch(self) -> None:
        """Reload for ever, as soon as files of the directory have changed and settled."""
        while True:
            try:
                step_ms = round(SETTLED_S * 1000)  # changes that follow each other more closely are one
                changes = watchfiles.awatch(
                    self.directory, watch_filter=_concerns_policies, debounce=5000, step=step_ms, recursive=False
                )
                async for _ in changes:
                    await self.reload("files")
            except (OSError, RuntimeError) as error:  # the directory is gone, or the machine has no watches left
                log.error("policy_unwatched", side="gateway", directory=str(self.directory), reason=str(error))
            await asyncio.sleep(5)
            if await asyncio.to_thread(self.directory.is_dir):
                await self.reload("files")


def _read(directory: Path) -> tuple[list[Mistake], Policy | None]:
    try:
        return [], load_dir(directory)
    except PolicyErrors as errors:
        return errors.mistakes, None


def signature(directory: Path) -> Signature:
    """What of a directory's files changes when one of them is written: name, inode, time, size."""
    found = []
    try:
        for path in directory.iterdir():
            if is_policy_name(path.name):
                stat = path.stat()
                found.append((path.name, stat.st_ino, stat.st_mtime_ns, stat.st_size))
    except OSError:
        return ()
    return tuple(sorted(found))


def _concerns_policies(_change: watchfiles.Change, path: str) -> bool:
    name = Path(path).name
    return is_policy_name(name) or name == "..data"  # the link that a mounted ConfigMap is swapped by
