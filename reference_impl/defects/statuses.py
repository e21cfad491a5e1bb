"""Defects of what threads and checkpoints say of themselves, and of what clients write into them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_impl.storage import Run, RunSpec, RunStatus, Storage, Thread, ThreadStatus

from .registry import Defective, defect

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from reference_impl.checkpoints import CheckpointStore
    from reference_impl.worker import Worker


@defect(must_fail=["thread.busy-iff-inflight"], may_fail=["reject.no-effect"])
class IdleWhenAPendingRunEnds(Defective):
    """Whoever ends a run that only waits calls the thread idle, without looking at its other runs."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self._called_idle: set[Thread] = set()

    def displace(self, run: Run, *, keep_progress: bool) -> None:
        waited = run.status is RunStatus.PENDING
        super().displace(run, keep_progress=keep_progress)
        if waited:
            self._called_idle.add(run.thread)

    def begin(self, run: Run) -> None:
        super().begin(run)
        self._called_idle.discard(run.thread)

    def told_thread_status(self, thread: Thread) -> ThreadStatus:
        return ThreadStatus.IDLE if thread in self._called_idle else super().told_thread_status(thread)


@defect(must_fail=["thread.busy-iff-inflight", "thread.settles"])
class BusyAfterARollback(Defective):
    """A thread whose last run was rolled back stays busy, until another run has come to its end."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self._busy: set[Thread] = set()

    def undo(self, run: Run) -> None:
        super().undo(run)
        self._busy.add(run.thread)

    def append(self, thread: Thread, spec: RunSpec) -> Run:
        self._busy.discard(thread)
        return super().append(thread, spec)

    def told_thread_status(self, thread: Thread) -> ThreadStatus:
        return ThreadStatus.BUSY if thread in self._busy else super().told_thread_status(thread)


class _Relabels(Defective):
    """Changes what the metadata of each new checkpoint says of its run."""

    def attach(self, storage: Storage, checkpoints: CheckpointStore, worker: Worker) -> None:
        super().attach(storage, checkpoints, worker)
        put = checkpoints.put

        def relabelled(config: RunnableConfig, *content: Any) -> RunnableConfig:
            place = put(config, *content)
            saved = checkpoints.lineage(place["configurable"]["thread_id"]).head(place["configurable"]["checkpoint_ns"])
            if saved is not None:
                lineage = checkpoints.lineage(place["configurable"]["thread_id"])
                lineage.saved[saved.key] = replace(saved, metadata=self.label(saved.metadata))
            return place

        checkpoints.put = relabelled  # type: ignore[method-assign, assignment]

    def label(self, metadata: dict[str, Any]) -> dict[str, Any]:
        return metadata


@defect(must_fail=["checkpoint.attributed"])
class CheckpointsNameNobody(_Relabels):
    """The metadata of checkpoints does not name the run."""

    def label(self, metadata: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in metadata.items() if name != "run_id"}


@defect(must_fail=["checkpoint.attributed"], may_fail=["checkpoint.lineage"])
class CheckpointsNameTheThread(_Relabels):
    """The metadata of checkpoints has the thread's id where the run's should be."""

    def label(self, metadata: dict[str, Any]) -> dict[str, Any]:
        return metadata | ({"run_id": metadata["thread_id"]} if "run_id" in metadata else {})


@defect(must_fail=["state.update-not-lost", "history.explainable"], may_fail=["checkpoint.one-chain"])
class UpdateBesideTheRun(Defective):
    """A client's update is accepted while a run executes, and written beside it: the run's next step buries it."""

    def admit_update(self, thread: Thread) -> None:
        pass
