"""Who made what the model server keeps: a stored answer belongs to the tenant whose request made it.

All tenants share the operator's account with the model server, so an id alone must not open anything. Failure policy: a claim
that is lost makes the answer unreachable for everybody; a question that cannot be answered raises StoreFault. Neither ever
lets one tenant at another's answer.

Layout: `g1:{TAG}:o:ID`, with ID 32 hex digits of the id's hash under the deployment's secret; the value is the tenant's hash, a
colon, and the name of the upstream that keeps it ("": the settings' own; then there need be no colon). Where a note was made of
it (what a file of requests comes to), it follows after one more colon.
"""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol

from gateway.store.link import Argument

KEPT_S = 30 * 86_400
"""As long as the vendor keeps answers."""


NOTE_BYTES_MAX = 2048


class Kept(NamedTuple):
    """What is known of a tenant's own."""

    upstream: str
    """The name of the upstream that keeps it."""
    note: bytes
    """As it was claimed with; b"": without."""


class Sends(Protocol):
    """The process's one connection to the store."""

    def send(self, args: tuple[Argument, ...]) -> asyncio.Future[Any]: ...


class Owners:
    """The register of one deployment."""

    def __init__(self, connection: Sends, secret: bytes) -> None:
        self._connection = connection
        self._key = blake2b(secret, digest_size=32, person=b"gauger-owners").digest()

    async def claim(self, tag: bytes, tenant: str, item: str, upstream: str = "", note: bytes = b"") -> None:
        """`item` belongs to `tenant` from now on, unless it had an owner already. Raises StoreFault.

        `upstream` holds no colon; `note` has at most `NOTE_BYTES_MAX` bytes.
        """
        if len(note) > NOTE_BYTES_MAX:
            raise ValueError(f"a note of {len(note)} bytes")
        value = b"%b:%b" % (self._hash(tenant), upstream.encode())
        if note:
            value += b":" + note
        await self._call((b"SET", self._name(tag, item), value, b"NX", b"EX", KEPT_S))

    async def owns(self, tag: bytes, tenant: str, item: str) -> bool:
        """Raises StoreFault."""
        return await self.upstream_of(tag, tenant, item) is not None

    async def upstream_of(self, tag: bytes, tenant: str, item: str) -> str | None:
        """The name of the upstream that keeps a tenant's `item`; None: it is not this tenant's. Raises StoreFault."""
        kept = await self.kept(tag, tenant, item)
        return None if kept is None else kept.upstream

    async def kept(self, tag: bytes, tenant: str, item: str) -> Kept | None:
        """What is known of a tenant's `item`; None: it is not this tenant's. Raises StoreFault."""
        value: bytes = await self._call((b"GET", self._name(tag, item))) or b""
        owner, _, rest = value.partition(b":")
        upstream, _, note = rest.partition(b":")
        return Kept(upstream.decode(), note) if owner == self._hash(tenant) else None

    async def _call(self, command: tuple[Argument, ...]) -> Any:
        return await self._connection.send(command)

    def _name(self, tag: bytes, item: str) -> bytes:
        return b"g1:{%b}:o:%b" % (tag, self._hash(item))

    def _hash(self, text: str) -> bytes:
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=self._key).hexdigest().encode()
