"""A log survives whatever happens to its writer, and says so."""

from pathlib import Path

import pytest

from gateway.errors import SettingsError
from gateway.evidence import log as log_module
from gateway.evidence.books import Busy, directory_of
from gateway.evidence.chain import Entry, Walk
from gateway.evidence.keys import is_signed, signer
from gateway.evidence.log import Log
from gateway.evidence.segments import lines, segments
from tests.evidence.make import DAY_US, GIVEN, Clock, checked, decision, exported, open_books, open_sink, seen, traffic


def whole(root: Path) -> Path:
    return segments(directory_of(root, "org"))[-1].path


def test_a_log_that_was_closed_goes_on(tmp_path: Path) -> None:
    """After a proper end the next entry says that it was closed, and there is no gap."""
    clock = Clock()
    for run in range(3):
        sink = open_sink(tmp_path, clock)
        traffic(sink, clock, seconds=2, first=1 + 10 * run)
        sink.close()
    report = checked(exported(tmp_path, clock))
    assert (report.problems, report.gaps, report.kinds["closed"], report.kinds["opened"]) == ((), (), 3, 2)


def test_a_kill_at_every_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the file at any byte: what was whole stays, the rest is cut off, the next entry says so, and the chain verifies."""
    monkeypatch.setattr(log_module.os, "fsync", lambda descriptor: None)  # thousands of logs, and no power is cut
    clock, key = Clock(), signer(bytes.fromhex(GIVEN))

    def check(name: str, signed: bytes, signature: bytes) -> bool:
        return name == key.id and is_signed(key.public, signed, signature)

    log = Log(tmp_path, "org", key, check, now_us=clock)
    for number in range(3):
        log.append("sighting", {"tenant": "acme", "position": (f"{number}-0", 1)}, tenant_key=b"k" * 32)
        if number != 1:
            log.sync()
    log.append("decision", {"tenant": "acme"}, tenant_key=b"k" * 32)
    log.flush()
    log.abandon()
    (path,) = [each.path for each in segments(tmp_path)]
    data = path.read_bytes()
    for at in range(data.index(b"\n") + 1, len(data)):
        path.write_bytes(data[:at])
        again = Log(tmp_path, "org", key, check, now_us=clock)
        again.close()
        walk = Walk("org", check)
        found = [walk.step(line) for _, line, _ in lines(path)]
        kept = [line for line in data[:at].split(b"\n")[:-1] if line.startswith(b'{"n"')]
        bodies = [each.body for each in found if isinstance(each, Entry) and each.body]
        opened, closed = bodies[-2:]
        assert (opened["kind"], opened["after"], closed["kind"]) == ("opened", "not closed", "closed")
        assert opened["cut_bytes"] == at - 1 - data[:at].rfind(b"\n")
        assert (len(bodies), walk.signed) == (len(kept) + 2, walk.n), at


def test_a_change_before_a_signature_is_not_mended(tmp_path: Path) -> None:
    """What somebody changed stays as they left it, and fails there; the log goes on in another file and tells of damage."""
    clock = Clock()
    sink = open_sink(tmp_path, clock)
    traffic(sink, clock, seconds=3)
    sink.close()
    path = whole(tmp_path)
    changed = path.read_bytes().replace(b'"output_tokens":20', b'"output_tokens":21', 1)
    path.write_bytes(changed)
    sink = open_sink(tmp_path, clock)
    clock.now_us += 1_000_000
    traffic(sink, clock, seconds=2, first=30)
    sink.close()
    assert path.read_bytes() == changed
    after = checked(exported(tmp_path, clock, from_us=clock() - 2_000_000))
    assert after.problems == ()
    with pytest.raises(Exception, match="signs other entries than these"):
        exported(tmp_path, clock)


def test_a_file_without_any_good_signature_is_put_aside(tmp_path: Path) -> None:
    """Nothing of it is relied on, nothing of it is deleted, and the log says which file it was."""
    clock = Clock()
    sink = open_sink(tmp_path, clock)
    traffic(sink, clock, seconds=1)
    clock.now_us += DAY_US
    traffic(sink, clock, seconds=1, first=20)
    sink.close()
    path = whole(tmp_path)
    path.write_bytes(b"nonsense\n")
    books = open_books(tmp_path, clock)
    books.log("org")
    books.close()
    report = checked(exported(tmp_path, clock))
    assert report.problems == ()
    assert report.gaps[0]["put_aside"][0].startswith(path.name)
    assert [each.read_bytes() for each in path.parent.glob("*.damaged-*")] == [b"nonsense\n"]


def test_sightings_that_come_again_are_written_once(tmp_path: Path) -> None:
    """After a crash the analyst reads the stream again from its checkpoint: what is kept already is not kept twice."""
    clock = Clock()
    sink = open_sink(tmp_path, clock)
    told = [(f"{stamp}-{part}", seen(stamp * 10 + index)) for stamp in (5, 40, 300) for part in (0, 11) for index in range(3)]
    for entry, one in told[:13]:
        sink.seen(entry, one)
    sink.tick()
    sink._books.abandon()
    for start in (12, 6, 0):
        sink = open_sink(tmp_path, clock)
        for entry, one in told[start:]:
            sink.seen(entry, one)
        clock.now_us += 2_000_000
        sink.tick()
        sink._books.abandon()
    report = checked(exported(tmp_path, clock))
    shown = [line for line in exported(tmp_path, clock) if b'"kind":"sighting"' in line]
    assert (report.problems, len(shown)) == ((), len(told))
    assert len({line.split(b'"position":')[1] for line in shown}) == len(told)


def test_the_position_survives_a_new_file(tmp_path: Path) -> None:
    """How far the stream was kept is written in each checkpoint, so that a file with no sighting yet knows it too."""
    clock = Clock()
    sink = open_sink(tmp_path, clock)
    sink.seen("7-1", seen(1))
    sink.tick()
    sink._books.log("org").next_segment()
    sink._books.abandon()
    sink = open_sink(tmp_path, clock)
    assert sink._books.log("org").position == ("7-1", 1)
    sink.close()


def test_a_decision_is_with_the_system_at_once(tmp_path: Path) -> None:
    """A process that is killed right after a decision has written it."""
    clock = Clock()
    sink = open_sink(tmp_path, clock)
    sink.decided(decision(clock(), "step", "acme", "org", after="refuse"))
    assert b'"after":"refuse"' in whole(tmp_path).read_bytes()
    sink._books.abandon()


def test_a_disk_that_is_full_loses_nothing_that_fits_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing can be written the watch goes on; then all of it is, in order, and nothing half."""
    clock = Clock()
    sink = open_sink(tmp_path, clock)
    traffic(sink, clock, seconds=1)
    real, left = log_module.os.write, [100]

    def write(descriptor: int, data: memoryview) -> int:
        if left[0] <= 0:
            raise OSError(28, "No space left on device")
        part = data[: left[0]]
        left[0] -= len(part)
        return real(descriptor, part)

    monkeypatch.setattr(log_module.os, "write", write)
    traffic(sink, clock, seconds=3, first=10)
    assert whole(tmp_path).read_bytes().endswith(b"}\n")
    left[0] = 10**9
    sink.close()
    report = checked(exported(tmp_path, clock))
    assert (report.problems, report.kinds["sighting"], report.gaps) == ((), 4, ())


def test_what_does_not_fit_in_memory_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that stays full costs entries, never memory without end, and the log says how many."""
    clock = Clock()
    sink = open_sink(tmp_path, clock)
    sink.seen("1-0", seen(1))
    sink.tick()
    monkeypatch.setattr(log_module, "PENDING_BYTES_MAX", 20_000)

    def full(descriptor: int, data: memoryview) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(log_module.os, "write", full)
        for number in range(2, 102):
            sink.seen(f"{number}-0", seen(number))
        assert sink._books.log("org")._pending_bytes < 22_000
    sink.close()
    report = checked(exported(tmp_path, clock))
    (gap,) = report.gaps
    assert (report.problems, gap["why"], report.kinds["sighting"] + gap["numbers"]) == ((), "not written", 101)


def test_one_writer(tmp_path: Path) -> None:
    """A second writer is told so, and the lock is free once the first has gone."""
    clock = Clock()
    books = open_books(tmp_path, clock)
    with pytest.raises(Busy, match="another process writes evidence"):
        open_books(tmp_path, clock)
    books.close()
    open_books(tmp_path, clock).close()


def test_more_logs_than_open_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Organisations beyond the files that may be open take turns, and each chain is whole."""
    monkeypatch.setattr("gateway.evidence.books.OPEN_MAX", 2)
    clock = Clock()
    sink = open_sink(tmp_path, clock)
    for number in range(20):
        sink.seen(f"{number + 1}-0", seen(number, organisation=f"org{number % 5}"))
    sink.close()
    for number in range(5):
        report = checked(exported(tmp_path, clock, organisation=f"org{number}"))
        assert (report.problems, report.kinds["sighting"], report.gaps) == ((), 4, ())


def test_a_clock_that_goes_back(tmp_path: Path) -> None:
    """Entries are never older than the one before, so order can be checked."""
    clock = Clock()
    sink = open_sink(tmp_path, clock)
    traffic(sink, clock, seconds=2)
    clock.now_us -= 3 * DAY_US
    sink.seen("99999999999999-0", seen(9))
    sink.close()
    clock.now_us += 4 * DAY_US
    assert checked(exported(tmp_path, clock)).problems == ()


def test_names_that_differ_in_case_are_apart(tmp_path: Path) -> None:
    """Also on disks that do not tell them apart."""
    assert directory_of(tmp_path, "Acme").name.lower() != directory_of(tmp_path, "acme").name.lower()


def test_a_key_is_kept_to_its_owner(tmp_path: Path) -> None:
    """The private key that is made can be read by nobody else; a given one is not written down at all."""
    clock = Clock()
    open_books(tmp_path / "made", clock, given="").close()
    (key,) = (tmp_path / "made" / "keys").glob("*.key")
    assert key.stat().st_mode & 0o777 == 0o600
    open_books(tmp_path / "given", clock).close()
    everything = b"".join(path.read_bytes() for path in (tmp_path / "given").rglob("*") if path.is_file())
    assert GIVEN.encode() not in everything
    with pytest.raises(SettingsError, match=r"GAUGER_EVIDENCE_KEY: must be 32 random bytes"):
        open_books(tmp_path / "given", clock, given="short")
