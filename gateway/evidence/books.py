"""All logs of one deployment: who writes them, what is held, what is removed. One writer at a time, by a lock of the directory.

    DATA/evidence/
      lock            the writer's
      keys/           see `keys`
      rules/ID.json   what made the feature values of entries that name this id: features, phrase lists, the gateway's version
      orders/         what commands ask of the writer while it runs
      chains/NAME/    one organisation's log; `+deployment` is what concerns no organisation alone

Failure policy: a directory that another process writes to is a SettingsError that says so. An OSError reaches the caller.
"""

from __future__ import annotations

import fcntl
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from gateway.errors import SettingsError
from gateway.evidence import chain
from gateway.evidence.chain import Broken, Check
from gateway.evidence.export_format import rules_bytes, rules_id
from gateway.evidence.files import replace
from gateway.evidence.keys import KeyRing, Signer, is_signed
from gateway.evidence.log import Log

DEPLOYMENT = "+deployment"
"""Its name as an organisation: none of a policy's begins with a plus."""
OPEN_MAX = 256
"""Files open at once."""


class Busy(SettingsError):
    """Another process writes to the directory."""


def directory_of(root: Path, organisation: str) -> Path:
    """Where an organisation's log is. Names that differ in their case alone are apart on every disk."""
    name = organisation
    if name != name.lower():
        name = f"{name}+{sha256(name.encode()).hexdigest()[:8]}"
    return root / "chains" / name


def organisations(root: Path) -> list[str]:
    """Who has a log. Raises SettingsError."""
    try:
        return sorted(name.partition("+")[0] or name for name in os.listdir(root / "chains"))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SettingsError(f"data: {root / 'chains'} cannot be read: {error.strerror}") from None


def checker(ring: KeyRing) -> Check:
    """Signatures by any key that was ever used here are good. Raises SettingsError."""
    publics = ring.publics()

    def check(key: str, signed: bytes, signature: bytes) -> bool:
        if key not in publics:
            raise Broken(f"is signed by a key that is not known here, {key}")
        return is_signed(publics[key], signed, signature)

    return check


class Books:
    """Open until `close`."""

    def __init__(self, root: Path, secret: bytes, ring: KeyRing, *, now_us: Callable[[], int]) -> None:
        """Raises SettingsError: another process writes here, or the directory or its keys cannot be used."""
        self.root = root
        self.ring = ring
        self.now_us = now_us
        self._secret = secret
        self._logs: dict[str, Log] = {}
        self._open: OrderedDict[str, None] = OrderedDict()
        self._tenant_keys: dict[tuple[str, str], bytes] = {}
        self._rules: set[str] = set()
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise SettingsError(f"data: {root} cannot be made or used: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise Busy(f"data: another process writes evidence to {root}: one analyst at a time") from None
        try:
            made = ring.current(at_us=now_us(), make=True)
            assert made is not None  # noqa: S101  # it was to be made
            self.signer: Signer = made
            self._check = checker(ring)
        except BaseException:
            os.close(self._lock)
            raise

    def log(self, organisation: str) -> Log:
        """The organisation's log. Raises OSError."""
        book = self._logs.get(organisation)
        if book is None:
            directory = directory_of(self.root, organisation)
            book = self._logs[organisation] = Log(directory, organisation, self.signer, self._check, now_us=self.now_us)
        self._open[organisation] = None
        self._open.move_to_end(organisation)
        if len(self._open) > OPEN_MAX:
            oldest = next(iter(self._open))
            self._logs[oldest].rest()
            del self._open[oldest]
        return book

    def has(self, organisation: str) -> bool:
        """Its log is open."""
        return organisation in self._logs

    def append(self, organisation: str, tenant: str, kind: str, fields: Mapping[str, Any]) -> int:
        """Another entry of the organisation's log; its number. `tenant` "": it concerns all of them. Raises OSError."""
        return self.log(organisation).append(kind, fields, tenant_key=self.tenant_key(organisation, tenant) if tenant else b"")

    def tenant_key(self, organisation: str, tenant: str) -> bytes:
        name = (organisation, tenant)
        key = self._tenant_keys.get(name)
        if key is None:
            if len(self._tenant_keys) > 100_000:
                self._tenant_keys.clear()
            key = self._tenant_keys[name] = chain.tenant_key(self._secret, organisation, tenant)
        return key

    def rules(self, rules: Mapping[str, Any]) -> str:
        """Keep what makes the feature values; the id that entries name it by. Raises OSError."""
        data, name = rules_bytes(rules), rules_id(rules)
        if name not in self._rules:
            directory = self.root / "rules"
            directory.mkdir(mode=0o700, exist_ok=True)
            if not (directory / f"{name}.json").exists():
                replace(directory / f"{name}.json", data)
            self._rules.add(name)
        return name

    def sync(self) -> None:
        """Everything so far is signed and on disk. Raises OSError, after all that could be done was."""
        fault: OSError | None = None
        for organisation in list(self._open):
            try:
                self._logs[organisation].sync()
            except OSError as error:
                fault = error
        if fault is not None:
            raise fault

    def rotate(self) -> Signer:
        """Another key signs from now on, in every log. Raises OSError, SettingsError."""
        before = self.signer
        self.sync()
        self.signer = self.ring.rotate(self.now_us())
        self._check = checker(self.ring)
        for book in self._logs.values():
            book.follow(self.signer, {"key": self.signer.id, "before": before.id})
        for organisation in organisations(self.root):
            self.log(organisation)  # those that were not open yet say so as they are opened
        self.sync()
        return self.signer

    def close(self) -> None:
        """Every log says that it ends here. Raises OSError, after all that could be done was."""
        fault: OSError | None = None
        for book in self._logs.values():
            try:
                book.close()
            except OSError as error:
                fault = error
        self.abandon()
        if fault is not None:
            raise fault

    def abandon(self) -> None:
        """Let go of everything, as if the process had died here."""
        for book in self._logs.values():
            book.abandon()
        self._logs.clear()
        self._open.clear()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
