"""What every process of an evaluation has, and the work it is given: jobs in, results out, all of them values.

The work is spread over processes that are started afresh, under a fixed PYTHONHASHSEED: the watch uses Python's own hash, and a
report must come out the same again. `processes=0` works in this process (for tests; hashes are what they are).

Failure policy: a job that raises ends the evaluation with its error; nothing is left out silently.
"""

from __future__ import annotations

import copyreg
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from gateway.evaluation import collateral, corpus, hydra, linking, own_history, publics, traces, watching
from gateway.evaluation.attackers import ATTACKERS, Attacker
from gateway.evaluation.campaigns import WAYS, Way
from gateway.evaluation.crowd import Crowd, Makes, crowd
from gateway.evaluation.families import EVALUATION
from gateway.evaluation.tenants import Spec, requests, rng_of, texts
from gateway.policy.model import Ladder

METRONOME_S = 2.0
"""The pace of a script that does nothing about its timing."""


class Stream(NamedTuple):
    """Watch one tenant. `attacker` "": honest. Result: `watching.Seen`."""

    spec: Spec
    attacker: str
    looks: tuple[int, ...]
    is_measured: bool = False


class Day(NamedTuple):
    """One day of a campaign in the crowd: is it linked? Result: `linking.Day`."""

    source: str
    way: str
    number: int
    accounts: int
    crowd_each: int


class Template(NamedTuple):
    """Honest tenants on one public template: who is joined? Result: `publics.Public`."""

    kind: str
    number: int
    crowd_each: int


class Split(NamedTuple):
    """A campaign over so many accounts. Result: `hydra.Split`."""

    source: str
    accounts: int
    above: int
    volume: int
    crowd_each: int


class Toll(NamedTuple):
    """An honest tenant's day on the ladder. Result: `collateral.Toll`."""

    spec: Spec
    is_declared: bool
    ladder: Ladder


class Past(NamedTuple):
    """A tenant that is compared with its own past. Result: `own_history.Turned`."""

    spec: Spec
    other: str
    attack: str
    turn: own_history.Turn


Job = Stream | Day | Template | Split | Toll | Past
Result = watching.Seen | linking.Day | publics.Public | hydra.Split | collateral.Toll | own_history.Turned


class Workshop:
    """The corpus, the traces and the watch, in one process."""

    def __init__(self, texts_: corpus.Corpus, times: traces.Traces, maker: Makes, seed: int) -> None:
        self.corpus = texts_
        self.traces = times
        self.maker = maker
        self.seed = seed
        self._crowds: dict[int, Crowd] = {}

    def do(self, job: Job) -> Result:
        match job:
            case Stream():
                return self._stream(job)
            case Day():
                return self._day(job)
            case Template():
                return publics.run(
                    job.kind,
                    self.corpus,
                    self.traces,
                    self.maker,
                    self._crowd(job.crowd_each),
                    number=job.number,
                    seed=str(self.seed),
                )
            case Split():
                return self._split(job)
            case Past():
                return self._past(job)
            case Toll():
                source = self.corpus.named(job.spec.source)
                watcher = self.maker.watcher(job.spec)
                return collateral.toll(
                    source, job.spec, self.traces, watcher, job.ladder, seed=self.seed, is_declared=job.is_declared
                )

    def _past(self, job: Past) -> own_history.Turned:
        return own_history.run(
            self.corpus.named(job.spec.source),
            self.corpus.named(job.other),
            self.corpus.named(job.attack),
            job.spec,
            job.turn,
            self.traces,
            self.maker.historian(job.spec),
            seed=self.seed,
        )

    def _stream(self, job: Stream) -> watching.Seen:
        source = self.corpus.named(job.spec.source)
        rng = rng_of(job.spec, self.seed, job.attacker)
        client = self.traces.client(rng)
        said = texts(source, job.spec.group, rng)
        times: Iterator[int] = traces.arrivals(client, rng)
        sized: traces.Client | None = client
        purposes = frozenset((EVALUATION,)) if source.workload == EVALUATION else frozenset()
        if job.attacker:
            attacker = attacker_named(job.attacker)
            said = attacker.change(said, self.corpus.of("benign"), rng)
            if attacker.metronome:
                times = traces.metronome(METRONOME_S, rng)
            sized, purposes = None, frozenset()
        stream = islice(requests(said, times, self.traces, rng, sized), job.looks[-1])
        watcher = self.maker.watcher(job.spec)
        return watching.watch(
            job.spec, job.attacker, stream, watcher, purposes=purposes, looks=job.looks, is_measured=job.is_measured
        )

    def _day(self, job: Day) -> linking.Day:
        return linking.run(
            self.corpus.named(job.source),
            way_named(job.way),
            self.corpus,
            self.traces,
            self.maker,
            self._crowd(job.crowd_each),
            seed=f"{self.seed}/{job.number}",
            accounts=job.accounts,
        )

    def _split(self, job: Split) -> hydra.Split:
        return hydra.split(
            self.corpus.named(job.source),
            job.accounts,
            self.corpus,
            self.traces,
            self.maker,
            self._crowd(job.crowd_each),
            above=job.above,
            seed=str(self.seed),
            volume=job.volume,
        )

    def _crowd(self, each: int) -> Crowd:
        """The same for every job: made once a process."""
        if each not in self._crowds:
            self._crowds[each] = crowd(self.corpus, self.traces, self.maker, each=each, seed=str(self.seed))
        return self._crowds[each]


def way_named(name: str) -> Way:
    (found,) = (way for way in WAYS if way.name == name)
    return found


def attacker_named(name: str) -> Attacker:
    (found,) = (attacker for attacker in ATTACKERS if attacker.name == name)
    return found


def _read_only(values: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(values)


# A ladder goes to other processes, and the read-only mappings in a policy are nothing that pickle knows.
copyreg.pickle(MappingProxyType, lambda mapping: (_read_only, (dict(mapping),)))
_workshop: Workshop | None = None
"""This process's own, when it is a worker."""


def _enter(corpus_dir: Path, traces_dir: Path, maker: Makes, seed: int) -> None:
    global _workshop  # noqa: PLW0603  # a worker is handed its jobs through a function that must find its workshop
    _workshop = Workshop(corpus.load(corpus_dir), traces.load(traces_dir), maker, seed)


def _do(job: Job) -> Result:
    if _workshop is None:
        raise RuntimeError("a worker was given a job before it had a workshop")
    return _workshop.do(job)


class Pool:
    """Does jobs, in this process or in several."""

    def __init__(self, executor: ProcessPoolExecutor | None, workshop: Workshop) -> None:
        self._executor = executor
        self._workshop = workshop

    def do(self, jobs: Sequence[Job], done: Callable[[], None]) -> list[Result]:
        """The results in the jobs' order; `done` is called after each."""
        if self._executor is None:
            results = []
            for job in jobs:
                results.append(self._workshop.do(job))
                done()
            return results
        futures = [self._executor.submit(_do, job) for job in jobs]
        try:
            for _ in as_completed(futures):
                done()
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise


@contextmanager
def pool(workshop: Workshop, corpus_dir: Path, traces_dir: Path, processes: int) -> Iterator[Pool]:
    """A pool of so many processes, each with a workshop of its own. It is ended when the block is left."""
    if processes == 0:
        yield Pool(None, workshop)
        return
    before = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = str(workshop.seed % 2**32)
    arguments = (corpus_dir, traces_dir, workshop.maker, workshop.seed)
    executor = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_enter, initargs=arguments)
    try:
        yield Pool(executor, workshop)
    finally:
        executor.shutdown(cancel_futures=True)
        if before is None:
            del os.environ["PYTHONHASHSEED"]
        else:
            os.environ["PYTHONHASHSEED"] = before
