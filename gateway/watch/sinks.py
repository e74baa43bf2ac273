"""Who else is told what the analyst sees and decides: the evidence, for one."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from gateway.policy.model import Policy
from gateway.values import Reason
from gateway.watch.runs import Gap
from gateway.watch.seen import Seen


class Decision(NamedTuple):
    """Something was done about a subject, or would have been."""

    at_us: int
    kind: str
    """`step`: up or down a ladder. `pardon`, `facts`: by the operator. `joined`, `left`: a cluster. `change`: it is not like
    its own past, which moves nobody."""
    subject: str
    """A tenant, `TENANT/KEY`, or `cluster:ID`."""
    organisation: str
    """"" for a cluster."""
    ladder: str
    before: str
    """The step before; "": none."""
    after: str
    is_shadow: bool
    """Nothing was done about it."""
    score: int
    """Per mille."""
    profile: str
    reasons: tuple[Reason, ...]
    requests: int
    """How many requests the score was made of."""
    cluster: str
    policy: str
    """Digest of the policy that decided."""
    by: str = ""
    """Which operator."""
    reason: str = ""
    """Why, in the operator's words; of facts, which of them are known from now on; of a change, what it may be."""


class Sink(Protocol):
    """Called in the order of things, on the analyst's loop.

    After a crash what came since the last `checkpoint` comes again: `entry` ids only grow (as pairs of numbers), so that a sink
    that remembers the last one it has kept can tell.
    """

    def seen(self, entry: str, one: Seen) -> None: ...

    def anew(self, last: str) -> None:
        """The store had lost the stream: ids begin anew, and have come to `last`."""
        ...

    def decided(self, decision: Decision) -> None: ...

    def missing(self, gap: Gap) -> None: ...

    def tick(self) -> None:
        """About once a second, after what was decided and before gateways are told of it."""
        ...

    def checkpoint(self) -> None:
        """Everything so far must be kept when this returns: it will not come again."""
        ...

    def adopt(self, policy: Policy) -> None:
        """Another policy holds from now on."""
        ...

    def close(self) -> None:
        """The analyst is active no more."""
        ...


class NoSink:
    """Nobody else."""

    def seen(self, entry: str, one: Seen) -> None:
        """Nothing."""

    def anew(self, last: str) -> None:
        """Nothing."""

    def decided(self, decision: Decision) -> None:
        """Nothing."""

    def missing(self, gap: Gap) -> None:
        """Nothing."""

    def tick(self) -> None:
        """Nothing."""

    def checkpoint(self) -> None:
        """Nothing."""

    def adopt(self, policy: Policy) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""
