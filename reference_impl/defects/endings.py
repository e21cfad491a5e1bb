"""Defects of endings and statuses: what a run is called, and what the dead still do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from reference_impl.multitask import Ending, Failure
from reference_impl.storage import Run, RunSpec, RunStatus, Storage, Thread, ThreadStatus

from .registry import Defective, defect

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from reference_impl.checkpoints import CheckpointStore
    from reference_impl.worker import Worker


@defect(must_fail=["run.status-truthful", "history.explainable"], may_fail=["enqueue.first-completes"])
class FailureCalledSuccess(Defective):
    """A run whose node raised is called successful."""

    def outcome(self, ending: Ending) -> tuple[RunStatus, ThreadStatus]:
        return super().outcome(Ending.COMPLETED if ending is Ending.FAILED else ending)


@defect(
    must_fail=["thread.no-lost-update", "enqueue.conserves-input", "history.explainable"],
    may_fail=[
        "enqueue.first-completes",
        "enqueue.separate-run",
        "enqueue.survives-failure",
        "rollback.lineage",
        "rollback.reverts",
        "interrupt.keeps-progress",
        "checkpoint.lineage",
    ],
)
class FailureErasesTheRun(Defective):
    """What a run had completed before its node raised is taken back with it."""

    def finish(self, run: Run, ending: Ending, output: bytes, failure: Failure | None) -> None:
        super().finish(run, ending, output, failure)
        if ending is Ending.FAILED:
            self.checkpoints.delete_run(run.thread.thread_id, run.run_id)


@defect(
    must_fail=["enqueue.first-completes", "history.explainable"],
    may_fail=[
        "endpoint.stateless",
        "cancel.interrupt",
        "cancel.rollback-reverts",
        "cancel.bulk",
        "run.status-truthful",
        "reject.no-effect",
        "reject.reopens",
        "enqueue.separate-run",
    ],
)
class SuccessCalledError(Defective):
    """A run that reached its end is called failed."""

    def outcome(self, ending: Ending) -> tuple[RunStatus, ThreadStatus]:
        return super().outcome(Ending.FAILED if ending is Ending.COMPLETED else ending)


@defect(
    must_fail=["run.status-truthful", "history.explainable"],
    may_fail=[
        "endpoint.stateless",
        "endpoint.tells",
        "thread.settles",
        "cancel.interrupt",
        "cancel.rollback-reverts",
        "cancel.codes",
        "cancel.bulk",
        "run.terminal-is-final",
        "run.final-when-read",
        "run.status-legal",
        "reject.reopens",
        "reject.one-winner",
        "reject.no-effect",
        "enqueue.first-completes",
        "enqueue.conserves-input",
        "rollback.deleted",
        "rollback.lineage",
    ],
)
class SuccessBeforeTheEnd(Defective):
    """A run is called successful from its start on."""

    def told_status(self, run: Run) -> RunStatus:
        return RunStatus.SUCCESS if run.status is RunStatus.RUNNING else run.status


@defect(must_fail=["run.status-legal", "history.explainable"], may_fail=["thread.settles"])
class UnknownStatus(Defective):
    """A run that waits is called ``queued``, which is no status of the API."""

    def told_status(self, run: Run) -> RunStatus:
        return cast("RunStatus", "queued") if run.status is RunStatus.PENDING else run.status


@defect(
    must_fail=["run.terminal-is-final", "history.explainable"],
    may_fail=[
        "cancel.interrupt",
        "cancel.rollback-reverts",
        "cancel.bulk",
        "run.final-when-read",
        "run.status-legal",
        "run.status-truthful",
        "enqueue.first-completes",
        "reject.no-effect",
        "interrupt.status",
        "displaced.stops",
    ],
)
class TerminalStatusFlips(Defective):
    """A successful run is called interrupted as soon as the next one is created."""

    def append(self, thread: Thread, spec: RunSpec) -> Run:
        for run in thread.runs:
            if run.status is RunStatus.SUCCESS:
                self.storage.set_status(run, RunStatus.INTERRUPTED)
        return super().append(thread, spec)


@defect(
    must_fail=["run.terminal-is-final", "thread.no-lost-update", "history.explainable"],
    may_fail=[
        "cancel.rollback-reverts",
        "run.final-when-read",
        "enqueue.conserves-input",
        "interrupt.keeps-progress",
        "interrupt.builds-on",
        "rollback.reverts",
        "rollback.lineage",
        "rollback.no-orphans",
        "checkpoint.lineage",
        "checkpoint.one-chain",
    ],
)
class LateCheckpoint(Defective):
    """A displaced run ends its superstep, and saves it when its successor is over: as the newest checkpoint."""

    patience: ClassVar[float] = 60.0
    """Seconds that the superstep may take, after which the run is stopped as it should have been."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self._slipping: set[Run] = set()
        self._held_back: dict[Thread, list[tuple[Run, Callable[[], object]]]] = {}

    def attach(self, storage: Storage, checkpoints: CheckpointStore, worker: Worker) -> None:
        super().attach(storage, checkpoints, worker)
        put = checkpoints.put

        def put_late(config: RunnableConfig, *content: Any) -> RunnableConfig:
            run = next((r for r in self._slipping if r.run_id == config["configurable"].get("run_id")), None)
            if run is None:
                return put(config, *content)
            self._stop_slipping(run)
            self._held_back.setdefault(run.thread, []).append((run, lambda: put(config, *content)))
            if not run.thread.inflight():
                self._write_late(run.thread)
            return config

        checkpoints.put = put_late  # type: ignore[method-assign, assignment]

    def displace(self, run: Run, *, keep_progress: bool) -> None:
        if run.status is not RunStatus.RUNNING or not self.slips():
            super().displace(run, keep_progress=keep_progress)
            return
        self._slipping.add(run)
        self.worker.call_later(self.patience, lambda: self._stop_slipping(run))
        if keep_progress:
            self.retire(run)
        else:
            self.undo(run)

    def slips(self) -> bool:
        """Whether this run gets to write once more."""
        return True

    def executing(self, thread: Thread) -> Sequence[Run]:
        return [run for run in super().executing(thread) if run not in self._slipping]

    def finish(self, run: Run, ending: Ending, output: bytes, failure: Failure | None) -> None:
        super().finish(run, ending, output, failure)
        if not run.thread.inflight():
            self._write_late(run.thread)

    def _stop_slipping(self, run: Run) -> None:
        if run in self._slipping:
            self._slipping.remove(run)
            self.stop(run)

    def _write_late(self, thread: Thread) -> None:
        for run, write in self._held_back.pop(thread, []):
            if self.storage.threads.get(thread.thread_id) is thread:
                self.checkpoints.entitle(run.run_id)
                write()
                self.checkpoints.revoke(run.run_id)


@defect(
    must_fail=["thread.no-lost-update", "history.explainable"],
    may_fail=[
        "cancel.rollback-reverts",
        "run.terminal-is-final",
        "run.final-when-read",
        "enqueue.conserves-input",
        "interrupt.keeps-progress",
        "interrupt.builds-on",
        "rollback.reverts",
        "rollback.lineage",
        "rollback.no-orphans",
        "checkpoint.lineage",
        "checkpoint.one-chain",
    ],
)
class LateCheckpointInTheCracks(LateCheckpoint):
    """The same, only if the superstep was just ending when the run was displaced, and one time in ten."""

    patience = 0.03

    def slips(self) -> bool:
        return self.dice.random() < 0.1
