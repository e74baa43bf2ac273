"""What was removed of a log, and what must not be: signed notices, and legal holds, in two small files beside it.

Failure policy: holds that cannot be read stop all removing (SettingsError). A hold is kept before the entry that tells of it.
"""

from __future__ import annotations

from collections.abc import Callable
from hmac import digest as hmac_digest
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from gateway.errors import SettingsError
from gateway.evidence.files import replace
from gateway.evidence.keys import Signer

HOLDS, NOTICES = "holds.json", "removals.jsonl"
_SIGNED = b"gauger evidence removal 1\n"


class Hold(NamedTuple):
    """Nothing of this tenant is removed, however old it is."""

    tenant: str
    """"": of the whole organisation."""
    at_us: int
    by: str
    reason: str


class Removal(NamedTuple):
    """Bodies that are gone."""

    organisation: str
    first: int
    last: int
    """Entries from `first` to this."""
    whose: str
    """`mark` of the tenant they were of; "": of everybody."""
    why: str
    """`retention` or `erased`."""
    at_us: int
    by: str
    reason: str
    key: str
    """Id of the key that signed this."""
    signature: str = ""

    @property
    def signed(self) -> bytes:
        return _SIGNED + orjson.dumps(list(self[:-1]))


def mark(tenant_key: bytes) -> str:
    """By which a removal says whose entries it was about, to whoever has the tenant's key."""
    return hmac_digest(tenant_key, b"removal", "sha256")[:8].hex()


def removal(tree: Any) -> Removal:
    """Raises ValueError: it is none."""
    if type(tree) is not dict or tree.keys() != set(Removal._fields):
        raise ValueError("is no notice of a removal")
    found = Removal(**tree)
    numbers = (found.first, found.last, found.at_us)
    texts = (found.organisation, found.whose, found.why, found.by, found.reason, found.key, found.signature)
    if any(type(each) is not int for each in numbers) or any(type(each) is not str for each in texts):
        raise ValueError("is no notice of a removal")
    bytes.fromhex(found.signature)
    return found


def concerns(found: Removal, tenant_key: bytes) -> bool:
    """Whether it is about the tenant with this key; b"": about anybody."""
    return not found.whose or not tenant_key or found.whose == mark(tenant_key)


def covers(found: Removal, n: int, tenant_key: bytes) -> bool:
    """Whether entry `n`, of the tenant with this key, is said to be gone by it."""
    return found.first <= n <= found.last and concerns(found, tenant_key)


def removals(directory: Path) -> tuple[Removal, ...]:
    """All that were given notice of, the oldest first. Raises SettingsError."""
    path = directory / NOTICES
    try:
        return tuple(removal(orjson.loads(line)) for line in path.read_bytes().splitlines())
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise SettingsError(f"data: {path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError):
        raise SettingsError(f"data: {path} is damaged") from None


def give_notice(directory: Path, signer: Signer, notice: Removal) -> Removal:
    """Sign it and keep it. Raises OSError, SettingsError."""
    notice = notice._replace(key=signer.id)
    notice = notice._replace(signature=signer.sign(notice.signed).hex())
    lines = b"".join(orjson.dumps(each._asdict()) + b"\n" for each in (*removals(directory), notice))
    replace(directory / NOTICES, lines)
    return notice


def holds(directory: Path) -> tuple[Hold, ...]:
    """Raises SettingsError."""
    path = directory / HOLDS
    try:
        return tuple(Hold(**each) for each in orjson.loads(path.read_bytes()))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise SettingsError(f"data: {path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError):
        raise SettingsError(f"data: {path} is damaged: nothing is removed of {directory.name} until it is mended") from None


def keep_holds(directory: Path, change: Callable[[tuple[Hold, ...]], tuple[Hold, ...]]) -> tuple[Hold, ...]:
    """Raises OSError, SettingsError."""
    changed = change(holds(directory))
    replace(directory / HOLDS, orjson.dumps([each._asdict() for each in changed]) + b"\n")
    return changed
