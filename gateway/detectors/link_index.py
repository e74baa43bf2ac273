"""From fingerprints to tenants: who might be worth comparing. Pure, bounded: a list that is full forgets its oldest entry, and
one that everybody is in is of no use."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable

from gateway.detectors.link_evidence import View
from gateway.detectors.link_strand import Strand
from gateway.detectors.link_tenant import ORDERS, Tenant

CANDIDATES_MAX = 24
RING = 4
"""Neighbours on each side, among a template's tenants in the order of their hashes: all who share a template see the same ring,
so links between neighbours make a net that holds together."""
SHARED_MAX, BY_WORDS = 6, 12
TELLING = 16
"""Words under which a strand is posted: those that come again most, and of the others the same ones of every strand."""
POST_MAX = 96
HOLDERS_MAX = 4_096
KEYS_MAX = 200_000
PROMPTS_MAX = 131_072
SAMPLED = 4
"""One prompt in so many is remembered, the same ones of every tenant."""
POPULAR = 64
"""Tenants from which a prompt or signature links nobody."""
STATED_MAX = 256
Sent = dict[str, dict[int, tuple[int, int, int]]]


class Index:
    """Fingerprints and who has them."""

    def __init__(self) -> None:
        self.rings: dict[int, list[tuple[int, int]]] = {}
        """Template -> (place, number) of its tenants, ascending."""
        self.posts: dict[int, list[int]] = {}
        """Word -> numbers, latest last."""
        self.sent: Sent = {"prompts": {}, "signatures": {}}
        """Fingerprint -> (first tenant, latest tenant, how many)."""
        self.stated: dict[tuple[str, int], list[int]] = {}
        """Operator's fact -> numbers."""
        self.holders: dict[tuple[str, int], int] = {}
        """Operator's fact -> how many tenants have it."""

    def hold(self, template: int, tenant: Tenant) -> None:
        """The tenant has a strand of this template now."""
        if template == ORDERS:
            return
        ring = self.rings.get(template)
        if ring is None:
            if len(self.rings) >= KEYS_MAX:
                del self.rings[next(iter(self.rings))]
            ring = self.rings[template] = []
        if len(ring) < HOLDERS_MAX:
            insort(ring, (tenant.place, tenant.number))

    def release(self, template: int, tenant: Tenant) -> None:
        """It has it no more."""
        ring, key = self.rings.get(template, []), (tenant.place, tenant.number)
        at = bisect_left(ring, key)
        if at < len(ring) and ring[at] == key:
            del ring[at]
            if not ring:
                del self.rings[template]

    def earlier(self, kind: str, fingerprint: int, number: int, changed: Callable[[str, int], None]) -> tuple[int, ...]:
        """Other tenants that sent this before: the first and the latest; and remember that this one did. `changed` is told of
        whatever is now remembered otherwise."""
        if kind == "prompts" and fingerprint % SAMPLED:
            return ()
        sent = self.sent[kind]
        entry = sent.get(fingerprint)
        if entry is None:
            if len(sent) >= PROMPTS_MAX:
                oldest = next(iter(sent))
                del sent[oldest]
                changed(kind, oldest)
            sent[fingerprint] = (number, number, 1)
            changed(kind, fingerprint)
            return ()
        first, latest, count = entry
        if latest == number:
            return ()
        sent[fingerprint] = (first, number, min(count + 1, POPULAR))
        changed(kind, fingerprint)
        if count >= POPULAR:
            return ()
        return tuple({other for other in (first, latest) if other != number})

    def state(self, tenant: Tenant) -> None:
        """The operator's facts of a tenant."""
        for key in tenant.facts.items():
            self.holders[key] = self.holders.get(key, 0) + 1
            stated = self.stated.setdefault(key, [])
            stated.append(tenant.number)
            if len(stated) > STATED_MAX:
                del stated[0]

    def unstate(self, tenant: Tenant) -> None:
        """They hold no more."""
        for key in tenant.facts.items():
            self.holders[key] -= 1
            if not self.holders[key]:
                del self.holders[key], self.stated[key]
            elif tenant.number in self.stated[key]:
                self.stated[key].remove(tenant.number)

    def post(self, tenant: Tenant, look: Callable[[Strand], View]) -> None:
        """Make it findable under the words that tell most of it."""
        words: dict[int, None] = {}
        for strand in (tenant.everything, *tenant.strands.values()):
            seen = look(strand).words
            words.update(dict.fromkeys(sorted(seen, key=lambda word: (-(seen[word][0] - 1) * seen[word][1], word))[:TELLING]))
        for word in set(tenant.posted) - words.keys():
            self._unpost(word, tenant.number)
        for word in words.keys() - set(tenant.posted):
            self._put(word, tenant.number)
        tenant.posted = tuple(words)

    def put_back(self, tenant: Tenant) -> None:
        """A tenant that was in the lists before."""
        for template in tenant.strands:
            self.hold(template, tenant)
        self.state(tenant)
        for word in tenant.posted:
            self._put(word, tenant.number)

    def _put(self, word: int, number: int) -> None:
        post = self.posts.get(word)
        if post is None:
            if len(self.posts) >= KEYS_MAX:
                del self.posts[next(iter(self.posts))]
            post = self.posts[word] = []
        post.append(number)
        if len(post) > POST_MAX:
            del post[0]

    def _unpost(self, word: int, number: int) -> None:
        post = self.posts.get(word)
        if post is not None and number in post:
            post.remove(number)
            if not post:
                del self.posts[word]

    def candidates(self, tenant: Tenant) -> list[int]:
        """Whom to compare it with, at most CANDIDATES_MAX: who shares things outright, ring neighbours, who has the same
        telling words, and those it was linked to before."""
        found: dict[int, None] = {}
        peers = sorted(tenant.peers.items(), key=lambda item: (-item[1][0], item[0]))
        found.update(dict.fromkeys([other for (_, other), _ in peers][:SHARED_MAX]))
        for key in tenant.facts.items():
            stated = self.stated.get(key, [])
            at = stated.index(tenant.number) if tenant.number in stated else 0
            found.update(dict.fromkeys((stated[at + 1 :] + stated[:at])[:SHARED_MAX]))
        for template in tenant.strands:
            found.update(dict.fromkeys(self._around(template, tenant)))
        votes: dict[int, int] = {}
        for word in tenant.posted:
            for number in self.posts.get(word, ()):
                votes[number] = votes.get(number, 0) + 1
        votes.pop(tenant.number, None)
        best = sorted(votes, key=lambda number: (-votes[number], _scatter(tenant.number, number)))
        found.update(dict.fromkeys(best[:BY_WORDS]))
        found.update(dict.fromkeys(edge.theirs[0] for edge in tenant.edges))
        found.pop(tenant.number, None)
        return list(found)[:CANDIDATES_MAX]

    def _around(self, template: int, tenant: Tenant) -> list[int]:
        ring = self.rings.get(template, [])
        at, size = bisect_left(ring, (tenant.place, tenant.number)), len(ring)
        steps = (step for distance in range(1, RING + 1) for step in (distance, -distance))
        return [ring[(at + step) % size][1] for step in steps] if size > 2 * RING else [number for _, number in ring]

    def remove(self, tenant: Tenant) -> None:
        """It is in no list any more; what it sent first stays its own."""
        for template in tenant.strands:
            self.release(template, tenant)
        self.unstate(tenant)
        for word in tenant.posted:
            self._unpost(word, tenant.number)


def _scatter(a: int, b: int) -> int:
    """An order that differs from tenant to tenant, and is the same for both of a pair."""
    return (min(a, b) * 0x9E3779B97F4A7C15 ^ max(a, b) * 0xC2B2AE3D27D4EB4F) & 0xFFFFFFFF
