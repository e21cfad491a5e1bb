"""Defects of deletion: what becomes of the run that executes, of its thread, and of its worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reference_impl.multitask import DELETED
from reference_impl.storage import Run, RunStatus, Storage, Thread, ThreadStatus

from .registry import Defective, defect

if TYPE_CHECKING:
    from reference_impl.checkpoints import CheckpointStore
    from reference_impl.worker import Worker


@defect(must_fail=["run.terminal-is-final"])
class DeletedRunStays(Defective):
    """The deletion of a run that has ended is answered as done, and the run is kept."""

    def delete(self, run: Run) -> None:
        if run.inflight:
            super().delete(run)


@defect(
    must_fail=["delete.stops-writes"],
    may_fail=[
        "run.terminal-is-final",
        "run.final-when-read",
        "thread.no-lost-update",
        "thread.one-at-a-time",
        "checkpoint.lineage",
        "checkpoint.one-chain",
        "history.explainable",
    ],
)
class DeletedRunGoesOn(Defective):
    """A run that is deleted while it executes is only forgotten: nobody stops it."""

    def delete(self, run: Run) -> None:
        self.forget(run, DELETED)
        self.worker.wake(run.thread)


@defect(must_fail=["delete.stops-writes"])
class DeletedThreadLeavesItsState(Defective):
    """A thread is deleted, but not its checkpoints: who gets its id finds them."""

    def delete_thread(self, thread: Thread) -> None:
        for run in tuple(thread.runs):
            self.delete(run)
        self.storage.remove_thread(thread)


@defect(must_fail=["delete.thread-settles", "thread.settles", "thread.busy-iff-inflight"])
class BusyAfterADeletion(Defective):
    """When the run that executes is deleted, nobody computes the thread's status: it stays busy."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self._busy: set[Thread] = set()

    def delete(self, run: Run) -> None:
        if run.inflight:
            self._busy.add(run.thread)
        super().delete(run)

    def begin(self, run: Run) -> None:
        super().begin(run)
        self._busy.discard(run.thread)

    def told_thread_status(self, thread: Thread) -> ThreadStatus:
        return ThreadStatus.BUSY if thread in self._busy else super().told_thread_status(thread)


@defect(
    must_fail=["delete.thread-settles", "thread.settles"],
    may_fail=["enqueue.conserves-input", "enqueue.fifo", "history.explainable"],
)
class StrandedByADeletion(Defective):
    """When a run that waits or executes is deleted, those behind it never start."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self._stranded: set[Run] = set()

    def delete(self, run: Run) -> None:
        if run.inflight:
            behind = run.thread.runs[run.thread.runs.index(run) + 1 :]
            self._stranded |= {r for r in behind if r.status is RunStatus.PENDING}
        super().delete(run)

    def queue(self, thread: Thread) -> Sequence[Run]:
        return [run for run in super().queue(thread) if run not in self._stranded]


@defect(
    must_fail=["delete.frees-worker"],
    may_fail=["delete.thread-settles", "thread.settles", "thread.busy-iff-inflight", "enqueue.conserves-input"],
)
class DeletionCostsAWorker(Defective):
    """A server with sixteen workers, each of which is lost when the run that it executes is deleted."""

    def attach(self, storage: Storage, checkpoints: CheckpointStore, worker: Worker) -> None:
        super().attach(storage, checkpoints, worker)
        worker._free = 16

    def delete(self, run: Run) -> None:
        if run.status is RunStatus.RUNNING:
            self.worker._free -= 1
        super().delete(run)
