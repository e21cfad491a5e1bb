"""Variants: servers that decide otherwise where the sources leave it to the server, and are as correct as any."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reference_impl.errors import ApiError, Conflict
from reference_impl.multitask import DELETED, Accepted, Admission, Ending, Failure, admit
from reference_impl.storage import Run, RunSpec, RunStatus, Storage, Strategy, Thread, ThreadStatus

from .bad_input import Misreads
from .registry import Defective, variant

if TYPE_CHECKING:
    from fastapi import FastAPI
    from langchain_core.runnables import RunnableConfig
    from starlette.requests import Request
    from starlette.responses import JSONResponse

    from reference_impl.checkpoints import CheckpointStore
    from reference_impl.worker import Worker


@variant
class DefaultIsReject(Misreads):
    """A create without a strategy is a reject."""

    def create_read(self, thread_id: str, body: dict[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002
        return {"multitask_strategy": Strategy.REJECT, **body}


@variant
class HistoriesInPages(Misreads):
    """However many checkpoints are asked for, a page of a thread's history has ten."""

    def read(self, path: str, body: bytes) -> bytes | None:
        if not path.endswith("/history"):
            return body
        query = json.loads(body)
        limit = query.get("limit", 10) if isinstance(query, dict) else None
        if not isinstance(limit, int):
            return body
        return json.dumps({**query, "limit": min(limit, 10)}).encode()


@variant
class NoStreamedCreates(Defective):
    """There is no POST /runs/stream, and it says so: 501."""

    def furnish(self, app: FastAPI) -> None:
        from starlette.responses import JSONResponse
        from starlette.routing import Route

        super().furnish(app)

        async def absent(_: Request) -> JSONResponse:
            return JSONResponse({"detail": "There is no such call."}, 501)

        app.router.routes.insert(0, Route("/threads/{thread_id}/runs/stream", absent, methods=["POST"]))


@variant
class DisplacesOnlyTheFirst(Defective):
    """Interrupt and rollback stop the run that executes, or is next; inputs that wait behind it keep their turn."""

    def admit(self, strategy: Strategy, inflight: Sequence[Run]) -> Admission:
        admission = super().admit(strategy, inflight)
        if isinstance(admission, Accepted) and admission.displaced:
            return Accepted(self.displaced(inflight), admission.keep_progress)
        return admission

    def displaced(self, inflight: Sequence[Run]) -> Sequence[Run]:
        """Which of the inflight runs."""
        executing = [run for run in inflight if run.status is RunStatus.RUNNING]
        due = [run for run in inflight if not run.scheduled]
        return (executing or due)[:1]


@variant
class DisplacesOnlyTheExecuting(DisplacesOnlyTheFirst):
    """Interrupt and rollback stop the run that executes; one that has not started keeps its turn, even the first."""

    def displaced(self, inflight: Sequence[Run]) -> Sequence[Run]:
        return [run for run in inflight if run.status is RunStatus.RUNNING]


@variant
class OnlyRollbacksSpareWhatWaits(DisplacesOnlyTheExecuting):
    """A rollback stops the run that executes, an interrupt those that wait, too."""

    def admit(self, strategy: Strategy, inflight: Sequence[Run]) -> Admission:
        return super().admit(strategy, inflight) if strategy is Strategy.ROLLBACK else admit(strategy, inflight)


@variant
class SuperstepsAreNotCutShort(Defective):
    """A displaced run's code goes on to the end of its superstep, which is not saved, and the thread waits for that."""

    def stop(self, run: Run) -> None:
        self.checkpoints.revoke(run.run_id)
        self.checkpoints.drop_unfinished(run.thread.thread_id, run.run_id)


@variant
class CodeIsNotCancelled(SuperstepsAreNotCutShort):
    """A displaced run's code goes on to the end of its superstep, which is not saved, and the thread does not wait."""

    grace = 0.2
    """Seconds that the thread waits for it."""

    def stop(self, run: Run) -> None:
        super().stop(run)
        execution = self.worker._executions.get(run)
        if execution is not None and not execution.cancelled:
            execution.cancelled = True
            asyncio.get_running_loop().call_later(self.grace, self.worker._release, execution)


@variant
class SuperstepsAreCompleted(Defective):
    """A displaced run completes the superstep that it is in, which is saved, and only then ends; the thread waits."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self._marked: dict[Run, bool] = {}  # whether what it did is kept

    def attach(self, storage: Storage, checkpoints: CheckpointStore, worker: Worker) -> None:
        super().attach(storage, checkpoints, worker)
        put = checkpoints.put

        def last(config: RunnableConfig, *content: Any) -> RunnableConfig:
            place = put(config, *content)
            if not place["configurable"]["checkpoint_ns"]:
                for run in [run for run in self._marked if run.run_id == config["configurable"].get("run_id")]:
                    self._over(run)
            return place

        checkpoints.put = last  # type: ignore[method-assign, assignment]

    def displace(self, run: Run, *, keep_progress: bool) -> None:
        if run.status is RunStatus.RUNNING:
            self._marked.setdefault(run, keep_progress)
        else:
            super().displace(run, keep_progress=keep_progress)

    def finish(self, run: Run, ending: Ending, output: bytes, failure: Failure | None) -> None:
        if run in self._marked:
            self._over(run)
        else:
            super().finish(run, ending, output, failure)

    def _over(self, run: Run) -> None:
        super().displace(run, keep_progress=self._marked.pop(run))


@variant
class IdleAfterAnInterrupt(Defective):
    """A thread whose last run was interrupted is idle."""

    def retire(self, run: Run) -> None:
        resting = run.thread.resting
        super().retire(run)
        run.thread.resting = resting


@variant
class OnlyTheEndedAreDeleted(Defective):
    """A run that executes or waits is not deleted, unless with its thread."""

    def delete(self, run: Run) -> None:
        if run.inflight:
            raise Conflict(f"Run {run.run_id} is {run.status}: cancel it first.")
        super().delete(run)

    def delete_thread(self, thread: Thread) -> None:
        for run in thread.inflight():
            self.stop(run)
            self.end(run, RunStatus.INTERRUPTED, DELETED)
        super().delete_thread(thread)


@variant
class ScheduledFromItsStart(Defective):
    """A scheduled run is nobody's business until it is due: it is then that it displaces, and takes its place."""

    def inflight(self, thread: Thread) -> Sequence[Run]:
        return [run for run in super().inflight(thread) if not run.scheduled]

    def carry_out(self, admission: Admission, thread: Thread, spec: RunSpec) -> Run:
        return super().carry_out(Accepted() if spec.after_seconds > 0 else admission, thread, spec)

    def come_due(self, run: Run) -> None:
        admission = self.admit(run.spec.strategy, self.inflight(run.thread))
        if run.inflight and isinstance(admission, Accepted):  # too late to refuse it: it waits then
            for other in admission.displaced:
                self.displace(other, keep_progress=admission.keep_progress)
        super().come_due(run)


@variant
class QuestionsComeFirst(Defective):
    """A thread that waits for somebody's answer takes no other input."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self._asked: set[Run] = set()

    def finish(self, run: Run, ending: Ending, output: bytes, failure: Failure | None) -> None:
        if ending is Ending.WAITING:
            self._asked.add(run)
        super().finish(run, ending, output, failure)

    async def create(self, thread: Thread, spec: RunSpec) -> Run:
        asks = bool(thread.runs) and thread.runs[-1] in self._asked and thread.resting is ThreadStatus.INTERRUPTED
        if asks and spec.command is None:
            raise Conflict("The thread waits for an answer: resume it by a command.")
        return await super().create(thread, spec)


@variant
class RefusalQuotesTheInput(Defective):
    """Who is refused is told what the run in its way was asked."""

    def refusal(self, because: Run) -> ApiError:
        return Conflict(f"Thread is busy with {json.dumps(because.spec.input)}. Try again when it is over.")
