"""A file of evidence is checked with nothing but itself, and nothing can be done to it that is not found."""

import re
from pathlib import Path

import orjson
import pytest
from hypothesis import given as draws
from hypothesis import strategies as st

from gateway.evidence import chain
from gateway.evidence.keys import signer
from gateway.evidence.verify import verify
from gateway.watch.runs import Gap
from tests.evidence.make import DAY_US, GIVEN, START_US, Clock, checked, decision, exported, open_sink, seen, traffic


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    root, clock = tmp_path_factory.mktemp("evidence"), Clock()
    sink = open_sink(root, clock)
    traffic(sink, clock, seconds=4)
    sink.decided(decision(clock(), "step", "acme", "org"))
    sink.decided(decision(clock(), "step", "beta", "org"))
    sink.close()
    return exported(root, clock)


def test_a_file_is_good_and_says_what_it_holds(made: list[bytes]) -> None:
    """All of the tenant's entries are shown, the others' are counted, and policies, rules and keys are named."""
    report = checked(made)
    assert report.problems == ()
    assert report.kinds == {"begun": 1, "sighting": 4, "decision": 1, "closed": 1}
    assert (report.others, report.removed, report.first, report.last) == (5, 0, 1, 12)
    assert report.policies == ("0123456789abcdef",)
    assert [rules["features"] for rules in report.rules.values()] == [["novelty", "tempo"]]
    assert list(report.signers.values()) == [signer(bytes.fromhex(GIVEN)).public.hex()]
    assert "no evidence of what anybody did with the answers" in orjson.loads(made[0])["statement"]


def test_other_tenants_are_not_told(made: list[bytes]) -> None:
    """Nothing in the file names another tenant or its requests, and no two of its tags are the same."""
    assert b"beta" not in b"".join(made)
    tags = re.findall(rb'"tag":"([0-9a-f]{16})"', b"".join(made))
    assert len(tags) == len(set(tags)) == 10


def test_every_flipped_byte_is_found(made: list[bytes]) -> None:
    """Any byte of the file that becomes another makes it bad, wherever it stands."""
    whole = b"".join(made)
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1 if changed[at] != 11 else 2  # never makes a line's end out of another control character
        assert checked(bytes(changed).splitlines(keepends=True)).problems, (at, whole[max(0, at - 30) : at + 30])


def test_every_truncation_is_found(made: list[bytes]) -> None:
    """A file that ends anywhere before its end is not whole."""
    whole = b"".join(made)
    for at in range(len(whole)):
        assert checked(whole[:at].splitlines(keepends=True)).problems, at


@draws(st.data())
def test_every_line_removed_moved_or_doubled_is_found(made: list[bytes], data: st.DataObject) -> None:
    """Lines stand in one order only."""
    lines = list(made)
    here = data.draw(st.integers(0, len(lines) - 1))
    line = lines.pop(here)
    if data.draw(st.booleans()):
        there = data.draw(st.integers(0, len(lines)).filter(lambda at: at != here))
        lines.insert(there, line)
    elif data.draw(st.booleans()):
        lines[here:here] = [line, line]
    assert checked(lines).problems


def test_an_entry_passed_off_as_another_tenants_is_found(made: list[bytes]) -> None:
    """Who makes the file cannot leave out one of the tenant's entries: its tag tells, and is under the log's own signatures."""
    key = bytes.fromhex(orjson.loads(made[0])["tenant_key"])
    at = next(index for index, line in enumerate(made) if b'"kind":"sighting"' in line)
    entry = chain.read(made[at][:-1])
    assert isinstance(entry, chain.Entry)
    husk = chain.write_husk(entry) + b"\n"
    problems = checked(resigned([*made[:at], husk, *made[at + 1 : -1]])).problems
    assert problems == (f"line {at + 1}: entry {entry.n} is the tenant's, and its body is left out without notice",)
    another = chain.tag(key, entry.n + 1).encode()
    with_other_tag = husk.replace(entry.tag.encode(), another)
    (first, *_) = checked(resigned([*made[:at], with_other_tag, *made[at + 1 : -1]])).problems
    assert "signs other entries than these" in first


def test_an_invented_entry_is_found(made: list[bytes]) -> None:
    """An entry put in at the end, and the file signed anew by whoever has its key, does not fit the log's last signature."""
    line, _ = chain.write_entry(13, "", b"s" * 16, START_US + 10**9, "closed", {})
    (first, *_) = checked(resigned([*made[:-2], line + b"\n", *made[-2:-1]])).problems
    assert "signs entries up to 12 where 13 is the last" in first


def resigned(lines: list[bytes]) -> list[bytes]:
    """The file with a last line that fits, as only whoever has the key can make it."""
    from hashlib import sha256

    from gateway.evidence.export import _end

    return [*lines, _end(signer(bytes.fromhex(GIVEN)), len(lines), sha256(b"".join(lines)).digest())]


def test_a_file_by_another_key_is_found(made: list[bytes], tmp_path: Path) -> None:
    """With the public key from elsewhere a forged file is found; without it the report says that nobody vouches."""
    clock = Clock()
    sink = open_sink(tmp_path, clock, given="08" * 32)
    traffic(sink, clock)
    sink.close()
    forged = exported(tmp_path, clock, given="08" * 32)
    assert "does not vouch for it" in checked(forged).problems[0]
    report = checked(forged, given="")
    assert (report.problems, "no public key was given" in report.notes[-1]) == ((), True)


def test_a_head_that_was_noted_elsewhere(made: list[bytes]) -> None:
    """The number and link that were noted once are found again, and another chain is told."""
    report = checked(made)
    assert checked(made, known_head=(report.last, report.link)).problems == ()
    assert "is not the one that was noted" in checked(made, known_head=(report.last, "0" * 64)).problems[0]
    assert "is not in it" in checked(made, known_head=(99, report.link)).problems[0]


def test_a_time_is_cut_out_at_signatures(tmp_path: Path) -> None:
    """A file of some seconds begins and ends at the checkpoints around them, and holds all that was written between."""
    clock = Clock()
    sink = open_sink(tmp_path, clock)
    traffic(sink, clock, seconds=20)
    sink.close()
    from_us, to_us = START_US + 5_500_000, START_US + 9_500_000
    report = checked(exported(tmp_path, clock, from_us=from_us, to_us=to_us))
    assert (report.problems, report.notes) == ((), ())
    assert report.from_us <= from_us <= to_us <= report.to_us
    assert report.kinds == {"sighting": 5}
    assert report.first > 1


def test_a_time_over_several_days(tmp_path: Path) -> None:
    """Files of days follow one another without a seam."""
    clock = Clock()
    sink = open_sink(tmp_path, clock)
    for day in range(4):
        clock.now_us = START_US + day * DAY_US
        traffic(sink, clock, seconds=2, first=1 + 10 * day)
    sink.close()
    whole = checked(exported(tmp_path, clock))
    assert (whole.problems, whole.kinds["sighting"]) == ((), 8)
    part = checked(exported(tmp_path, clock, from_us=START_US + DAY_US, to_us=START_US + 2 * DAY_US + 3_000_000))
    assert (part.problems, part.kinds["sighting"]) == ((), 4)


def test_everybody(tmp_path: Path) -> None:
    """Without a tenant the whole organisation is shown."""
    clock = Clock()
    sink = open_sink(tmp_path, clock)
    traffic(sink, clock, seconds=3)
    sink.close()
    report = checked(exported(tmp_path, clock, ""))
    assert (report.problems, report.kinds["sighting"], report.others) == ((), 6, 0)


def test_missing_sightings_are_told_to_everybody(tmp_path: Path) -> None:
    """A gap in what gateways told stands in every chain, and the report lists it."""
    clock = Clock()
    sink = open_sink(tmp_path, clock)
    traffic(sink, clock, seconds=1)
    sink.seen("9999999999999-0", seen(1, "gamma", "other"))
    sink.missing(Gap("run7", 40, 3, "lost", clock()))
    sink.close()
    for tenant, organisation in (("acme", "org"), ("gamma", "other"), ("", "+deployment")):
        report = checked(exported(tmp_path, clock, tenant, organisation))
        assert (report.problems, [gap["numbers"] for gap in report.gaps]) == ((), [3])


def test_the_key_changes(tmp_path: Path) -> None:
    """Old and new key each vouch for the other: a file over a rotation is good for who knows either, and for nobody else."""
    clock = Clock()
    sink = open_sink(tmp_path, clock, given="")
    traffic(sink, clock, seconds=2)
    old = sink._books.signer.public
    new = sink._books.rotate().public
    traffic(sink, clock, seconds=2, first=11)
    sink.close()
    lines = exported(tmp_path, clock, given="")
    assert [verify(lines, anchors=[key]).problems for key in (old, new)] == [(), ()]
    assert len(verify(lines, anchors=[old]).signers) == 2
    assert verify(lines, anchors=[signer(b"9" * 32).public]).problems != ()
    assert checked(lines, given="").kinds["key"] == 1
    again = open_sink(tmp_path, clock, given="")
    assert again._books.signer.public == new
    again.close()


def test_a_key_that_the_log_has_not_met(tmp_path: Path) -> None:
    """A given key that was changed before the analyst's next start signs the file, and both keys are asked for."""
    clock = Clock()
    sink = open_sink(tmp_path, clock)
    traffic(sink, clock)
    sink.close()
    lines = exported(tmp_path, clock, given="08" * 32)
    keys = [signer(bytes.fromhex(each)).public for each in (GIVEN, "08" * 32)]
    assert verify(lines, anchors=keys).problems == ()
    assert len(verify(lines, anchors=keys[:1]).problems) == 1


def test_what_is_no_file_of_evidence() -> None:
    """Anything else is told to be none, and raises nothing."""
    for lines in ([], [b"\n"], [b"{}\n"], [b"\xff\n", b"x"], [b'{"gauger_evidence":1}\n'], [b"[1]\n"]):
        assert "is no beginning of a file of evidence" in checked(lines).problems[0]
