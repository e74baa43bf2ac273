"""`gauger keys new TENANT`: make an API key, print it once, and print the line that lets it in.

Nothing is stored: the policy file gets the key's hash, the tenant gets the key, and no one can read either from the other.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

from gateway.policy import keys, scalars

_SECRET_FILE_BYTES_MAX = 4096
_EPILOG = """\
The key is shown once and kept nowhere. Give it to the tenant, and paste the printed line into the tenant's `keys` in your
policy files: it holds only the key's HMAC-SHA256 under the deployment's secret.

The secret is the one `gauger serve` runs with: the environment variable GAUGER_SECRET, or a file. Changing it makes
every key invalid. A good one: python3 -c "import secrets; print(secrets.token_urlsafe(32))"

example:
  GAUGER_SECRET=... gauger keys new acme --id acme-laptop
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `keys` and its one action to the command line; `run` is set as the parsed arguments' `run`."""
    parser = subparsers.add_parser("keys", help="make API keys", description="Make API keys for tenants.")
    actions = parser.add_subparsers(dest="keys_action", required=True, metavar="ACTION")
    new = actions.add_parser(
        "new",
        help="make a key for a tenant",
        description="Make an API key for a tenant, and the line to paste into its policy.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    new.add_argument("tenant", metavar="TENANT", help="the tenant's name in the policy files")
    new.add_argument("--id", metavar="ID", help="a name for the key, shown in logs (default: TENANT and 8 random hex digits)")
    new.add_argument(
        "--secret-file", metavar="FILE", type=Path, help="read the deployment's secret from a file instead of GAUGER_SECRET"
    )
    new.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a new key and its line. 0: done. 2: the names or the secret cannot be used, and stderr says why."""
    try:
        tenant = _named("TENANT", args.tenant, scalars.name)
        key_id = _named("--id", args.id or f"{tenant[:55]}-{secrets.token_hex(4)}", scalars.key_id)
        secret = _read_secret(args.secret_file)
    except ValueError as error:
        print(f"gauger keys new: {error}", file=sys.stderr)
        return 2
    key = keys.new_key(secrets.token_bytes(keys.ENTROPY_BYTES_MIN))
    print(f"The key, shown this once (give it to {tenant}):\n\n    {key}\n")
    print(f"The line for `keys` of tenant {tenant} in your policy files:\n")
    print(f"      {keys.yaml_line(key_id, keys.digest(secret, key))}")
    return 0


def _named(what: str, text: str, check: Callable[[str], str]) -> str:
    try:
        return check(text)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None


def _read_secret(file: Path | None) -> bytes:
    """The deployment's secret, without the line end of a file. Raises ValueError; no message repeats any of it."""
    if file is None:
        secret, where = os.environb.get(b"GAUGER_SECRET", b""), "GAUGER_SECRET"
        if not secret:
            raise ValueError("no secret: set GAUGER_SECRET to the one `gauger serve` runs with, or give --secret-file FILE")
    else:
        where = str(file)
        try:
            with file.open("rb") as opened:
                secret = opened.read(_SECRET_FILE_BYTES_MAX + 1).rstrip(b"\r\n")
        except OSError as error:
            raise ValueError(f"the secret file {where} cannot be read: {error.strerror}") from None
        if len(secret) > _SECRET_FILE_BYTES_MAX:
            raise ValueError(f"the secret file {where} is larger than {_SECRET_FILE_BYTES_MAX} bytes: is it the right one?")
    if len(secret) < keys.SECRET_BYTES_MIN:
        raise ValueError(f"the secret in {where} is shorter than {keys.SECRET_BYTES_MIN} bytes: hashes under it can be guessed")
    return secret
