"""The keys that sign: made once, kept in DATA/evidence/keys, or given by the operator; and how one follows another.

Failure policy: a key that cannot be read or written stops whoever needs it with a SettingsError; nothing is signed by a key
that could not be kept. Old keys stay in their files: they are needed for nothing but the word by which the next one is named.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.errors import SettingsError
from gateway.evidence.files import replace, sync_directory

KEY_BYTES = 32
CURRENT = "current"
FOLLOWS = "successions.jsonl"
_SUCCESSION = b"gauger evidence succession 1\n"


class Signer(NamedTuple):
    """A key that signs."""

    private: Ed25519PrivateKey
    public: bytes
    id: str

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data)


class Succession(NamedTuple):
    """One key followed another. Each of the two signs that it is so; "" where one is gone."""

    old: str
    """Public keys, hex."""
    new: str
    at_us: int
    by_old: str
    by_new: str

    @property
    def signed(self) -> bytes:
        return _SUCCESSION + f"{self.old}\n{self.new}\n{self.at_us}\n".encode()


def id_of(public: bytes) -> str:
    return sha256(public).hexdigest()[:16]


def signer(seed: bytes) -> Signer:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes_raw()
    return Signer(private, public, id_of(public))


def is_signed(public: bytes, data: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def read_seed(text: str, what: str) -> bytes:
    """A private key as it is written: 32 bytes, in hex or base64. Raises SettingsError, and quotes nothing of it."""
    text = text.strip()
    try:
        seed = (
            bytes.fromhex(text)
            if len(text) == 2 * KEY_BYTES
            else base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        )
    except (ValueError, binascii.Error):
        seed = b""
    if len(seed) != KEY_BYTES:
        raise SettingsError(f"{what}: must be {KEY_BYTES} random bytes, as 64 hex digits or in base64")
    return seed


def read_public(text: str, what: str) -> bytes:
    """A public key as `gauger evidence key` prints it. Raises SettingsError."""
    try:
        public = bytes.fromhex(text.strip())
    except ValueError:
        public = b""
    if len(public) != KEY_BYTES:
        raise SettingsError(f"{what}: must be the 64 hex digits that `gauger evidence key` prints")
    return public


class KeyRing:
    """The directory of keys. `given`: the operator's own, which then is the current one."""

    def __init__(self, directory: Path, *, given: str = "") -> None:
        self._directory = directory
        self._given = given

    def current(self, *, at_us: int, make: bool) -> Signer | None:
        """The key that signs now. `make`: where there is none, one is made; else None. Raises SettingsError."""
        kept = self._kept()
        if self._given:
            now = signer(read_seed(self._given, "GAUGER_EVIDENCE_KEY"))
            if make and (kept is None or kept.id != now.id):
                self._install(now, kept, at_us)
            return now
        if kept is None and make:
            kept = signer(os.urandom(KEY_BYTES))
            self._install(kept, None, at_us)
        return kept

    def rotate(self, at_us: int) -> Signer:
        """Another key from now on. Raises SettingsError."""
        if self._given:
            raise SettingsError("the key is given by GAUGER_EVIDENCE_KEY: give another one there, and start again")
        new = signer(os.urandom(KEY_BYTES))
        self._install(new, self._kept(), at_us)
        return new

    def successions(self) -> tuple[Succession, ...]:
        """In order. Raises SettingsError where the file is damaged."""
        try:
            lines = (self._directory / FOLLOWS).read_bytes().splitlines()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise SettingsError(f"data: {self._directory / FOLLOWS} cannot be read: {error.strerror}") from None
        try:
            return tuple(succession(orjson.loads(line)) for line in lines)
        except ValueError:
            raise SettingsError(f"data: {self._directory / FOLLOWS} is damaged") from None

    def publics(self) -> dict[str, bytes]:
        """Every public key that was ever used here, by its id."""
        found: dict[str, bytes] = {}
        for each in self.successions():
            for text in (each.old, each.new):
                if text:
                    found[id_of(bytes.fromhex(text))] = bytes.fromhex(text)
        return found

    def _kept(self) -> Signer | None:
        pointer = self._directory / CURRENT
        try:
            name = pointer.read_text().strip()
            kept = self._directory / f"{name}.key"
            if not name.isalnum():
                raise SettingsError(f"data: {pointer} is damaged")
            return signer(read_seed(kept.read_text(), str(kept))) if kept.exists() else None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise SettingsError(f"data: the keys in {self._directory} cannot be read: {reason}") from None

    def _install(self, new: Signer, old: Signer | None, at_us: int) -> None:
        """The private key first, then the word of it, then the pointer: a crash in between leaves the old one in force."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._given:
                replace(self._directory / f"{new.id}.key", new.private.private_bytes_raw().hex().encode() + b"\n", mode=0o600)
            told = self.successions()
            before = old.public.hex() if old is not None else (told[-1].new if told else "")
            word = Succession(before if before != new.public.hex() else "", new.public.hex(), at_us, "", "")
            by_old = old.sign(word.signed).hex() if old is not None and word.old else ""
            word = word._replace(by_old=by_old, by_new=new.sign(word.signed).hex())
            if not told or told[-1].new != word.new:
                lines = b"".join(orjson.dumps(each._asdict()) + b"\n" for each in (*told, word))
                replace(self._directory / FOLLOWS, lines, mode=0o644)
            replace(self._directory / CURRENT, new.id.encode() + b"\n", mode=0o644)
            sync_directory(self._directory)
        except OSError as error:
            raise SettingsError(f"data: the keys in {self._directory} cannot be written: {error.strerror}") from None


def succession(tree: Any) -> Succession:
    """Raises ValueError: it is none."""
    if type(tree) is not dict or tree.keys() != set(Succession._fields) or type(tree["at_us"]) is not int:
        raise ValueError("is no word of one key following another")
    for name, size in (("old", KEY_BYTES), ("new", KEY_BYTES), ("by_old", 64), ("by_new", 64)):
        text = tree[name]
        if type(text) is not str or (text and len(bytes.fromhex(text)) != size):
            raise ValueError("is no word of one key following another")
    if not tree["new"]:
        raise ValueError("is no word of one key following another")
    return Succession(**tree)


def trusted(publics: Mapping[str, bytes], told: Iterable[Succession], anchors: Iterable[bytes]) -> set[str]:
    """Ids of the keys that an anchor vouches for, itself or through others: a key names its successor, and its forerunner."""
    known = {id_of(public) for public in anchors}
    words = [
        (each, bytes.fromhex(each.old), bytes.fromhex(each.new))
        for each in told
        if each.old and is_signed(bytes.fromhex(each.new), each.signed, bytes.fromhex(each.by_new))
    ]
    while True:
        more = set()
        for word, old, new in words:
            if id_of(old) in known and word.by_old and is_signed(old, word.signed, bytes.fromhex(word.by_old)):
                more.add(id_of(new))
            if id_of(new) in known and word.by_old and is_signed(old, word.signed, bytes.fromhex(word.by_old)):
                more.add(id_of(old))
        if more <= known:
            return known & publics.keys()
        known |= more
