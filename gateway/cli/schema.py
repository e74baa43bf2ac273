"""`gauger schema`: the JSON Schema of policy files, for editors."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from gateway.policy.schema import json_schema

_DESCRIPTION = """\
Print the JSON Schema of policy files. An editor with a YAML language server completes and checks by it where a file's first
line names it:

  gauger schema > policies/.schema.json
  # yaml-language-server: $schema=.schema.json

It sees less than `gauger check`: nothing of other files, and nothing that depends on another word.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "schema",
        help="print the JSON Schema of policy files, for editors",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)


def run(_args: argparse.Namespace) -> int:
    """Print it; 0."""
    json.dump(json_schema(), sys.stdout, indent=2)
    print()
    return 0
