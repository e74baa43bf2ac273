"""`gauger check`: what it prints in each format, its exit codes, and what the authors' page says of it."""

import json
from pathlib import Path

import pytest

from gateway.cli.main import main
from gateway.policy.second_look import KINDS
from tests.test_docs import blocks, rows, words

ROOT = Path(__file__).parents[2]
GOOD = "version: 1\nplans: {free: {}}\n"
LONELY = "version: 1\norganisations: {acme: {}}\nplans: {free: {}}\ntenants:\n  lonely: {organisation: acme, plan: free}\n"
BAD = "version: 1\nplan: {}\n"


@pytest.mark.parametrize(
    ("text", "flags", "expected"),
    [(GOOD, [], 0), (GOOD, ["--strict"], 0), (LONELY, [], 0), (LONELY, ["--strict"], 1), (BAD, [], 2), (BAD, ["--strict"], 2)],
)
@pytest.mark.parametrize("shape", ["text", "json", "github"])
def test_exit_codes(text: str, flags: list[str], expected: int, shape: str, tmp_path: Path) -> None:
    """0: it loads; 1: findings, where they are to fail; 2: no gateway would take it. Whatever the format."""
    (tmp_path / "p.yaml").write_text(text)
    assert main(["check", str(tmp_path), "--format", shape, *flags]) == expected


def test_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A finding has its place, its kind, its line and a caret, as a mistake has; the last line says what there is."""
    (tmp_path / "p.yaml").write_text(LONELY)
    main(["check", str(tmp_path)])
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path}/p.yaml:5:3: tenants.lonely: nobody gets in: `gauger keys new lonely` makes a key [tenant-without-key]",
        "    5 |   lonely: {organisation: acme, plan: free}",
        "      |   ^",
        f"{tmp_path}: loads (1 tenant, 0 keys, 1 plan, 0 model rules); 1 finding",
    ]
    (tmp_path / "p.yaml").write_text(BAD)
    main(["check", str(tmp_path)])
    assert capsys.readouterr().out.splitlines()[1:] == [
        "    2 | plan: {}", "      | ^", f"{tmp_path}: 1 mistake: no gateway would take it",
    ]  # fmt: skip


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One object, whether there are mistakes or findings."""
    (tmp_path / "p.yaml").write_text(LONELY)
    main(["check", str(tmp_path), "--format", "json"])
    told = json.loads(capsys.readouterr().out)
    assert (told["loads"], len(told["digest"]), told["mistakes"]) == (True, 16, [])
    assert told["findings"] == [
        {
            "kind": "tenant-without-key", "file": f"{tmp_path}/p.yaml", "line": 5, "column": 3, "path": "tenants.lonely",
            "message": "nobody gets in: `gauger keys new lonely` makes a key",
        }
    ]  # fmt: skip
    (tmp_path / "p.yaml").write_text(BAD)
    main(["check", str(tmp_path), "--format", "json"])
    told = json.loads(capsys.readouterr().out)
    assert (told["loads"], told["digest"], told["findings"]) == (False, None, [])
    assert [(each["line"], each["column"], each["path"]) for each in told["mistakes"]] == [(2, 1, "plan")]


def test_github(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Annotations, one a line, in which nothing of a file's name or text can end or begin a command."""
    directory = tmp_path / "a,b:c%"
    directory.mkdir()
    (directory / "p.yaml").write_text(LONELY)
    main(["check", str(directory), "--format", "github"])
    (line,) = capsys.readouterr().out.splitlines()
    where = f"file={tmp_path}/a%2Cb%3Ac%25/p.yaml,line=5,col=3,title=tenant-without-key"
    assert line == f"::warning {where}::tenants.lonely: nobody gets in: `gauger keys new lonely` makes a key"
    (directory / "p.yaml").write_text('version: 1\n"::error::x%\\n::stop": {}\n')
    main(["check", str(directory), "--format", "github"])
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"::error file={tmp_path}/a%2Cb%3Ac%25/p.yaml,line=2,col=1,title=mistake::")


def test_a_directory_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be read is a mistake, without a line to show."""
    assert main(["check", str(tmp_path / "gone")]) == 2
    assert "cannot be read: No such file or directory" in capsys.readouterr().out


def test_the_page_has_every_kind() -> None:
    """The table of findings says what the command's help says."""
    assert {words(name)[0]: what for name, what in rows("docs/policies.md", "Checking a directory")[: len(KINDS)]} == KINDS


def test_the_page_shows_what_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The example's finding is the one that the page prints."""
    (text,), (report,) = blocks("docs/policies.md", "yaml second"), blocks("docs/policies.md", "text second")
    (tmp_path / "acme.yaml").write_text(text)
    main(["check", str(tmp_path)])
    assert (
        capsys.readouterr().out.replace(f"{tmp_path}/", "policies/").rpartition("\n")[0].rpartition("\n")[0] == report.rstrip()
    )


def test_the_shipped_example(capsys: pytest.CaptureFixture[str]) -> None:
    """What is shipped passes the strict check."""
    assert main(["check", str(ROOT / "policies"), "--strict"]) == 0


def test_a_phrase_list_that_no_gateway_would_take(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A gateway refuses to start on it, so the check must not say that the directory loads."""
    (tmp_path / "p.yaml").write_text(f"{GOOD}watch: {{phrases: [phrases/own.yaml]}}\n")
    assert main(["check", str(tmp_path)]) == 2
    assert "phrases/own.yaml:1:1: file: cannot be read" in capsys.readouterr().out
