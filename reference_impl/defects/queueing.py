"""Defects of the queue: what becomes of a run that has to wait."""

from __future__ import annotations

from collections.abc import Sequence

from reference_impl.multitask import DELETED, Admission, Endpoint
from reference_impl.storage import Run, RunSpec, RunStatus, Strategy, Thread

from .hosts import ExecutesInAnothersName
from .registry import Defective, defect


@defect(must_fail=["enqueue.fifo", "history.explainable"])
class LastInFirstOut(Defective):
    """The queue is a stack: the newest waiting run starts first."""

    def queue(self, thread: Thread) -> Sequence[Run]:
        return super().queue(thread)[::-1]


@defect(must_fail=["enqueue.fifo", "history.explainable"], may_fail=["endpoint.same.wait"])
class WaitingClientsComeFirst(Defective):
    """A run whose client waits for its end overtakes the queue."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self.awaited: set[str] = set()

    async def accept(self, thread: Thread, spec: RunSpec, endpoint: Endpoint) -> Run:
        run = await super().accept(thread, spec, endpoint)
        if endpoint == "wait":
            self.awaited.add(run.run_id)
        return run

    def queue(self, thread: Thread) -> Sequence[Run]:
        return sorted(super().queue(thread), key=lambda run: run.run_id not in self.awaited)


@defect(
    must_fail=["thread.one-at-a-time", "thread.no-lost-update", "history.explainable"],
    may_fail=[
        "cancel.interrupt",
        "cancel.rollback-reverts",
        "cancel.bulk",
        "enqueue.first-completes",
        "enqueue.separate-run",
        "enqueue.fifo",
        "enqueue.conserves-input",
        "interrupt.keeps-progress",
        "interrupt.builds-on",
        "rollback.reverts",
        "rollback.lineage",
        "checkpoint.lineage",
        "checkpoint.one-chain",
    ],
)
class EnqueueStartsAtOnce(Defective):
    """An enqueued run does not wait: it starts beside the run that executes."""

    def next_run(self, thread: Thread) -> Run | None:
        first = next(iter(self.queue(thread)), None)
        return first if first and first.spec.strategy is Strategy.ENQUEUE else super().next_run(thread)


@defect(
    must_fail=["enqueue.first-completes", "history.explainable"],
    may_fail=[
        "endpoint.stateless",
        "cancel.interrupt",
        "cancel.rollback-reverts",
        "cancel.codes",
        "cancel.twice",
        "cancel.bulk",
        "create.if-not-exists",
        "enqueue.conserves-input",
        "enqueue.separate-run",
        "enqueue.fifo",
        "reject.no-effect",
        "enqueue.survives-failure",
        "rollback.deleted",
        "rollback.reverts",
        "rollback.lineage",
        "rollback.no-orphans",
        "thread.one-at-a-time",
    ],
)
class EnqueueInterrupts(Defective):
    """Treats enqueue as interrupt: the first run is stopped."""

    def admit(self, strategy: Strategy, inflight: Sequence[Run]) -> Admission:
        return super().admit(Strategy.INTERRUPT if strategy is Strategy.ENQUEUE else strategy, inflight)


@defect(
    must_fail=["enqueue.survives-failure", "thread.settles"],
    may_fail=["enqueue.conserves-input", "enqueue.separate-run"],
)
class StrandedByFailure(Defective):
    """When a run fails, those that wait behind it never start."""

    def queue(self, thread: Thread) -> Sequence[Run]:
        failures = [run.updated_at for run in thread.runs if run.status is RunStatus.ERROR]
        return [run for run in super().queue(thread) if not any(run.created_at < at for at in failures)]


@defect(
    must_fail=["enqueue.conserves-input", "history.explainable"],
    may_fail=[
        "thread.busy-iff-inflight",
        "create.if-not-exists",
        "cancel.codes",
        "cancel.bulk",
        "cancel.twice",
        "cancel.interrupt",
        "enqueue.separate-run",
        "enqueue.fifo",
        "run.status-legal",
        "enqueue.first-completes",
        "enqueue.survives-failure",
    ],
)
class NewestReplacesWaiting(Defective):
    """A run that waits is silently dropped when another one is enqueued."""

    def append(self, thread: Thread, spec: RunSpec) -> Run:
        if spec.strategy is Strategy.ENQUEUE:
            for run in [run for run in thread.runs if run.status is RunStatus.PENDING]:
                self.forget(run, DELETED)
        return super().append(thread, spec)


@defect(
    must_fail=["thread.settles"],
    may_fail=[
        "delete.thread-settles",
        "enqueue.conserves-input",
        "enqueue.separate-run",
        "enqueue.fifo",
        "enqueue.survives-failure",
    ],
)
class StuckPending(Defective):
    """A run that was enqueued while another one waited already never starts."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self._stuck: set[Run] = set()

    def append(self, thread: Thread, spec: RunSpec) -> Run:
        waits = [run for run in thread.runs if run.status is RunStatus.PENDING]
        run = super().append(thread, spec)
        if waits and spec.strategy is Strategy.ENQUEUE:
            self._stuck.add(run)
        return run

    def queue(self, thread: Thread) -> Sequence[Run]:
        return [run for run in super().queue(thread) if run not in self._stuck]


@defect(
    must_fail=["enqueue.separate-run", "checkpoint.attributed", "history.explainable"],
    may_fail=[
        "rollback.reverts",
        "rollback.lineage",
        "rollback.no-orphans",
        "enqueue.conserves-input",
        "cancel.interrupt",
        "cancel.rollback-reverts",
        "cancel.bulk",
        "run.terminal-is-final",
        "run.final-when-read",
        "thread.no-lost-update",
        "thread.busy-iff-inflight",
        "checkpoint.lineage",
    ],
)
class MergedIntoTheFirst(ExecutesInAnothersName):
    """An enqueued run executes as a part of the run that it waited for, under that one's id."""

    def append(self, thread: Thread, spec: RunSpec) -> Run:
        inflight = thread.inflight()
        run = super().append(thread, spec)
        if inflight and spec.strategy is Strategy.ENQUEUE:
            self.host[run] = self.writes_as(inflight[0])
        return run


@defect(
    must_fail=["enqueue.separate-run", "enqueue.conserves-input", "history.explainable"],
    may_fail=[
        "endpoint.own-events",
        "endpoint.tells",
        "endpoint.stateless",
        "delete.stops-writes",
        "delete.thread-settles",
        "webhook.once",
        "cancel.interrupt",
        "cancel.rollback-reverts",
        "cancel.wait",
        "cancel.bulk",
        "cancel.codes",
        "cancel.twice",
        "enqueue.first-completes",
        "enqueue.fifo",
        "run.terminal-is-final",
        "run.final-when-read",
        "run.status-legal",
        "run.status-truthful",
        "thread.one-at-a-time",
        "enqueue.survives-failure",
        "thread.settles",
        "thread.busy-iff-inflight",
        "checkpoint.attributed",
    ],
)
class SharedRunId(Defective):
    """A run that is enqueued gets the id of the run that it waits for, and is taken for its retry."""

    def new_run_id(self, thread: Thread) -> str:
        inflight = thread.inflight()
        return inflight[0].run_id if inflight else super().new_run_id(thread)


@defect(
    must_fail=["run.terminal-is-final", "history.explainable"],
    may_fail=[
        "thread.busy-iff-inflight",
        "cancel.interrupt",
        "cancel.rollback-reverts",
        "cancel.bulk",
        "run.final-when-read",
        "run.status-legal",
        "interrupt.status",
        "interrupt.builds-on",
        "rollback.deleted",
        "rollback.reverts",
        "rollback.lineage",
        "rollback.no-orphans",
        "checkpoint.lineage",
        "thread.no-lost-update",
    ],
)
class DisplacedPendingRunExecutes(Defective):
    """A waiting run that was displaced is called so, but nobody takes it out of the queue."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self._ghosts: list[Run] = []

    def displace(self, run: Run, *, keep_progress: bool) -> None:
        if run.status is RunStatus.PENDING:
            self._ghosts.append(run)
        super().displace(run, keep_progress=keep_progress)

    def queue(self, thread: Thread) -> Sequence[Run]:
        return [ghost for ghost in self._ghosts if ghost.thread is thread] + [*super().queue(thread)]

    def begin(self, run: Run) -> None:
        if run in self._ghosts:
            self._ghosts.remove(run)
        super().begin(run)


@defect(must_fail=["enqueue.fifo", "history.explainable"])
class QueueIsReadByThePage(Defective):
    """The next run is the oldest of the ten newest that wait: with more of them, the order breaks."""

    def queue(self, thread: Thread) -> Sequence[Run]:
        return super().queue(thread)[-10:]
