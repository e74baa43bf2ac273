"""As whom a caller is watched, on which ladder, and what its traffic has been declared to be for. Pure.

Whoever is watched is a subject: a tenant, with all of its keys together. A key that names a ladder or a purpose of its own is a
subject of its own, so that an agreed evaluation neither raises its tenant's score nor hides the rest of its tenant's traffic.
Keys are the operator's to make: a tenant cannot split itself.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.policy.model import NO_LADDER, Key, Ladder, Organisation, Policy, Purpose, Tenant
from gateway.policy.resolve import Levels, levels_of
from gateway.policy.times import FOR_EVER_US

KEY_MARK = "/"
"""Between a tenant and its key in a subject's name: no name holds one."""


class Watched(NamedTuple):
    subject: str
    """`TENANT`, or `TENANT/KEY`."""
    organisation: str
    ladder: Ladder | None
    """None: watched, and nothing is done about it."""
    purposes: frozenset[Purpose]
    changes_at_us: int
    """When this may no longer be so, microseconds since the epoch."""


def watched(policy: Policy, *, organisation: str, tenant: str, key_id: str, now_us: int) -> Watched:
    """Raises KeyError for a caller that is not of this policy."""
    levels = levels_of(policy, organisation=organisation, tenant=tenant, key_id=key_id)
    key = levels.key
    is_apart = key is not None and bool(key.ladder or key.purposes)
    return _watched(policy, levels, f"{tenant}{KEY_MARK}{key_id}" if is_apart else tenant, now_us, is_apart=is_apart)


def watched_as(policy: Policy, subject: str, now_us: int) -> Watched | None:
    """The same by the subject's name. None: this policy has no such tenant or key."""
    tenant, _, key_id = subject.partition(KEY_MARK)
    who = policy.tenants.get(tenant)
    if who is None:
        return None
    try:
        levels = levels_of(policy, organisation=who.organisation, tenant=tenant, key_id=key_id)
    except KeyError:
        return None
    return _watched(policy, levels, subject, now_us, is_apart=bool(key_id))


def _watched(policy: Policy, levels: Levels, subject: str, now_us: int, *, is_apart: bool) -> Watched:
    plan, organisation, tenant, key = levels
    special: list[Organisation | Tenant | Key] = [organisation, tenant]
    if is_apart and key is not None:
        special.append(key)
    name = plan.ladder or policy.watch.ladder
    for level in special:
        name = level.ladder or name
    declared = [each for level in special for each in level.purposes if now_us < each.until_us]
    return Watched(
        subject=subject,
        organisation=organisation.name,
        ladder=None if name == NO_LADDER else policy.ladders.get(name),
        purposes=frozenset(each.purpose for each in declared),
        changes_at_us=min([each.until_us for each in declared], default=FOR_EVER_US),
    )
