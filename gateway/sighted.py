"""What is seen of requests beside the path of one: those of a batch; and what the analyst is told once they have ended."""

from __future__ import annotations

import asyncio
from functools import partial

from gateway.phases.record import Entry
from gateway.phases.sample import sample
from gateway.snapshot import Snapshot
from gateway.values import Ask, Caller, Sighting
from gateway.watch.many import Many, id_of
from gateway.watch.seen import Seen
from gateway.watch.watcher import Watcher
from gateway.wires.anthropic_batches import message_of

ON_LOOP_MAX = 8
"""Requests of a batch, a tenth of a millisecond each; more are looked at in a thread."""


def many_of(watcher: Watcher, policy: Snapshot, caller: Caller, entry: Entry, now_us: int) -> Many:
    """What the requests of one batch are to be shown to. `keep` must be told when they have been."""
    entry.subject, entry.at_us = policy.watched(caller, now_us).subject, now_us
    return watcher.many(entry.subject, entry.id, now_us, seal=partial(sample, policy, caller))


def keep(watcher: Watcher, entry: Entry, many: Many) -> None:
    """The batch has been looked at: it will be told, and is remembered."""
    entry.many = many
    watcher.keep(entry.subject, many)


async def look_at_messages(watcher: Watcher, policy: Snapshot, caller: Caller, ask: Ask, entry: Entry) -> None:
    """Look at a batch whose requests are in its body, as of when it was classified."""
    many = many_of(watcher, policy, caller, entry, entry.at_us)
    if ask.extent.requests <= ON_LOOP_MAX:
        look_at_each(ask, many)
    else:
        await asyncio.to_thread(look_at_each, ask, many)
    keep(watcher, entry, many)


def look_at_each(ask: Ask, many: Many) -> None:
    """Show the requests of a batch. Made for a thread."""
    for request in ask.body["requests"]:
        if many.wants():
            many.show(partial(message_of, request))


def tell(watcher: Watcher, entry: Entry) -> None:
    """A request has ended: the analyst is to be told what was seen of it."""
    if entry.sighting is not None:
        watcher.note(seen_of(entry, entry.sighting))
    if entry.many is not None:
        watcher.note_many(_seen_of_batch(entry, entry.many))


def _seen_of_batch(entry: Entry, many: Many) -> list[Seen]:
    """Nobody is there when a batch is answered: what its requests take is known for none of them."""
    found = many.seen()
    if not found:
        return []
    came, looked_at = many.came, len(found)
    whole = seen_of(entry, found[0].sighting)._replace(input_tokens=0, output_tokens=0, batch_requests=came)
    return [
        whole._replace(
            request_id=id_of(entry.id, one.place), sighting=one.sighting, sealed=one.sealed,
            stands_for=(at + 1) * came // looked_at - at * came // looked_at,
        )
        for at, one in enumerate(found)
    ]  # fmt: skip


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
