"""Defects of the admission: who is refused, who is not, and what a refusal does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from reference_impl.errors import ApiError, Conflict
from reference_impl.multitask import Accepted, Admission, Refused
from reference_impl.storage import Run, RunSpec, RunStatus, Strategy, Thread, ThreadStatus

from .registry import Defective, defect

MOST_MET = 2


@defect(must_fail=["reject.conflict", "history.explainable"], may_fail=["reject.no-effect", "reject.one-winner"])
class RejectLooksAtTheNewest(Defective):
    """A reject is refused if the newest run of the thread is inflight; an older one is not looked for."""

    async def create(self, thread: Thread, spec: RunSpec) -> Run:
        if spec.strategy is Strategy.REJECT and thread.runs and not tuple(thread.runs)[-1].inflight:
            return self.carry_out(Accepted(), thread, spec)
        return await super().create(thread, spec)


@defect(must_fail=["reject.conflict", "history.explainable"], may_fail=["reject.no-effect", "reject.one-winner"])
class RejectMeetsOneOrTwo(Defective):
    """A reject is refused because of one or two inflight runs, and accepted behind a longer queue."""

    def admit(self, strategy: Strategy, inflight: Sequence[Run]) -> Admission:
        many = strategy is Strategy.REJECT and len(inflight) > MOST_MET
        return Accepted() if many else super().admit(strategy, inflight)


@defect(
    must_fail=[
        "reject.conflict",
        "reject.one-winner",
        "interrupt.status",
        "rollback.deleted",
        "displaced.stops",
        "thread.one-at-a-time",
        "thread.no-lost-update",
        "history.explainable",
    ],
    may_fail=[
        "cancel.interrupt",
        "cancel.rollback-reverts",
        "cancel.bulk",
        "reject.code",
        "enqueue.first-completes",
        "enqueue.separate-run",
        "enqueue.fifo",
        "enqueue.conserves-input",
        "interrupt.keeps-progress",
        "interrupt.builds-on",
        "interrupt.no-injection",
        "rollback.reverts",
        "rollback.lineage",
        "rollback.no-orphans",
        "checkpoint.lineage",
        "checkpoint.one-chain",
        "run.terminal-is-final",
        "run.final-when-read",
    ],
)
class NoStrategy(Defective):
    """There is no strategy at all: every run starts at once, all race from the same checkpoint."""

    def admit(self, strategy: Strategy, inflight: Sequence[Run]) -> Admission:  # noqa: ARG002
        return Accepted()

    def next_run(self, thread: Thread) -> Run | None:
        return next(iter(self.queue(thread)), None)


@defect(must_fail=["reject.one-winner", "history.explainable"], may_fail=["reject.conflict"])
class CheckThenAct(Defective):
    """Reject looks whether the thread is free, and takes it a few milliseconds later, without a lock."""

    async def create(self, thread: Thread, spec: RunSpec) -> Run:
        admission = self.admit(spec.strategy, self.inflight(thread))
        if spec.strategy is Strategy.REJECT:
            await asyncio.sleep(self.window_s)
        return self.carry_out(admission, thread, spec)


@defect(
    must_fail=["reject.no-effect", "history.explainable"],
    may_fail=["reject.one-winner", "reject.reopens", "thread.no-lost-update", "checkpoint.lineage"],
)
class RefusedButCreated(Defective):
    """A refused create is answered with 409, but the run is created anyway."""

    def carry_out(self, admission: Admission, thread: Thread, spec: RunSpec) -> Run:
        if isinstance(admission, Refused):
            super().carry_out(Accepted(), thread, spec)
        return super().carry_out(admission, thread, spec)


@defect(
    must_fail=["enqueue.accepted", "interrupt.accepted", "rollback.accepted", "history.explainable"],
    may_fail=["create.if-not-exists"],
)
class RefusesEveryStrategy(Defective):
    """While a run is inflight everybody is refused, whatever the strategy."""

    def admit(self, strategy: Strategy, inflight: Sequence[Run]) -> Admission:
        return super().admit(Strategy.REJECT if inflight else strategy, inflight)


@defect(must_fail=["enqueue.accepted", "history.explainable"], may_fail=["create.if-not-exists"])
class QueueOfOne(Defective):
    """Only one run can wait: a further enqueue is refused."""

    def admit(self, strategy: Strategy, inflight: Sequence[Run]) -> Admission:
        waiting = [run for run in inflight if run.status is RunStatus.PENDING]
        if strategy is Strategy.ENQUEUE and len(inflight) > 1 and waiting:
            return Refused(because=waiting[0])
        return super().admit(strategy, inflight)


@defect(
    must_fail=["reject.conflict", "reject.one-winner", "history.explainable"],
    may_fail=["reject.no-effect", "reject.code"],
)
class AcceptsEveryReject(Defective):
    """Treats reject as enqueue: nobody is ever refused."""

    def admit(self, strategy: Strategy, inflight: Sequence[Run]) -> Admission:
        return super().admit(Strategy.ENQUEUE if strategy is Strategy.REJECT else strategy, inflight)


@defect(
    must_fail=["reject.conflict", "reject.one-winner", "history.explainable"],
    may_fail=["reject.no-effect", "reject.code"],
)
class LooksAtAnOldList(Defective):
    """Reject looks at a copy of the list of inflight runs that is two seconds old."""

    def admit(self, strategy: Strategy, inflight: Sequence[Run]) -> Admission:
        if strategy is Strategy.REJECT:
            then = self.storage.now() - timedelta(seconds=2)
            inflight = [run for run in inflight if run.created_at < then]
        return super().admit(strategy, inflight)


@defect(
    must_fail=["reject.conflict", "reject.one-winner", "history.explainable"],
    may_fail=["reject.code", "reject.no-effect", "create.if-not-exists"],
)
class RefusalIsServerError(Defective):
    """The refusal is a 500."""

    def refusal(self, because: Run) -> ApiError:  # noqa: ARG002
        return ApiError("Internal Server Error", status=500)


@defect(must_fail=["reject.code"], may_fail=["reject.conflict", "reject.one-winner"])
class RefusalIsBadRequest(Defective):
    """The refusal is a 400, as if the client had made a mistake."""

    def refusal(self, because: Run) -> ApiError:
        return Conflict(str(super().refusal(because)), status=400)


@defect(must_fail=["reject.code"], may_fail=["reject.conflict", "reject.one-winner"])
class RefusalWithoutReason(Defective):
    """The refusal has an empty body."""

    def refusal(self, because: Run) -> ApiError:
        return Conflict(str(super().refusal(because)), empty=True)


@defect(must_fail=["reject.no-effect"])
class RefusalChangesMetadata(Defective):
    """A refused create leaves the metadata of its run in the thread's metadata."""

    def carry_out(self, admission: Admission, thread: Thread, spec: RunSpec) -> Run:
        if isinstance(admission, Refused):
            thread.metadata |= {"last_refused": dict(spec.metadata)}
        return super().carry_out(admission, thread, spec)


@defect(must_fail=["reject.no-effect", "thread.busy-iff-inflight"])
class RefusalChangesThreadStatus(Defective):
    """After a refused create the thread is called idle, though its run goes on."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self._refused: set[Run] = set()

    def refusal(self, because: Run) -> ApiError:
        self._refused.add(because)
        return super().refusal(because)

    def told_thread_status(self, thread: Thread) -> ThreadStatus:
        if self._refused.intersection(thread.inflight()):
            return ThreadStatus.IDLE
        return super().told_thread_status(thread)


@defect(
    must_fail=["reject.no-effect", "history.explainable"],
    may_fail=[
        "reject.conflict",
        "reject.one-winner",
        "reject.reopens",
        "displaced.stops",
        "enqueue.first-completes",
        "enqueue.conserves-input",
        "interrupt.keeps-progress",
        "interrupt.builds-on",
        "rollback.deleted",
        "rollback.reverts",
        "rollback.lineage",
        "rollback.no-orphans",
        "thread.one-at-a-time",
        "thread.busy-iff-inflight",
        "run.status-truthful",
    ],
)
class RefusalStopsTheRun(Defective):
    """The refused create has interrupted the inflight run before it was refused."""

    def carry_out(self, admission: Admission, thread: Thread, spec: RunSpec) -> Run:
        if isinstance(admission, Refused):
            self.cancel(admission.because, keep_progress=True)
        return super().carry_out(admission, thread, spec)


@defect(must_fail=["reject.reopens", "history.explainable"], may_fail=["reject.one-winner"])
class StaysClosed(Defective):
    """Reject still refuses when the last run is over."""

    async def create(self, thread: Thread, spec: RunSpec) -> Run:
        if spec.strategy is Strategy.REJECT and thread.runs:
            raise self.refusal(thread.runs[-1])
        return await super().create(thread, spec)


@defect(must_fail=["create.returns"])
class CreateWaitsForTheEnd(Defective):
    """Creating a run answers only when the run is over."""

    async def create(self, thread: Thread, spec: RunSpec) -> Run:
        run = await super().create(thread, spec)
        await run.events.wait_closed()
        return run
