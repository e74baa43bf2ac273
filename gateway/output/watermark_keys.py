"""The file of keys that `gauger watermark keys` writes and `gauger watermark detect` reads: JSON, made to be handed on. Pure.

    {"version": 1, "tokenizer": "qwen3", "keys": [{"tenant": "acme", "key": "64 hex digits", "vocabulary": 8192, "share_milli": 250}]}

Who has it can tell a tenant's texts, and can also take the mark out of them or put it into others: it is a secret. It tells
nothing about the deployment's own secret. Failure policy: whatever is not as above is an error that says where.
"""  # noqa: E501  # one line of JSON, as it is in the file

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from gateway.output.watermark import KEY_BYTES
from gateway.policy.model import Key, Organisation, Output, Plan, Policy, Tenant, Watermark

VERSION = 1
VOCABULARY_MAX = 1_000_000
KEYS_MAX = 100_000


class TenantKey(NamedTuple):
    """One list to try a text on. A tenant has several where its policies divide vocabularies in several ways."""

    tenant: str
    key: bytes
    vocabulary: int
    share_milli: int


class KeyFile(NamedTuple):
    keys: tuple[TenantKey, ...]
    tokenizer: str
    """What makes tokens of text; "" where the file does not say."""


def lists_of(policy: Policy, tenant: Tenant) -> list[tuple[int, int]]:
    """Every (vocabulary, share_milli) that a tenant's requests may be marked with, ascending.

    Everything that is written where it can reach the tenant counts, also what a more special level replaces today: a suspect
    text may be older than that.
    """
    found = {(mark.vocabulary, mark.share_milli) for mark in _marks(policy, tenant)}
    return sorted(found)


def _marks(policy: Policy, tenant: Tenant) -> Iterator[Watermark]:
    levels: Iterable[Organisation | Plan | Tenant | Key] = (
        policy.organisations[tenant.organisation],
        policy.plans[tenant.plan],
        tenant,
        *tenant.keys,
    )
    outputs: list[Output] = [level.output for level in levels]
    outputs += [rule.output for rule in (*policy.models, policy.default_rule)]
    return (output.watermark for output in outputs if output.watermark is not None)


def dump(file: KeyFile) -> bytes:
    """The file's bytes, one key a line."""
    keys = [orjson.dumps({**each._asdict(), "key": each.key.hex()}) for each in file.keys]
    head = orjson.dumps({"version": VERSION, "tokenizer": file.tokenizer or None})[:-1]
    return head + b',"keys":[\n' + b",\n".join(keys) + b"\n]}\n"


def load(data: bytes) -> KeyFile:
    """What a file says. Raises ValueError: what is wrong, where, and what is allowed; it quotes no key."""
    try:
        tree = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"is no JSON: {error.msg} at line {error.lineno}") from None
    if type(tree) is not dict or tree.keys() != {"version", "tokenizer", "keys"}:
        raise ValueError("must be an object of `version`, `tokenizer` and `keys`")
    if tree["version"] != VERSION:
        raise ValueError(f"version: must be {VERSION}")
    tokenizer, keys = tree["tokenizer"], tree["keys"]
    if tokenizer is not None and type(tokenizer) is not str:
        raise ValueError("tokenizer: must be a name, or null")
    if type(keys) is not list or not 1 <= len(keys) <= KEYS_MAX:
        raise ValueError(f"keys: must be a list of 1 to {KEYS_MAX} keys")
    read = tuple([_tenant_key(entry, f"keys[{index}]") for index, entry in enumerate(keys)])
    if len(set(read)) < len(read):
        raise ValueError("keys: one of them is there twice; each must be tried once")
    return KeyFile(read, tokenizer or "")


def _tenant_key(entry: object, where: str) -> TenantKey:
    if type(entry) is not dict or entry.keys() != set(TenantKey._fields):
        raise ValueError(f"{where}: must be an object of `tenant`, `key`, `vocabulary` and `share_milli`")
    tenant, key = entry["tenant"], entry["key"]
    if type(tenant) is not str or not 0 < len(tenant) <= 200 or not tenant.isprintable():
        raise ValueError(f"{where}.tenant: must be a printable name")
    try:
        key_bytes = bytes.fromhex(key) if type(key) is str and len(key) == 2 * KEY_BYTES else b""
    except ValueError:
        key_bytes = b""
    if len(key_bytes) != KEY_BYTES:
        raise ValueError(f"{where}.key: must be {2 * KEY_BYTES} hex digits")
    return TenantKey(
        tenant,
        key_bytes,
        _integer(entry, "vocabulary", where, VOCABULARY_MAX),
        _integer(entry, "share_milli", where, 999),
    )


def _integer(entry: dict[str, Any], name: str, where: str, most: int) -> int:
    value = entry[name]
    if type(value) is not int or not 1 <= value <= most:
        raise ValueError(f"{where}.{name}: must be a whole number from 1 to {most}")
    return value
