"""The errors that cross rooms, and whose fault each is.

::

    GaugerError
    ├── Refusal            a request that will not be served: becomes HTTP in `answer`, in the caller's wire format
    ├── UpstreamFault      the upstream could not be reached, timed out or died; `reached` decides void or charge
    ├── StoreFault         the store did not answer, or answered nonsense; side "store"
    ├── PolicyErrors       every mistake in the policy files at once, each with file, line, column and path
    └── SettingsError      an operator's setting that cannot be used: names the setting and what is allowed

A class exists only where a handler differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gateway.values import Side

ABNORMAL_USAGE = "https://iana.org/assignments/http-problem-types#abnormal-usage-detected"
"""The problem type of draft-ietf-httpapi-ratelimit-headers for what the watch refuses."""


class GaugerError(Exception):
    """Root of everything the gateway raises on purpose."""


class Refusal(GaugerError):
    """A request that will not be served. Nothing was counted for it.

    `status` is the HTTP status on the OpenAI wire (other wires map it); `kind` is the gateway's own word for it, which each
    wire translates into its type and code.

    kinds: invalid_request, authentication, permission, not_found, too_large, unsupported_media, rate_limit (short
    window), quota (long window: waiting is useless), upstream, timeout, overloaded, internal.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        status: int,
        side: Side = "tenant",
        param: str | None = None,
        code: str | None = None,
        retry_after_ms: int | None = None,
        meter: str | None = None,
        reason: str = "",
        problem: str = "",
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status
        self.side = side
        self.param = param
        self.code = code
        self.retry_after_ms = retry_after_ms
        """None: waiting is useless, or its length is unknown."""
        self.meter = meter
        """The meter of the budget that refused, for rate_limit and quota."""
        self.reason = reason
        """A short machine word for the record, such as "budget:ten-a-minute"."""
        self.problem = problem
        """The URI of a registered problem type (RFC 9457) that this is of; "": none."""


class UpstreamFault(GaugerError):
    """The upstream could not be reached, timed out, or broke off.

    `reached`: whether any byte of the request may have been read by it (False: void, nothing is charged).
    `kind`: connect, overloaded, timeout_connect, timeout_first_byte, timeout_between_chunks, timeout_total, broken, protocol.
    """

    def __init__(self, kind: str, message: str, *, reached: bool) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.reached = reached


class StoreFault(GaugerError):
    """The store did not answer in time, is gone, or answered what it must not."""


class Mistake(NamedTuple):
    """One mistake in a policy file. `line` and `column` count from 1; `path` is as in `tenants.acme.keys[0].hash`."""

    file: str
    line: int
    column: int
    path: str
    message: str
    """What is wrong and what is allowed, as one sentence."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.path}: {self.message}"


class PolicyErrors(GaugerError):
    """Every mistake found in a policy directory. For people `policy.excerpts.report` shows the lines that are meant."""

    def __init__(self, mistakes: list[Mistake], sources: Mapping[str, bytes] | None = None) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes
        self.sources = sources or {}
        """The files with mistakes as they were read, by the name in `Mistake.file`."""


class SettingsError(GaugerError):
    """An operator's setting that cannot be used."""
