"""Check a file of evidence, with nothing but the file: no store, no secret, no gateway.

What is checked: that no line was changed, taken out, put in or moved (hashes and signatures); that the file is whole (its
last line); that every entry of the tenant in the time is there, or is given notice of as removed (tags); that the rules which
made the feature values are those the entries name; and, where the caller has a public key from elsewhere, that it or a key it
vouches for signed everything.

What cannot be checked so: that what was written down is true; that nothing was taken off a log's end before the export was
made by somebody with its key (compare `link` with one that was noted elsewhere: `known_head`); and that the tenant's key in the
file is that tenant's: with the signing key all of a tenant's entries can be hidden by a wrong one, though not some of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from gateway.evidence import chain
from gateway.evidence.chain import Broken, Checkpoint, Entry, Walk
from gateway.evidence.export_format import END, FORMAT, HEAD_FIELDS, SIGNED_END, rules_id
from gateway.evidence.keys import Succession, id_of, is_signed, succession, trusted
from gateway.evidence.notices import Removal, covers, removal

NAMED_MAX = 1_000
"""Policies, rules, gaps and problems that are listed; the rest is counted."""
GAPS = ("missing", "opened")


class Report(NamedTuple):
    """What was found. Good where there are no problems."""

    problems: tuple[str, ...]
    """Sentences; the first says where the chain broke, if it did."""
    notes: tuple[str, ...]
    """What whoever relies on the file should know, though nothing is wrong."""
    organisation: str
    tenant: str
    first: int
    """Entries from this number ..."""
    last: int
    """... to this."""
    from_us: int
    """Times of the two checkpoints around them."""
    to_us: int
    link: str
    """Of the last entry, hex."""
    kinds: dict[str, int]
    """Entries that are shown, by kind."""
    others: int
    """Entries of other tenants: hashes alone."""
    removed: int
    """Of the tenant: hashes alone, with notice."""
    policies: tuple[str, ...]
    rules: dict[str, Any]
    signers: dict[str, str]
    """Public keys that signed, by their id, hex."""
    gaps: tuple[dict[str, Any], ...]
    """Entries that tell of something missing: broken runs, lost sightings, a log that was not closed."""


class Head(NamedTuple):
    organisation: str
    tenant: str
    tenant_key: bytes
    from_us: int
    to_us: int
    rules: dict[str, Any]
    removals: tuple[Removal, ...]
    keys: dict[str, bytes]
    successions: tuple[Succession, ...]


def verify(lines: Iterable[bytes], *, anchors: Iterable[bytes] = (), known_head: tuple[int, str] | None = None) -> Report:
    """Check the lines of a file, each with its end. Raises nothing for what is in them.

    `anchors`: public keys from elsewhere. `known_head`: (number, link) that was noted elsewhere.
    """
    return _Verifier(list(anchors), known_head).run(iter(lines))


class _Stop(Exception):
    """Nothing beyond this line can be checked."""


class _Verifier:
    def __init__(self, anchors: list[bytes], known_head: tuple[int, str] | None) -> None:
        self._anchors = anchors
        self._known_head = known_head
        self._is_head_seen = known_head is None
        self._problems: list[str] = []
        self._notes: list[str] = []
        self._head = Head("", "", b"", 0, 0, {}, (), {}, ())
        self._kinds: Counter[str] = Counter()
        self._others = self._removed = self._shown = 0
        self._policies: dict[str, None] = {}
        self._rules: dict[str, None] = {}
        self._signers: dict[str, str] = {}
        self._gaps: list[dict[str, Any]] = []
        self._base: Checkpoint | None = None
        self._walk = Walk("", self._check)

    def run(self, lines: Iterator[bytes]) -> Report:
        try:
            self._read(lines)
        except _Stop as stop:
            self._problems.insert(0, str(stop))
        else:
            self._judge()
        walk, base = self._walk, self._base
        return Report(
            tuple(self._problems), tuple(self._notes), self._head.organisation, self._head.tenant,
            0 if base is None else base.upto + 1, walk.n, 0 if base is None else base.at_us, walk.signed_at_us,
            walk.link.hex(), dict(self._kinds), self._others, self._removed,
            tuple(self._policies), {name: self._head.rules.get(name) for name in self._rules}, dict(self._signers),
            tuple(self._gaps),
        )  # fmt: skip

    # The lines.

    def _read(self, lines: Iterator[bytes]) -> None:
        first = next(lines, b"")
        self._head = _read_head(first)
        self._walk = Walk(self._head.organisation, self._check)
        for each in self._head.removals:
            self._notice(each)
        digest, before, number = sha256(first), b"", 1
        for line in lines:
            if before:
                number += 1
                digest.update(before)
                self._line(before, number)
            before = line
        self._end(before, number, digest.digest())

    def _line(self, line: bytes, number: int) -> None:
        if not line.endswith(b"\n"):
            raise _Stop(f"line {number} is longer than any entry")
        try:
            found = self._walk.step(line[:-1])
        except Broken as error:
            raise _Stop(f"line {number} {error}") from None
        if isinstance(found, Checkpoint):
            if self._base is None:
                self._base = found
        else:
            self._entry(found, number)
        if self._known_head is not None and self._walk.n == self._known_head[0]:
            self._is_head_seen = True
            if self._walk.link.hex() != self._known_head[1]:
                self._problem(f"line {number}: entry {self._walk.n} is not the one that was noted: its link is another")

    def _entry(self, entry: Entry, number: int) -> None:
        head = self._head
        is_public = not entry.tag
        is_own = not is_public and (not head.tenant or chain.tag(head.tenant_key, entry.n) == entry.tag)
        if entry.body is None:
            if is_public:
                self._problem(f"line {number}: entry {entry.n} concerns the whole organisation, and its body is left out")
            elif not is_own:
                self._others += 1
            elif any(covers(each, entry.n, head.tenant_key) for each in head.removals):
                self._removed += 1
            else:
                self._problem(f"line {number}: entry {entry.n} is the tenant's, and its body is left out without notice")
            return
        body = entry.body
        if not is_public and not is_own:
            self._problem(f"line {number}: entry {entry.n} is another tenant's, and is shown")
            return
        if is_own and head.tenant and body.get("tenant") != head.tenant:
            self._problem(f"line {number}: entry {entry.n} has the tenant's tag and another tenant's name")
        self._kinds[body["kind"] if len(self._kinds) < NAMED_MAX else "..."] += 1
        self._name(self._policies, body.get("policy"))
        self._name(self._rules, body.get("rules"))
        is_gap = body["kind"] in GAPS and body.get("after") != "closed"
        if is_gap and len(self._gaps) < NAMED_MAX:
            self._gaps.append(body)

    def _name(self, names: dict[str, None], name: object) -> None:
        if isinstance(name, str) and name and len(names) < NAMED_MAX:
            names[name] = None

    def _end(self, line: bytes, count: int, digest: bytes) -> None:
        found = END.fullmatch(line)
        if found is None:
            raise _Stop("the file is not whole: its last line is missing")
        if int(found[2]) != count or found[3].decode() != digest.hex():
            raise _Stop("the file is not the one that was made: its last line was signed for other lines")
        key, signature = found[4].decode(), bytes.fromhex(found[5].decode())
        try:
            is_good = self._check(key, SIGNED_END + found[1], signature)
        except Broken as error:
            raise _Stop(f"the last line {error}") from None
        if not is_good:
            raise _Stop("the last line has a signature that is not good")
        if self._base is None:
            raise _Stop("the file has no entries and no checkpoint")

    def _notice(self, each: Removal) -> None:
        try:
            is_good = self._check(each.key, each.signed, bytes.fromhex(each.signature))
        except Broken:
            is_good = False
        if not is_good or each.organisation != self._head.organisation:
            raise _Stop(f"line 1 has a notice of a removal (entries {each.first} to {each.last}) that nobody signed")

    def _check(self, key: str, signed: bytes, signature: bytes) -> bool:
        public = self._head.keys.get(key)
        if public is None or id_of(public) != key:
            raise Broken(f"is signed by a key that the file does not have, {key[:32]}")
        self._signers[key] = public.hex()
        return is_signed(public, signed, signature)

    # The whole.

    def _judge(self) -> None:
        walk, head, base = self._walk, self._head, self._base
        assert base is not None  # noqa: S101  # `_end` saw to it
        if walk.signed != walk.n:
            self._problem(f"entries {walk.signed + 1} to {walk.n} are under no signature")
        if base.upto and base.at_us >= head.from_us:
            if any(covers(each, base.upto, head.tenant_key) and not each.whose for each in head.removals):
                self._notes.append(f"entries up to {base.upto} were removed for their age")
            else:
                self._problem(f"it begins after entry {base.upto}, later than it says, and there is no notice of a removal")
        if walk.signed_at_us < head.to_us:
            self._notes.append("nothing was signed after its last entry: it ends earlier than it was asked to")
        for name in self._rules:
            if name not in head.rules:
                self._problem(f"the rules {name[:32]}, which entries name, are not in the file")
        if not self._is_head_seen and self._known_head is not None:
            self._problem(f"entry {self._known_head[0]}, which was noted elsewhere, is not in it")
        if head.tenant and not self._removed and not any(self._kinds[kind] for kind in self._kinds if kind not in PUBLIC):
            self._notes.append(f"there is no entry of tenant {head.tenant} in it")
        self._trust()

    def _trust(self) -> None:
        if not self._anchors:
            self._notes.append("no public key was given: compare the ones that signed with one that you have from elsewhere")
            return
        good = trusted(self._head.keys, self._head.successions, self._anchors)
        for key in self._signers:
            if key not in good:
                self._problem(f"the key {key} signed, and the public key that was given does not vouch for it")

    def _problem(self, text: str) -> None:
        if len(self._problems) < NAMED_MAX:
            self._problems.append(text)


PUBLIC = frozenset(("begun", "opened", "closed", "key", "removed", "missing", "hold", "release"))
"""Kinds that tell nothing of what a tenant did."""


def _read_head(line: bytes) -> Head:
    """Raises _Stop."""
    try:
        tree = orjson.loads(line)
        if type(tree) is not dict or tree.get("gauger_evidence") != FORMAT or tree.keys() != set(HEAD_FIELDS):
            raise ValueError
        texts = (tree["organisation"], tree["tenant"], tree["tenant_key"])
        if any(type(each) is not str for each in texts) or type(tree["from_us"]) is not int or type(tree["to_us"]) is not int:
            raise ValueError
        keys = {str(name): bytes.fromhex(public) for name, public in tree["keys"].items()}
        key = bytes.fromhex(tree["tenant_key"])
        if bool(key) != bool(tree["tenant"]):
            raise ValueError
        for name, rules in tree["rules"].items():
            if rules_id(rules) != name:
                raise _Stop(f"line 1: the rules {name[:32]} are not those of this name")
        return Head(
            tree["organisation"], tree["tenant"], key, tree["from_us"], tree["to_us"], tree["rules"],
            tuple(removal(each) for each in tree["removals"]), keys,
            tuple(succession(each) for each in tree["successions"]),
        )  # fmt: skip
    except (ValueError, TypeError, KeyError, AttributeError):
        raise _Stop(f"line 1 is no beginning of a file of evidence of format {FORMAT}") from None
