"""What the watch sees of a realtime session: each response that was asked for in writing, as a request that came by itself."""

from __future__ import annotations

from typing import Any

from gateway.house import House
from gateway.phases.classify import classify
from gateway.phases.record import Entry
from gateway.phases.sample import sample
from gateway.realtime.rules import Rules
from gateway.sighted import tell
from gateway.values import Ask, Caller
from gateway.wires.openai_realtime_words import Words


class Looks:
    """One session's. Events of the client's are shown to `words` as they pass."""

    def __init__(self, rules: Rules, caller: Caller, house: House) -> None:
        self.words = Words()
        self._rules = rules
        self._caller = caller
        self._house = house

    def look(self, entry: Entry, ask: Ask, response: dict[str, Any]) -> None:
        """A response begins. CPU only, and raises nothing: see `phases.classify`."""
        watcher, policy = self._house.watcher, self._rules.policy
        body = self.words.asked(response)
        if watcher is None or body is None:
            return
        ask = ask._replace(body=body)
        entry.subject, entry.at_us, entry.sighting, entry.verdict = classify(
            watcher, policy, self._caller, ask, self._house.store_now_us()
        )
        if entry.sighting is not None:
            entry.sealed = sample(policy, self._caller, ask, entry.id)
        entry.timings.mark("classify")

    def tell(self, entry: Entry) -> None:
        """It has ended."""
        if self._house.watcher is not None:
            tell(self._house.watcher, entry)
