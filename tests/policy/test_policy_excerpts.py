"""Mistakes for people: the line and a caret under the place, and no secret in either."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.main import main
from gateway.errors import Mistake, PolicyErrors
from gateway.policy.excerpts import WIDTH_MAX, excerpt, report
from gateway.policy.load import load_dir

BAD = sorted(Path(__file__).with_name("bad").glob("*.yaml"))


def mistake(column: int, path: str = "plans", line: int = 7) -> Mistake:
    return Mistake("p.yaml", line, column, path, "wrong")


def test_line_and_caret() -> None:
    """The line with its number, and the caret under the column that the mistake names."""
    assert excerpt("plans: {free: 5}", mistake(15)) == "    7 | plans: {free: 5}\n      |               ^"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=400), st.integers(1, 420))
def test_the_caret_is_under_its_place(line: str, column: int) -> None:
    """Of whatever line and wherever the place is, what stands over the caret is the character that is meant."""
    shown, caret = excerpt(line, mistake(column)).split("\n")
    at = min(column - 1, len(line))
    left = caret.index("^")
    width, index = 0, 0
    while width < left and index < len(shown):
        width += 0 if unicodedata.combining(shown[index]) else 2 if unicodedata.east_asian_width(shown[index]) in "FW" else 1
        index += 1
    while index < len(shown) and unicodedata.combining(shown[index]):
        index += 1
    assert width == left
    over = shown[index : index + 1]
    meant = line[at : at + 1]
    assert over in (meant, "*", "?") or unicodedata.combining(meant) or (not meant and over in ("", "."))
    assert len(shown) <= WIDTH_MAX + 20
    assert shown.isprintable()


@pytest.mark.parametrize(
    ("line", "secret", "path"),
    [
        ("  - {id: a, hash: my-own-password, budget: 1}", "my-own-password", "tenants.t.keys[0].budget"),
        ('  - {"hash": "sk-gauger-abcdef", x: 1}', "abcdef", "tenants.t.keys[0].x"),
        ("      hash: sk-gauger-abcdefghi", "abcdef", "tenants.t.keys[0].hash"),
        ("        pasted-in-on-its-own-line", "pasted", "tenants.t.keys[0].hash"),
        ("  urls: [http://me:word@host:80/v1]", "word", "upstreams.u.urls[0]"),
        ("  key_env: sk-0123456789", "0123", "upstreams.u.key_env"),
        ("  key_env: hunter2", "hunter2", "upstreams.u.key_env"),
        ("  # sk-proj-0123456789abcdef", "0123", "top level"),
    ],
)
def test_secrets_are_covered(line: str, secret: str, path: str) -> None:
    """What could be a key or a password is not repeated, wherever on the line the mistake is."""
    for column in (1, line.index(secret) + 1) if path.endswith(("x", "budget", "level")) else (line.index(line.strip()) + 1,):
        assert secret not in excerpt(line, mistake(column, path))


def test_hashes_are_no_secret() -> None:
    """A line with a good hash is shown as it is."""
    line = f'  - {{id: a, hash: "hmac-sha256:{"0" * 64}", budget: 1}}'
    assert excerpt(line, mistake(90)).startswith(f"    7 | {line}\n")


@pytest.mark.parametrize("bad", BAD, ids=lambda path: path.stem)
def test_every_mistake_shows_its_line(bad: Path, tmp_path: Path) -> None:
    """Each mistake of a file that can be read is followed by a line of that file, and a caret that lies within it."""
    text = bad.read_text()
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(PolicyErrors) as caught:
        load_dir(tmp_path)
    lines = iter(report(caught.value).splitlines())
    source = text.splitlines()
    for each in caught.value.mistakes:
        assert next(lines) == str(each)
        if each.line > len(source) or not source[each.line - 1].strip():
            continue
        shown, caret = next(lines), next(lines)
        assert shown.startswith(f"{each.line:5d} | ")
        assert caret.strip() == "| ^".replace(" ", " " * (caret.index("^") - caret.index("|") - 1))
        assert caret.index("^") <= len(shown)
    assert not list(lines)


def test_the_command_prints_it(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What stops a gateway from starting is told with its line and caret, and the exit code is 2."""
    monkeypatch.setenv("GAUGER_SECRET", "a-secret-of-some-length")
    (tmp_path / "p.yaml").write_text("version: 1\nplan: {}\n")
    assert main(["serve", "--policies", str(tmp_path), "--upstream", "http://127.0.0.1:9"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith(f"{tmp_path}/p.yaml:2:1: plan: unknown word; did you mean `plans`?")
    assert told[1:3] == ["    2 | plan: {}", "      | ^"]
