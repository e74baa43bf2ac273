"""What is removed is seen to be gone, what is held stays, and the chain verifies whatever was removed."""

from pathlib import Path

import orjson
import pytest

from gateway.errors import SettingsError
from gateway.evidence.books import directory_of
from gateway.evidence.notices import HOLDS, NOTICES
from gateway.evidence.removing import erase, hold, release, retain
from gateway.evidence.segments import segments
from gateway.evidence.sink import EvidenceSink
from tests.evidence.make import DAY_US, START_US, Clock, checked, exported, open_books, open_sink, traffic

WHO = {"by": "ada", "reason": "asked to"}


def days(root: Path, clock: Clock, count: int) -> EvidenceSink:
    sink = open_sink(root, clock)
    for day in range(count):
        clock.now_us = START_US + day * DAY_US
        traffic(sink, clock, seconds=2, first=1 + 10 * day)
    return sink


def everything(root: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file())


def test_erased_entries_are_gone_and_the_chain_holds(tmp_path: Path) -> None:
    """Of a tenant that was erased nothing is left but numbers and hashes, with notice; the others lose nothing."""
    clock = Clock()
    sink = days(tmp_path, clock, 3)
    assert erase(sink._books, "org", "acme", **WHO) == 6
    traffic(sink, clock, seconds=1, first=90)
    sink.close()
    assert everything(tmp_path).count(b'"tenant":"acme"') == 1
    own, other = checked(exported(tmp_path, clock)), checked(exported(tmp_path, clock, "beta"))
    assert (own.problems, own.removed, own.kinds["sighting"], own.kinds["removed"]) == ((), 6, 1, 1)
    assert (other.problems, other.removed, other.kinds["sighting"]) == ((), 0, 7)
    early = checked(exported(tmp_path, clock, to_us=START_US + DAY_US))
    assert (early.problems, early.removed) == ((), 2)
    again = open_books(tmp_path, clock)
    again.log("org")
    again.close()
    assert checked(exported(tmp_path, clock)).gaps == ()


def test_a_body_taken_out_without_notice_is_found(tmp_path: Path) -> None:
    """Somebody who deletes entries behind the log's back is found, in the log and in what is made of it."""
    clock = Clock()
    sink = days(tmp_path, clock, 2)
    erase(sink._books, "org", "acme", **WHO)
    sink.close()
    directory = directory_of(tmp_path, "org")
    (directory / NOTICES).unlink()
    assert "left out without notice" in checked(exported(tmp_path, clock)).problems[0]


def test_a_notice_that_nobody_signed_is_found(tmp_path: Path) -> None:
    """A notice cannot be made up or widened."""
    clock = Clock()
    sink = days(tmp_path, clock, 1)
    erase(sink._books, "org", "acme", **WHO)
    sink.close()
    path = directory_of(tmp_path, "org") / NOTICES
    notice = orjson.loads(path.read_bytes())
    path.write_bytes(orjson.dumps({**notice, "last": notice["last"] + 50}) + b"\n")
    assert "that nobody signed" in checked(exported(tmp_path, clock)).problems[0]


def test_retention_takes_whole_days(tmp_path: Path) -> None:
    """What is older goes, oldest first; what is left begins at a signed checkpoint and says that more was there."""
    clock = Clock()
    sink = days(tmp_path, clock, 6)
    assert retain(sink._books, "org", keep_us=3 * DAY_US) == 1
    assert retain(sink._books, "org", keep_us=2 * DAY_US) == 1
    assert retain(sink._books, "org", keep_us=2 * DAY_US) == 0
    sink.close()
    report = checked(exported(tmp_path, clock))
    assert (report.problems, report.kinds["sighting"], report.kinds["removed"]) == ((), 8, 2)
    assert report.first > 1
    assert f"entries up to {report.first - 1} were removed for their age" in report.notes


def test_files_that_vanish_without_notice_are_found(tmp_path: Path) -> None:
    """Somebody who deletes the oldest file, or one in between, is found."""
    clock = Clock()
    days(tmp_path, clock, 4).close()
    files = segments(directory_of(tmp_path, "org"))
    files[0].path.unlink()
    assert "there is no notice of a removal" in checked(exported(tmp_path, clock)).problems[0]
    files[2].path.unlink()
    with pytest.raises(Exception, match="the log was changed"):
        exported(tmp_path, clock)


def test_what_is_held_stays(tmp_path: Path) -> None:
    """Of days that are too old the held tenant's entries stay, and nobody else's; after its release they go too."""
    clock = Clock()
    sink = days(tmp_path, clock, 6)
    books = sink._books
    hold(books, "org", "acme", **WHO)
    assert retain(books, "org", keep_us=2 * DAY_US) == 2
    assert retain(books, "org", keep_us=2 * DAY_US) == 0
    with pytest.raises(SettingsError, match="tenant acme is held, by ada: asked to"):
        erase(books, "org", "acme", **WHO)
    own, other = checked(exported(tmp_path, clock)), checked(exported(tmp_path, clock, "beta"))
    assert (own.problems, own.kinds["sighting"], own.removed, own.kinds["hold"]) == ((), 12, 0, 1)
    assert (other.problems, other.kinds["sighting"], other.removed) == ((), 8, 4)
    assert "hold" not in other.kinds
    release(books, "org", "acme", **WHO)
    assert retain(books, "org", keep_us=2 * DAY_US) == 2
    sink.close()
    report = checked(exported(tmp_path, clock))
    assert (report.problems, report.kinds["sighting"]) == ((), 8)


def test_an_organisation_that_is_held_loses_nothing(tmp_path: Path) -> None:
    """Neither by age nor by erasing."""
    clock = Clock()
    sink = days(tmp_path, clock, 4)
    hold(sink._books, "org", "", **WHO)
    assert retain(sink._books, "org", keep_us=DAY_US) == 0
    with pytest.raises(SettingsError, match="organisation org is held"):
        erase(sink._books, "org", "acme", **WHO)
    sink.close()
    assert checked(exported(tmp_path, clock, "beta")).kinds["hold"] == 1


def test_holds_that_cannot_be_read_stop_all_removing(tmp_path: Path) -> None:
    """A damaged file of holds is not taken for none."""
    clock = Clock()
    sink = days(tmp_path, clock, 4)
    (directory_of(tmp_path, "org") / HOLDS).write_bytes(b"[{")
    for remove in (lambda: retain(sink._books, "org", keep_us=DAY_US), lambda: erase(sink._books, "org", "acme", **WHO)):
        with pytest.raises(SettingsError, match="is damaged: nothing is removed of org"):
            remove()
    (directory_of(tmp_path, "org") / HOLDS).unlink()
    with pytest.raises(SettingsError, match="is not held"):
        release(sink._books, "org", "acme", **WHO)
    sink.close()


def test_the_sink_removes_what_is_old(tmp_path: Path) -> None:
    """Retention runs by itself, at a checkpoint of the analyst."""
    clock = Clock()
    sink = days(tmp_path, clock, 4)
    sink.keep_us = DAY_US
    sink.checkpoint()
    sink.close()
    assert len(segments(directory_of(tmp_path, "org"))) == 3 - 1 + 1
    assert checked(exported(tmp_path, clock)).problems == ()
