"""Defects of interrupt: what is stopped, what is kept, what the new run builds on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reference_impl.multitask import INTERRUPTED, Accepted, Admission, Ending, Failure
from reference_impl.storage import Run, RunSpec, RunStatus, Strategy, Thread, ThreadStatus

from .hosts import ExecutesInAnothersName
from .registry import Defective, defect
from .surgery import before, rewind


@defect(
    must_fail=["interrupt.status", "interrupt.keeps-progress", "history.explainable"],
    may_fail=["interrupt.builds-on", "thread.no-lost-update"],
)
class InterruptIsRollback(Defective):
    """Treats interrupt as rollback: run and progress are lost."""

    def admit(self, strategy: Strategy, inflight: Sequence[Run]) -> Admission:
        return super().admit(Strategy.ROLLBACK if strategy is Strategy.INTERRUPT else strategy, inflight)


@defect(
    must_fail=["interrupt.status", "displaced.stops", "history.explainable"],
    may_fail=["interrupt.builds-on"],
)
class InterruptIgnored(Defective):
    """Accepts interrupt, but treats it as enqueue: the first run goes on to its end."""

    def admit(self, strategy: Strategy, inflight: Sequence[Run]) -> Admission:
        return super().admit(Strategy.ENQUEUE if strategy is Strategy.INTERRUPT else strategy, inflight)


@defect(
    must_fail=["displaced.stops", "history.explainable"],
    may_fail=["cancel.interrupt", "interrupt.builds-on", "run.status-truthful"],
)
class RelabelledAtTheEnd(Defective):
    """An interrupted run is not stopped: it runs to its end, and is only then called interrupted."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self._marked: set[Run] = set()

    def displace(self, run: Run, *, keep_progress: bool) -> None:
        if keep_progress and run.status is RunStatus.RUNNING:
            self._marked.add(run)
        else:
            super().displace(run, keep_progress=keep_progress)

    def finish(self, run: Run, ending: Ending, output: bytes, failure: Failure | None) -> None:
        if run in self._marked:
            self.checkpoints.revoke(run.run_id)
            self.retire(run)
        else:
            super().finish(run, ending, output, failure)


@defect(
    must_fail=["displaced.stops", "run.final-when-read", "history.explainable"],
    may_fail=[
        "cancel.interrupt",
        "cancel.wait",
        "interrupt.builds-on",
        "run.terminal-is-final",
        "run.status-truthful",
        "thread.one-at-a-time",
    ],
)
class NeverTold(Defective):
    """An interrupted run is called so at once, but its code is not told: it runs on, and writes, to its end."""

    def displace(self, run: Run, *, keep_progress: bool) -> None:
        if keep_progress and run.status is RunStatus.RUNNING:
            self.retire(run)
        else:
            super().displace(run, keep_progress=keep_progress)


@defect(
    must_fail=["interrupt.no-injection", "interrupt.status", "history.explainable"],
    may_fail=[
        "checkpoint.attributed",
        "displaced.stops",
        "interrupt.builds-on",
        "run.status-legal",
        "thread.no-lost-update",
        "interrupt.keeps-progress",
        "run.terminal-is-final",
        "run.final-when-read",
        "run.status-truthful",
        "checkpoint.lineage",
        "checkpoint.one-chain",
        "enqueue.first-completes",
        "enqueue.conserves-input",
        "rollback.deleted",
        "rollback.reverts",
        "rollback.lineage",
        "rollback.no-orphans",
        "thread.one-at-a-time",
    ],
)
class InjectedIntoTheRunning(ExecutesInAnothersName):
    """The new input is given to the run that executes, which goes on with it under its own id."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self._absorbed: set[Run] = set()

    def carry_out(self, admission: Admission, thread: Thread, spec: RunSpec) -> Run:
        executing = [run for run in thread.inflight() if run.status is RunStatus.RUNNING]
        if spec.strategy is not Strategy.INTERRUPT or not executing:
            return super().carry_out(admission, thread, spec)
        for run in executing:
            self._absorbed.add(run)
            self.checkpoints.drop_unfinished(thread.thread_id, self.writes_as(run).run_id)
            self.worker.cancel(run)
        waiting = [run for run in thread.inflight() if run not in executing]
        new = super().carry_out(Accepted(displaced=waiting), thread, spec)
        self.host[new] = self.writes_as(executing[0])
        return new

    def finish(self, run: Run, ending: Ending, output: bytes, failure: Failure | None) -> None:
        if run in self._absorbed:
            return  # it goes on, as the run that was injected
        super().finish(run, ending, output, failure)
        if host := self.host.get(run):
            for other in [r for r in self._absorbed if self.writes_as(r) is host and r.inflight]:
                super().finish(other, ending, output, failure)


@defect(
    must_fail=["interrupt.keeps-progress", "history.explainable"],
    may_fail=["cancel.interrupt", "thread.no-lost-update", "run.terminal-is-final", "interrupt.builds-on"],
)
class InterruptDropsLastSuperstep(Defective):
    """Interrupt loses the last superstep that the run had completed."""

    def retire(self, run: Run) -> None:
        lineage = self.checkpoints.lineage(run.thread.thread_id)
        for saved in lineage.of_run(run.run_id)[2:][-1:]:  # the first two hold the input
            lineage.remove(saved.key)
        super().retire(run)


@defect(
    must_fail=["interrupt.keeps-progress", "history.explainable"],
    may_fail=["cancel.interrupt", "thread.no-lost-update", "interrupt.builds-on"],
)
class InterruptDropsAllSupersteps(Defective):
    """Interrupt loses all that the run had written, though it keeps the run."""

    def retire(self, run: Run) -> None:
        self.checkpoints.delete_run(run.thread.thread_id, run.run_id)
        super().retire(run)


@defect(
    must_fail=["interrupt.keeps-progress", "interrupt.builds-on", "history.explainable"],
    may_fail=["cancel.interrupt", "thread.no-lost-update", "checkpoint.one-chain", "checkpoint.lineage"],
)
class InterruptBuildsOnTheStart(Defective):
    """The new run builds on what the interrupted one had found, not on what it left."""

    def retire(self, run: Run) -> None:
        lineage = self.checkpoints.lineage(run.thread.thread_id)
        if start := before(lineage, run.run_id):
            rewind(lineage, start)
        super().retire(run)


@defect(
    must_fail=["interrupt.status", "history.explainable"],
    may_fail=["cancel.interrupt", "cancel.bulk", "checkpoint.lineage"],
)
class InterruptedRunForgotten(Defective):
    """An interrupted run cannot be read any more: 404."""

    def retire(self, run: Run) -> None:
        super().retire(run)
        self.forget(run, INTERRUPTED)


@defect(
    must_fail=["interrupt.status", "history.explainable"],
    may_fail=["cancel.interrupt", "cancel.bulk", "run.status-truthful"],
)
class InterruptedCalledError(Defective):
    """An interrupted run is called failed."""

    def retire(self, run: Run) -> None:
        super().retire(run)
        self.storage.set_status(run, RunStatus.ERROR)


@defect(must_fail=["thread.settles"], may_fail=["thread.busy-iff-inflight"])
class StuckBusy(Defective):
    """After an interrupt the thread stays busy for ever."""

    def told_thread_status(self, thread: Thread) -> ThreadStatus:
        if any(run.status is RunStatus.INTERRUPTED for run in thread.runs):
            return ThreadStatus.BUSY
        return super().told_thread_status(thread)


@defect(must_fail=["checkpoint.lineage"], may_fail=["interrupt.keeps-progress"])
class LeavesAHole(Defective):
    """Interrupt removes a checkpoint from the middle of the run's segment: a parent is missing."""

    def retire(self, run: Run) -> None:
        lineage = self.checkpoints.lineage(run.thread.thread_id)
        for saved in lineage.of_run(run.run_id)[-2:-1]:
            lineage.remove(saved.key)
        super().retire(run)


@defect(
    must_fail=["checkpoint.lineage", "checkpoint.one-chain"], may_fail=["interrupt.builds-on", "checkpoint.attributed"]
)
class WrongParent(Defective):
    """A run's first checkpoint names an older checkpoint as its parent than the one it builds on: a fork."""

    def finish(self, run: Run, ending: Ending, output: bytes, failure: Failure | None) -> None:
        lineage = self.checkpoints.lineage(run.thread.thread_id)
        if start := before(lineage, run.run_id):
            first, older = lineage.of_run(run.run_id)[0], lineage.saved.get(("", start.parent_id or ""))
            lineage.saved[first.key] = replace(first, parent_id=older.parent_id if older else None)
        super().finish(run, ending, output, failure)
