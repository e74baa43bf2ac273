"""`gauger`: one file a command, each with `add_parser` and `run`. This file finds the command and prints its errors.

Exit codes: 0 done; 1 the command failed; 2 what was asked cannot be understood or the configuration is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from gateway import __version__
from gateway.errors import GaugerError, PolicyErrors, SettingsError
from gateway.policy.excerpts import report

COMMANDS = (
    *("serve", "demo", "init", "check", "explain", "test", "diff", "schema", "replay", "keys", "usage", "watch", "analyst"),
    *("watermark", "evidence", "evaluate"),
)
"""In the order of the help. Each is a module of this room, imported only where it is asked for: what `gauger check` needs is a
fifth of what the gateway does."""

_DESCRIPTION = """\
Gauger stands in front of model servers and holds every request to the budgets of your policies.

  gauger demo                       see it work: a model server, a store and a gateway on this machine
  gauger serve --upstream URL       run the gateway
  gauger init DIR                   write a policy directory to begin with
  gauger check DIR                  find what is wrong with a policy directory
  gauger explain DIR --tenant T ... what holds for a request, and from which line
  gauger test DIR                   run the tests of a policy directory
  gauger diff OLD NEW               what changes for whom between two policy directories
  gauger schema                     the JSON Schema of policy files, for editors
  gauger replay TRACE               what a policy would have done to traffic that has been
  gauger keys new TENANT            make an API key for a tenant
  gauger usage --tenant TENANT      what a tenant has used and what is left
  gauger watch list                 who looks like an extraction, and what is done about it
  gauger watermark detect FILE      whose watermark a text carries
  gauger evidence export            what was seen and decided, in a file that others can check
  gauger evaluate --corpus DIR ...  what the watch catches, misses and costs, on a corpus of your own
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="gauger",
        description=_DESCRIPTION,
        epilog="Every command explains itself: gauger COMMAND --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"gauger {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    arguments = sys.argv[1:] if argv is None else argv
    for name in arguments[:1] if arguments and arguments[0] in COMMANDS else COMMANDS:
        import_module(f"gateway.cli.{name}").add_parser(subparsers)
    args = parser.parse_args(arguments)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except PolicyErrors as error:
        count = len(error.mistakes)
        print(
            f"{report(error)}\n{count} mistake{'s' if count != 1 else ''} in the policy files; nothing was started.",
            file=sys.stderr,
        )
        return 2
    except SettingsError as error:
        print(f"gauger: {error}", file=sys.stderr)
        return 2
    except GaugerError as error:
        print(f"gauger: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `gauger usage | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code


if __name__ == "__main__":
    sys.exit(main())
