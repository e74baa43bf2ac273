"""Where the running policy comes from: a directory that may change at any time, and what becomes of a change.

Failure policy: a directory that cannot be used changes nothing. The last good policy stays in force, every mistake is logged
and kept in `state` until a reload succeeds, and the process goes on. A reload is all or nothing: the new policy is read aside,
then taken in one step by `adopt`; a request that is running keeps what it began with.

A file that is being written is not read: a directory counts as settled when it has not changed for `SETTLED_S`, and what
changed while it was read is read again.

The file system tells of changes at once, and is not relied on: a watch that is lost says nothing. So files are looked at every
`LOOK_EVERY_S` as well, and a directory that was put in the place of another is watched anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple

import structlog
import watchfiles

from gateway.errors import GaugerError, Mistake, PolicyErrors
from gateway.policy.load import is_policy_name, load_dir
from gateway.policy.model import Policy

log = structlog.get_logger()

SETTLED_S = 0.2
LOOK_EVERY_S = 5.0
READ_AGAIN_MAX = 20
"""So often at most; a directory that never settles is a failure like any other."""
MISTAKES_LOGGED_MAX = 20

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
    """Reloads one directory. `adopt` takes a policy into force, and raises GaugerError where it cannot be.

    `check` raises it for a policy that `adopt` would not take, and changes nothing.
    """

    def __init__(
        self,
        directory: Path,
        policy: Policy,
        *,
        adopt: Callable[[Policy], None],
        check: Callable[[Policy], object] = lambda policy: None,
        now_s: Callable[[], float] = time.time,  # noqa: TID251  # the clock, where it is injected
    ) -> None:
        self.directory = directory
        self.check = check
        self._adopt = adopt
        self._now_s = now_s
        self._reloading = asyncio.Lock()
        self._asked = self._told = 0
        """Reloads that were asked for, and how many of these the last one told the state to."""
        self._beside = policy.watch.phrases
        self._read: Signature | None = None
        """What was read last; None: before anybody looked."""
        self.state = State(policy.digest, now_s(), 0, 0)

    async def reload(self, why: str) -> State:
        """Read the directory again, and take what it says into force. Raises nothing: `state.mistakes` tells of a failure.

        However many ask while it is read, it is read once more for all of them: a storm of signals is one reload.
        """
        self._asked += 1
        asked = self._asked
        async with self._reloading:
            if self._told >= asked:
                return self.state
            self._told = self._asked
            mistakes, policy = await self._read_settled()
            if policy is not None:
                mistakes = self._take(policy, why)
            if mistakes:
                self.state = self.state._replace(failures=self.state.failures + 1, mistakes=tuple(mistakes))
                shown = [str(mistake) for mistake in mistakes[:MISTAKES_LOGGED_MAX]]
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
        except PolicyErrors as errors:
            return errors.mistakes
        except GaugerError as error:
            return [Mistake(str(self.directory), 1, 1, "directory", str(error))]
        self._beside = policy.watch.phrases
        before = self.state
        self.state = State(policy.digest, self._now_s(), before.reloads + 1, before.failures)
        log.warning("policy_reloaded", side="gateway", why=why, before=before.digest, policy=policy.digest)
        return []

    async def _read_settled(self) -> tuple[list[Mistake], Policy | None]:
        self._read = await self._signature()
        for _ in range(READ_AGAIN_MAX):
            mistakes, policy = await asyncio.to_thread(_read, self.directory)
            after = await self._signature()
            if after == self._read:
                return mistakes, policy
            await asyncio.sleep(SETTLED_S)
            self._read = await self._signature()
        return [Mistake(str(self.directory), 1, 1, "directory", "it changes all the time: stop writing to it")], None

    async def _signature(self) -> Signature:
        return await asyncio.to_thread(signature, self.directory, self._beside)

    async def watch(self) -> None:
        """Reload for ever, as soon as files of the directory have changed and settled."""
        while True:
            try:
                await self._watch_this_one()
            except (OSError, RuntimeError) as error:  # the directory is gone, or the machine has no watches left
                log.error("policy_unwatched", side="gateway", directory=str(self.directory), reason=str(error))
                await asyncio.sleep(LOOK_EVERY_S)
                await self._look()

    async def _watch_this_one(self) -> None:
        """Until another directory, or none, is in its place. Raises OSError and RuntimeError where it cannot be watched."""
        watched = await asyncio.to_thread(_identity, self.directory)
        changes = watchfiles.awatch(
            self.directory,
            watch_filter=_concerns_policies,
            debounce=5000,
            step=round(SETTLED_S * 1000),  # changes that follow each other more closely are one
            recursive=False,
            rust_timeout=round(LOOK_EVERY_S * 1000),
            yield_on_timeout=True,
        )
        async with aclosing(changes):
            async for _ in changes:
                await self._look()
                if await asyncio.to_thread(_identity, self.directory) != watched:
                    return

    async def _look(self) -> None:
        """Reload if what is there is not what was read last."""
        if await self._signature() != self._read:
            await self.reload("files")


def _identity(directory: Path) -> tuple[int, int]:
    """Which directory it is, whatever its name. Raises OSError where it is none."""
    stat = directory.stat()
    return stat.st_dev, stat.st_ino


def _read(directory: Path) -> tuple[list[Mistake], Policy | None]:
    try:
        return [], load_dir(directory)
    except PolicyErrors as errors:
        return errors.mistakes, None


def signature(directory: Path, beside: Iterable[str] = ()) -> Signature:
    """What of a directory's files changes when one of them is written: name, inode, time, size. `beside`: files below it."""
    try:
        names = [path.name for path in directory.iterdir() if is_policy_name(path.name)]
    except OSError:
        return ()
    found = []
    for name in (*names, *beside):
        try:
            stat = (directory / name).stat()
            found.append((name, stat.st_ino, stat.st_mtime_ns, stat.st_size))
        except OSError:  # a link that leads nowhere
            found.append((name, 0, 0, 0))
    return tuple(sorted(found))


def _concerns_policies(_change: watchfiles.Change, path: str) -> bool:
    name = Path(path).name
    return is_policy_name(name) or name == "..data"  # the link that a mounted ConfigMap is swapped by
