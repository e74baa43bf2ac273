"""The commands, as they are typed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.cli.main import main
from gateway.evidence.keys import signer
from gateway.evidence.seal import seal
from tests.evidence.make import GIVEN, SECRET, Clock, open_sink, seen, traffic

PUBLIC = signer(bytes.fromhex(GIVEN)).public.hex()
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Type a command in a directory with evidence of two tenants."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GAUGER_SECRET", SECRET.decode())
    monkeypatch.setenv("GAUGER_EVIDENCE_KEY", GIVEN)
    clock = Clock()
    sink = open_sink(tmp_path / ".gauger" / "evidence", clock)
    traffic(sink, clock, seconds=3)
    sample = seal(SECRET, b"write a poem", organisation="org", tenant="acme", request_id="req-7")
    sink.seen("9900000000000-0", seen(7, sealed=sample))
    sink.close()

    def now_us() -> int:
        clock.now_us += 1_000_000
        return clock.now_us

    monkeypatch.setattr("gateway.cli.evidence._now_us", now_us)

    def type_in(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        try:
            code = main(["evidence", *words])
        except SystemExit as end:
            code = int(str(end.code))
        out, err = capfd.readouterr()
        return code, out, err

    return type_in


def test_export_and_verify(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was made here is good somewhere else, where there is neither secret nor data; one that was changed is not."""
    policies = tmp_path / "policies"
    policies.mkdir()
    policies.joinpath("p.yaml").write_text(
        "version: 1\norganisations: {org: {}}\nplans: {p: {}}\ntenants: {acme: {organisation: org, plan: p}}\n"
    )
    assert run("export", "--tenant", "acme", "--out", "a.evidence")[0] == 0
    monkeypatch.delenv("GAUGER_SECRET")
    monkeypatch.delenv("GAUGER_EVIDENCE_KEY")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "a.evidence").rename(tmp_path / "elsewhere" / "a.evidence")
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, out, _ = run("verify", "a.evidence", "--public-key", PUBLIC)
    assert (code, "good. This is evidence of traffic" in out) == (0, True)
    assert "shown: 1 begun, 1 closed, 4 sighting; of other tenants, as hashes: 3" in out
    assert "rules 59167a78ae914287: gauger 0.2.0, 2 features, phrase lists thinking 2027-01, tasks 2027-02" in out
    report = json.loads(run("verify", "a.evidence", "--public-key", PUBLIC, "--json")[1])
    assert (report["problems"], report["last"], report["others"]) == ([], 9, 3)
    data = Path("a.evidence").read_bytes()
    Path("b.evidence").write_bytes(data.replace(b'"status":200', b'"status":403', 1))
    code, out, _ = run("verify", "b.evidence", "--public-key", PUBLIC)
    assert (code, "WRONG: line" in out, "NOT GOOD" in out) == (1, True, True)
    code, out, _ = run("verify", "a.evidence", "--public-key", PUBLIC, "--policies", str(policies))
    assert (code, "are not among those of its entries" in out) == (1, True)


def test_a_head_is_noted_and_compared(run: Run) -> None:
    """What `list` prints can be given to `verify` later."""
    line = next(line for line in run("list")[1].splitlines() if line.startswith("org "))
    head = line.split()[-1]
    run("export", "--organisation", "org", "--out", "a.evidence")
    assert run("verify", "a.evidence", "--public-key", PUBLIC, "--head", head)[0] == 0
    other = f"{head.split(':')[0]}:{'0' * 64}"
    assert run("verify", "a.evidence", "--public-key", PUBLIC, "--head", other)[0] == 1


def test_hold_erase_release(run: Run) -> None:
    """What is held cannot be erased; once released it can, and the file says so."""
    whom = ("--tenant", "acme", "--organisation", "org", "--reason", "case 4711")
    assert run("hold", *whom)[1] == "held: nothing of tenant acme of org is removed\n"
    code, _, err = run("erase", *whom)
    assert (code, "tenant acme is held" in err) == (2, True)
    assert run("release", *whom)[0] == 0
    assert run("erase", *whom)[1] == "erased: 6 entries of tenant acme of org; their numbers and hashes stay\n"
    run("export", *whom[:4], "--out", "a.evidence")
    code, out, _ = run("verify", "a.evidence", "--public-key", PUBLIC)
    assert (code, "removed with notice: 6" in out) == (0, True)


def test_samples(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sampled prompts are shown to whoever has the secret."""
    run("export", "--tenant", "acme", "--organisation", "org", "--out", "a.evidence")
    assert json.loads(run("open", "a.evidence")[1])["prompt"] == "write a poem"
    monkeypatch.setenv("GAUGER_SECRET", "another one of some length")
    code, out, err = run("open", "a.evidence")
    assert (code, out, "was sealed under another secret" in err) == (1, "", True)


def test_key(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The public key is printed, and a given key is not rotated by the gateway."""
    assert run("key")[1] == f"{PUBLIC}\n"
    code, _, err = run("rotate", "--reason", "yearly")
    assert (code, "is given by GAUGER_EVIDENCE_KEY" in err) == (2, True)
    monkeypatch.delenv("GAUGER_EVIDENCE_KEY")
    code, out, _ = run("rotate", "--reason", "yearly")
    assert (code, out.startswith("signs from now on: ")) == (0, True)
    assert run("key")[1].strip() == out.split()[-1] != PUBLIC


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("export", "--tenant", "acme", "--organisation", "nobody"), "there is no evidence of organisation nobody"),
        (("export",), "--tenant or --organisation: one of them is needed"),
        (("export", "--organisation", "org", "--from", "2099-01-01"), "--from: must be before --to, and before now"),
        (("export", "--organisation", "org", "--from", "tomorrow"), "'tomorrow': must be a time, as in 2027-01-31"),
        (("export", "--organisation", "../keys"), "--organisation: "),
        (("verify", "none"), "FILE: none cannot be read: No such file or directory"),
        (("verify", "none", "--public-key", "00"), "--public-key: must be the 64 hex digits"),
        (("verify", "none", "--head", "1"), "must be N:LINK"),
        (("open", "policies"), "FILE: policies cannot be read"),
        (("release", "--organisation", "org", "--reason", "x"), "organisation org is not held"),
        (("erase", "--tenant", "x", "--organisation", "no", "--reason", "x"), "there is no evidence of organisation no"),
    ],
)
def test_mistakes(run: Run, words: tuple[str, ...], message: str) -> None:
    """Each is told with what is allowed, and never by a traceback."""
    code, _, err = run(*words)
    assert code in (1, 2)
    assert message in err
    assert "Traceback" not in err
