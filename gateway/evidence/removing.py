"""What the operator asks of a log beside reading it: legal holds, erasing a tenant's entries, and retention.

Erasing leaves of each entry its number, tag and hash, so that the chain holds. Retention takes whole files away, oldest first;
the file that then comes first begins with a signed checkpoint, and the chain is checked from there. Either way a signed notice
and an entry say what is gone, why, and by whose word: both are written before anything is removed, so that a crash in between
leaves a notice of something that is still there, and the next run removes it.

Failure policy: what is held is not removed, and holds that cannot be read stop all removing of that organisation.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from gateway.errors import SettingsError
from gateway.evidence import chain
from gateway.evidence.books import Books, directory_of
from gateway.evidence.chain import Broken, Entry
from gateway.evidence.files import sync_directory
from gateway.evidence.notices import Hold, Removal, covers, give_notice, holds, keep_holds, mark, removals
from gateway.evidence.segments import DAY_US, day_of, lines, segments

FOR_AGE, ERASED = "retention", "erased"


def hold(books: Books, organisation: str, tenant: str, *, by: str, reason: str) -> None:
    """From now on nothing of the tenant ("": of the whole organisation) is removed. Raises OSError, SettingsError."""
    directory = directory_of(books.root, organisation)
    books.log(organisation)
    held = Hold(tenant, books.now_us(), by, reason)
    keep_holds(directory, lambda known: (*(each for each in known if each.tenant != tenant), held))
    books.append(organisation, tenant, "hold", {"tenant": tenant, "by": by, "reason": reason})
    books.sync()


def release(books: Books, organisation: str, tenant: str, *, by: str, reason: str) -> None:
    """End a hold. Raises SettingsError where there is none, OSError."""
    directory = directory_of(books.root, organisation)
    if not any(each.tenant == tenant for each in holds(directory)):
        raise SettingsError(f"{_whom(organisation, tenant)} is not held")
    books.append(organisation, tenant, "release", {"tenant": tenant, "by": by, "reason": reason})
    books.sync()
    keep_holds(directory, lambda known: tuple(each for each in known if each.tenant != tenant))


def erase(books: Books, organisation: str, tenant: str, *, by: str, reason: str) -> int:
    """Remove the bodies of all entries of a tenant so far; how many. Raises SettingsError where it is held, OSError."""
    directory = directory_of(books.root, organisation)
    held = [each for each in holds(directory) if each.tenant in ("", tenant)]
    if held:
        raise SettingsError(f"{_whom(organisation, held[0].tenant)} is held, by {held[0].by}: {held[0].reason}")
    key = books.tenant_key(organisation, tenant)
    book = books.log(organisation)
    first = segments(directory)[0].first
    notice = Removal(organisation, first, book.n, mark(key), ERASED, books.now_us(), by, reason, "")
    _tell(books, directory, notice)
    book.next_segment()
    return sum(_strip(segment.path, lambda entry: _is_theirs(entry, notice, key)) for segment in segments(directory)[:-1])


def retain(books: Books, organisation: str, *, keep_us: int) -> int:
    """Remove what is older; how many files of it. Raises SettingsError, OSError."""
    directory = directory_of(books.root, organisation)
    files = segments(directory)
    limit = day_of(max(0, books.now_us() - keep_us))
    old = [here for here, after in pairwise(files) if after.day < limit]
    held = {each.tenant for each in holds(directory)}
    if not old or "" in held:
        return 0
    after = files[len(old)].first
    said = [each.last for each in removals(directory) if each.why == FOR_AGE]
    if max(said, default=0) < after - 1:
        notice = Removal(organisation, old[0].first, after - 1, "", FOR_AGE, books.now_us(), "", _age(keep_us), "")
        _tell(books, directory, notice)
    elif held:
        return 0  # stripped already
    keys = [books.tenant_key(organisation, tenant) for tenant in held]
    for segment in old:
        if held:
            _strip(
                segment.path, lambda entry: bool(entry.tag) and not any(chain.tag(key, entry.n) == entry.tag for key in keys)
            )
        else:
            segment.path.unlink()
    sync_directory(directory)
    return len(old)


def _tell(books: Books, directory: Path, notice: Removal) -> None:
    notice = give_notice(directory, books.signer, notice)
    said = {name: value for name, value in notice._asdict().items() if name not in ("organisation", "key", "signature")}
    books.append(notice.organisation, "", "removed", said)
    books.sync()


def _is_theirs(entry: Entry, notice: Removal, key: bytes) -> bool:
    return covers(notice, entry.n, key) and chain.tag(key, entry.n) == entry.tag


def _strip(path: Path, is_gone: Callable[[Entry], bool]) -> int:
    """Write a file anew without these bodies; how many they were. What is no entry stays as it is. Raises OSError."""
    beside = path.with_name(f".{path.name}.new")
    count = 0
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for _, line, is_whole in lines(path):
            kept = line
            if is_whole:
                try:
                    entry = chain.read(line)
                except Broken:
                    entry = None
                if isinstance(entry, Entry) and entry.body is not None and is_gone(entry):
                    kept, count = chain.write_husk(entry), count + 1
            file.write(kept + b"\n" if is_whole else kept)
        file.flush()
        os.fsync(file.fileno())
    if count:
        beside.replace(path)
        sync_directory(path.parent)
    else:
        beside.unlink()
    return count


def _whom(organisation: str, tenant: str) -> str:
    return f"tenant {tenant}" if tenant else f"organisation {organisation}"


def _age(keep_us: int) -> str:
    return f"older than {keep_us // DAY_US} days"
