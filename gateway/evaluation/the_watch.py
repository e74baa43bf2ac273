"""The real watch as the evaluation runs it: `look` as on the path, `Window` and `judge` as in the analyst, `Links` as in both.

Made anew in every process that evaluates, from nothing but this file's constants: nothing of a deployment enters a report.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, get_args

from gateway.detectors import PHRASES, History, Lens, Past, Window, is_order, judge, look
from gateway.detectors.links import Links
from gateway.evaluation.crowd import Linked, Linker
from gateway.evaluation.own_history import Historian
from gateway.evaluation.tenants import Spec
from gateway.evaluation.watching import LOOKS, Judgement, Watcher
from gateway.policy.model import Purpose
from gateway.policy.read_phrases import read_phrases
from gateway.values import Ask, Sighting

SECRET = b"the secret of an evaluation is none"
EPOCH_US = 1_767_225_600_000_000
"""When virtual time begins: the clock of the store never shows 0."""
FITTED_ON = frozenset((
    *("attack_evol_instruct_gen", "attack_gpteacher_roleplay", "attack_gsm8k_zeroshot_cot", "attack_selfinstruct_gen"),
    *("benign_arena_hard_user", "benign_awesome_prompts", "benign_banking77_classify", "benign_bfcl_tool_calls"),
    *("benign_bitext_support", "benign_chitchat_human", "benign_clinc150_voice", "benign_cot_eval_harness"),
    *("benign_ide_completion", "benign_p3_cnn_summarise", "benign_p3_dbpedia_classify", "benign_p3_paws_pairs"),
    *("benign_p3_rag_qa", "benign_p3_ropes_qa", "benign_sgd_task_dialogue", "benign_tatoeba_translate"),
    *("benign_wikisplit_rewrite",),
))  # fmt: skip
"""Sources that the profiles' weights were fitted on, beside written families and templates of public packages around these."""


class TheWatch:
    """The watch over one tenant. A `Watcher`."""

    def __init__(self, lens: Lens, window: Window | None = None) -> None:
        self._lens = lens
        self._past = Past()
        self.window = Window() if window is None else window

    def see(self, ask: Ask, at_us: int, output_tokens: int) -> Sighting:
        sighting = look(ask, self._past, self._lens, EPOCH_US + at_us)
        self.window.add(sighting, EPOCH_US + at_us, output_tokens)
        return sighting

    def judge(self, purposes: frozenset[str]) -> Judgement:
        known = frozenset(cast("Purpose", purpose) for purpose in purposes if purpose in get_args(Purpose))
        for finding in judge(self.window, known):  # the most suspicious first
            if not finding.explained:
                return Judgement(finding.exact, finding.profile)
        return Judgement(0, "")

    def kept(self) -> bytes:
        return self.window.dump()


class TheWatches:
    """Makes watchers and linkers; picklable, because every process makes its own."""

    def __init__(self) -> None:
        self._lens: Lens | None = None

    def __reduce__(self) -> tuple[type[TheWatches], tuple[()]]:
        return TheWatches, ()

    @property
    def lens(self) -> Lens:
        if self._lens is None:
            self._lens = Lens.of(SECRET, read_phrases(PHRASES))
        return self._lens

    def watcher(self, spec: Spec) -> Watcher:  # the real one does not know whom it watches
        return TheWatch(self.lens)

    def merged(self, watchers: Sequence[Watcher]) -> Watcher:
        """What a cluster is judged by: its members' windows together."""
        window = Window()
        for watcher in watchers:
            if isinstance(watcher, TheWatch):
                window.merge(watcher.window)
        return TheWatch(self.lens, window)

    def linker(self) -> Linker:
        return _Linker()

    def historian(self, spec: Spec) -> Historian:
        return _Historian(self.lens)


class _Historian:
    """`look` and `History`, as in the gateway and the analyst."""

    def __init__(self, lens: Lens) -> None:
        self._lens = lens
        self._past = Past()
        self._history = History()

    def see(self, ask: Ask, at_us: int) -> tuple[int, bool]:
        now_us = EPOCH_US + at_us
        sighting = look(ask, self._past, self._lens, now_us)
        self._history.add(sighting, now_us, is_order=is_order(sighting))
        return self._history.since_us, self._history.is_young


class _Linker:
    """`Links` in virtual time, and windows as the analyst would have them by then. All that is due is compared at each look."""

    def __init__(self) -> None:
        self._links = Links()
        self._windows: dict[str, Window] = {}

    def note(self, tenant: str, sighting: Sighting, at_us: int, output_tokens: int) -> None:
        if tenant not in self._windows:
            self._windows[tenant] = Window()
        self._windows[tenant].add(sighting, EPOCH_US + at_us, output_tokens)
        self._links.note(tenant, sighting, EPOCH_US + at_us)

    def clusters(self, at_us: int) -> Sequence[Linked]:
        return self._links.clusters(EPOCH_US + at_us, comparisons=None, judge=self._judge)

    def _judge(self, tenants: Sequence[str]) -> int:
        """As `watch.together` answers; nobody has declared a purpose."""
        window = Window()
        for tenant in tenants:
            window.merge(self._windows[tenant])
        return judge(window, frozenset())[0].score if window.requests >= LOOKS[0] else -1
