"""Defects of single calls: cancels, and creates on threads that do not exist."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from reference_impl.errors import ApiError, Conflict, NotFound
from reference_impl.multitask import Failure
from reference_impl.storage import Run, RunStatus, Thread

from .registry import Defective, defect


@defect(must_fail=["cancel.interrupt", "history.explainable"], may_fail=["cancel.twice", "cancel.bulk"])
class EarlyStopIsLost(Defective):
    """A cancel that comes before the run has started is answered, and forgotten."""

    def cancel(self, run: Run, *, keep_progress: bool) -> None:
        if run.status is not RunStatus.PENDING or not keep_progress:
            super().cancel(run, keep_progress=keep_progress)


@defect(
    must_fail=["cancel.interrupt", "cancel.rollback-reverts", "history.explainable"],
    may_fail=["cancel.bulk", "cancel.twice", "enqueue.conserves-input", "thread.busy-iff-inflight"],
)
class CancelStopsTheQueue(Defective):
    """Cancelling a run stops the whole queue of its thread with it."""

    def cancel(self, run: Run, *, keep_progress: bool) -> None:
        super().cancel(run, keep_progress=keep_progress)
        for other in [r for r in run.thread.inflight() if r.status is RunStatus.PENDING]:
            super().cancel(other, keep_progress=keep_progress)


@defect(must_fail=["cancel.rollback-reverts", "history.explainable"], may_fail=["checkpoint.lineage"])
class CancelledRollbackKeepsTheState(Defective):
    """Cancel with action rollback deletes the run, and leaves what it wrote."""

    def cancel(self, run: Run, *, keep_progress: bool) -> None:
        if not keep_progress and run.status is RunStatus.RUNNING:
            self.stop(run)
            self.forget(run, Failure("RunRolledBack", "The run was deleted."))
            self.worker.wake(run.thread)
        else:
            super().cancel(run, keep_progress=keep_progress)


@defect(must_fail=["cancel.rollback-reverts", "history.explainable"], may_fail=["cancel.twice", "cancel.bulk"])
class CancelledRollbackIsInterrupt(Defective):
    """Cancel with action rollback only interrupts."""

    def cancel(self, run: Run, *, keep_progress: bool) -> None:  # noqa: ARG002
        super().cancel(run, keep_progress=True)


@defect(must_fail=["cancel.wait"])
class CancelDoesNotWait(Defective):
    """Cancel with wait is answered when the status is set, while the work goes on."""

    async def stopped(self, run: Run, timeout: float) -> None:
        """Does not wait."""


@defect(must_fail=["cancel.codes"], may_fail=["cancel.twice"])
class CancelOfTheEndedFails(Defective):
    """Cancelling a run that is over is an internal error."""

    def cancel(self, run: Run, *, keep_progress: bool) -> None:
        try:
            super().cancel(run, keep_progress=keep_progress)
        except NotFound as e:
            raise ApiError(str(e), status=500) from e


@defect(must_fail=["cancel.codes"], may_fail=["cancel.twice"])
class CancelWithoutWaitFails(Defective):
    """Cancelling a run without waiting for it does the work, and is answered with an internal error."""

    async def cancelled(self, run: Run, *, wait: bool) -> None:
        if not wait:
            raise ApiError("Internal Server Error", status=500)
        await super().cancelled(run, wait=wait)


@defect(must_fail=["cancel.twice"])
class SecondCancelConflicts(Defective):
    """Who cancels a run that was cancelled before is told of a conflict."""

    def cancel(self, run: Run, *, keep_progress: bool) -> None:
        if run.status is RunStatus.INTERRUPTED:
            raise Conflict(f"Run {run.run_id} is being cancelled.")
        super().cancel(run, keep_progress=keep_progress)


@defect(must_fail=["cancel.bulk", "history.explainable"], may_fail=["displaced.stops", "run.terminal-is-final"])
class BulkCancelTellsNobody(Defective):
    """The bulk cancel is answered, and the runs go on: no worker is told."""

    def cancel_many(self, runs: Sequence[Run], *, keep_progress: bool) -> None:
        """Does nothing."""


@defect(
    must_fail=["create.if-not-exists", "history.explainable"],
    may_fail=["enqueue.accepted", "interrupt.accepted", "rollback.accepted"],
)
class LooksThenMakes(Defective):
    """Whether the thread exists is looked up a few milliseconds before it is made; who comes second finds it taken."""

    async def thread(self, thread_id: str, *, make: bool) -> Thread:
        missing = thread_id not in self.storage.threads
        if make and missing:
            await asyncio.sleep(self.window_s)
            return self.storage.create_thread(thread_id)
        return await super().thread(thread_id, make=make)


@defect(
    must_fail=["create.if-not-exists", "history.explainable"],
    may_fail=[
        "enqueue.conserves-input",
        "reject.one-winner",
        "interrupt.status",
        "rollback.deleted",
        "rollback.lineage",
        "thread.one-at-a-time",
        "thread.no-lost-update",
        "thread.settles",
        "run.terminal-is-final",
        "run.final-when-read",
        "checkpoint.lineage",
        "checkpoint.one-chain",
    ],
)
class MakesItAnew(Defective):
    """A create that makes its thread replaces one that was made meanwhile, runs and all."""

    async def thread(self, thread_id: str, *, make: bool) -> Thread:
        missing = thread_id not in self.storage.threads
        if make and missing:
            await asyncio.sleep(self.window_s)
            self.storage.threads.pop(thread_id, None)
        return await super().thread(thread_id, make=make)


@defect(must_fail=["create.unknown-thread"])
class MakesEveryThread(Defective):
    """A create on a thread that does not exist makes it, whether that is asked for or not."""

    async def thread(self, thread_id: str, *, make: bool) -> Thread:  # noqa: ARG002
        return await super().thread(thread_id, make=True)


@defect(must_fail=["create.unknown-thread"])
class UnknownThreadFails(Defective):
    """A create on a thread that does not exist is an internal error."""

    async def thread(self, thread_id: str, *, make: bool) -> Thread:
        try:
            return await super().thread(thread_id, make=make)
        except NotFound as e:
            raise ApiError(str(e), status=500) from e


@defect(must_fail=["cancel.wait"], may_fail=["cancel.codes"])
class WaitsForARunThatNeverStarts(Defective):
    """Who cancels a run that only waits, and waits for its end, is let go by the worker that executes it: by none."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self._begun: set[Run] = set()

    def begin(self, run: Run) -> None:
        super().begin(run)
        self._begun.add(run)

    async def cancelled(self, run: Run, *, wait: bool) -> None:
        if wait and run not in self._begun:
            await asyncio.sleep(600)
        await super().cancelled(run, wait=wait)
