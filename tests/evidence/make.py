"""Logs to try things on: real files, real keys, a clock that is told."""

from pathlib import Path
from typing import Any

from gateway.evidence.books import Books
from gateway.evidence.chain import tenant_key
from gateway.evidence.export import Wanted, export
from gateway.evidence.keys import KeyRing, signer
from gateway.evidence.sink import EvidenceSink, rules_of
from gateway.evidence.verify import Report, verify
from gateway.policy.model import Policy, Watch
from gateway.values import Reason, Sighting
from gateway.watch.seen import Seen
from gateway.watch.sinks import Decision

SECRET = b"a secret of at least some bytes"
START_US = 1_800_000_000_000_000
DAY_US = 86_400_000_000
RULES = rules_of("0.2.0", ("novelty", "tempo"), ("thinking 2027-01", "tasks 2027-02"))
GIVEN = "07" * 32
POLICY = "0123456789abcdef"


class Clock:
    def __init__(self) -> None:
        self.now_us = START_US

    def __call__(self) -> int:
        return self.now_us


def decision(at_us: int, kind: str, subject: str, organisation: str, **fields: Any) -> Decision:
    reasons = (Reason("few_words", 3, 1, "%"),)
    plain = Decision(
        at_us,
        kind,
        subject,
        organisation,
        "standard",
        "",
        "notice",
        True,
        812,
        "collector",
        reasons,
        30,
        "",
        "0123456789abcdef",
    )
    return plain._replace(**fields)


def seen(number: int, tenant: str = "acme", organisation: str = "org", **fields: Any) -> Seen:
    sighting = Sighting(700, 300, 2**63 + number, number, (1, 2), 9, (500, 20), ("thinking",), 0, 5, 6)
    plain = Seen(
        START_US, f"req-{number}", organisation, tenant, "k", tenant, POLICY, "chat/completions", 10, 20, 200,
        "", True, sighting,
    )  # fmt: skip
    return plain._replace(**fields)


def open_books(root: Path, clock: Clock, *, given: str = GIVEN) -> Books:
    return Books(root, SECRET, KeyRing(root / "keys", given=given), now_us=clock)


def open_sink(root: Path, clock: Clock, *, keep_days: int = 400, given: str = GIVEN) -> EvidenceSink:
    policy = Policy("", (), {}, {}, {}, {}, watch=Watch(keep_evidence_s=keep_days * 86_400))
    return EvidenceSink(open_books(root, clock, given=given), lambda policy: RULES, policy)


def exported(
    root: Path,
    clock: Clock,
    tenant: str = "acme",
    organisation: str = "org",
    *,
    from_us: int = 0,
    to_us: int = 0,
    given: str = GIVEN,
) -> list[bytes]:
    ring = KeyRing(root / "keys", given=given)
    now = ring.current(at_us=clock(), make=False)
    assert now is not None
    key = tenant_key(SECRET, organisation, tenant) if tenant else b""
    wanted = Wanted(organisation, tenant, key, from_us, to_us or clock() + 1)
    return list(export(root, ring, now, wanted, made_at_us=clock()))


def checked(lines: list[bytes], *, given: str = GIVEN, **options: Any) -> Report:
    return verify(lines, anchors=[signer(bytes.fromhex(given)).public] if given else [], **options)


def traffic(
    sink: EvidenceSink, clock: Clock, *, seconds: int = 6, tenants: tuple[str, ...] = ("acme", "beta"), first: int = 1
) -> None:
    """One request of each tenant a second, each second signed."""
    for second in range(first, first + seconds):
        for index, tenant in enumerate(tenants):
            sink.seen(f"{START_US // 1000 + second}-{index}", seen(second * 10 + index, tenant, at_us=clock()))
        clock.now_us += 1_000_000
        sink.tick()
