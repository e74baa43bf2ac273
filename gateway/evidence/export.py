"""One file of evidence: what a chain says of one tenant in a time, with all that somebody needs to check it elsewhere.

    line 1         what this is: whose, of when, which rules and keys, what was removed
    line 2         the checkpoint before it
    ...            entries: the tenant's and the organisation's whole, the others' as hashes alone
    line before    the checkpoint after it
    last line      how many lines, and a signature over all of them

Reads the log's files, takes no lock, and holds one line in memory. Failure policy: a log that does not fit is an ExportError,
and the file that was begun is no evidence: it has no last line. Entries that no checkpoint has signed yet are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from gateway.errors import GaugerError
from gateway.evidence import chain
from gateway.evidence.books import checker, directory_of
from gateway.evidence.chain import Broken, Checkpoint, Entry, Walk
from gateway.evidence.export_format import FORMAT, SIGNED_END, STATEMENT, write_end
from gateway.evidence.keys import KeyRing, Signer
from gateway.evidence.notices import concerns, removals
from gateway.evidence.segments import Segment, lines, segments


class ExportError(GaugerError):
    """The log cannot be exported."""


class Wanted(NamedTuple):
    organisation: str
    tenant: str
    """"": of everybody in the organisation."""
    tenant_key: bytes
    """b"" for everybody."""
    from_us: int
    to_us: int
    """Excluded."""


def export(root: Path, ring: KeyRing, signer: Signer, wanted: Wanted, *, made_at_us: int) -> Iterator[bytes]:
    """The file, line by line. Raises ExportError, SettingsError, OSError."""
    directory = directory_of(root, wanted.organisation)
    if not directory.is_dir():
        raise ExportError(f"there is no evidence of organisation {wanted.organisation} in {root}")
    files = segments(directory)
    first, offset = _base(files, wanted)
    digest = sha256()
    count = 0
    keys = {**ring.publics(), signer.id: signer.public}
    for line in _lines(root, directory, ring, keys, wanted, files[first:], offset, made_at_us):
        digest.update(line + b"\n")
        count += 1
        yield line + b"\n"
    yield _end(signer, count, digest.digest())


def _end(signer: Signer, count: int, digest: bytes) -> bytes:
    signed = write_end(signer.id, count, digest)
    return signed + b',"signature":"%s"}\n' % signer.sign(SIGNED_END + signed).hex().encode()


def _lines(
    root: Path,
    directory: Path,
    ring: KeyRing,
    keys: Mapping[str, bytes],
    wanted: Wanted,
    files: Sequence[Segment],
    offset: int,
    made_at_us: int,
) -> Iterator[bytes]:
    walk = Walk(wanted.organisation, checker(ring))
    stop = _stop(files, offset, wanted)
    if stop is None:
        raise ExportError("the log has no checkpoint: nothing in it is signed yet")
    rules = _rules_named(root, walk_of=(files, offset, stop))
    yield _head(ring, keys, directory, wanted, made_at_us, rules)
    last, is_begun = b"", False
    for where, line in _run(files, offset, stop):
        try:
            found = walk.step(line)
        except Broken as error:
            raise ExportError(f"{where}: the line {error}: the log was changed, and is no evidence from there on") from None
        if isinstance(found, Checkpoint):
            if is_begun:
                last = line
            else:
                is_begun = True
                yield line
            continue
        yield line if _is_shown(found, wanted) else chain.write_husk(found)
    if last:
        yield last


def _is_shown(entry: Entry, wanted: Wanted) -> bool:
    return not entry.tag or not wanted.tenant or chain.tag(wanted.tenant_key, entry.n) == entry.tag


Place = tuple[int, int]
"""(which file, where in it its line ends)."""


def _run(files: Sequence[Segment], offset: int, stop: Place) -> Iterator[tuple[str, bytes]]:
    """(file and offset, line) from the base up to the last checkpoint."""
    for index, segment in enumerate(files[: stop[0] + 1]):
        for at, line, is_whole in lines(segment.path, offset=offset if index == 0 else 0):
            if index == stop[0] and at >= stop[1]:
                return
            if is_whole or index < stop[0]:
                yield f"{segment.path.name}, byte {at}", line


def _base(files: Sequence[Segment], wanted: Wanted) -> tuple[int, int]:
    """(file, offset) of the last checkpoint before the time; where there is none, of the first that is left."""
    if not files:
        raise ExportError(f"there is no evidence of organisation {wanted.organisation}")
    found = (0, 0)
    for index, segment in enumerate(files):
        opening = _opening(segment)
        if opening is not None and opening.at_us >= wanted.from_us:
            break
        found = (index, 0)
    for at, line, is_whole in lines(files[found[0]].path):
        if is_whole and line.startswith(b'{"upto":'):
            checkpoint = _checkpoint(line)
            if checkpoint is not None and checkpoint.at_us >= wanted.from_us:
                break
            found = (found[0], at)
    return found


def _stop(files: Sequence[Segment], offset: int, wanted: Wanted) -> Place | None:
    """Where the first checkpoint after the time ends, or the last one that there is."""
    found = None
    for index, segment in enumerate(files):
        after = _opening(files[index + 1]) if index + 1 < len(files) else None
        if after is not None and after.at_us < wanted.to_us:
            continue  # it ends before the time does
        for at, line, is_whole in lines(segment.path, offset=offset if index == 0 else 0):
            if is_whole and line.startswith(b'{"upto":'):
                found = (index, at + len(line) + 1)
                checkpoint = _checkpoint(line)
                if checkpoint is not None and checkpoint.at_us >= wanted.to_us:
                    return found
    return found


def _opening(segment: Segment) -> Checkpoint | None:
    for _, line, is_whole in lines(segment.path):
        return _checkpoint(line) if is_whole else None
    return None


def _checkpoint(line: bytes) -> Checkpoint | None:
    try:
        found = chain.read(line)
    except Broken:
        return None
    return found if isinstance(found, Checkpoint) else None


def _rules_named(root: Path, walk_of: tuple[Sequence[Segment], int, Place]) -> dict[str, Any]:
    """The rules that entries of this time name, as far as they are kept; `verify` says which are not."""
    named = set()
    for _, line in _run(*walk_of):
        at = line.find(b'"rules":"')
        if at >= 0:
            named.add(line[at + 9 : at + 25].decode("ascii", "replace"))
    found = {}
    for name in sorted(named):
        path = root / "rules" / f"{name}.json"
        if name.isalnum() and path.is_file():
            found[name] = orjson.loads(path.read_bytes())
    return found


def _head(
    ring: KeyRing, keys: Mapping[str, bytes], directory: Path, wanted: Wanted, made_at_us: int, rules: dict[str, Any]
) -> bytes:
    told = [each._asdict() for each in removals(directory) if concerns(each, wanted.tenant_key)]
    return orjson.dumps(
        {
            "gauger_evidence": FORMAT,
            "statement": STATEMENT,
            "organisation": wanted.organisation,
            "tenant": wanted.tenant,
            "tenant_key": wanted.tenant_key.hex(),
            "from_us": wanted.from_us,
            "to_us": wanted.to_us,
            "made_at_us": made_at_us,
            "rules": rules,
            "removals": told,
            "keys": {name: public.hex() for name, public in keys.items()},
            "successions": [each._asdict() for each in ring.successions()],
        }
    )
