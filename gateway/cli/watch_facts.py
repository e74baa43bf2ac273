"""The file of `gauger watch facts`: what an operator knows of tenants, hashed under the deployment's secret."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import orjson

from gateway.errors import Mistake, PolicyErrors, SettingsError
from gateway.policy.fields import Fields, Report, text
from gateway.policy.model import Policy
from gateway.policy.yaml_tree import read_tree

FACTS = ("payment", "network", "signup")


def read_facts(file: Path, policy: Policy, key: bytes) -> dict[str, bytes]:
    """Raises PolicyErrors with every mistake in the file."""
    mistakes: list[Mistake] = []
    try:
        tree = read_tree(file.read_bytes(), str(file), mistakes)
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}") from None
    found: dict[str, bytes] = {}
    if tree is not None:
        report = Report(str(file), mistakes)
        top = Fields(report, tree, "", ("tenants",))
        for name, path, node, value in top.named("tenants"):
            if name not in policy.tenants:
                report.add(node, path, f"there is no tenant `{name}` in the policies")
            fields = Fields(report, value, path, FACTS)
            said = {fact: fields.get(fact, text(_fact), "") for fact in FACTS}
            found[name] = orjson.dumps({fact: _hashed(key, fact, value) for fact, value in said.items() if value})
        if not mistakes and not found:
            report.add(tree, "", "names no tenant: write `tenants: {NAME: {payment: ...}}`")
    if mistakes:
        raise PolicyErrors(sorted(mistakes))
    return found


def _fact(written: str) -> str:
    if not written.strip() or len(written) > 200:
        raise ValueError("a fact is a text of 1 to 200 characters")
    return written


def _hashed(key: bytes, fact: str, value: str) -> str:
    derived = blake2b(key, digest_size=32, person=b"gauger-facts").digest()
    return blake2b(f"{fact}\n{value}".encode(), digest_size=16, key=derived).hexdigest()
