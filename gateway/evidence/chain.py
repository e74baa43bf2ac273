"""The chain: what an entry is, how it is hashed, what a checkpoint signs, and a walk that finds what does not fit. Pure.

A log is lines of bytes; hashes are over those bytes as they stand, so nothing depends on how JSON is written again.

    {"n":5,"tag":"0f..","body":{"n":5,"at_us":..,"kind":"sighting","salt":"..",..}}     an entry
    {"n":5,"tag":"0f..","hash":"9a.."}                                                  the same, its body left out
    {"upto":5,"link":"c3..","at_us":..,..,"key":"..","signature":".."}                  a checkpoint

Rule 1: `link(n) = SHA-256("gauger evidence link 1\n", link(n-1), n, tag, SHA-256(body))`; `link(0)` is of the organisation's
name. So the body may be left out or deleted and the chain still holds: its hash stays. `salt` (128 random bits in each body)
keeps what was deleted from being guessed by its hash.
Rule 2: `tag = HMAC-SHA-256(the tenant's key, n)`, 64 bits; without that key no two tags can be told to be one tenant's, with it
all of a tenant's are found, those with no body too. An entry that concerns the whole organisation has the tag "": its body is
never left out.
Rule 3: numbers begin at 1 and have no holes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from hmac import digest as hmac_digest
from typing import Any, NamedTuple

import orjson

LINE_BYTES_MAX = 1_000_000
SALT_BYTES = 16
_LINK = b"gauger evidence link 1\n"
_START = b"gauger evidence chain 1\n"
_SIGNED = b"gauger evidence checkpoint 1\n"
_ENTRY = re.compile(rb'\{"n":([1-9][0-9]{0,17}),"tag":"([0-9a-f]{16}|)","body":(\{.*\})\}', re.DOTALL)
_HUSK = re.compile(rb'\{"n":([1-9][0-9]{0,17}),"tag":"([0-9a-f]{16}|)","hash":"([0-9a-f]{64})"\}')
_CHECKPOINT = re.compile(
    rb'(\{"upto":(0|[1-9][0-9]{0,17}),"link":"([0-9a-f]{64})",.*),"signature":"([0-9a-f]{128})"\}', re.DOTALL
)


class Entry(NamedTuple):
    """One entry, or what is left of it."""

    n: int
    tag: str
    """16 hex digits; "": it concerns the whole organisation."""
    hash: bytes
    """SHA-256 of its body."""
    body: dict[str, Any] | None
    """None: left out."""


class Checkpoint(NamedTuple):
    """A signature over all entries so far."""

    upto: int
    link: bytes
    at_us: int
    key: str
    """Id of the key that signed: the first 16 hex digits of SHA-256 of the public key."""
    signed: bytes
    """What was signed."""
    signature: bytes
    fields: dict[str, Any]


class Broken(ValueError):
    """The line does not fit; the message says why, as a sentence without its subject."""


Check = Callable[[str, bytes, bytes], bool]
"""(key id, what was signed, signature) -> whether that key made it. Raises Broken for a key that nobody knows."""


def start(organisation: str) -> bytes:
    """`link(0)`."""
    return sha256(_START + organisation.encode()).digest()


def link(before: bytes, n: int, tag: str, body_hash: bytes) -> bytes:
    """The link that entry `n` makes of the one before."""
    return sha256(_LINK + before + n.to_bytes(8, "big") + bytes((len(tag),)) + tag.encode() + body_hash).digest()


def tag(key: bytes, n: int) -> str:
    """By which whoever has the tenant's key knows its entry."""
    return hmac_digest(key, n.to_bytes(8, "big"), "sha256")[:8].hex()


def tenant_key(root: bytes, organisation: str, tenant: str) -> bytes:
    """The key of a tenant's tags, made from the deployment's secret. No name holds a NUL."""
    return hmac_digest(root, b"gauger evidence tenant 1\0" + organisation.encode() + b"\0" + tenant.encode(), "sha256")


def write_entry(n: int, tag: str, salt: bytes, at_us: int, kind: str, fields: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """(the line without its end, the body's hash)."""
    body = orjson.dumps({"n": n, "at_us": at_us, "kind": kind, "salt": salt.hex(), **fields})
    return b'{"n":%d,"tag":"%s","body":%s}' % (n, tag.encode(), body), sha256(body).digest()


def write_husk(entry: Entry) -> bytes:
    """The entry without its body: it links as before."""
    return b'{"n":%d,"tag":"%s","hash":"%s"}' % (entry.n, entry.tag.encode(), entry.hash.hex().encode())


def write_checkpoint(
    upto: int, link: bytes, at_us: int, key: str, sign: Callable[[bytes], bytes], fields: Mapping[str, Any]
) -> bytes:
    """A signed checkpoint's line, without its end."""
    head = b'{"upto":%d,"link":"%s","at_us":%d' % (upto, link.hex().encode(), at_us)
    rest = orjson.dumps({**fields, "key": key})[1:-1]
    signed = head + b"," + rest
    return signed + b',"signature":"' + sign(_SIGNED + signed).hex().encode() + b'"}'


def read(line: bytes) -> Entry | Checkpoint:
    """What a line is. Raises Broken where it is neither an entry nor a checkpoint."""
    if len(line) > LINE_BYTES_MAX:
        raise Broken("is longer than any entry")
    if line.startswith(b'{"upto":'):
        return _read_checkpoint(line)
    if found := _HUSK.fullmatch(line):
        return Entry(int(found[1]), found[2].decode(), bytes.fromhex(found[3].decode()), None)
    found = _ENTRY.fullmatch(line)
    if found is None:
        raise Broken("is neither an entry nor a checkpoint")
    body = _object(found[3])
    n = int(found[1])
    if body.get("n") != n or type(body.get("at_us")) is not int or type(body.get("kind")) is not str:
        raise Broken("has a body that is not its own")
    return Entry(n, found[2].decode(), sha256(found[3]).digest(), body)


def _read_checkpoint(line: bytes) -> Checkpoint:
    found = _CHECKPOINT.fullmatch(line)
    if found is None:
        raise Broken("is neither an entry nor a checkpoint")
    fields = _object(found[1] + b"}")
    at_us, key = fields.get("at_us"), fields.get("key")
    if type(at_us) is not int or type(key) is not str:
        raise Broken("is a checkpoint without its time or its key")
    signature = bytes.fromhex(found[4].decode())
    return Checkpoint(int(found[2]), bytes.fromhex(found[3].decode()), at_us, key, _SIGNED + found[1], signature, fields)


def _object(data: bytes) -> dict[str, Any]:
    try:
        tree = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise Broken("is no JSON") from None
    if type(tree) is not dict:
        raise Broken("is no JSON object")
    return tree


class Walk:
    """From line to line of one chain: each must follow the one before. Constant memory."""

    def __init__(self, organisation: str, check: Check) -> None:
        self._organisation = organisation
        self._check = check
        self.n = 0
        """The last entry."""
        self.link = start(organisation)
        self.at_us = 0
        """When the last line that tells a time was written; none is older than the one before."""
        self.signed = -1
        """Entries up to this are under a signature; -1: there was none."""
        self.signed_at_us = 0
        self._is_begun = False

    def step(self, line: bytes) -> Entry | Checkpoint:
        """Take one line. Raises Broken, and then stands where it stood.

        The first line must be a checkpoint: it says where the walk begins.
        """
        found = read(line)
        if isinstance(found, Checkpoint):
            self._checkpoint(found)
            return found
        if not self._is_begun:
            raise Broken("comes before any checkpoint")
        if found.n != self.n + 1:
            raise Broken(f"has the number {found.n} where {self.n + 1} is due")
        if found.body is not None and found.body["at_us"] < self.at_us:
            raise Broken("is older than the entry before it")
        self.n, self.link = found.n, link(self.link, found.n, found.tag, found.hash)
        if found.body is not None:
            self.at_us = found.body["at_us"]
        return found

    def resume(self, at: Checkpoint) -> None:
        """Go on from a checkpoint, whatever lies before it. Raises Broken where its signature is not good."""
        if not self._check(at.key, at.signed, at.signature):
            raise Broken("has a signature that is not good")
        if at.fields.get("organisation") != self._organisation:
            raise Broken("is a checkpoint of another organisation")
        if at.upto == 0 and at.link != start(self._organisation):
            raise Broken("begins another chain")
        self.n, self.link, self.signed, self.signed_at_us, self._is_begun = at.upto, at.link, at.upto, at.at_us, True
        self.at_us = max(self.at_us, at.at_us)

    def _checkpoint(self, at: Checkpoint) -> None:
        if self._is_begun:
            if at.upto != self.n:
                raise Broken(f"signs entries up to {at.upto} where {self.n} is the last")
            if at.link != self.link:
                raise Broken("signs other entries than these: one before it was changed")
            if at.at_us < self.at_us:
                raise Broken("is older than what it signs")
        self.resume(at)
