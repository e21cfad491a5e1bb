"""Defects of scheduled runs: what their time does that it must not, whatever their place in the queue is."""

from __future__ import annotations

from reference_impl.storage import Run, RunStatus, Thread

from .registry import Defective, defect


@defect(must_fail=["thread.one-at-a-time"], may_fail=["thread.no-lost-update", "checkpoint.one-chain"])
class ScheduledRunsDoNotWait(Defective):
    """A scheduled run starts when it is due, whatever executes on its thread."""

    def next_run(self, thread: Thread) -> Run | None:
        due = (run for run in self.queue(thread) if run.spec.after_seconds > 0)
        return next(due, None) or super().next_run(thread)


@defect(must_fail=["cancel.interrupt", "cancel.rollback-reverts"])
class ScheduledRunsCannotBeCancelled(Defective):
    """A cancel of a run that is not due yet is answered, and forgotten."""

    def cancel(self, run: Run, *, keep_progress: bool) -> None:
        if not run.scheduled:
            super().cancel(run, keep_progress=keep_progress)


@defect(must_fail=["run.status-truthful"])
class ScheduledRunsAreForgotten(Defective):
    """When a scheduled run is due it is called a success, and nobody executes it."""

    def come_due(self, run: Run) -> None:
        run.scheduled = False
        if run.inflight:
            self.end(run, RunStatus.SUCCESS, None)
        self.worker.wake(run.thread)
