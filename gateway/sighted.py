"""From a request that has ended to what the analyst is told of it."""

from __future__ import annotations

from gateway.phases.record import Entry
from gateway.values import Sighting
from gateway.watch.seen import Seen


def seen_of(entry: Entry, sighting: Sighting) -> Seen:
    """What the analyst is told of a request that has ended."""
    assert entry.caller is not None  # noqa: S101  # what was looked at came from somebody
    organisation, tenant, key_id, _ = entry.caller
    charged = None if entry.hold is None else entry.hold.charged
    verdict = entry.verdict
    return Seen(
        at_us=entry.at_us,
        request_id=entry.id,
        organisation=organisation,
        tenant=tenant,
        key_id=key_id,
        subject=entry.subject,
        policy=entry.policy,
        endpoint="" if entry.endpoint is None else entry.endpoint.name,
        input_tokens=0 if charged is None else charged.input_tokens,
        output_tokens=0 if charged is None else charged.output_tokens,
        status=entry.status,
        step="" if verdict is None else verdict.step,
        was_shadow=verdict is not None and verdict.is_shadow,
        sighting=sighting,
        sealed=entry.sealed,
    )
