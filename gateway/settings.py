"""The operator's settings: one table, read from flags, the environment, a YAML file, and defaults, in that order.

A setting `body_limit` is the flag `--body-limit`, the variable `GAUGER_BODY_LIMIT`, and `body_limit:` in the file that
`--config` (or `GAUGER_CONFIG`) names. Secrets are no settings: they come from the environment or a file, never from a flag
(a process list shows flags) and never from the YAML file (which gets committed).

Failure policy: every bad setting is reported at once, with where it came from and what is allowed; nothing starts.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from gateway.errors import Mistake, SettingsError
from gateway.policy.yaml_tree import Scalar, Table, read_tree

ADMIN_TOKEN_BYTES_MIN = 16
SECRET_BYTES_MIN = 8


def _text(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError("a text of printable characters")
    return text


def _path(text: str) -> Path:
    return Path(_text(text))


def seconds(text: str) -> float:
    """`500ms`, `90s`, `5m`, `1h`, or a number of seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", text.strip())
    if match is None or float(match[1]) <= 0:
        raise ValueError("a duration above zero, as in 500ms, 90s, 5m or 1h")
    return float(match[1]) * {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "h": 3600.0}[match[2]]


def size_bytes(text: str) -> int:
    """`32MB`, `512kB`, `1GB` (powers of 1000), `32MiB` (powers of 1024), or a number of bytes."""
    match = re.fullmatch(r"(\d+)\s*(k|M|G)?(i)?B?", text.strip())
    if match is None or int(match[1]) == 0:
        raise ValueError("a size above zero, as in 512kB, 32MB or 32MiB")
    unit = 1024 if match[3] else 1000
    power: int = {None: 0, "k": 1, "M": 2, "G": 3}[match[2]]
    return int(int(match[1]) * unit**power)


def _listen(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) <= 65_535:
        raise ValueError("HOST:PORT, as in 127.0.0.1:8080 or [::1]:8080")
    return text


def _admin(text: str) -> str:
    return text if text == "none" else _listen(text)


def _store_loss(text: str) -> str:
    if text not in ("share", "refuse"):
        raise ValueError("'share' (go on within a local share of every budget) or 'refuse'")
    return text


def _analyst(text: str) -> str:
    if text not in ("inside", "none"):
        raise ValueError("'inside' (a process that this gateway starts) or 'none' (one that you run: `gauger analyst`)")
    return text


def _switch(text: str) -> str:
    if text not in ("on", "off"):
        raise ValueError("'on' or 'off'")
    return text


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise ValueError("a share above 0 and up to 1, as in 0.1")
    return share


def _count(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise ValueError("a whole number above zero")
    return int(text)


def _setting(parse: Callable[[str], Any], default: str, metavar: str, help_text: str) -> Any:
    metadata = {"parse": parse, "default": default, "metavar": metavar, "help": help_text}
    return field(metadata=metadata)


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator can set; each field's metadata is its row in the table."""

    policies: Path = _setting(_path, "policies", "DIR", "directory of the policy files")
    upstream: str = _setting(_text, "http://127.0.0.1:9000", "URL", "base URL of the model server, without /v1")
    listen: str = _setting(_listen, "127.0.0.1:8080", "HOST:PORT", "where tenants connect")
    admin: str = _setting(_admin, "none", "HOST:PORT|none", "where the operator's own listener is, with a token")
    store: str = _setting(_text, "embedded", "URL", "redis://, rediss:// or unix:// of the store, or 'embedded'")
    data: Path = _setting(_path, ".gauger", "DIR", "directory of the embedded store")
    lease: float = _setting(seconds, "10s", "TIME", "how long a hold outlives a gateway that was killed")
    renew_every: float = _setting(seconds, "1s", "TIME", "how often open holds report what they have used")
    store_timeout: float = _setting(seconds, "1s", "TIME", "how long to wait for the store")
    store_loss: str = _setting(_store_loss, "share", "share|refuse", "what to do while the store is gone")
    store_loss_share: float = _setting(_share, "0.1", "SHARE", "part of every budget this gateway may spend meanwhile")
    connect_timeout: float = _setting(seconds, "5s", "TIME", "upstream: time to connect")
    first_byte_timeout: float = _setting(seconds, "10m", "TIME", "upstream: time to begin its answer")
    between_chunks_timeout: float = _setting(seconds, "2m", "TIME", "upstream: longest silence inside an answer")
    total_timeout: float = _setting(seconds, "1h", "TIME", "upstream: time for a whole answer")
    upstream_idle_timeout: float = _setting(seconds, "4s", "TIME", "upstream: when an unused connection is closed")
    upstream_connections: int = _setting(_count, "10000", "N", "upstream: most connections at once")
    body_timeout: float = _setting(seconds, "1m", "TIME", "tenants: time to send a request's body")
    read_timeout: float = _setting(seconds, "2m", "TIME", "tenants: how long an answer may lie unread before it is cut off")
    keepalive_timeout: float = _setting(seconds, "75s", "TIME", "tenants: when an unused connection is closed")
    body_limit_bytes: int = _setting(size_bytes, "32MB", "SIZE", "largest request body")
    upload_limit_bytes: int = _setting(size_bytes, "100MB", "SIZE", "largest form with files")
    upload_timeout: float = _setting(seconds, "10m", "TIME", "tenants: time to send a form with files")
    spool_limit_bytes: int = _setting(size_bytes, "2GB", "SIZE", "all forms together that are kept until they have gone on")
    answer_limit_bytes: int = _setting(size_bytes, "64MB", "SIZE", "largest answer that is not a stream")
    watch: str = _setting(_switch, "on", "on|off", "whether requests are looked at for signs of extraction")
    analyst: str = _setting(_analyst, "inside", "inside|none", "where what was seen is judged")
    sightings: int = _setting(_count, "16384", "N", "entries of what was seen that the store keeps for the analyst")
    drain: float = _setting(seconds, "30s", "TIME", "at shutdown: how long running requests may take to end")


TABLE = {item.name.removesuffix("_bytes"): item for item in fields(Settings)}
"""By the name users write: the dataclass field behind it."""


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"GAUGER_{name.upper()}"


def load(flags: Mapping[str, str | None], environ: Mapping[str, str]) -> Settings:
    """Settle every setting. `flags` holds what the command line gave (None or absent: not given), and `config`.

    Raises SettingsError with every mistake, one a line.
    """
    problems: list[str] = []
    config = flags.get("config") or environ.get("GAUGER_CONFIG")
    from_file = _read_file(Path(config), problems) if config else {}
    values: dict[str, Any] = {}
    for name, item in TABLE.items():
        meta = item.metadata
        if (text := flags.get(name)) is not None:
            where = f"--{name.replace('_', '-')}"
        elif (text := environ.get(variable(name))) is not None:
            where = variable(name)
        elif name in from_file:
            text, where = from_file[name]
        else:
            text, where = meta["default"], "the default"
        try:
            values[item.name] = meta["parse"](text)
        except ValueError as error:
            problems.append(f"{where}: {text!r} is not allowed for {name}: it takes {error}")
    if {"renew_every", "lease"} <= values.keys() and values["renew_every"] * 2 > values["lease"]:
        problems.append("lease: must be at least twice renew_every, or a single late renewal loses a hold")
    if problems:
        raise SettingsError("\n".join(problems))
    return Settings(**values)


def _read_file(path: Path, problems: list[str]) -> dict[str, tuple[str, str]]:
    """Each setting of the file as its text and where it stands."""
    mistakes: list[Mistake] = []
    try:
        tree = read_tree(path.read_bytes(), str(path), mistakes)
    except OSError as error:
        problems.append(f"--config: {path} cannot be read: {error.strerror}")
        return {}
    problems.extend(map(str, mistakes))
    if tree is None:
        return {}
    if not isinstance(tree, Table):
        problems.append(f"{path}: a settings file is a mapping of settings, as in `listen: 127.0.0.1:8080`")
        return {}
    found: dict[str, tuple[str, str]] = {}
    for name, (key, node) in tree.entries.items():
        where = f"{path}:{key.line}"
        if name not in TABLE:
            near = difflib.get_close_matches(name, TABLE, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"allowed are {', '.join(TABLE)}"
            problems.append(f"{where}: {name[:40]!r} is not a setting: {hint}")
        elif not isinstance(node, Scalar):
            problems.append(f"{where}: {name} takes a single value")
        else:
            found[name] = (node.text, where)
    return found


def secret(environ: Mapping[str, str]) -> bytes:
    """The deployment's secret, from GAUGER_SECRET or the file GAUGER_SECRET_FILE names. Raises SettingsError."""
    value = _from_environment("GAUGER_SECRET", environ)
    if value is None:
        raise SettingsError("GAUGER_SECRET (or GAUGER_SECRET_FILE) must be set: API keys are hashed under it")
    if len(value) < SECRET_BYTES_MIN:
        raise SettingsError(f"GAUGER_SECRET must have at least {SECRET_BYTES_MIN} bytes")
    return value.encode()


def admin_token(environ: Mapping[str, str], settings: Settings) -> str:
    """The token of the operator's listener, from GAUGER_ADMIN_TOKEN or the file GAUGER_ADMIN_TOKEN_FILE names.

    "" where there is no such listener. Raises SettingsError.
    """
    if settings.admin == "none":
        return ""
    value = _from_environment("GAUGER_ADMIN_TOKEN", environ)
    if value is None or len(value.encode()) < ADMIN_TOKEN_BYTES_MIN or not value.isascii() or not value.isprintable():
        raise SettingsError(
            "GAUGER_ADMIN_TOKEN (or GAUGER_ADMIN_TOKEN_FILE) must be set where `admin` is: "
            f"at least {ADMIN_TOKEN_BYTES_MIN} printable ASCII characters"
        )
    return value


def evidence_key(environ: Mapping[str, str]) -> str:
    """The key that signs evidence, from GAUGER_EVIDENCE_KEY or the file GAUGER_EVIDENCE_KEY_FILE names.

    "": one is made, and kept. Raises SettingsError.
    """
    return _from_environment("GAUGER_EVIDENCE_KEY", environ) or ""


def upstream_credentials(environ: Mapping[str, str]) -> dict[str, list[tuple[bytes, bytes]]]:
    """The upstream's own key as each family's headers, from UPSTREAM_API_KEY or the file UPSTREAM_API_KEY_FILE names.

    None is sent where neither is set. Raises SettingsError.
    """
    value = _from_environment("UPSTREAM_API_KEY", environ)
    return {"openai": [], "anthropic": []} if value is None else _credentials("UPSTREAM_API_KEY", value)


def pool_credentials(environ: Mapping[str, str], upstream: str, variable: str) -> dict[str, list[tuple[bytes, bytes]]]:
    """As `upstream_credentials`, for an upstream of the policy that names its own variable. Raises SettingsError without it."""
    value = _from_environment(variable, environ)
    if value is None:
        raise SettingsError(f"the upstream {upstream} takes its key from {variable} (or {variable}_FILE): neither is set")
    return _credentials(variable, value)


def _credentials(variable: str, value: str) -> dict[str, list[tuple[bytes, bytes]]]:
    if not value.isascii() or not value.isprintable():
        raise SettingsError(f"{variable} must be printable ASCII: it becomes a header")
    key = value.encode()
    return {"openai": [(b"authorization", b"Bearer " + key)], "anthropic": [(b"x-api-key", key)]}


def _from_environment(name: str, environ: Mapping[str, str]) -> str | None:
    if value := environ.get(name):
        return value
    if not (file := environ.get(f"{name}_FILE")):
        return None
    try:
        return Path(file).read_text().strip() or None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise SettingsError(f"{name}_FILE: {os.fspath(file)} cannot be read: {reason}") from None
