"""Many processes, many machines: one code path on Dask distributed.

``--workers N`` is a cluster of N processes here, ``--cluster ADDRESS`` one that is there already. Units are seeded
ranges; what a worker does not finish because it dies, another does again; what is counted is counted once a unit.
"""

from __future__ import annotations

import importlib
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.to_thread

from conformance.config import BadOption
from conformance.court import CourtFailed
from conformance.execution.preflight import MOST_SLOTS, count_slots
from conformance.execution.scene import TargetLost
from conformance.fuzz.campaign import Campaign, Note, Progress
from conformance.fuzz.corpus import Corpus
from conformance.fuzz.findings import sightings
from conformance.fuzz.lab import Gone, Lab, Trial
from conformance.fuzz.units import Done, Unit, UnitFailed, execute, merge, share
from conformance.programs import Program

AHEAD = 2  # units of each worker that are under way or wait
MOST_ATTEMPTS = 4
LOOK_S = 0.1
VARIED = 40  # programs that a unit is given to vary
LEAST_SLOTS = 4


def _dask() -> Any:
    return importlib.import_module("distributed")  # half of it has no types


def work(value: dict[str, Any], stop: str) -> dict[str, Any] | None:
    """What a worker does of a unit; gives it up when the event ``stop`` is set."""
    event, looked = _dask().Event(stop), [time.monotonic(), True]

    def wanted() -> bool:
        if time.monotonic() - looked[0] > 1:
            looked[:] = [time.monotonic(), not event.is_set()]
        return bool(looked[1])

    return execute(value, wanted)


@dataclass
class _Running:
    """A unit that a worker has."""

    unit: Unit
    future: Any
    attempts: int = 1


@dataclass
class Cluster:
    """A Dask client, and how many workers it has."""

    client: Any
    workers: int
    stop: str = field(default_factory=lambda: f"doubletext-{uuid.uuid4().hex}")


@asynccontextmanager
async def cluster(workers: int | None, address: str | None) -> AsyncIterator[Cluster]:
    """The workers: N processes of this machine, or those of the cluster at an address.

    Raises:
        BadOption: Dask is not installed, or there is no cluster.
    """
    try:
        distributed = _dask()
    except ImportError as e:
        raise BadOption("--workers and --cluster need Dask: pip install 'doubletext[distributed]'") from e

    def begin() -> tuple[Any, Any]:
        if address is not None:
            client = distributed.Client(address, timeout=10)
            client.wait_for_workers(1, timeout=30)
            return None, client
        own = distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs="CRITICAL"
        )
        return own, distributed.Client(own)

    try:
        own, client = await anyio.to_thread.run_sync(begin)
    except (OSError, TimeoutError, ValueError) as e:
        raise BadOption(f"--cluster {address}: no workers there ({type(e).__name__}: {e})") from e

    def end() -> None:
        distributed.Event(there.stop, client=client).set()
        client.close(timeout=5)
        if own is not None:
            own.close(timeout=10)

    there = Cluster(client, max(1, len(client.scheduler_info(n_workers=-1)["workers"])))
    try:
        yield there
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(30):
            await anyio.to_thread.run_sync(end, abandon_on_cancel=True)


class DistributedCampaign(Campaign):
    """A campaign whose search is done by workers; findings are judged again and made smaller here."""

    def __init__(
        self, *args: Any, workers: int | None, cluster: str | None, corpus: Corpus | None = None, unit: int = 25
    ) -> None:
        super().__init__(*args, corpus=corpus)
        self._workers, self._cluster, self._size = workers, cluster, unit
        self._counted: set[int] = set()  # the units, by their start

    async def _search(self, lab: Lab) -> None:
        async with cluster(self._workers, self._cluster) as there:
            self.tell(Note(f"{there.workers} workers"))
            self.stats.began = self.stats.last_new = time.monotonic()
            known = lab.known(max(LEAST_SLOTS, -(-await self._slots(lab, there.workers) // there.workers)))
            plan = share(self.plan, there.workers)
            running: list[_Running] = []

            def submit(unit: Unit) -> Any:
                return there.client.submit(work, unit.to_json(plan, known), there.stop, pure=False, retries=2)

            while running or not self._enough():
                while len(running) < AHEAD * there.workers and not self._enough():
                    unit = self._unit()
                    running.append(_Running(unit, submit(unit)))
                await anyio.sleep(LOOK_S)
                for one in [r for r in running if r.future.done()]:
                    running.remove(one)
                    again = await self._ended(one, lab, submit)
                    running += [again] if again is not None else []

    async def _slots(self, lab: Lab, workers: int) -> int:
        """How many programs at once all workers have together. The survey counts no more slots than one can use."""
        plan = self.plan
        if plan.options.parallel is not None or lab.slots < MOST_SLOTS:
            return lab.slots
        most = min(MOST_SLOTS * workers, plan.max_inflight or MOST_SLOTS * workers)
        try:
            return max(lab.slots, await count_slots(lab.session, lab.session.bounds.timed, most))
        except TargetLost as e:
            raise Gone(str(e)) from e

    def _unit(self) -> Unit:
        """The next range of programs."""
        plan = self.plan
        count = self._size
        if plan.max_examples is not None:
            count = min(count, plan.start + plan.max_examples - self._drawn)
        seconds = None if self.search_time is None else max(0.5, self.search_time - self.stats.seconds)
        waiting = self.corpus.first or (self.corpus.later if self._late() else self.corpus.first)
        first = tuple(waiting.popleft() for _ in range(min(count, len(waiting))))
        unit = Unit(self._drawn, count, seconds, first, tuple(self.corpus.programs(VARIED)), self._late())
        self._drawn += count
        return unit

    async def _ended(self, one: _Running, lab: Lab, submit: Callable[[Unit], Any]) -> _Running | None:
        """Count what a unit found; a unit that failed is done again, a bounded number of times.

        Raises:
            Gone: its worker found that the target does not answer any more.
        """
        try:
            answer = await anyio.to_thread.run_sync(one.future.result)
        except Exception as e:  # whatever became of the worker: it is the harness's, and others are left
            if one.attempts < MOST_ATTEMPTS:
                return _Running(one.unit, submit(one.unit), one.attempts + 1)
            why = str(e) if isinstance(e, UnitFailed) else type(e).__name__
            self.stats.errors[f"unit {one.unit.start} failed {one.attempts} times: {why}"] += 1
            return None
        if answer is not None and one.unit.start not in self._counted:
            self._counted.add(one.unit.start)
            await self._merge(Done.from_json(answer), lab)
        return None

    async def _merge(self, done: Done, lab: Lab) -> None:
        for program, cells in done.corpus:
            if new := [c for c in cells if c not in self.stats.cells]:
                self.corpus.reached(program, new)
        merge(self.stats, done.stats)
        for key, seen, seed, history, others in done.found:
            program = Program.from_json(history.program)
            shown_by = [program, *others]
            if key not in self.findings:
                try:
                    judged = await lab.judged(history)
                except CourtFailed as e:
                    self.stats.errors[str(e)] += 1
                    continue
                shown = tuple(s for s in sightings(judged, history.dialect) if s.key == key)
                trial = Trial(program, history, judged, shown, frozenset())
                for sighting in shown[:1]:
                    self._sighted(sighting, trial, seed)
                seen, shown_by = seen - 1, others
            if key in self.findings:
                self._seen_again(key, seen, *shown_by)
        self.tell(Progress(self.stats, len(self.findings)))
        if done.lost is not None:
            raise Gone(done.lost)
