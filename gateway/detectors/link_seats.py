"""Who speaks for the crowd, and what is heard of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.detectors.link_crowd import Crowd
from gateway.detectors.link_pairs import SEEN_MIN
from gateway.detectors.link_strand import DAY_US
from gateway.detectors.link_tenant import Tenant

HEARD_MAX = 512


def speak(tenant: Tenant, crowd: Crowd) -> None:
    """Give it its seat in the crowd, or bring what it says there up to date."""
    habits = tenant.main_habits()
    if tenant.seat is None and tenant.noted >= SEEN_MIN:
        tenant.seat = crowd.seat(tenant.main_template(), habits, tenant.number, tenant.place)
        tenant.seat_habits = habits
    if tenant.seat is not None:
        words = frozenset(tenant.everything.words)
        crowd.speak(words - tenant.spoken, tenant.spoken - words)
        tenant.spoken = words


def sit_down(tenant: Tenant, crowd: Crowd) -> None:
    """Back in the seat it had when it was kept."""
    if tenant.seat is not None and crowd.take(tenant.seat, tenant.seat_habits, tenant.number):
        tenant.spoken = frozenset(tenant.everything.words)
        crowd.speak(tenant.spoken, ())


def survey(crowd: Crowd, tenants: Mapping[int, Tenant], at_us: int) -> None:
    """Listen to the crowd anew: at what rates speakers send, when, and what."""
    speakers = [tenants[number] for number in crowd.speakers.values()]
    day = at_us // DAY_US
    sample = speakers[:: max(1, len(speakers) // HEARD_MAX)]
    crowd.survey({s.number: sum(s.everything.rate(day)) for s in speakers}, (s.beat_at(at_us) for s in sample))
    crowd.listen({speaker.number: speaker.everything for speaker in sample})
