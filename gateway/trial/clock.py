"""An event loop whose clock goes on only when nothing is left to do: an hour's wait takes no time, and comes out exact.

While a call to the store is on its way the clock stands, because its answer belongs to the moment it was asked in.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Result = TypeVar("Result")

STORE_S = 10.0
"""Real seconds without an answer of the store, after which it is taken for gone."""


class _Selector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.calls = 0

    def select(self, timeout: float | None = None) -> Any:
        if self.calls and timeout != 0:  # 0: something is ready to run
            ready = super().select(STORE_S)
            if not ready:
                raise TimeoutError("the store does not answer")
            return ready
        if timeout is None:
            raise RuntimeError("everything waits, and nothing will ever come")
        self.now_s += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now_s

    @contextmanager
    def standing(self) -> Iterator[None]:
        """The clock stands while the body runs."""
        self._virtual.calls += 1
        try:
            yield
        finally:
            self._virtual.calls -= 1


def run_virtually(body: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine on a loop of its own; `asyncio.get_running_loop().time()` begins at 0."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(body())
