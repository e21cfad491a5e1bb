"""Defects of rollback: what is undone, and what is left behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from reference_impl.multitask import ROLLED_BACK, Admission, Ending, Failure
from reference_impl.storage import Run, RunSpec, RunStatus, Strategy, Thread

from .registry import Defective, defect
from .surgery import before, keep_channel, put_on_top, rewind


@defect(
    must_fail=["rollback.deleted", "rollback.reverts", "history.explainable"],
    may_fail=["rollback.lineage", "rollback.no-orphans"],
)
class RollbackIsInterrupt(Defective):
    """Treats rollback as interrupt: run and progress are kept."""

    def admit(self, strategy: Strategy, inflight: Sequence[Run]) -> Admission:
        return super().admit(Strategy.INTERRUPT if strategy is Strategy.ROLLBACK else strategy, inflight)


@defect(
    must_fail=["rollback.deleted", "rollback.reverts", "displaced.stops", "history.explainable"],
    may_fail=["rollback.lineage", "rollback.no-orphans"],
)
class RollbackIgnored(Defective):
    """Accepts rollback, but treats it as enqueue: the first run goes on to its end."""

    def admit(self, strategy: Strategy, inflight: Sequence[Run]) -> Admission:
        return super().admit(Strategy.ENQUEUE if strategy is Strategy.ROLLBACK else strategy, inflight)


@defect(must_fail=["rollback.deleted", "history.explainable"], may_fail=["cancel.rollback-reverts", "cancel.bulk"])
class RollbackKeepsTheRun(Defective):
    """Rollback reverts the state, but the run stays, called interrupted."""

    def undo(self, run: Run) -> None:
        if run.status is RunStatus.RUNNING:
            self.revert(run)
        self.end(run, RunStatus.INTERRUPTED, ROLLED_BACK)


@defect(
    must_fail=["rollback.reverts", "rollback.lineage", "history.explainable"],
    may_fail=["cancel.rollback-reverts", "rollback.no-orphans", "checkpoint.lineage"],
)
class RollbackKeepsTheInput(Defective):
    """Rollback reverts what the run did, but not its input."""

    def revert(self, run: Run) -> None:
        lineage = self.checkpoints.lineage(run.thread.thread_id)
        for saved in lineage.of_run(run.run_id)[2:]:  # the first two hold the input
            lineage.remove(saved.key)


class _RollbackKeepsAChannel(Defective):
    channel: ClassVar[str]

    def revert(self, run: Run) -> None:
        lineage = self.checkpoints.lineage(run.thread.thread_id)
        segment = lineage.of_run(run.run_id)
        super().revert(run)
        if segment and (head := lineage.head()):
            keep_channel(lineage, head, self.channel, segment[-1])


@defect(
    must_fail=["rollback.reverts", "history.explainable"], may_fail=["cancel.rollback-reverts", "checkpoint.lineage"]
)
class RollbackKeepsTheNote(_RollbackKeepsAChannel):
    """Rollback restores every channel of the state but one, ``note``."""

    channel = "note"


@defect(
    must_fail=["rollback.reverts", "history.explainable"],
    may_fail=["cancel.rollback-reverts", "thread.no-lost-update", "checkpoint.lineage"],
)
class RollbackKeepsTheCounter(_RollbackKeepsAChannel):
    """Rollback restores every channel of the state but one, ``counter``."""

    channel = "counter"


@defect(must_fail=["rollback.no-orphans"], may_fail=["checkpoint.one-chain"])
class RollbackLeavesOrphans(Defective):
    """Rollback goes back to the old head, but leaves the run's checkpoints in the history."""

    def revert(self, run: Run) -> None:
        lineage = self.checkpoints.lineage(run.thread.thread_id)
        if start := before(lineage, run.run_id):
            rewind(lineage, start)
        else:
            super().revert(run)


@defect(
    must_fail=["rollback.lineage", "rollback.no-orphans", "history.explainable"],
    may_fail=["cancel.rollback-reverts", "checkpoint.lineage", "run.terminal-is-final"],
)
class RollbackStacksTheOldState(Defective):
    """Rollback writes the old state on top of the run's checkpoints, which stay in the lineage."""

    def revert(self, run: Run) -> None:
        lineage = self.checkpoints.lineage(run.thread.thread_id)
        start, head = before(lineage, run.run_id), lineage.head()
        if start and head:
            parent_id = head.key[1]
            put_on_top(self.checkpoints, run.thread.thread_id, start, parent_id=parent_id, source="fork")
        else:
            super().revert(run)


@defect(
    must_fail=["rollback.reverts", "rollback.lineage", "history.explainable"],
    may_fail=["cancel.rollback-reverts", "rollback.no-orphans", "checkpoint.lineage", "thread.no-lost-update"],
)
class RollbackNeedsAnEarlierRun(Defective):
    """Rollback only reverts where there is something to return to: not the first run of a thread."""

    def revert(self, run: Run) -> None:
        if before(self.checkpoints.lineage(run.thread.thread_id), run.run_id):
            super().revert(run)


@defect(
    must_fail=["rollback.reverts", "cancel.rollback-reverts", "history.explainable"],
    may_fail=[
        "rollback.lineage",
        "enqueue.first-completes",
        "thread.no-lost-update",
        "enqueue.conserves-input",
        "checkpoint.lineage",
        "run.terminal-is-final",
        "cancel.bulk",
        "interrupt.keeps-progress",
    ],
)
class RollbackToTheCreation(Defective):
    """Rollback goes back to the state on which the run was created, and not to the one on which it started."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self._later: dict[Run, dict[str, set[str]]] = {}  # runs that it waited for, and what they had saved by then

    def append(self, thread: Thread, spec: RunSpec) -> Run:
        lineage = self.checkpoints.lineage(thread.thread_id)
        ahead = {r.run_id: {str(s.key) for s in lineage.of_run(r.run_id)} for r in thread.inflight()}
        run = super().append(thread, spec)
        self._later[run] = ahead
        return run

    def revert(self, run: Run) -> None:
        super().revert(run)
        lineage = self.checkpoints.lineage(run.thread.thread_id)
        for run_id, saved in self._later.get(run, {}).items():
            for later in [s for s in lineage.of_run(run_id) if str(s.key) not in saved]:
                lineage.remove(later.key)


@defect(must_fail=["rollback.reverts", "history.explainable"], may_fail=["rollback.lineage", "cancel.rollback-reverts"])
class RollbackTakesTheUpdate(Defective):
    """Rollback also takes back what a client had written into the state just before the run."""

    def revert(self, run: Run) -> None:
        lineage = self.checkpoints.lineage(run.thread.thread_id)
        start = before(lineage, run.run_id)
        super().revert(run)
        if start and start.run_id is None:
            lineage.remove(start.key)


@defect(
    must_fail=["rollback.reverts", "rollback.lineage", "history.explainable"],
    may_fail=[
        "cancel.interrupt",
        "cancel.rollback-reverts",
        "thread.no-lost-update",
        "enqueue.conserves-input",
        "run.terminal-is-final",
        "checkpoint.lineage",
        "interrupt.keeps-progress",
        "interrupt.builds-on",
    ],
)
class RollbackEmptiesTheThread(Defective):
    """Rollback resets the thread to empty, earlier runs included."""

    def revert(self, run: Run) -> None:
        self.checkpoints.delete_thread(run.thread.thread_id)


@defect(
    must_fail=["rollback.deleted", "history.explainable"],
    may_fail=["cancel.rollback-reverts", "cancel.bulk", "run.terminal-is-final", "run.final-when-read"],
)
class DeletedRunReturns(Defective):
    """A run that was rolled back is there again when its successor is over."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self._deleted: dict[Thread, list[Run]] = {}

    def undo(self, run: Run) -> None:
        super().undo(run)
        self._deleted.setdefault(run.thread, []).append(run)

    def finish(self, run: Run, ending: Ending, output: bytes, failure: Failure | None) -> None:
        super().finish(run, ending, output, failure)
        run.thread.runs[:0] = self._deleted.pop(run.thread, [])
