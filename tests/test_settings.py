"""Settings: where they come from, and what is said when they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import settings
from gateway.errors import SettingsError


def test_flags_precede_environment_file_and_default(tmp_path: Path) -> None:
    """Each setting is taken from the first place that gives it."""
    file = tmp_path / "gauger.yaml"
    file.write_text("lease: 40s\nrenew_every: 3s\ndrain: 5s\nbody_limit: 8MB\n")
    found = settings.load({"config": str(file), "lease": "20s"}, {"GAUGER_LEASE": "30s", "GAUGER_RENEW_EVERY": "4s"})
    assert (found.lease, found.renew_every, found.drain, found.body_limit_bytes) == (20.0, 4.0, 5.0, 8_000_000)
    assert found.store == "embedded"
    assert settings.load({}, {"GAUGER_CONFIG": str(file)}).lease == 40.0


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    """With the place it came from, what is allowed, and the nearest word."""
    file = tmp_path / "gauger.yaml"
    file.write_text("leese: 40s\ndrain: [1]\nlisten: 127.0.0.1\n")
    with pytest.raises(SettingsError) as refused:
        settings.load({"config": str(file), "body_limit": "big"}, {"GAUGER_STORE_LOSS_SHARE": "2"})
    assert set(str(refused.value).splitlines()) == {
        "--body-limit: 'big' is not allowed for body_limit: it takes a size above zero, as in 512kB, 32MB or 32MiB",
        "GAUGER_STORE_LOSS_SHARE: '2' is not allowed for store_loss_share: it takes a share above 0 and up to 1, as in 0.1",
        f"{file}:1: 'leese' is not a setting: did you mean 'lease'?",
        f"{file}:2: drain takes a single value",
        f"{file}:3: '127.0.0.1' is not allowed for listen: it takes HOST:PORT, as in 127.0.0.1:8080 or [::1]:8080",
    }


@pytest.mark.parametrize(("text", "size"), [("1", 1), ("2kB", 2000), ("32MB", 32_000_000), ("1 GiB", 2**30), ("8MiB", 2**23)])
def test_sizes(text: str, size: int) -> None:
    """Powers of 1000, and of 1024 with an i."""
    assert settings.size_bytes(text) == size


@pytest.mark.parametrize(("text", "duration_s"), [("500ms", 0.5), ("90", 90.0), ("1.5s", 1.5), ("2m", 120.0), ("1h", 3600.0)])
def test_durations(text: str, duration_s: float) -> None:
    """As people write them."""
    assert settings.seconds(text) == duration_s


def test_secrets_come_from_the_environment_or_a_file(tmp_path: Path) -> None:
    """Never shorter than eight bytes; a file's last line end is no part of it."""
    file = tmp_path / "secret"
    file.write_text("a-good-secret\n")
    assert settings.secret({"GAUGER_SECRET_FILE": str(file)}) == b"a-good-secret"
    assert (
        settings.secret({"GAUGER_SECRET": "from-the-environment", "GAUGER_SECRET_FILE": str(file)}) == b"from-the-environment"
    )
    with pytest.raises(SettingsError, match="must be set"):
        settings.secret({})
    with pytest.raises(SettingsError, match="at least 8 bytes"):
        settings.secret({"GAUGER_SECRET": "short"})
    with pytest.raises(SettingsError, match="cannot be read"):
        settings.secret({"GAUGER_SECRET_FILE": str(tmp_path / "none")})


def test_upstream_credentials_are_each_vendors_header() -> None:
    """A bearer token for one family, x-api-key for the other; a key that would break a header is refused."""
    assert settings.upstream_credentials({"UPSTREAM_API_KEY": "k"}) == {
        "openai": [(b"authorization", b"Bearer k")],
        "anthropic": [(b"x-api-key", b"k")],
    }
    assert settings.upstream_credentials({}) == {"openai": [], "anthropic": []}
    with pytest.raises(SettingsError):
        settings.upstream_credentials({"UPSTREAM_API_KEY": "k\r\nx: y"})
