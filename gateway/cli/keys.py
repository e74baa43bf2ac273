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

from gateway import settings
from gateway.errors import SettingsError
from gateway.policy import keys, scalars

_EPILOG = """\
The key is shown once and kept nowhere. Give it to the tenant, and paste the printed line into the tenant's `keys` in your
policy files: it holds only the key's HMAC-SHA256 under the deployment's secret.

The secret is the one `gauger serve` runs with: in the environment variable GAUGER_SECRET, or in the file
that GAUGER_SECRET_FILE or --secret-file names. Changing it makes every key invalid. A good one:
  python3 -c "import secrets; print(secrets.token_urlsafe(32))"

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
    except (ValueError, SettingsError) as error:
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
    """The secret as `gauger serve` reads it; a file given on the command line goes before the environment."""
    return settings.secret(os.environ if file is None else {"GAUGER_SECRET_FILE": str(file)})
