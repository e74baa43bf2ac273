"""Keys: hashed as the contract says, long enough, and printed once by `gauger keys new`."""

import argparse
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli import keys as command
from gateway.policy import keys
from gateway.policy.load import load_dir
from tests.policy.meters import METERS

ROOT = Path(__file__).parents[2]
SECRET = "a-secret-of-some-length"


def test_contract_keys(tmp_path: Path) -> None:
    """The contract's keys under its secret are the ones in its policies."""
    (tmp_path / "c.yaml").write_text((ROOT / "tests" / "fixtures" / "contract.yaml").read_text())
    policy = load_dir(tmp_path, meters=METERS)
    for tenant in policy.tenants:
        assert policy.keys[keys.digest(b"contract-secret", f"sk-gauger-contract-{tenant}")].tenant == tenant


def test_demo_keys() -> None:
    """The keys that `make run` prints are let in by the example policies under the demo's secret."""
    policy = load_dir(ROOT / "policies", meters=METERS)
    for tenant in ("demo-free", "demo-pro", "demo-internal"):
        assert policy.keys[keys.digest(b"demo-secret-not-for-production", f"sk-gauger-{tenant}")].tenant == tenant


@given(st.binary(min_size=24, max_size=24), st.binary(min_size=24, max_size=24))
def test_new_keys_keep_their_entropy(one: bytes, other: bytes) -> None:
    """Different bytes make different keys, all of one length and of letters and digits."""
    first, second = keys.new_key(one), keys.new_key(other)
    assert (first == second) == (one == other)
    assert re.fullmatch(r"sk-gauger-[0-9A-Za-z]{33}", first)


def test_too_little_entropy_is_refused() -> None:
    """Fewer than 192 bits make no key."""
    with pytest.raises(ValueError, match="at least 24 bytes"):
        keys.new_key(bytes(23))


def test_any_header_text_has_a_digest() -> None:
    """A key with bytes that are no UTF-8 is a wrong key, not a crash."""
    assert len(keys.digest(b"s", "sk-\udcff")) == 64


def gauger(*words: str) -> int:
    parser = argparse.ArgumentParser(prog="gauger")
    command.add_parser(parser.add_subparsers())
    args = parser.parse_args(["keys", *words])
    return int(args.run(args))


def test_keys_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The printed line, pasted as it is, lets the printed key in; a secret file counts without its line end."""
    monkeypatch.delenv("GAUGER_SECRET", raising=False)
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    assert gauger("new", "acme", "--secret-file", str(tmp_path / "secret")) == 0
    printed = capsys.readouterr().out
    (key,) = re.findall(r"sk-gauger-\w+", printed)
    (line,) = re.findall(r"^ *- \{id: .*\}$", printed, re.M)
    text = (
        "version: 1\norganisations: {o: {}}\nplans: {p: {}}\ntenants:\n  acme:\n    organisation: o\n    plan: p\n    keys:\n"
    )
    text += f"{line}\n"
    (tmp_path / "p.yaml").write_text(text)
    policy = load_dir(tmp_path, meters=METERS)
    found = policy.keys[keys.digest(SECRET.encode(), key)]
    assert found.tenant == "acme"
    assert re.fullmatch(r"acme-[0-9a-f]{8}", found.id)
    assert key not in text


def test_keys_new_longest_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A tenant of the longest name gets an id that is still a name."""
    monkeypatch.setenv("GAUGER_SECRET", SECRET)
    assert gauger("new", "t" * 64) == 0
    assert gauger("new", "acme", "--id", "laptop") == 0
    assert '{id: "laptop", hash: "hmac-sha256:' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "secret", "message"),
    [
        (("acme",), "", "GAUGER_SECRET (or GAUGER_SECRET_FILE) must be set"),
        (("acme",), "s3cr3t", "GAUGER_SECRET must have at least 8 bytes"),
        (("ac me",), SECRET, "TENANT: a name is 1 to 64 letters"),
        (("acme", "--id", "sk-gauger-x"), SECRET, "--id: this looks like a key itself"),
        (("acme", "--secret-file", "/nowhere/secret"), SECRET, "/nowhere/secret cannot be read: No such file or directory"),
    ],
)
def test_keys_new_refuses(
    words: tuple[str, ...], secret: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be used is said on stderr with status 2; no key is printed and no secret repeated."""
    monkeypatch.setenv("GAUGER_SECRET", secret)
    monkeypatch.delenv("GAUGER_SECRET_FILE", raising=False)
    assert gauger("new", *words) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.out == ""
    assert not secret or secret not in printed.err
