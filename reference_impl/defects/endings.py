"""Defects of endings and statuses: what a run is called, and what the dead still do."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from reference_impl.multitask import Ending, Failure
from reference_impl.storage import Run, RunSpec, RunStatus, Thread, ThreadStatus

from .registry import Defective, defect
from .surgery import put_on_top

if TYPE_CHECKING:
    from reference_impl.checkpoints import Saved


@defect(must_fail=["run.status-truthful"])
class FailureCalledSuccess(Defective):
    """A run whose node raised is called successful."""

    def outcome(self, ending: Ending) -> tuple[RunStatus, ThreadStatus]:
        return super().outcome(Ending.COMPLETED if ending is Ending.FAILED else ending)


@defect(must_fail=["run.status-truthful"], may_fail=["enqueue.first-completes", "enqueue.separate-run"])
class SuccessCalledError(Defective):
    """A run that reached its end is called failed."""

    def outcome(self, ending: Ending) -> tuple[RunStatus, ThreadStatus]:
        return super().outcome(Ending.FAILED if ending is Ending.COMPLETED else ending)


@defect(
    must_fail=["run.status-truthful"],
    may_fail=["run.terminal-is-final", "run.final-when-read", "run.status-legal", "reject.reopens"],
)
class SuccessBeforeTheEnd(Defective):
    """A run is called successful from its start on."""

    def told_status(self, run: Run) -> RunStatus:
        return RunStatus.SUCCESS if run.status is RunStatus.RUNNING else run.status


@defect(must_fail=["run.status-legal"], may_fail=["thread.settles"])
class UnknownStatus(Defective):
    """A run that waits is called ``queued``, which is no status of the API."""

    def told_status(self, run: Run) -> RunStatus:
        return cast("RunStatus", "queued") if run.status is RunStatus.PENDING else run.status


@defect(
    must_fail=["run.terminal-is-final"],
    may_fail=["run.final-when-read", "run.status-legal", "run.status-truthful", "enqueue.first-completes"],
)
class TerminalStatusFlips(Defective):
    """A successful run is called interrupted as soon as the next one is created."""

    def append(self, thread: Thread, spec: RunSpec) -> Run:
        for run in thread.runs:
            if run.status is RunStatus.SUCCESS:
                self.storage.set_status(run, RunStatus.INTERRUPTED)
        return super().append(thread, spec)


LATE_MAY_FAIL = (
    "run.final-when-read",
    "thread.no-lost-update",
    "interrupt.keeps-progress",
    "interrupt.builds-on",
    "rollback.reverts",
    "rollback.lineage",
    "rollback.no-orphans",
    "checkpoint.lineage",
    "checkpoint.one-chain",
    "enqueue.conserves-input",
)


@defect(must_fail=["run.terminal-is-final"], may_fail=LATE_MAY_FAIL)
class LateCheckpoint(Defective):
    """A displaced run writes one more checkpoint when its successor is over: the newest of the thread."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self._late: dict[Thread, tuple[Run, Saved]] = {}

    def displace(self, run: Run, *, keep_progress: bool) -> None:
        segment = self.checkpoints.lineage(run.thread.thread_id).of_run(run.run_id)
        if run.status is RunStatus.RUNNING and segment and self.slips_through(segment[-1]):
            self._late[run.thread] = (run, segment[-1])
            asyncio.get_running_loop().call_later(0.1, lambda: self._write_late(run.thread))
        super().displace(run, keep_progress=keep_progress)

    def slips_through(self, last: Saved) -> bool:  # noqa: ARG002
        """Whether the run, whose last checkpoint this is, gets to write another one."""
        return True

    def finish(self, run: Run, ending: Ending, output: bytes, failure: Failure | None) -> None:
        super().finish(run, ending, output, failure)
        self._write_late(run.thread)

    def _write_late(self, thread: Thread) -> None:
        if thread.inflight() or thread not in self._late:
            return
        run, last = self._late.pop(thread)
        if self.storage.threads.get(thread.thread_id) is thread:
            parent_id = last.key[1]
            put_on_top(self.checkpoints, thread.thread_id, last, parent_id=parent_id, run_id=run.run_id)


@defect(must_fail=["run.terminal-is-final"], may_fail=LATE_MAY_FAIL)
class LateCheckpointInTheCracks(LateCheckpoint):
    """A run displaced just as a superstep ended writes a late checkpoint, about one time in ten."""

    def slips_through(self, last: Saved) -> bool:
        written = datetime.fromisoformat(self.checkpoints.serde.loads_typed(last.body)["ts"])
        just_ended = (datetime.now(UTC) - written).total_seconds() < 0.03
        return just_ended and self.dice.random() < 0.1
