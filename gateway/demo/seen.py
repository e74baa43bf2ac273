"""What the server remembers of a request: the thing tests assert on. No IO."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Literal

Ended = Literal["", "complete", "client_left", "cut", "refused", "shutdown"]


@dataclass(slots=True)
class Seen:
    """One request as it arrived, and what became of its answer.

    Times are seconds of the event loop's clock, comparable with `asyncio.get_running_loop().time()` in one process.
    """

    method: str
    target: str
    """Path and query exactly as they stood in the request line."""
    headers: list[tuple[str, str]]
    """In the order they came; names in lower case."""
    body: bytes
    began_s: float
    json: Any = None
    """The parsed body; None: it was none."""
    tokens: int = 0
    """Output tokens handed to the socket so far, over all choices (each is one event of a stream)."""
    ended: Ended = ""
    """"": still running. cut: the script cut it off. refused: another status than 200."""
    ended_s: float = 0.0
    _over: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def header(self, name: str) -> str | None:
        """The first header of this lower-case name."""
        return next((value for key, value in self.headers if key == name), None)

    def end(self, how: Ended, now_s: float) -> None:
        """Only the first end counts."""
        if not self.ended:
            self.ended, self.ended_s = how, now_s
            self._over.set()

    async def over(self, timeout_s: float = 5.0) -> Ended:
        """Wait for the end of the answer; a client that leaves ends it. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            await self._over.wait()
        return self.ended

    def as_json(self) -> dict[str, Any]:
        """For `GET /_seen`."""
        return {
            "method": self.method,
            "target": self.target,
            "headers": self.headers,
            "body": self.body.decode("utf-8", "replace"),
            "tokens": self.tokens,
            "ended": self.ended,
            "began_s": self.began_s,
            "ended_s": self.ended_s,
        }
