"""Defects between threads, which should know nothing of each other."""

from __future__ import annotations

from dataclasses import replace

from reference_impl.multitask import Accepted, Admission
from reference_impl.storage import Run, RunSpec, RunStatus, Strategy, Thread

from .registry import Defective, defect

COLLATERAL = (
    "reject.no-effect",
    "reject.conflict",
    "reject.one-winner",
    "reject.reopens",
    "enqueue.first-completes",
    "enqueue.separate-run",
    "enqueue.fifo",
    "enqueue.conserves-input",
    "enqueue.survives-failure",
    "interrupt.status",
    "interrupt.keeps-progress",
    "interrupt.builds-on",
    "rollback.deleted",
    "rollback.reverts",
    "rollback.lineage",
    "rollback.no-orphans",
    "displaced.stops",
    "thread.one-at-a-time",
    "thread.no-lost-update",
    "thread.settles",
    "thread.busy-iff-inflight",
    "delete.stops-writes",
    "delete.thread-settles",
    "checkpoint.attributed",
    "webhook.once",
    "run.terminal-is-final",
    "run.final-when-read",
    "run.status-legal",
    "run.status-truthful",
    "checkpoint.lineage",
    "checkpoint.one-chain",
)
"""What else may fail: the suite runs its programs beside each other, on many threads."""


@defect(
    must_fail=["thread.independent", "history.explainable"],
    may_fail=[
        *COLLATERAL,
        "endpoint.stateless",
        "cancel.codes",
        "cancel.interrupt",
        "cancel.rollback-reverts",
        "cancel.bulk",
        "cancel.twice",
        "endpoint.same.wait",
        "endpoint.same.stream",
    ],
)
class InterruptsAllThreads(Defective):
    """Interrupt looks for inflight runs without asking whose thread they are on, and stops them all."""

    def carry_out(self, admission: Admission, thread: Thread, spec: RunSpec) -> Run:
        if isinstance(admission, Accepted) and spec.strategy is Strategy.INTERRUPT:
            everywhere = [run for other in self.storage.threads.values() for run in other.inflight()]
            admission = Accepted(displaced=everywhere)
        return super().carry_out(admission, thread, spec)


@defect(
    must_fail=["thread.independent", "history.explainable"],
    may_fail=[
        *COLLATERAL,
        "endpoint.stateless",
        "cancel.interrupt",
        "cancel.rollback-reverts",
        "cancel.bulk",
        "endpoint.same.wait",
        "endpoint.same.stream",
        "endpoint.own-events",
        "endpoint.tells",
    ],
)
class WritesToTheNeighbour(Defective):
    """A run that had to wait executes on whichever other thread has a run executing just then."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self._waited: set[Run] = set()

    def append(self, thread: Thread, spec: RunSpec) -> Run:
        waits = bool(thread.inflight())
        run = super().append(thread, spec)
        if waits:
            self._waited.add(run)
        return run

    def writes_as(self, run: Run) -> Run:
        if run in self._waited:
            for other in reversed(self.storage.threads.values()):
                if other is not run.thread and any(r.status is RunStatus.RUNNING for r in other.runs):
                    return replace(run, thread=other)
        return run


@defect(must_fail=["thread.not-starved"])
class LongQueueBlocksOthers(Defective):
    """While more than eight runs wait on a thread, no run starts on threads where fewer do."""

    def next_run(self, thread: Thread) -> Run | None:
        others = (other for other in self.storage.threads.values() if other is not thread)
        longest = max((len(self.queue(other)) for other in others), default=0)
        return None if longest > 8 and len(self.queue(thread)) < longest else super().next_run(thread)

    def begin(self, run: Run) -> None:
        super().begin(run)
        for thread in self.storage.threads.values():
            if thread is not run.thread:
                self.worker.wake(thread)
