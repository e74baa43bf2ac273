"""`gauger watermark keys` and `gauger watermark detect`: whose mark a text carries. No store and no gateway is asked.

Exit codes of `detect`: 0 a mark was found; 3 none was (the text is not marked, too short, or was rewritten); 1 and 2 as for
every command. Nothing of the text and no key is ever printed, but by `keys`, whose output is the keys.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from gateway.cli import flags
from gateway.errors import SettingsError
from gateway.output import watermark_keys
from gateway.output.watermark import key_of
from gateway.output.watermark_detect import Detection, holm, score
from gateway.output.watermark_keys import KeyFile, TenantKey
from gateway.policy.load import load_dir
from gateway.settings import secret

FOUND, NONE_FOUND = 0, 3
INPUT_BYTES_MAX = 16_000_000
ID_MAX = 2**31 - 1
_KEYS_DESCRIPTION = """\
Print the watermark keys of all tenants whose policies have a watermark, as a JSON file for `gauger watermark detect`.
Needs GAUGER_SECRET (or GAUGER_SECRET_FILE), from which the keys are made. Whoever reads the file can tell the
tenants' texts, and can take their marks out: keep it as you keep the secret.

example:
  (umask 077; GAUGER_SECRET=... gauger watermark keys --policies policies --tokenizer qwen3 > keys.json)
"""
_DETECT_DESCRIPTION = """\
Tell whose watermark a text carries: for each tenant's key, how many of the text's different tokens are green, and how
likely that is by chance, alone (p) and for as many keys as were tried (p of all, by Holm's method).

The tokenizer must be the model's own: a name that splintr-rs carries (qwen3, llama3, mistral_v3, gpt-oss, ...), or the
model's tokenizer.json. With --ids, FILE is a JSON list of token ids, and no tokenizer is needed.

exit codes: 0 a mark was found, 3 none was found, 2 the input cannot be used.

examples:
  gauger watermark detect essay.txt --keys keys.json
  gauger watermark detect - --keys keys.json --tokenizer ./tokenizer.json --json < essay.txt
"""


class Row(NamedTuple):
    key: TenantKey
    found: Detection
    p_adjusted: float
    verdict: str
    """`marked`, `not found`, or `too short`: it could not be told even if all that was scored were green."""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("watermark", help="tell whose watermark a text carries", description="Watermarks of texts.")
    actions = parser.add_subparsers(dest="watermark_action", required=True, metavar="ACTION")
    keys = _add(actions, "keys", "print the tenants' watermark keys", _KEYS_DESCRIPTION, _run_keys)
    keys.add_argument("--tokenizer", metavar="NAME", default="", help="noted in the file: what `detect` takes by itself")
    flags.add(keys, ("policies",))
    detect = _add(actions, "detect", "tell whose mark a text carries", _DETECT_DESCRIPTION, _run_detect)
    detect.add_argument("file", metavar="FILE", help="the text, UTF-8; -: standard input")
    detect.add_argument("--keys", metavar="KEYS.json", required=True, type=Path, help="what `gauger watermark keys` printed")
    detect.add_argument("--tokenizer", metavar="NAME", help="the model's tokenizer (default: what the keys' file notes)")
    detect.add_argument("--ids", action="store_true", help="FILE is a JSON list of token ids")
    detect.add_argument("--alpha", metavar="P", type=_alpha, default=0.001, help="marked is a p of all up to this (0.001)")
    detect.add_argument("--json", action="store_true", help="print one JSON object")


def _add(actions: Any, name: str, text: str, description: str, run: Callable[[argparse.Namespace], int]) -> Any:
    parser = actions.add_parser(name, help=text, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.set_defaults(run=run)
    return parser


def _alpha(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value <= 0.5:
        raise argparse.ArgumentTypeError("must be a number above 0 and up to 0.5")
    return value


def _run_keys(args: argparse.Namespace) -> int:
    """Print the file of keys; 0. Raises SettingsError where no tenant has a watermark."""
    policy = load_dir(flags.load(args).policies)
    root = secret(os.environ)
    keys = [
        TenantKey(tenant.name, key_of(root, tenant.name), vocabulary, share_milli)
        for tenant in policy.tenants.values()
        for vocabulary, share_milli in watermark_keys.lists_of(policy, tenant)
    ]
    if not keys:
        raise SettingsError("no tenant's policy has a watermark: there are no keys")
    sys.stdout.write(watermark_keys.dump(KeyFile(tuple(keys), args.tokenizer)).decode())
    return 0


def _run_detect(args: argparse.Namespace) -> int:
    """Print the table or the JSON; FOUND or NONE_FOUND. Raises SettingsError for input that cannot be used."""
    try:
        keys = watermark_keys.load(_read(args.keys, "--keys"))
    except ValueError as error:
        raise SettingsError(f"--keys {args.keys}: {error}") from None
    data = _read(args.file, "FILE")
    tokenizer = "" if args.ids else args.tokenizer or keys.tokenizer
    token_ids = _ids(data) if args.ids else _tokenize(data, tokenizer)
    rows = _judge(token_ids, keys.keys, args.alpha)
    if args.json:
        head = {"tokens": len(token_ids), "tokenizer": tokenizer or None, "alpha": args.alpha}
        print(json.dumps({**head, "results": [_as_json(row) for row in rows]}, indent=2))
    else:
        _print_table(rows, len(token_ids), args.alpha)
    return FOUND if any(row.verdict == "marked" for row in rows) else NONE_FOUND


def _judge(token_ids: list[int], keys: tuple[TenantKey, ...], alpha: float) -> list[Row]:
    """One row for each key, the likeliest first."""
    found = [score(token_ids, each.key, vocabulary=each.vocabulary, share_milli=each.share_milli) for each in keys]
    adjusted = holm([each.p_value for each in found])
    rows = []
    for key, detection, p_adjusted in zip(keys, found, adjusted):
        verdict = "not found"
        if p_adjusted <= alpha:
            verdict = "marked"
        elif detection.p_least * len(keys) > alpha:
            verdict = "too short"
        rows.append(Row(key, detection, p_adjusted, verdict))
    return sorted(rows, key=lambda row: row.found.p_value)


def _read(path: str | Path, what: str) -> bytes:
    try:
        if path == "-":
            data = sys.stdin.buffer.read(INPUT_BYTES_MAX + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(INPUT_BYTES_MAX + 1)
    except OSError as error:
        raise SettingsError(f"{what}: {path} cannot be read: {error.strerror}") from None
    if len(data) > INPUT_BYTES_MAX:
        raise SettingsError(f"{what}: {path} is larger than {INPUT_BYTES_MAX // 1_000_000} MB")
    return data


def _ids(data: bytes) -> list[int]:
    try:
        ids = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise SettingsError(f"FILE: is no JSON: {error.msg} at line {error.lineno}") from None
    if type(ids) is not list or not all(type(token) is int and 0 <= token <= ID_MAX for token in ids):
        raise SettingsError(f"FILE: with --ids, must be a JSON list of whole numbers from 0 to {ID_MAX}")
    return ids


def _tokenize(data: bytes, name: str) -> list[int]:
    """The text's tokens; what spells a special token in it is plain text. `name` ends in .json: a file."""
    if not name:
        raise SettingsError("--tokenizer: needed, because the file of keys notes none: name the tokenizer of the model")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise SettingsError(f"FILE: is no UTF-8 text: byte {error.start} cannot be read") from None
    try:
        from splintr import Tokenizer, from_json  # optional: only this needs it
    except ImportError:
        raise SettingsError(
            "--tokenizer: needs the package splintr-rs: pip install 'gauger[watermark]', or give token ids with --ids"
        ) from None
    try:
        tokenizer = from_json(name) if name.endswith(".json") else Tokenizer.from_pretrained(name)
    except (ValueError, OSError) as error:
        raise SettingsError(f"--tokenizer: {error}") from None
    return list(tokenizer.encode_ordinary(text))


def _as_json(row: Row) -> dict[str, Any]:
    key, found, p_adjusted, verdict = row
    return {
        "tenant": key.tenant,
        "vocabulary": key.vocabulary,
        "share": key.share_milli / 1000,
        "scored": found.scored,
        "green": found.green,
        "z": round(found.z, 3),
        "p": found.p_value,
        "p_adjusted": p_adjusted,
        "verdict": verdict,
    }


def _print_table(rows: list[Row], tokens: int, alpha: float) -> None:
    table = [("tenant", "list", "scored", "green", "expected", "z", "p", "p of all", "verdict")]
    for key, found, p_adjusted, verdict in rows:
        share = found.green / found.scored if found.scored else 0.0
        table.append((
            key.tenant, f"{key.vocabulary} x {key.share_milli / 1000:g}", str(found.scored), f"{share:.1%}",
            f"{key.share_milli / 1000:.1%}", f"{found.z:.2f}", f"{found.p_value:.2g}", f"{p_adjusted:.2g}", verdict,
        ))  # fmt: skip
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    print(f"\n{tokens} tokens, {len(rows)} key{'s' if len(rows) != 1 else ''} tried; marked: p of all up to {alpha:g}")
